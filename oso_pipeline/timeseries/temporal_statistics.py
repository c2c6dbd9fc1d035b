"""Monthly composites of clear observations, and statistics of the series of a season."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.errors import ConfigError, InputDataError, Problem
from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.kernels.chunks import NODATA
from oso_pipeline.timeseries.phenology.yydoy import yydoy

COMPOSITES = ("mean", "median", "max")
"""Kinds of monthly composites."""

STATISTICS = (
    *("mean", "min", "max", "standard_deviation", "amplitude"),
    *("day_of_maximum", "day_of_minimum"),
)
"""Statistics of a season; percentiles are called p1 to p99."""

DAYS_OF = ("day_of_maximum", "day_of_minimum")
"""Statistics that are dates, stored as YYDOY."""

Stored = TypeVar("Stored", np.int16, np.float32)

_PERCENTILE = re.compile(r"p([1-9][0-9]?)")


def months_of(dates: Sequence[date]) -> tuple[date, ...]:
    """Return the first days of all months from the first to the last date.

    Examples
    --------
    >>> [day.isoformat() for day in months_of([date(2017, 12, 30), date(2018, 2, 1)])]
    ['2017-12-01', '2018-01-01', '2018-02-01']
    """
    if not dates:
        return ()
    first, last = min(dates), max(dates)
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return tuple(date(number // 12, number % 12 + 1, 1) for number in numbers)


def monthly(
    values: npt.NDArray[Stored],
    clear: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
    days: npt.NDArray[np.int32],
    months: Sequence[date],
    how: str,
) -> npt.NDArray[Stored]:
    """Return monthly composites of the clear observations; nothing is filled.

    Parameters
    ----------
    values
        Observations, shape ``(time, pixel)``: int16 with -10000, or float32 with NaN, where there
        is none.
    clear
        Whether an observation counts, of the same shape.
    days
        Days of the observations since 1970-01-01, shape ``(time,)``.
    months
        First days of the months.
    how
        ``mean``, ``median`` or ``max`` of the clear observations of a month.

    Returns
    -------
    composites
        Type of `values`, shape ``(month, pixel)``; integers are rounded (ties to even). A month
        without a clear observation has no data.

    Raises
    ------
    ConfigError
        ``E-SERIES-STATISTIC`` if `how` is unknown.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> values, clear = np.int16([[100], [300], [900]]), np.uint8([[1], [1], [0]])
    >>> months = [date(1970, 1, 1), date(1970, 2, 1)]
    >>> monthly(values, clear, np.int32([0, 5, 40]), months, "mean").ravel().tolist()
    [200, -10000]
    """
    if how not in COMPOSITES:
        raise _unknown("monthly", how, COMPOSITES)
    if clear.shape != values.shape or days.shape != values.shape[:1]:
        raise ValueError(f"values {values.shape}, clear {clear.shape}, days {days.shape} differ")
    seen = _numbers(values)
    seen[clear == 0] = np.nan
    own_month = days.astype("datetime64[D]").astype("datetime64[M]")
    made = np.empty((len(months), values.shape[1]))
    kinds, shares = _plan(("p50" if how == "median" else how,))
    for row, month in zip(made, months, strict=True):
        chosen = seen[own_month == np.datetime64(month, "M")]
        summarise(np.ascontiguousarray(chosen), kinds, shares, row[None, :])
    return _as_stored(made, values.dtype)


def statistics(
    values: npt.NDArray[Stored], days: npt.NDArray[np.int32], names: Sequence[str]
) -> Mapping[str, npt.NDArray[Any]]:
    """Return statistics of the series of each pixel over the season.

    ===================  ==========================================================
    pNN                  the percentile, linear between the sorted values
    mean, min, max       over the dates
    standard_deviation   of the dates as a whole (divided by their number)
    amplitude            max - min
    day_of_maximum       the first day with the largest value, YYDOY; likewise minimum
    ===================  ==========================================================

    Parameters
    ----------
    values
        Gap-filled series, shape ``(date, pixel)``: int16 with -10000, or float32 with NaN, where
        there is none. Such dates do not count.
    days
        Days of the dates since 1970-01-01, ascending, shape ``(date,)``.
    names
        Statistics.

    Returns
    -------
    mapping
        By name, shape ``(pixel,)``: type and unit of `values`, integers rounded (ties to even);
        uint16 for dates. No data (-10000, NaN, or 0 for dates) where no date counts.

    Raises
    ------
    ConfigError
        ``E-SERIES-STATISTIC`` if a name is unknown.
    InputDataError
        ``E-SERIES-TIME`` if days do not ascend.

    Examples
    --------
    >>> series, days = np.int16([[100], [500], [300]]), np.int32([17532, 17542, 17552])
    >>> made = statistics(series, days, ["p50", "amplitude", "day_of_maximum"])
    >>> [int(made[name][0]) for name in made]
    [300, 400, 18011]
    """
    kinds, shares = _plan(names)
    if values.ndim != 2 or days.shape != values.shape[:1]:
        raise ValueError(f"values {values.shape} and days {days.shape} do not fit")
    if np.any(np.diff(days) <= 0):
        raise InputDataError(Problem("E-SERIES-TIME", "dates of the series do not ascend"))
    made = np.empty((len(names), values.shape[1]))
    summarise(_numbers(values), kinds, shares, made)
    results: dict[str, npt.NDArray[Any]] = {}
    for name, row in zip(names, made, strict=True):
        if name in DAYS_OF:
            codes = np.append(yydoy(days), np.uint16(0))  # the last one for no data
            results[name] = codes[np.where(np.isnan(row), -1, row).astype(np.intp)]
        else:
            results[name] = _as_stored(row, values.dtype)
    return results


def _plan(names: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return what `summarise` computes: the number of each kind (-1: percentile), its share."""
    kinds, shares = np.full(len(names), -1, np.int64), np.zeros(len(names))
    for i, name in enumerate(names):
        if percentile := _PERCENTILE.fullmatch(name):
            shares[i] = int(percentile[1]) / 100
        elif name in STATISTICS:
            kinds[i] = STATISTICS.index(name)
        else:
            raise _unknown("statistics", name, ("p1 to p99", *STATISTICS))
    return kinds, shares


