"""How far the clear dates of a pixel lie from the dates of the grid, and what is known of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel

NO_DAY = 65_535
"""Where a pixel has no clear date."""

_PIECE = 4096


def nearest_clear_days(
    clear: npt.NDArray[np.uint8], days_in: npt.NDArray[np.int32], days_out: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint16]:
    """Return the days between each date of the grid and the nearest clear date.

    Parameters
    ----------
    clear
        Whether an image counts at a pixel, uint8, shape ``(time, pixel)``.
    days_in
        Days of the images since any epoch, not descending, int32, shape ``(time,)``.
    days_out
        Days of the grid since the same epoch, ascending, int32, shape ``(date,)``.

    Returns
    -------
    distances
        uint16, shape ``(date, pixel)``: ``min(abs(day - date))`` over the clear days, 65535 where
        there is none.

    Examples
    --------
    >>> clear = np.array([[1], [0], [1]], np.uint8)
    >>> days_in, days_out = np.array([0, 10, 20], np.int32), np.array([5, 10, 25], np.int32)
    >>> nearest_clear_days(clear, days_in, days_out).ravel().tolist()
    [5, 10, 5]
    """
    distances = np.empty((len(days_out), clear.shape[1]), np.uint16)
    _nearest(np.ascontiguousarray(clear), days_in, days_out, distances)
    return distances


def flags_on_dates(
    flags: npt.NDArray[np.uint8],
    clear: npt.NDArray[np.uint8],
    days_in: npt.NDArray[np.int32],
    days_out: npt.NDArray[np.int32],
) -> npt.NDArray[np.uint8]:
    """Return the flags of the observations that each date of the grid is interpolated from.

    Parameters
    ----------
    flags
        Flags of each image, bits, uint8, shape ``(time, pixel)``.
    clear, days_in, days_out
        As for `nearest_clear_days`.

    Returns
    -------
    found
        uint8, shape ``(date, pixel)``: those of the clear date on the day; else of the one before
        and the one after, joined by or; 0 where there is none.
    """
    found = np.empty((len(days_out), clear.shape[1]), np.uint8)
    _join(np.ascontiguousarray(flags), np.ascontiguousarray(clear), days_in, days_out, found)
    return found


@kernel
def _nearest(clear, days_in, days_out, distances):  # type: ignore[no-untyped-def]
    n_in, n_out, n_pixels = len(days_in), len(days_out), clear.shape[1]
    for start in range(0, n_pixels, _PIECE):
        end = min(start + _PIECE, n_pixels)
        last = np.full(end - start, np.int32(-1_000_000))
        t = 0
        for date in range(n_out):
            while t < n_in and days_in[t] <= days_out[date]:
                row, day = clear[t, start:end], days_in[t]
                for p in range(end - start):
                    last[p] = day if row[p] else last[p]
                t += 1
            out, day = distances[date, start:end], days_out[date]
            for p in range(end - start):
                out[p] = np.uint16(min(day - last[p], np.int32(NO_DAY)))
        last[:] = 1_000_000
        t = n_in - 1
        for date in range(n_out - 1, -1, -1):
            while t >= 0 and days_in[t] >= days_out[date]:
                row, day = clear[t, start:end], days_in[t]
                for p in range(end - start):
                    last[p] = day if row[p] else last[p]
                t -= 1
            out, day = distances[date, start:end], days_out[date]
            for p in range(end - start):
                out[p] = min(out[p], np.uint16(min(last[p] - day, np.int32(NO_DAY))))


@kernel
def _join(flags, clear, days_in, days_out, found):  # type: ignore[no-untyped-def]
    n_in, n_out, n_pixels = len(days_in), len(days_out), clear.shape[1]
    for start in range(0, n_pixels, _PIECE):
        end = min(start + _PIECE, n_pixels)
        held = np.zeros(end - start, np.uint8)
        last = np.full(end - start, np.int32(-1_000_000))
        t = 0
        for date in range(n_out):
            while t < n_in and days_in[t] <= days_out[date]:
                row, bits, day = clear[t, start:end], flags[t, start:end], days_in[t]
                for p in range(end - start):
                    held[p] = bits[p] if row[p] else held[p]
                    last[p] = day if row[p] else last[p]
                t += 1
            found[date, start:end] = held
        held[:] = 0
        t = n_in - 1
        for date in range(n_out - 1, -1, -1):
            while t >= 0 and days_in[t] > days_out[date]:
                row, bits = clear[t, start:end], flags[t, start:end]
                for p in range(end - start):
                    held[p] = bits[p] if row[p] else held[p]
                t -= 1
            # A clear date on the day of the grid stands alone: the loops find which ones do.
            while t >= 0 and days_in[t] == days_out[date]:
                t -= 1
            out = found[date, start:end]
            for p in range(end - start):
                out[p] |= held[p]
            for same in range(t + 1, n_in):
                if days_in[same] != days_out[date]:
                    break
                row, bits = clear[same, start:end], flags[same, start:end]
                for p in range(end - start):
                    out[p] = bits[p] if row[p] else out[p]
                    held[p] = bits[p] if row[p] else held[p]
