"""What follows from the clear observations of some pixels: courses, composites, phenology.

The observations are given by a function that fills any days linearly, see `series_of_block`; on
the day of a clear observation it returns that observation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.series import Phenology, Series
from oso_pipeline.core.dates import days_since_epoch
from oso_pipeline.timeseries.kernels.chunks import NODATA
from oso_pipeline.timeseries.phenology import observations_per_date, phenology
from oso_pipeline.timeseries.series_layout import SeriesLayout, Variable
from oso_pipeline.timeseries.series_variables import phenology_settings
from oso_pipeline.timeseries.smoothing import savitzky_golay, whittaker
from oso_pipeline.timeseries.temporal_statistics import monthly, statistics

Layers = dict[str, npt.NDArray[Any]]
"""Arrays of shape ``(step, pixel)`` by name of the variable."""

Filling = Callable[[npt.NDArray[np.int32]], Layers]
"""From days to the values of these days, int16, -10000 where a pixel has no clear date."""

_LARGEST = 32_767


@dataclass(frozen=True)
class Observations:
    """The clear observations of some pixels.

    Parameters
    ----------
    fill
        Gives their values on any days.
    clear
        Which images count, uint8, shape ``(time, pixel)``.
    days
        Days of the images since 1970-01-01, not descending, int32, shape ``(time,)``.
    """

    fill: Filling
    clear: npt.NDArray[np.uint8]
    days: npt.NDArray[np.int32]

    def clear_on(self, days: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
        """Return on which of these days an image counts, uint8, shape ``(day, pixel)``."""
        found = np.zeros((len(days), self.clear.shape[1]), np.uint8)
        places = np.searchsorted(days, self.days)
        for place, day, row in zip(places, self.days, self.clear, strict=True):
            if place < len(days) and days[place] == day:
                found[place] |= row
        return found


def courses(observations: Observations, series: Series, layout: SeriesLayout) -> Layers:
    """Return each variable on the dates that are stored.

    Parameters
    ----------
    observations
        Of some pixels.
    series
        Which dates, and how they are smoothed.
    layout
        The dates.

    Returns
    -------
    dict
        int16, shape ``(date, pixel)``; -10000 at pixels without a clear date, and of raw series
        where the day is not clear.
    """
    if series.dates == "raw":
        days = days_since_epoch(layout.acquisitions)
        found, clear = observations.fill(days), observations.clear_on(days)
        for values in found.values():
            np.copyto(values, NODATA, where=clear == 0)
        return found
    days, smoothing = days_since_epoch(layout.dates), series.smoothing
    if smoothing.kind == "whittaker":
        seen = np.unique(observations.days)
        weights = observations.clear_on(seen).astype(np.float32)
        return {
            name: _stored(
                whittaker(values.astype(np.float32), weights, seen, smoothing.smoothness, days)
            )
            for name, values in observations.fill(seen).items()
        }
    found = observations.fill(days)
    if smoothing.kind == "savitzky_golay":
        window, order = smoothing.window, smoothing.order
        for name, values in found.items():
            smooth = savitzky_golay(values.astype(np.float32), window, order)
            smooth[values == NODATA] = np.nan
            found[name] = _stored(smooth)
    return found


def composites(
    values: npt.NDArray[np.int16],
    variable: Variable,
    observations: Observations,
    series: Series,
    layout: SeriesLayout,
) -> Layers:
    """Return monthly composites of the clear observations, and statistics of the course."""
    found: Layers = {}
    if series.monthly:
        days = np.unique(observations.days)
        seen, clear = observations.fill(days)[variable.name], observations.clear_on(days)
        for how in series.monthly:
            made = monthly(np.ascontiguousarray(seen), clear, days, layout.months, how)
            found[f"{variable.name}_monthly_{how}"] = made
    if series.statistics:
        dates = layout.dates if variable.axis == "time" else layout.acquisitions
        made_of = statistics(
            np.ascontiguousarray(values), days_since_epoch(dates), series.statistics
        )
        found |= {f"{variable.name}_{name}": made[None] for name, made in made_of.items()}
    return found


def growing_seasons(
    values: npt.NDArray[np.int16],
    variable: Variable,
    observations: Observations,
    settings: Phenology,
    layout: SeriesLayout,
) -> Mapping[str, npt.NDArray[Any]]:
    """Return the metrics of the growing seasons of a course, shape ``(season, pixel)``."""
    days = days_since_epoch(layout.dates)
    observed = observations_per_date(observations.clear, observations.days, days)
    physical = variable.physical(values)
    return phenology(physical, days, observed, phenology_settings(settings)).stored


def _stored(smooth: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Return a smoothed course as it is stored: rounded, within the type, NaN as no data."""
    rounded = np.clip(np.rint(smooth), NODATA + 1, _LARGEST)
    return np.where(np.isnan(smooth), NODATA, rounded).astype(np.int16)
