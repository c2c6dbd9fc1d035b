"""Derived features ``statistics``: percentiles, amplitude, and the days of the extremes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.families import PERCENTILES
from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.kernels.rows import CHUNK, aligned
from oso_pipeline.timeseries.kernels.simd import WIDTH, between, choose, everywhere, load, store
from oso_pipeline.timeseries.kernels.simd_order import greater, is_above, lesser, span

_N_PERCENTILES = len(PERCENTILES)


def table_of(days: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return the day of each date since the first, then pairs of dates that sort a series.

    The pairs are Batcher's odd-even merge sort (Proc. AFIPS 32, 307-314, 1968): 280 comparisons of
    37 dates, which do not depend on the values, so that a vector of pixels is sorted at once.
    """
    pairs = np.array(_network(len(days)), np.float32).ravel()
    return np.concatenate([(days - days[0]).astype(np.float32), pairs])


def place_of(percentile: int, n_dates: int) -> tuple[int, np.float32]:
    """Return after which value of a sorted series a percentile lies, and how far to the next."""
    place = percentile / 100 * (n_dates - 1)
    return int(place), np.float32(place - int(place))


_place_of = kernel(place_of)


@kernel
def statistics(series, table, row, features):  # type: ignore[no-untyped-def]
    """Write percentiles, amplitude, and the days of maximum and minimum, a row each.

    Percentiles are linear between the sorted values, in float32, rounded half to even. Days are
    those of the first date with the extreme, since the first date. An amplitude ends at 32767.

    Parameters
    ----------
    series, row, features
        As for `relative.relative`.
    table
        What :func:`table_of` returns.
    """
    dates = series.dates
    ordered = aligned(2 * dates * CHUNK).view(np.int16)
    for offset in range(0, CHUNK, WIDTH):
        first = load(features, series.first * CHUNK + offset)
        highest, lowest = first, first
        day_of_highest, day_of_lowest = everywhere(np.int16(0)), everywhere(np.int16(0))
        for date in range(dates):
            values = load(features, (series.first + date * series.step) * CHUNK + offset)
            store(ordered, date * CHUNK + offset, values)
            day = everywhere(np.int16(table[date]))
            day_of_highest = choose(is_above(values, highest), day, day_of_highest)
            day_of_lowest = choose(is_above(lowest, values), day, day_of_lowest)
            highest, lowest = greater(highest, values), lesser(lowest, values)
        _sort(table, dates, offset, ordered)
        for number in range(_N_PERCENTILES):
            below, weight = _place_of(PERCENTILES[number], dates)
            one = load(ordered, below * CHUNK + offset)
            other = load(ordered, min(below + 1, dates - 1) * CHUNK + offset)
            value = between(one, other, everywhere(weight))
            store(features, (row + number) * CHUNK + offset, value)
        place = (row + _N_PERCENTILES) * CHUNK + offset
        store(features, place, span(highest, lowest))
        store(features, place + CHUNK, day_of_highest)
        store(features, place + 2 * CHUNK, day_of_lowest)
    return row + _N_PERCENTILES + 3


@kernel
def _sort(table, dates, offset, ordered):  # type: ignore[no-untyped-def]
    for pair in range(dates, len(table), 2):
        low, high = int(table[pair]) * CHUNK + offset, int(table[pair + 1]) * CHUNK + offset
        one, other = load(ordered, low), load(ordered, high)
        store(ordered, low, lesser(one, other))
        store(ordered, high, greater(one, other))


def _network(n: int) -> list[tuple[int, int]]:
    """Return the comparisons of Batcher's sort for any number of values."""
    pairs = []
    p = 1
    while p < n:
        k = p
        while k >= 1:
            for j in range(k % p, n - k, 2 * k):
                pairs += [
                    (i + j, i + j + k)
                    for i in range(min(k, n - j - k))
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p)
                ]
            k //= 2
        p *= 2
    return pairs
