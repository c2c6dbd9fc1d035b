"""Gap-filling: the series of each pixel on the dates of the grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.kernels.chunks import Source, recipe, staged_features


def gapfill(
    values: npt.NDArray[np.int16],
    clear: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
    days_in: npt.NDArray[np.int32],
    days_out: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """Interpolate every pixel linearly in days between its nearest clear dates.

    Before the first and after the last clear date stands the value of that date. One clear
    date gives a constant series, none gives no data. The length of a gap is not limited.

    Parameters
    ----------
    values
        Reflectances in 1e-4 units, shape ``(time, band, pixel)``.
    clear
        Whether a date counts at a pixel, shape ``(time, pixel)``; shared by all bands.
    days_in
        Days of the acquisitions since any epoch, not descending, shape ``(time,)``. On equal
        days the last clear one counts.
    days_out
        Days of the grid since the same epoch, shape ``(date,)``.

    Returns
    -------
    filled
        int16, shape ``(date, band, pixel)``: ``rint(before + (after - before) * weight)`` in
        float32 (ties to even); -10000 at pixels without a clear date.
    validity
        Number of clear dates, uint16, shape ``(pixel,)``; 0 marks the pixels without.

    Raises
    ------
    ValueError
        If shapes or types do not fit, or days descend.

    Examples
    --------
    >>> values = np.array([100, 0, 300], dtype=np.int16).reshape(3, 1, 1)
    >>> clear = np.array([[1], [0], [1]], dtype=np.uint8)
    >>> days = np.array([0, 10, 20], dtype=np.int32)
    >>> gapfill(values, clear, days, days)[0].ravel().tolist()
    [100, 200, 300]
    """
    flags = _checked_clear(values, clear, days_in)
    n_days, n_bands, n_pixels = values.shape
    source = Source(
        np.ascontiguousarray(values),
        np.empty((n_days, 0, 0), np.int16),
        np.arange(n_bands, dtype=np.int32),
        flags,
        *(np.arange(n_pixels),) * 2,
    )
    filled, validity = staged_features(source, recipe(days_in, days_out))
    return filled.reshape(len(days_out), n_bands, n_pixels), validity


def gapfill_unrounded(
    values: npt.NDArray[np.int16],
    clear: npt.NDArray[np.uint8],
    days_in: npt.NDArray[np.int32],
    days_out: npt.NDArray[np.int32],
) -> npt.NDArray[np.float32]:
    """Interpolate as :func:`gapfill`, without rounding the result to integers.

    Parameters
    ----------
    values
        Of one band, int16, shape ``(time, pixel)``.
    clear
        Whether a date counts at a pixel, of the same shape.
    days_in, days_out
        As for :func:`gapfill`; both do not descend.

    Returns
    -------
    filled
        float32, shape ``(date, pixel)``; NaN at pixels without a clear date.

    Examples
    --------
    >>> values, clear = np.int16([[100], [101]]), np.ones((2, 1), np.uint8)
    >>> gapfill_unrounded(values, clear, np.int32([0, 10]), np.int32([5, 20])).ravel().tolist()
    [100.5, 101.0]
    """
    filled = np.full((len(days_out), values.shape[1]), np.nan, np.float32)
    _fill_unrounded(values, clear, days_in, days_out, filled)
    return filled


def longest_gap_days(
    clear: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
    days_in: npt.NDArray[np.int32],
    first_day: int,
    last_day: int,
) -> npt.NDArray[np.uint16]:
    """Return the longest time without a clear date within a season.

    Parameters
    ----------
    clear, days_in
        As for :func:`gapfill`.
    first_day, last_day
        The season, in days of the same epoch; its ends bound the first and the last gap.

    Returns
    -------
    gaps
        Days, uint16, shape ``(pixel,)``; the whole season where no date is clear.
    """
    gaps = np.zeros(clear.shape[1], dtype=np.uint16)
    flags = np.ascontiguousarray(clear).view(np.uint8)
    _longest_gaps(flags, days_in.astype(np.int64), first_day, last_day, gaps)
    return gaps


def _checked_clear(
    values: npt.NDArray[np.int16],
    clear: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
    days_in: npt.NDArray[np.int32],
) -> npt.NDArray[np.uint8]:
    """Return `clear` as the kernels want it, after a check of everything they rely on.

    Raises
    ------
    ValueError
        If shapes or types do not fit, or days descend.
    """
    if values.ndim != 3 or values.dtype != np.int16:
        raise ValueError(
            f"values must be int16 (time, band, pixel), got {values.dtype} of shape {values.shape}"
        )
    if clear.shape != (values.shape[0], values.shape[2]) or days_in.shape != values.shape[:1]:
        raise ValueError(
            f"clear {clear.shape} and days {days_in.shape} do not fit values {values.shape}"
        )
    if clear.dtype not in (np.uint8, np.bool_) or days_in.dtype != np.int32:
        raise ValueError(
            f"clear must be uint8 or bool and days int32, got {clear.dtype} and {days_in.dtype}"
        )
    if np.any(np.diff(days_in) < 0):
        raise ValueError("days of the acquisitions must not descend")
    return np.ascontiguousarray(clear).view(np.uint8)


@kernel(error_model="numpy")
def _fill_unrounded(values, clear, days_in, days_out, filled):  # type: ignore[no-untyped-def]
    n_in, n_pixels = values.shape
    days, seen = np.empty(n_in), np.empty(n_in)
    for p in range(n_pixels):
        n = 0
        for t in range(n_in):
            if clear[t, p]:
                n -= n > 0 and days[n - 1] == days_in[t]
                days[n], seen[n] = days_in[t], values[t, p]
                n += 1
        after = 0
        for date in range(len(days_out) if n else 0):
            day = days_out[date]
            while after < n and days[after] <= day:
                after += 1
            if 0 < after < n:
                share = (day - days[after - 1]) / (days[after] - days[after - 1])
                value = seen[after - 1] + (seen[after] - seen[after - 1]) * share
            else:
                value = seen[min(after, n - 1)]
            filled[date, p] = value


@kernel
def _longest_gaps(clear, days_in, first_day, last_day, gaps):  # type: ignore[no-untyped-def]
    latest = np.full(clear.shape[1], first_day, dtype=np.int32)
    for t in range(clear.shape[0]):
        day = np.int32(days_in[t])
        if first_day <= day <= last_day:
            for p in range(clear.shape[1]):
                gap = day - latest[p] if clear[t, p] else 0
                gaps[p] = np.uint16(max(np.int32(gaps[p]), gap))
                latest[p] = day if clear[t, p] else latest[p]
    for p in range(clear.shape[1]):
        gaps[p] = np.uint16(max(np.int32(gaps[p]), last_day - latest[p]))
