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

from oso_pipeline.config.series import Series, Smoothing
from oso_pipeline.core.dates import days_since_epoch
from oso_pipeline.timeseries.kernels.chunks import NODATA
from oso_pipeline.timeseries.phenology import (
    PhenologySettings,
    observations_per_date,
    phenology,
)
from oso_pipeline.timeseries.series_layout import SeriesLayout, Variable
from oso_pipeline.timeseries.smoothing import savitzky_golay, whittaker
from oso_pipeline.timeseries.temporal_statistics import monthly, statistics

Layers = dict[str, npt.NDArray[Any]]
"""Arrays of shape ``(step, pixel)`` by name of the variable."""

Filling = Callable[[npt.NDArray[np.int32]], Layers]
"""From days to the values of these days, int16, -10000 where a pixel has no clear date."""

Unrounded = Callable[[str, npt.NDArray[np.int32]], npt.NDArray[np.float32]]
"""From a variable and days to its physical values, shape ``(day, pixel)``, NaN for no data."""

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
    unrounded
        Gives the same values before they are rounded to integers.
    """

    fill: Filling
    clear: npt.NDArray[np.uint8]
    days: npt.NDArray[np.int32]
    unrounded: Unrounded

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
    days = days_since_epoch(layout.dates)
    if series.smoothing.kind == "linear":
        return observations.fill(days)
    smoother = _Smoother(observations, series.smoothing, days)
    filled = observations.fill(smoother.given)
    return {name: _stored(smoother.smooth(_numbers(values))) for name, values in filled.items()}


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
    observations: Observations,
    settings: PhenologySettings,
    smoothing: Smoothing,
    layout: SeriesLayout,
) -> Mapping[str, npt.NDArray[Any]]:
    """Return the metrics of the growing seasons, shape ``(season, pixel)``.

    They are those of the course before it is rounded to the integers of the files: on a flat top
    the steps of these integers would decide which day is the maximum.
    """
    days = days_since_epoch(layout.dates)
    observed = observations_per_date(observations.clear, observations.days, days)
    smoother = _Smoother(observations, smoothing, days)
    course = smoother.smooth(observations.unrounded(settings.variable, smoother.given))
    return phenology(course, days, observed, settings).stored


@dataclass(frozen=True)
class _Smoother:
    """Smooths series of some pixels onto the dates of the season."""

    observations: Observations
    smoothing: Smoothing
    days: npt.NDArray[np.int32]

    @property
    def given(self) -> npt.NDArray[np.int32]:
        """The days that it needs: those of the images, or those of the season."""
        images = self.smoothing.kind == "whittaker"
        return np.unique(self.observations.days) if images else self.days

    def smooth(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return values on the days `given` as they are on the dates of the season."""
        how = self.smoothing
        if how.kind == "whittaker":
            weights = self.observations.clear_on(self.given).astype(np.float32)
            return whittaker(values, weights, self.given, how.smoothness, self.days)
        if how.kind == "savitzky_golay":
            return savitzky_golay(values, how.window, how.order)
        return values


def _numbers(values: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Return stored integers as numbers, NaN for no data."""
    return np.where(values == NODATA, np.float32(np.nan), values)


def _stored(smooth: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Return a smoothed course as it is stored: rounded, within the type, NaN as no data."""
    rounded = np.clip(np.rint(smooth), NODATA + 1, _LARGEST)
    return np.where(np.isnan(smooth), NODATA, rounded).astype(np.int16)
