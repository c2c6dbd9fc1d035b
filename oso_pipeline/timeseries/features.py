"""Features of a block: gap-filled reflectances and the indices computed from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.sensors import sensor_of
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.kernels.chunks import (
    Recipe,
    Source,
    index_plan,
    recipe,
    staged_features,
)
from oso_pipeline.timeseries.series import BlockSeries, coarse_places


def block_features(
    series: BlockSeries, layout: FeatureLayout, pixels: npt.NDArray[np.integer] | None = None
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """Compute the features of pixels; the same kernel as within the classification of a block.

    Parameters
    ----------
    series
        Images of a block, bands as in `layout`.
    layout
        Bands, dates, indices and derived features wanted.
    pixels
        Which pixels, indices into the block; all by default.

    Returns
    -------
    features
        int16, shape ``(layout.size, pixel)``, rows as in ``layout.names``. Reflectances as
        :func:`~oso_pipeline.timeseries.gapfill.gapfill` gives them. From these integers:
        the indices by the formula and with the scale of :mod:`oso_pipeline.core.indices`,
        truncated toward zero, 0 where a denominator is 0, clipped to int16. From both, the
        derived features as :mod:`oso_pipeline.timeseries.kernels.derived` computes them.
        -10000 throughout at pixels without a clear date.
    validity
        Number of clear dates, uint16, shape ``(pixel,)``.

    Raises
    ------
    ValueError
        If shapes, types or the number of bands do not fit, days descend, a pixel lies outside
        the block, or the layout is not of one group with dates.
    """
    if pixels is None:
        pixels = np.arange(series.clear.shape[1])
    return staged_features(*source_and_recipe(series, layout, pixels))


def source_and_recipe(
    series: BlockSeries, layout: FeatureLayout, pixels: npt.NDArray[np.integer]
) -> tuple[Source, Recipe]:
    """Return what the kernels work on, after a check of everything they rely on.

    Raises
    ------
    ValueError
        As :func:`block_features`.
    """
    _refuse(series, layout, pixels)
    places = np.ascontiguousarray(pixels, dtype=np.int64)
    group = layout.series
    indices = index_plan(group.indices, group.bands, sensor_of(group.sensor), group.defined)
    source = Source(
        np.ascontiguousarray(series.fine),
        np.ascontiguousarray(series.coarse),
        np.ascontiguousarray(series.slots),
        np.ascontiguousarray(series.clear),
        places,
        coarse_places(places, series.shape[1]),
    )
    return source, recipe(series.days, group.days, indices, group.derived)


def _refuse(series: BlockSeries, layout: FeatureLayout, pixels: npt.NDArray[np.integer]) -> None:
    n_bands = len(layout.series.bands)
    if len(series.slots) != n_bands:
        raise ValueError(f"{len(series.slots)} bands given, the layout has {n_bands}")
    rows, columns = series.shape
    n_days, n_halves = len(series.days), -(-rows // 2) * -(-columns // 2)
    n_fine, n_coarse = series.fine.shape[1], series.coarse.shape[1]
    shapes: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
        "fine": (np.int16, (n_days, n_fine, rows * columns)),
        "coarse": (np.int16, (n_days, n_coarse, n_halves)),
        "clear": (np.uint8, (n_days, rows * columns)),
    }
    for name, (dtype, shape) in shapes.items():
        array = getattr(series, name)
        # Nothing is looked up where there is no image or no band.
        if array.dtype != dtype or (array.shape != shape and 0 not in shape[:2]):
            raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, expected {shape}")
    if (series.slots >= n_fine).any() or (series.slots < -n_coarse).any():
        raise ValueError("a band is stored in a row that is not there")
    if series.days.dtype != np.int32 or np.any(np.diff(series.days) < 0):
        raise ValueError("days of the images must be int32 and not descend")
    if len(pixels) and not (pixels.min() >= 0 and pixels.max() < rows * columns):
        raise ValueError(f"a pixel lies outside the block of {rows} x {columns}")
