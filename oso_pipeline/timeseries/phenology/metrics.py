"""Dates, values, slopes and productivity of the growing seasons of each pixel.

Names and encoding are those of HR-VPP, the Copernicus product of vegetation phenology and
productivity in Europe. :mod:`oso_pipeline.timeseries.phenology.pixels` holds the formula of each
metric; docs/phenology.md shows them in a figure and cites the sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.timeseries.phenology.curve import curve_plan
from oso_pipeline.timeseries.phenology.pixels import METRICS, NO_DATA, Rules, measure_pixels
from oso_pipeline.timeseries.phenology.settings import FEWEST_DATES, PhenologySettings
from oso_pipeline.timeseries.phenology.yydoy import yydoy


@dataclass(frozen=True)
class PhenologyMetrics:
    """Metrics of up to two growing seasons, as they are stored.

    Parameters
    ----------
    stored
        By name of the metric, shape ``(season, pixel)``, seasons in the order of their maxima:
        uint16, and uint8 for QFLAG. `phenology_variables` gives scale, unit and no data of each.
    """

    stored: Mapping[str, npt.NDArray[np.uint16] | npt.NDArray[np.uint8]]

    def __getitem__(self, name: str) -> npt.NDArray[np.uint16] | npt.NDArray[np.uint8]:
        """Return a metric by its name."""
        return self.stored[name]


def phenology(
    values: npt.NDArray[np.float32],
    days: npt.NDArray[np.int32],
    observed: npt.NDArray[np.uint8],
    settings: PhenologySettings,
) -> PhenologyMetrics:
    """Find the growing seasons of each pixel and measure them.

    The metrics are taken from a daily curve, a cubic spline through the values. A season whose
    start lies before the grid has a maximum and an end, but neither start nor length nor
    productivity; likewise at the end of the grid. A maximum on the first or the last day is none.

    Parameters
    ----------
    values
        Gap-filled series in units of the variable, float32, shape ``(date, pixel)``. A date that
        is not finite is filled linearly in days; a pixel without any finite date has no data.
    days
        Days of the dates since 1970-01-01, ascending, int32, shape ``(date,)``.
    observed
        Clear observations behind each date, uint8, shape ``(date, pixel)``: see
        :func:`observations_per_date`. They decide the quality alone.
    settings
        What a growing season is.

    Returns
    -------
    PhenologyMetrics
        SOSD, EOSD, MAXD, LENGTH, SOSV, EOSV, MAXV, MINV, AMPL, LSLOPE, RSLOPE, SPROD, TPROD and
        QFLAG.

    Raises
    ------
    InputDataError
        If days do not ascend (``E-SERIES-TIME``) or are too few for a season
        (``E-SERIES-SHORT``).
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> days = np.arange(17532, 17532 + 365, 10, dtype=np.int32)  # from 2018-01-01
    >>> bell = 0.2 + 0.6 * np.exp(-(((days - 17532 - 150) / 50.0) ** 2))
    >>> series, seen = bell.astype(np.float32)[:, None], np.full((len(days), 1), 2, np.uint8)
    >>> found = phenology(series, days, seen, PhenologySettings("NDVI", seasons=1))
    >>> [int(found[name][0, 0]) for name in ("SOSD", "MAXD", "EOSD", "LENGTH", "QFLAG")]
    [18092, 18151, 18220, 128, 10]
    """
    _check(values, days, observed, settings)
    n_pixels = values.shape[1]
    no_data = np.array([NO_DATA[name] for name in METRICS], np.uint16)
    metrics = np.empty((len(METRICS), settings.seasons, n_pixels), np.uint16)
    metrics[:] = no_data[:, None, None]
    quality = np.zeros((settings.seasons, n_pixels), np.uint8)
    rules = Rules(
        settings.start_fraction,
        settings.end_fraction,
        settings.least,
        settings.second_share,
        1 / settings.value_scale,
        yydoy(np.arange(days[0], days[-1] + 1)),
    )
    measure_pixels(
        curve_plan(days),
        rules,
        np.ascontiguousarray(values, np.float32),
        np.ascontiguousarray(observed, np.uint8),
        metrics,
        quality,
    )
    return PhenologyMetrics({**dict(zip(METRICS, metrics, strict=True)), "QFLAG": quality})


def check_length(days: npt.NDArray[np.int32], settings: PhenologySettings) -> None:
    """Refuse a grid that does not ascend or is too short for a growing season.

    Raises
    ------
    InputDataError
        With ``E-SERIES-TIME`` or ``E-SERIES-SHORT``.
    """
    if len(days) > 1 and np.any(np.diff(days) <= 0):
        raise InputDataError(
            Problem("E-SERIES-TIME", "dates of the series do not ascend, or one occurs twice")
        )
    length = int(days[-1] - days[0]) if len(days) else 0
    if len(days) < FEWEST_DATES or length < settings.shortest_days:
        raise InputDataError(
            Problem(
                "E-SERIES-SHORT",
                f"found {len(days)} dates over {length} days, phenology with "
                f"{settings.seasons} season(s) needs {FEWEST_DATES} dates over "
                f"{settings.shortest_days} days",
                hint="lengthen season, or leave phenology out",
            )
        )


def _check(
    values: npt.NDArray[np.float32],
    days: npt.NDArray[np.int32],
    observed: npt.NDArray[np.uint8],
    settings: PhenologySettings,
) -> None:
    if values.ndim != 2 or values.shape[:1] != days.shape or observed.shape != values.shape:
        raise ValueError(
            f"values {values.shape}, days {days.shape} and observed {observed.shape} do not fit"
        )
    check_length(days, settings)
