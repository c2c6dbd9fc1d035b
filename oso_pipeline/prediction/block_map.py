"""From the images of a block to its classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.rasterise import NONE
from oso_pipeline.learners.protocol import BlockPixels, Classifier, Layers
from oso_pipeline.prediction.kernel import classify_block
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.series import BlockSeries

Labels = npt.NDArray[np.int32]


def predict_pixels(
    series: BlockSeries,
    labels: Labels,
    classifiers: Mapping[int, Classifier],
    layout: FeatureLayout,
) -> Layers:
    """Classify the pixels of a block.

    Parameters
    ----------
    series
        Images of the block.
    labels
        Which classifier each pixel gets, int32, shape ``(pixel,)``; pixels whose label is not
        in `classifiers` are left out.
    classifiers
        Classifiers by label.
    layout
        Features that they expect.

    Returns
    -------
    layers
        Class, confidence and validity, uint16, shape ``(3, pixel)``. 0 in all of them where a
        pixel is left out or has no clear date; the series of one date suffices for a class.
    """
    layers = np.zeros((3, len(labels)), np.uint16)
    if not len(series.clear):
        return layers
    pixels = np.flatnonzero(np.isin(labels, list(classifiers)))
    block = BlockPixels(series, layout, pixels, labels[pixels])
    layers[:, pixels] = classify_block(block, classifiers)
    return layers


def outside(owned: npt.NDArray[np.bool_], labels: Labels) -> Labels:
    """Return `labels` with `NONE` at the pixels that the tile does not own."""
    return np.where(owned, labels, NONE).astype(np.int32)
