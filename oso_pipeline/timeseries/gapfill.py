"""Gap-filling: the series of each pixel on the dates of the grid.

The kernels work on a few pixels at a time, so that one block's rows stay in the cache, and on
rows of pixels, so that the processor handles several at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

NODATA = -10_000
"""Every feature of a pixel without a clear date."""

CHUNK = 128
"""Pixels handled together by the kernels; 64 to 256 are about equally fast."""


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
    flags = checked_clear(values, clear, days_in)
    _, n_bands, n_pixels = values.shape
    filled = np.empty((len(days_out) * n_bands, n_pixels), dtype=np.int16)
    validity = np.empty(n_pixels, dtype=np.uint16)
    _fill_block(values, flags, days_in, days_out.astype(np.int32), filled, validity)
    return filled.reshape(len(days_out), n_bands, n_pixels), validity


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


def checked_clear(
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


@njit(cache=True, nogil=True)
def _fill_block(values, clear, days_in, days_out, filled, validity):  # type: ignore[no-untyped-def]
    scratch = new_scratch(len(days_in), len(days_out))
    for start in range(0, values.shape[2], CHUNK):
        stop = min(start + CHUNK, values.shape[2])
        fill_chunk(values, clear, (days_in, days_out), (start, stop), scratch, filled, validity)


@njit(cache=True, nogil=True)
def new_scratch(n_in, n_out):  # type: ignore[no-untyped-def]
    """Return the memory that :func:`fill_chunk` works in: past, future, weights."""
    past = np.zeros((n_in + 1, CHUNK), dtype=np.float32)
    future = np.zeros((n_in + 1, CHUNK), dtype=np.float32)
    weights = np.zeros((n_out, CHUNK), dtype=np.float32)
    return past, future, weights


@njit(cache=True, nogil=True)
def fill_chunk(values, clear, days, span, scratch, filled, validity):  # type: ignore[no-untyped-def]
    """Fill the pixels of `span`, at most ``CHUNK``, of the rows ``date * band`` of `filled`."""
    days_in, days_out = days
    start, stop = span
    past, future, weights = scratch
    n_in, n_bands, _ = values.shape
    size = stop - start
    _weigh(clear[:, start:stop], days, scratch)
    count_clear(clear, start, stop, validity)
    for band in range(n_bands):
        # Row t of `past`: the last clear value before date t; of `future`: the first from
        # date t on. Where there is none the weight hides what stands there.
        for t in range(n_in):
            row, flags = values[t, band, start:stop], clear[t, start:stop]
            old, new = past[t], past[t + 1]
            for p in range(size):
                new[p] = row[p] if flags[p] else old[p]
        for t in range(n_in - 1, -1, -1):
            row, flags = values[t, band, start:stop], clear[t, start:stop]
            old, new = future[t + 1], future[t]
            for p in range(size):
                new[p] = row[p] if flags[p] else old[p]
        t = 0
        for date in range(len(days_out)):
            while t < n_in and days_in[t] <= days_out[date]:
                t += 1
            before, after, weight = past[t], future[t], weights[date]
            out = filled[date * n_bands + band, start:stop]
            for p in range(size):
                out[p] = np.rint(before[p] + (after[p] - before[p]) * weight[p])
    blank(filled, len(days_out) * n_bands, start, stop, validity)


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(clear, days, scratch):  # type: ignore[no-untyped-def]
    """Write the weight of the later clear date for each output date into the scratch."""
    days_in, days_out = days
    past, future, weights = scratch
    n_in, size = clear.shape
    for t in range(n_in):
        day = np.float32(days_in[t] - days_in[0])
        for p in range(size):
            past[0, p] = -1.0
            past[t + 1, p] = day if clear[t, p] else past[t, p]
    for t in range(n_in - 1, -1, -1):
        day = np.float32(days_in[t] - days_in[0])
        for p in range(size):
            future[n_in, p] = -1.0
            future[t, p] = day if clear[t, p] else future[t + 1, p]
    t = 0
    for date in range(len(days_out)):
        while t < n_in and days_in[t] <= days_out[date]:
            t += 1
        day = np.float32(days_out[date] - days_in[0]) if n_in else np.float32(0)
        for p in range(size):
            before, after = past[t, p], future[t, p]
            weight = (day - before) / (after - before) if after != before else np.float32(0)
            weight = np.float32(1) if before < 0 else weight
            weights[date, p] = np.float32(0) if after < 0 else weight
    for p in range(size):
        past[0, p] = 0
        future[n_in, p] = 0


@njit(cache=True, nogil=True)
def count_clear(clear, start, stop, validity):  # type: ignore[no-untyped-def]
    """Write the number of clear dates of the pixels from `start` to `stop`."""
    for p in range(start, stop):
        validity[p] = 0
    for t in range(clear.shape[0]):
        for p in range(start, stop):
            validity[p] += np.uint16(clear[t, p] != 0)


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def blank(rows, n_rows, start, stop, validity):  # type: ignore[no-untyped-def]
    """Write no data into the pixels without a clear date."""
    for p in range(start, stop):
        if validity[p] == 0:
            for row in range(n_rows):
                rows[row, p] = NODATA
