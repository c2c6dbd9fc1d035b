"""The series of a pixel, before and after gaps are filled, beside mean series of classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from oso_pipeline.studies.explain.learned import Moments
from oso_pipeline.studies.explain.parts import ClassSeries, Label, PixelSeries, VariableSeries
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.series import BlockSeries

BAND_SCALE = 1e-4
"""From stored numbers of bands to reflectance."""


def pixel_series(
    series: BlockSeries,
    pixel: npt.NDArray[np.intp],
    layout: FeatureLayout,
    classes: Mapping[Label, Moments],
) -> PixelSeries:
    """Return the series of all bands and indices of a pixel.

    Parameters
    ----------
    series
        Images of a block.
    pixel
        Index of the pixel in the block, shape ``(1,)``.
    layout
        Bands, dates and indices of the model.
    classes
        Sums over the training samples of classes, of the features of `layout`.
    """
    group = layout.series
    dates, clear = group.dates or (), series.clear[:, pixel[0]] > 0
    seen = tuple(np.array(series.days[clear], "datetime64[D]").tolist())
    observed: dict[str, tuple[int, ...]] = {}
    if seen:
        # At a clear date the filled series is the observation.
        days = layout.on(seen)
        observed = _by_variable(days, block_features(series, days, pixel)[0][:, 0])
    filled = _by_variable(layout, block_features(series, layout, pixel)[0][:, 0])
    places = {name: number for number, name in enumerate(layout.names)}
    variables = []
    for name in (*group.bands, *group.indices):
        rows = [places[f"{name}_{day:%Y%m%d}"] for day in dates]
        means = tuple(
            ClassSeries(
                label,
                one.count,
                tuple(one.mean[rows].round(1).tolist()),
                tuple(one.deviation[rows].round(1).tolist()),
            )
            for label, one in classes.items()
        )
        scale = BAND_SCALE if name in group.bands else 1 / group.index(name).scale
        variables.append(VariableSeries(name, scale, observed.get(name, ()), filled[name], means))
    return PixelSeries(dates, seen, tuple(variables))


def _by_variable(
    layout: FeatureLayout, features: npt.NDArray[np.int16]
) -> dict[str, tuple[int, ...]]:
    """Return the features of one pixel by band and index, in the order of the dates."""
    found: dict[str, list[int]] = {}
    for name, value in zip(layout.names, features.tolist(), strict=True):
        found.setdefault(name.rpartition("_")[0], []).append(value)
    return {name: tuple(values) for name, values in found.items()}
