"""Smoothing of series: Whittaker and Savitzky-Golay.

For exported series only. Samples and map always use the linear series of
:func:`oso_pipeline.timeseries.gapfill.gapfill`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.errors import ConfigError, InputDataError, Problem
from oso_pipeline.core.kernels import kernel

STEP_DAYS = 10.0
"""Days that `smoothness` counts as one step, so that it does not depend on the sampling."""

_CHUNK = 64  # pixels whose matrices are solved side by side


class _Nodes(NamedTuple):
    """Days at which the curve is computed, and the roughness between them.

    Parameters
    ----------
    given, wanted
        Number of the node of each observation and of each day of the result, int64.
    diagonal, next_one, next_two
        Bands of the matrix of the penalty, float64, shape ``(node,)``.
    """

    given: npt.NDArray[np.int64]
    wanted: npt.NDArray[np.int64]
    diagonal: npt.NDArray[np.float64]
    next_one: npt.NDArray[np.float64]
    next_two: npt.NDArray[np.float64]


def whittaker(
    values: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float32],
    days: npt.NDArray[np.int32],
    smoothness: float,
    days_out: npt.NDArray[np.int32] | None = None,
) -> npt.NDArray[np.float32]:
    """Smooth and fill series by penalised least squares (Whittaker's smoother).

    The curve ``z`` is the least of ``sum(weight * (value - z)**2) + smoothness * roughness``.
    The roughness is the sum over all inner nodes of ``(d2 z)**2 * (h + k) / 2``, with the divided
    second difference ``d2 z = 2 / (h + k) * ((z_next - z) / k - (z - z_before) / h)`` and the
    distances ``h``, ``k`` to the neighbours, in steps of `STEP_DAYS`. On a regular grid with that
    step it is Eilers' sum of squared second differences, and `smoothness` his lambda. Nodes are
    the days given and the days wanted. Before the first and after the last clear date the curve
    keeps its value there, as the linear series does.

    Parameters
    ----------
    values
        Observations, float32, shape ``(time, pixel)``, in any unit.
    weights
        Weight of each observation, not negative, float32 of the same shape; 0, or a value that
        is not finite, hides it.
    days
        Days of the observations since any epoch, not descending, shape ``(time,)``.
    smoothness
        Lambda, above 0. With an observation per step a wave of ``2 pi * smoothness**(1 / 4)`` steps
        keeps half of its height: 63 days for 1, 112 days for 10, 200 days for 100.
    days_out
        Days of the result, ascending; those of the observations by default.

    Returns
    -------
    smooth
        float32, shape ``(len(days_out), pixel)``. One clear date gives a constant series, none
        gives NaN.

    Raises
    ------
    InputDataError
        If days descend (``E-SERIES-TIME``).
    ValueError
        If shapes do not fit, or `smoothness` is not above 0.

    References
    ----------
    P. H. C. Eilers, A perfect smoother, Analytical Chemistry 75 (2003), 3631-3636.

    Examples
    --------
    >>> values = np.array([[0.1], [0.5], [0.2], [0.3]], np.float32)
    >>> days = np.arange(0, 40, 10, dtype=np.int32)
    >>> whittaker(values, np.ones_like(values), days, 1e6).ravel().astype(float).round(2).tolist()
    [0.23, 0.26, 0.29, 0.32]
    """
    if values.ndim != 2 or weights.shape != values.shape or days.shape != values.shape[:1]:
        raise ValueError(
            f"values {values.shape}, weights {weights.shape} and days {days.shape} do not fit"
        )
    if not smoothness > 0:
        raise ValueError(f"smoothness must be above 0, got {smoothness}")
    wanted = days if days_out is None else days_out
    if np.any(np.diff(days) < 0) or np.any(np.diff(wanted) < 0):
        raise InputDataError(Problem("E-SERIES-TIME", "dates of the series do not ascend"))
    smooth = np.full((len(wanted), values.shape[1]), np.nan, np.float32)
    if len(days):
        nodes = _nodes(days, wanted, smoothness)
        solve_whittaker(
            nodes,
            np.ascontiguousarray(values, np.float32),
            np.ascontiguousarray(weights, np.float32),
            smooth,
        )
    return smooth


def savitzky_golay(
    values: npt.NDArray[np.float32], window: int, order: int
) -> npt.NDArray[np.float32]:
    """Smooth series on a regular grid by a moving polynomial.

    Each date takes the value of the least-squares polynomial through the `window` dates around
    it; the first and the last ``window // 2`` dates take those of the first and the last window.

    Parameters
    ----------
    values
        Gap-filled series, float32, shape ``(date, pixel)``. A date that is NaN makes NaN of all
        dates whose window holds it.
    window
        Dates of the window, odd.
    order
        Degree of the polynomial, below `window`.

    Returns
    -------
    smooth
        float32 of the same shape.

    Raises
    ------
    ConfigError
        ``E-SERIES-WINDOW`` if the window does not fit the order or the number of dates.

    References
    ----------
    A. Savitzky and M. J. E. Golay, Smoothing and differentiation of data by simplified least
    squares procedures, Analytical Chemistry 36 (1964), 1627-1639.

    Examples
    --------
    >>> parabola = np.arange(7, dtype=np.float32)[:, None] ** 2
    >>> savitzky_golay(parabola, 5, 2).ravel().round().astype(int).tolist()
    [0, 1, 4, 9, 16, 25, 36]
    """
    check_window(len(values), window, order)
    smooth = np.empty(values.shape, np.float32)
    place = np.arange(window) - window // 2
    powers = np.vander(place / max(window // 2, 1), order + 1)
    average_with(powers @ np.linalg.pinv(powers), np.ascontiguousarray(values, np.float32), smooth)
    return smooth


def check_window(n_dates: int, window: int, order: int) -> None:
    """Refuse a window of Savitzky-Golay that cannot be used on a grid of `n_dates` dates.

    Raises
    ------
    ConfigError
        With ``E-SERIES-WINDOW``.
    """
    if window % 2 == 0 or not 0 <= order < window <= n_dates:
        raise ConfigError(
            Problem(
                "E-SERIES-WINDOW",
                f"smoothing: found window {window} with order {order}, allowed: an odd window "
                f"above the order, at most the {n_dates} dates of the season",
                hint="choose a smaller window or order, or a longer season",
            )
        )


def _nodes(days: npt.NDArray[np.int32], wanted: npt.NDArray[np.int32], smoothness: float) -> _Nodes:
    """Return the nodes of a smoother and the bands of ``smoothness * D'D``."""
    places = np.union1d(days, wanted)
    bands = np.zeros((3, len(places)))
    steps = np.diff(places) / STEP_DAYS
    for i, (before, after) in enumerate(pairwise(steps)):
        share = np.array([1 / before, -1 / before - 1 / after, 1 / after])
        share *= np.sqrt(2 * smoothness / (before + after))
        bands[0, i : i + 3] += share**2
        bands[1, i : i + 2] += share[:2] * share[1:]
        bands[2, i] += share[0] * share[2]
    return _Nodes(np.searchsorted(places, days), np.searchsorted(places, wanted), *bands)


@kernel(error_model="numpy")
def solve_whittaker(nodes, values, weights, smooth):  # type: ignore[no-untyped-def]
    """Solve ``(W + smoothness D'D) z = W y`` by its factors L D L', `_CHUNK` pixels at a time.

    Pixels without a clear date keep what stands in `smooth`.
    """
    n_nodes, n_pixels = len(nodes.diagonal), values.shape[1]
    own, sides = np.empty((n_nodes, _CHUNK)), np.empty((n_nodes, _CHUNK))
    pivots = np.empty((n_nodes, _CHUNK))
    near, far = np.empty((n_nodes, _CHUNK)), np.empty((n_nodes, _CHUNK))
    first, last = np.empty(_CHUNK, np.int64), np.empty(_CHUNK, np.int64)
    for start in range(0, n_pixels, _CHUNK):
        width = min(_CHUNK, n_pixels - start)
        for p in range(_CHUNK):
            first[p], last[p] = n_nodes, -1
            for i in range(n_nodes):
                own[i, p] = sides[i, p] = 0.0
        for t in range(len(values)):
            i = nodes.given[t]
            for p in range(width):
                value, weight = values[t, start + p], weights[t, start + p]
                if weight > 0 and np.isfinite(value):
                    own[i, p] += weight
                    sides[i, p] += weight * value
                    first[p], last[p] = min(first[p], i), max(last[p], i)
        for p in range(width):
            if first[p] == last[p]:  # a constant; its matrix has no inverse
                sides[first[p], p] /= own[first[p], p]
        _factorise(nodes, own, pivots, near, far)
        for p in range(width):
            if first[p] < last[p]:
                _substitute(pivots, near, far, sides, p)
            for date in range(len(smooth)):
                i = min(max(nodes.wanted[date], first[p]), last[p])
                if i >= 0:
                    smooth[date, start + p] = sides[i, p]


@kernel(error_model="numpy")
def _factorise(nodes, own, pivots, near, far):  # type: ignore[no-untyped-def]
    """Write the factors of the matrices: their diagonal and the two bands of L."""
    n_nodes, width = own.shape
    for i in range(n_nodes):
        on, next_one, next_two = nodes.diagonal[i], nodes.next_one[i], nodes.next_two[i]
        for p in range(width):
            pivot, side = own[i, p] + on, next_one
            if i > 0:
                pivot -= near[i - 1, p] ** 2 * pivots[i - 1, p]
                side -= near[i - 1, p] * far[i - 1, p] * pivots[i - 1, p]
            if i > 1:
                pivot -= far[i - 2, p] ** 2 * pivots[i - 2, p]
            pivots[i, p] = pivot
            near[i, p] = side / pivot
            far[i, p] = next_two / pivot


@kernel(error_model="numpy")
def _substitute(pivots, near, far, sides, p):  # type: ignore[no-untyped-def]
    """Turn the right side of a pixel into its solution, in place."""
    n_nodes = len(sides)
    for i in range(1, n_nodes):
        sides[i, p] -= near[i - 1, p] * sides[i - 1, p]
        if i > 1:
            sides[i, p] -= far[i - 2, p] * sides[i - 2, p]
    for i in range(n_nodes - 1, -1, -1):
        sides[i, p] /= pivots[i, p]
        if i < n_nodes - 1:
            sides[i, p] -= near[i, p] * sides[i + 1, p]
        if i < n_nodes - 2:
            sides[i, p] -= far[i, p] * sides[i + 2, p]


@kernel
def average_with(shares, values, smooth):  # type: ignore[no-untyped-def]
    """Write moving averages: row k of `shares` serves the place k of a window."""
    n_dates, n_pixels = values.shape
    window = len(shares)
    for date in range(n_dates):
        first = min(max(date - window // 2, 0), n_dates - window)
        smooth[date] = 0
        for k in range(window):
            share = np.float32(shares[date - first, k])
            for p in range(n_pixels):
                smooth[date, p] += share * values[first + k, p]
