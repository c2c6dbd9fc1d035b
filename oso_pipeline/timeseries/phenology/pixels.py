"""The metrics of the growing seasons, compiled: pixel by pixel, on the daily curve.

With ``v(d)`` the value of the curve on day ``d``, ``before`` and ``after`` the lowest values on
both sides of the maximum:

========  ==========================================================================
MAXD      the day ``d`` of the largest ``v(d)``
MAXV      ``v(MAXD)``
MINV      ``(before + after) / 2``, the base level
AMPL      ``MAXV - MINV``
SOSD      the last day before MAXD on which the curve rises through
          ``before + start_fraction * (MAXV - before)``
EOSD      the first day after MAXD on which it falls through
          ``after + end_fraction * (MAXV - after)``
SOSV      ``v(SOSD)``
EOSV      ``v(EOSD)``
LENGTH    ``EOSD - SOSD``
LSLOPE    ``(v(SOSD + 1) - v(SOSD - 1)) / 2`` per day
RSLOPE    ``(v(EOSD - 1) - v(EOSD + 1)) / 2`` per day
TPROD     the sum of ``v(d)`` for ``d`` from SOSD to EOSD
SPROD     the sum of ``v(d) - MINV`` over the same days
========  ==========================================================================
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.phenology.curve import complete, draw_curve
from oso_pipeline.timeseries.phenology.seasons import find_seasons

DAYS = ("SOSD", "EOSD", "MAXD")
VALUES = ("SOSV", "EOSV", "MAXV", "MINV", "AMPL")
SLOPES = ("LSLOPE", "RSLOPE")
PRODUCTIVITIES = ("SPROD", "TPROD")
METRICS = (*DAYS, *VALUES, *SLOPES, "LENGTH", *PRODUCTIVITIES)
"""Metrics of 16 bits, in the order of their rows."""

NO_DATA = {
    **dict.fromkeys((*DAYS, "LENGTH"), 0),
    **dict.fromkeys((*VALUES, *SLOPES), 32768),
    **dict.fromkeys(PRODUCTIVITIES, 65535),
}
"""Stored where a season, or its start or end, is not known."""

PRODUCTIVITY_SCALE = 0.1
"""What one stored unit of a productivity is worth, as in HR-VPP."""

ENOUGH = 3
"""Clear observations in a stage that make it certain: more than two, as in HR-VPP."""

PEAK_SHARE = 0.75
"""The peak lasts as long as the curve stays above this share of its rise on either side."""

MARGIN_DAYS = 15
"""Observations up to so many days outside a stage count for it: they shape the curve there."""

EDGE_DAYS = 10
"""A minimum so near to the first or the last day of the grid may be that of the grid alone."""

_SOSD, _EOSD, _MAXD, _SOSV, _EOSV, _MAXV, _MINV, _AMPL, _LSLOPE, _RSLOPE = range(10)
_LENGTH, _SPROD, _TPROD = range(10, 13)
_QUALITY = np.array([3, 4, 5, 8, 6, 7, 9, 10], np.uint8)  # bits: green-up 1, green-down 2, peak 4


class Rules(NamedTuple):
    """Numbers of the settings, and the codes of the days of the curve."""

    start_fraction: float
    end_fraction: float
    least_amplitude: float
    second_share: float
    stored_per_value: float
    codes: npt.NDArray[np.uint16]


@kernel(error_model="numpy")
def measure_pixels(plan, rules, values, observed, metrics, quality):  # type: ignore[no-untyped-def]
    """Write the metrics of every pixel.

    Parameters
    ----------
    plan, rules
        The grid, and what a season is.
    values, observed
        float32 and uint8, shape ``(date, pixel)``.
    metrics, quality
        Results, uint16 of shape ``(metric, season, pixel)`` that holds no data, and uint8 of
        shape ``(season, pixel)`` that holds zeros.
    """
    n_dates, n_pixels = values.shape
    row, bends = np.empty(n_dates), np.empty(n_dates)
    curve = np.empty(plan.places[-1] + 1)
    found = np.empty((quality.shape[0], 3), np.int64)
    for p in range(n_pixels):
        for t in range(n_dates):
            row[t] = values[t, p]
        if complete(plan.places, row) == 0:
            continue
        draw_curve(plan, row, bends, curve)
        n = find_seasons(curve, rules.least_amplitude, rules.second_share, found)
        for season in range(quality.shape[0]):
            quality[season, p] = 1
        for season in range(n):
            own = metrics[:, season, p]
            stages = _measure(rules, curve, found[season], own)
            quality[season, p] = _quality(plan.places, observed[:, p], found[season], stages)


@kernel(error_model="numpy")
def _measure(rules, curve, season, own):  # type: ignore[no-untyped-def]
    """Write the metrics of a season; return start, begin and end of its peak, and end.

    Start or end is -1 where the grid cuts the season off.
    """
    low, day, high = season[0], season[1], season[2]
    top, before, after, last = curve[day], curve[low], curve[high], len(curve) - 1
    left = low >= EDGE_DAYS or before <= after + rules.start_fraction * (top - after)
    right = high <= last - EDGE_DAYS or after <= before + rules.end_fraction * (top - before)
    before, after = before if left else after, after if right else before
    base, unit = (before + after) / 2, rules.stored_per_value
    own[_MAXD] = rules.codes[day]
    own[_MAXV], own[_MINV] = _stored(top * unit, 32767), _stored(base * unit, 32767)
    own[_AMPL] = _stored((top - base) * unit, 32767)
    start, end = -1, -1
    if left:
        start = _crossing(curve, day, low, before + rules.start_fraction * (top - before))
        own[_SOSD], own[_SOSV] = rules.codes[start], _stored(curve[start] * unit, 32767)
        own[_LSLOPE] = _stored(_slope(curve, start) * unit, 32767)
    if right:
        end = _crossing(curve, day, high, after + rules.end_fraction * (top - after))
        own[_EOSD], own[_EOSV] = rules.codes[end], _stored(curve[end] * unit, 32767)
        own[_RSLOPE] = _stored(-_slope(curve, end) * unit, 32767)
    if left and right:
        total = 0.0
        for d in range(start, end + 1):
            total += curve[d]
        own[_LENGTH] = end - start
        own[_TPROD] = _stored(total / PRODUCTIVITY_SCALE, 65534)
        own[_SPROD] = _stored((total - base * (end - start + 1)) / PRODUCTIVITY_SCALE, 65534)
    peak_start = _crossing(curve, day, low, before + PEAK_SHARE * (top - before))
    peak_end = _crossing(curve, day, high, after + PEAK_SHARE * (top - after))
    return start, peak_start, peak_end, end


@kernel(error_model="numpy")
def _crossing(curve, day, limit, level):  # type: ignore[no-untyped-def]
    """Return the day nearest to where the curve, from a maximum to a minimum, meets a level.

    It is `limit` where the curve stays above.
    """
    step = 1 if limit > day else -1
    while day != limit and curve[day + step] > level:
        day += step
    if day == limit:
        return limit
    drop = curve[day] - curve[day + step]
    return day if curve[day] - level < drop / 2 else day + step


@kernel
def _slope(curve, day):  # type: ignore[no-untyped-def]
    """Return the change per day around a day."""
    first, last = max(day - 1, 0), min(day + 1, len(curve) - 1)
    return (curve[last] - curve[first]) / (last - first)


@kernel
def _stored(value, most):  # type: ignore[no-untyped-def]
    """Return a number as it is stored: rounded, from 0 to `most`."""
    return np.uint16(min(max(np.rint(value), 0.0), float(most)))


@kernel
def _quality(places, observed, season, stages):  # type: ignore[no-untyped-def]
    """Return QFLAG of a season from the clear observations in its stages."""
    start, peak_start, peak_end, end = stages
    up = down = peak = total = 0
    first, last = start if start >= 0 else season[0], end if end >= 0 else season[2]
    for t in range(len(places)):
        day, count = places[t], observed[t]
        if start >= 0 and start - MARGIN_DAYS <= day <= peak_start + MARGIN_DAYS:
            up += count
        if peak_start - MARGIN_DAYS <= day <= peak_end + MARGIN_DAYS:
            peak += count
        if end >= 0 and peak_end - MARGIN_DAYS <= day <= end + MARGIN_DAYS:
            down += count
        if first - MARGIN_DAYS <= day <= last + MARGIN_DAYS:
            total += count
    if total == 0:
        return np.uint8(2)
    return _QUALITY[(up >= ENOUGH) + 2 * (down >= ENOUGH) + 4 * (peak >= ENOUGH)]
