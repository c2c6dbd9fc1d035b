"""From the images of a block to its bands."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.rasterise import NONE
from oso_pipeline.learners.protocol import BlockPixels, Layers
from oso_pipeline.learning.model_file import Model
from oso_pipeline.prediction.band_request import BandRequest
from oso_pipeline.prediction.kernel import classify_block, classify_with_bands
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.series import BlockSeries

Labels = npt.NDArray[np.int32]


def predict_pixels(
    series: BlockSeries,
    labels: Labels,
    models: Mapping[int, Model],
    layout: FeatureLayout,
    request: BandRequest | None = None,
) -> Layers:
    """Classify the pixels of a block.

    Parameters
    ----------
    series
        Images of the block.
    labels
        Which model each pixel gets, int32, shape ``(pixel,)``; pixels whose label is not in
        `models` are left out.
    models
        Models by label.
    layout
        Features that they expect.
    request
        More bands; None for class, confidence and validity alone.

    Returns
    -------
    layers
        Class, confidence and validity, then the bands of `request`, uint16, shape
        ``(band, pixel)``. 0 in the first three, and nodata in the others, where a pixel is left
        out or has no clear date; the series of one date suffices for a class.
    """
    layers = empty_layers((len(labels),), request)
    if not len(series.clear):
        return layers
    pixels = np.flatnonzero(np.isin(labels, list(models)))
    block = BlockPixels(series, layout, pixels, labels[pixels])
    if request is None:
        classifiers = {label: model.classifier for label, model in models.items()}
        layers[:, pixels] = classify_block(block, classifiers)
    else:
        layers[:, pixels] = classify_with_bands(block, models, request)
    return layers


def empty_layers(shape: tuple[int, ...], request: BandRequest | None) -> Layers:
    """Return the bands of pixels without a class, uint16, shape ``(band, *shape)``."""
    more = () if request is None else request.bands
    layers = np.zeros((3 + len(more), *shape), np.uint16)
    for layer, band in zip(layers[3:], more, strict=True):
        layer[:] = band.nodata
    return layers


def outside(owned: npt.NDArray[np.bool_], labels: Labels) -> Labels:
    """Return `labels` with `NONE` at the pixels that the tile does not own."""
    return np.where(owned, labels, NONE).astype(np.int32)
