"""Which maxima of a daily curve are growing seasons."""

from __future__ import annotations

import numpy as np

from oso_pipeline.core.kernels import kernel

MOST_MAXIMA = 32
"""Maxima of a curve that are looked at; a grid of two years has fewer."""


@kernel
def find_seasons(curve, least, second_share, found):  # type: ignore[no-untyped-def]
    """Write the growing seasons of a curve in the order of their dates; return how many.

    A maximum is a season if the curve falls on both sides. Towards another season, or where the
    fall can be followed to its end, it falls by ``rise = max(least, second_share * range)``;
    towards the first or the last day of the grid, which may cut the season off, half of `rise` is
    enough if the other side falls by `least`.
    Where there are more than `found` holds, those with the largest amplitude are taken.

    Parameters
    ----------
    curve
        Values of each day, float64.
    least
        Least amplitude of a season.
    second_share
        Share of the range of the curve.
    found
        Result, int64, shape ``(season, 3)``: day of the minimum before, of the maximum, of the
        minimum after.
    """
    spread = _spread(curve)
    if not spread >= least:
        return 0
    rise = max(least, second_share * spread)
    maxima = np.empty(MOST_MAXIMA, np.int64)
    n = _maxima(curve, rise, maxima)
    edge, kept = rise / 2, 0
    amplitudes = np.empty(len(found))
    before = _lowest(curve, 0, maxima[0])
    for k in range(n):
        day, end = maxima[k], maxima[k + 1] if k + 1 < n else len(curve) - 1
        after = _lowest(curve, day, end)
        fall_before, fall_after = curve[day] - curve[before], curve[day] - curve[after]
        needed_before, needed_after = rise if k else edge, rise if k + 1 < n else edge
        enough = fall_before >= needed_before and fall_after >= needed_after
        if enough and max(fall_before, fall_after) >= least:
            amplitude = (fall_before + fall_after) / 2
            kept = _keep(found, amplitudes, kept, amplitude, before, day, after)
        before = after
    return kept


@kernel
def _spread(curve):  # type: ignore[no-untyped-def]
    least = most = curve[0]
    for value in curve:
        least, most = min(least, value), max(most, value)
    return most - least


@kernel
def _maxima(curve, rise, maxima):  # type: ignore[no-untyped-def]
    """Write maxima between which the curve falls and rises by more than `rise`; return how many.

    The last one may be the end of a rise that the grid cuts off.
    """
    n, rising, highest, lowest = 0, True, 0, 0
    for day in range(1, len(curve)):
        if rising:
            if curve[day] > curve[highest]:
                highest = day
            elif curve[day] < curve[highest] - rise:
                maxima[n] = highest
                n += 1
                rising, lowest = False, day
                if n == MOST_MAXIMA:
                    return n
        elif curve[day] < curve[lowest]:
            lowest = day
        elif curve[day] > curve[lowest] + rise:
            rising, highest = True, day
    if rising:
        maxima[n] = highest
        n += 1
    return n


@kernel
def _lowest(curve, first, last):  # type: ignore[no-untyped-def]
    """Return the day of the least value from `first` to `last`, both included."""
    lowest = first
    for day in range(first, last + 1):
        if curve[day] < curve[lowest]:
            lowest = day
    return lowest


@kernel
def _keep(found, amplitudes, kept, amplitude, before, day, after):  # type: ignore[no-untyped-def]
    """Put a season behind the others, in the place of the smallest where all are taken."""
    most = len(found)
    if kept == most:
        smallest = 0
        for k in range(most):
            smallest = k if amplitudes[k] < amplitudes[smallest] else smallest
        if amplitudes[smallest] >= amplitude:
            return kept
        for k in range(smallest, most - 1):
            amplitudes[k] = amplitudes[k + 1]
            for column in range(3):
                found[k, column] = found[k + 1, column]
        kept -= 1
    found[kept, 0], found[kept, 1], found[kept, 2] = before, day, after
    amplitudes[kept] = amplitude
    return kept + 1