def _unknown(key: str, found: str, allowed: Sequence[str]) -> ConfigError:
    message = f"series.{key}: found {found}, allowed: {', '.join(allowed)}"
    return ConfigError(Problem("E-SERIES-STATISTIC", message))


def _numbers(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return a copy as float32 with NaN for no data."""
    numbers = values.astype(np.float32)
    if values.dtype == np.int16:
        numbers[values == NODATA] = np.nan
    return numbers


def _as_stored(numbers: npt.NDArray[np.float64], dtype: np.dtype[Stored]) -> npt.NDArray[Stored]:
    if dtype != np.int16:
        return numbers.astype(dtype)
    rounded = np.clip(np.rint(numbers), -32768, 32767)
    return np.where(np.isnan(numbers), NODATA, rounded).astype(dtype)


@kernel(error_model="numpy")
def summarise(values, kinds, shares, made):  # type: ignore[no-untyped-def]
    """Write statistics of each pixel: NaN where no value is finite, dates as their number.

    Parameters
    ----------
    values
        float32, shape ``(date, pixel)``.
    kinds, shares
        What to compute, as `_plan` returns it.
    made
        Result, float64, shape ``(statistic, pixel)``.
    """
    row, places = np.empty(len(values)), np.empty(len(values), np.int64)
    for p in range(values.shape[1]):
        n, total, squares = 0, 0.0, 0.0
        for t in range(len(values)):  # insertion keeps equal values in the order of their dates
            value = values[t, p]
            if np.isfinite(value):
                k = n
                while k > 0 and row[k - 1] > value:
                    row[k], places[k] = row[k - 1], places[k - 1]
                    k -= 1
                row[k], places[k] = value, t
                n, total = n + 1, total + value
        for k in range(n):
            squares += (row[k] - total / n) ** 2
        for i in range(len(kinds)):
            made[i, p] = _one(kinds[i], shares[i], row[:n], places, (total, squares))


@kernel(error_model="numpy")
def _one(kind, share, row, places, sums):  # type: ignore[no-untyped-def]
    """Return a statistic of sorted values."""
    n = len(row)
    if n == 0:
        return np.nan
    if kind == -1:
        place = share * (n - 1)
        below = int(place)
        above = min(below + 1, n - 1)
        return row[below] + (row[above] - row[below]) * (place - below)
    if kind == 0:
        return sums[0] / n
    if kind == 1:
        return row[0]
    if kind == 2:
        return row[n - 1]
    if kind == 3:
        return np.sqrt(sums[1] / n)
    if kind == 4:
        return row[n - 1] - row[0]
    if kind == 6:
        return float(places[0])
    first = n - 1
    while first > 0 and row[first - 1] == row[first]:
        first -= 1
    return float(places[first])
