"""From the images of a block to its classes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from oso_pipeline.config.model import Strata
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.rasterise import NONE, Burner
from oso_pipeline.learning.model_file import Model
from oso_pipeline.prediction.compiled import Vote
from oso_pipeline.prediction.kernel import classify_block
from oso_pipeline.reference.strata import read_strata
from oso_pipeline.timeseries.layout import FeatureLayout
from oso_pipeline.timeseries.series import BlockSeries

Labels = npt.NDArray[np.int32]


def predict_pixels(
    series: BlockSeries,
    labels: Labels,
    models: Mapping[int, Model],
    layout: FeatureLayout,
    vote: Vote = "hard",
) -> npt.NDArray[np.uint16]:
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
        Features that the models expect.
    vote
        How trees vote, as for :func:`~oso_pipeline.prediction.kernel.classify`.

    Returns
    -------
    layers
        Class, confidence and validity, uint16, shape ``(3, pixel)``. 0 in all of them where a
        pixel is left out or has no clear date; the series of one date suffices for a class.
    """
    layers = np.zeros((3, len(labels)), np.uint16)
    pixels = np.flatnonzero(np.isin(labels, list(models)))
    layers[:, pixels] = classify_block(series, layout, pixels, labels[pixels], models, vote)
    return layers


def stratum_labels(strata: Strata, sha256: str, epsg: int, grid: GeoBox, block: Block) -> Labels:
    """Return the index of the stratum, sorted by name, at each pixel of `block`.

    Parameters
    ----------
    strata
        Vector file of the regions.
    sha256
        Its content, so that a changed file is read again.
    epsg
        Coordinate system of the map.
    grid
        10 m grid of the tile.
    block
        Part of the tile.

    Returns
    -------
    int32 array of shape ``(block.height, block.width)``, -1 outside all strata
    """
    burner = _strata_burner(strata.path, strata.layer, strata.field, sha256, epsg, grid)
    return burner.block(block)


@lru_cache(maxsize=2)
def _strata_burner(
    path: Path, layer: str | None, field: str, sha256: str, epsg: int, grid: GeoBox
) -> Burner:
    problems = Problems()
    regions = read_strata(Strata(path=path, layer=layer, field=field), epsg, problems)
    problems.raise_errors(InputDataError)
    if regions is None:
        raise ValueError(f"{path} was refused without a reason")
    return Burner(grid, np.asarray(regions.to_crs(grid.crs.epsg).geometry))


def outside(owned: npt.NDArray[np.bool_], labels: Labels) -> Labels:
    """Return `labels` with `NONE` at the pixels that the tile does not own."""
    return np.where(owned, labels, NONE).astype(np.int32)
