"""A chunk of pixels from images to features, in scratch memory that stays in the cache.

Everything works on rows of `CHUNK` pixels, lane by lane. Rows lie one after the other in flat
arrays and offsets are unsigned, so that the compiler sees plain loops of known length and
handles 16 to 32 lanes at once. Lanes beyond the last pixel are computed like pixels without a
clear date.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel

NODATA = -10_000
"""Every feature of a pixel without a clear date."""

CHUNK = 128
"""Pixels of a chunk."""

NDVI, NDWI, BRIGHTNESS = 0, 1, 2
"""Numbers of the indices."""

_ALIGNMENT = 64  # bytes of a cache line and of the widest vector register


class Source(NamedTuple):
    """Where the pixels of a block come from, see `series.BlockSeries`."""

    fine: npt.NDArray[np.int16]
    coarse: npt.NDArray[np.int16]
    slots: npt.NDArray[np.int32]
    clear: npt.NDArray[np.uint8]
    places: npt.NDArray[np.int64]
    halves: npt.NDArray[np.int64]


class Recipe(NamedTuple):
    """What is computed from them.

    Parameters
    ----------
    days_in, days_out
        Days of the images and of the grid, float32, since the first image.
    splits
        Number of images up to each day of the grid, int64.
    indices
        Numbers of the indices, int64.
    red, nir, swir
        Which band is which.
    """

    days_in: npt.NDArray[np.float32]
    days_out: npt.NDArray[np.float32]
    splits: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    red: int
    nir: int
    swir: int


class Scratch(NamedTuple):
    """Flat rows of `CHUNK` lanes; `features` and `validity` are the result."""

    raw: Any
    seen: Any
    past: Any
    future: Any
    days_past: Any
    days_future: Any
    weights: Any
    squares: Any
    features: Any
    validity: Any


def recipe(
    days_in: npt.NDArray[np.int32],
    days_out: npt.NDArray[np.int32],
    indices: tuple[int, ...] = (),
    places: tuple[int, int, int] = (0, 0, 0),
) -> Recipe:
    """Return what is computed on days since any epoch; `places` are red, nir and swir."""
    first = days_in[0] if len(days_in) else 0
    return Recipe(
        (days_in - first).astype(np.float32),
        (days_out - first).astype(np.float32),
        np.searchsorted(days_in, days_out, side="right").astype(np.int64),
        np.array(indices, dtype=np.int64),
        *places,
    )


def staged_features(
    source: Source, plan: Recipe
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """Return the features of all pixels, shape ``(feature, pixel)``, and their validity."""
    n_pixels, n_rows = len(source.places), len(source.slots) + len(plan.indices)
    features = np.empty((n_rows * len(plan.days_out), n_pixels), dtype=np.int16)
    validity = np.empty(n_pixels, dtype=np.uint16)
    _stage(source, plan, features, validity)
    return features, validity


@kernel
def _stage(source, plan, features, validity):  # type: ignore[no-untyped-def]
    scratch = new_scratch(source, plan)
    for start in range(0, len(source.places), CHUNK):
        size = features_chunk(source, plan, start, scratch)
        validity[start : start + size] = scratch.validity[:size]
        for row in range(len(features)):
            out, values = features[row, start : start + size], lanes(scratch.features, row)
            for p in range(size):
                out[p] = values[p]


@kernel
def aligned(n_bytes):  # type: ignore[no-untyped-def]
    """Return zeroed bytes that begin at a cache line."""
    memory = np.zeros(n_bytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + n_bytes]


@kernel
def new_scratch(source, plan):  # type: ignore[no-untyped-def]
    """Return the memory for one chunk at a time."""
    n_in, n_bands, n_out = source.clear.shape[0], len(source.slots), len(plan.days_out)
    n_features = n_out * (n_bands + len(plan.indices))
    return Scratch(
        aligned(2 * n_in * n_bands * CHUNK).view(np.int16),
        aligned(2 * n_in * CHUNK).view(np.int16),
        aligned(2 * (n_in + 1) * CHUNK).view(np.int16),
        aligned(2 * (n_in + 1) * CHUNK).view(np.int16),
        aligned(4 * (n_in + 1) * CHUNK).view(np.float32),
        aligned(4 * (n_in + 1) * CHUNK).view(np.float32),
        aligned(4 * n_out * CHUNK).view(np.float32),
        aligned(8 * CHUNK).view(np.float64),
        aligned(2 * n_features * CHUNK).view(np.int16),
        aligned(2 * CHUNK).view(np.uint16),
    )


@kernel
def features_chunk(source, plan, start, scratch):  # type: ignore[no-untyped-def]
    """Compute features and validity of the pixels from `start` on; return how many they are."""
    size = min(len(source.places) - start, CHUNK)
    n_in, n_bands = source.clear.shape[0], len(source.slots)
    n_out = len(plan.days_out)
    gather_chunk(source, start, size, scratch)
    _weigh(plan, n_in, scratch)
    for band in range(n_bands):
        _fill(plan, band, n_bands, n_in, scratch)
    row = n_out * n_bands
    for code in plan.indices:
        for date in range(n_out):
            first, out = date * n_bands, lanes(scratch.features, row)
            red = lanes(scratch.features, first + plan.red)
            nir = lanes(scratch.features, first + plan.nir)
            if code == NDVI:
                _ratio(nir, red, out)
            elif code == NDWI:
                _ratio(lanes(scratch.features, first + plan.swir), nir, out)
            else:
                _brightness(scratch, first, n_bands, out)
            row += 1
    _blank(scratch, row)
    return size


@kernel
def gather_chunk(source, start, size, scratch):  # type: ignore[no-untyped-def]
    """Bring the images of a chunk into `raw`, their masks into `seen`, and count clear dates."""
    places = source.places[start : start + size]
    halves = source.halves[start : start + size]
    in_a_row = True
    for p in range(size):
        in_a_row &= places[p] == places[0] + p
    n_in, n_bands = source.clear.shape[0], len(source.slots)
    scratch.validity[:] = 0
    for t in range(n_in):
        seen = scratch.seen[t * CHUNK : (t + 1) * CHUNK]
        flags = source.clear[t]
        for p in range(size):
            seen[p] = -np.int16(flags[places[p]] != 0)
        for p in range(size, CHUNK):
            seen[p] = 0
        for p in range(CHUNK):
            scratch.validity[p] -= np.uint16(seen[p])
        for band in range(n_bands):
            slot = source.slots[band]
            out = scratch.raw[(t * n_bands + band) * CHUNK :]
            if slot < 0:
                row = source.coarse[t, -1 - slot]
                for p in range(size):
                    out[p] = row[halves[p]]
            elif in_a_row:
                row = source.fine[t, slot, places[0] : places[0] + size]
                for p in range(size):
                    out[p] = row[p]
            else:
                row = source.fine[t, slot]
                for p in range(size):
                    out[p] = row[places[p]]


@kernel(error_model="numpy")
def _weigh(plan, n_in, scratch):  # type: ignore[no-untyped-def]
    """Write the weight of the later clear date for each day of the grid."""
    past, future = scratch.days_past, scratch.days_future
    lanes(past, 0)[:] = -1.0
    lanes(future, n_in)[:] = -1.0
    for t in range(n_in):
        _carry_day(past, t, t + 1, plan.days_in[t], lanes(scratch.seen, t))
    for t in range(n_in - 1, -1, -1):
        _carry_day(future, t + 1, t, plan.days_in[t], lanes(scratch.seen, t))
    for date in range(len(plan.days_out)):
        day, split = plan.days_out[date], plan.splits[date]
        before, after = lanes(past, split), lanes(future, split)
        weights = lanes(scratch.weights, date)
        for p in range(CHUNK):
            length = after[p] - before[p]
            weight = (day - before[p]) / length if length != 0 else np.float32(0)
            weight = np.float32(1) if before[p] < 0 else weight
            weights[p] = np.float32(0) if after[p] < 0 else weight


@kernel
def _carry_day(rows, source, target, day, seen):  # type: ignore[no-untyped-def]
    old, new = lanes(rows, source), lanes(rows, target)
    for p in range(CHUNK):
        new[p] = day if seen[p] else old[p]


@kernel
def _fill(plan, band, n_bands, n_in, scratch):  # type: ignore[no-untyped-def]
    """Interpolate one band.

    Row t of `past` holds the last clear value before image t, row t of `future` the first from
    image t on. Where there is none, the weight hides what stands there.
    """
    for t in range(n_in):
        values = lanes(scratch.raw, t * n_bands + band)
        _carry(scratch.past, t, t + 1, values, lanes(scratch.seen, t))
    for t in range(n_in - 1, -1, -1):
        values = lanes(scratch.raw, t * n_bands + band)
        _carry(scratch.future, t + 1, t, values, lanes(scratch.seen, t))
    for date in range(len(plan.days_out)):
        split = plan.splits[date]
        before, after = lanes(scratch.past, split), lanes(scratch.future, split)
        weights = lanes(scratch.weights, date)
        out = lanes(scratch.features, date * n_bands + band)
        for p in range(CHUNK):
            first = np.float32(before[p])
            change = np.float32(after[p]) - first
            out[p] = np.int16(np.int32(np.rint(first + change * weights[p])))


@kernel
def _carry(rows, source, target, values, seen):  # type: ignore[no-untyped-def]
    """Write a row: `values` where they are seen, else what stood in the row before."""
    old, new = lanes(rows, source), lanes(rows, target)
    for p in range(CHUNK):
        new[p] = (values[p] & seen[p]) | (old[p] & ~seen[p])


@kernel
def lanes(flat, row):  # type: ignore[no-untyped-def]
    """Return a row of `CHUNK` lanes."""
    return flat[row * CHUNK : (row + 1) * CHUNK]


@kernel(error_model="numpy")
def _ratio(plus, minus, out):  # type: ignore[no-untyped-def]
    """Write the normalised difference of two rows, times 1000, truncated."""
    for p in range(CHUNK):
        # Quotients of such integers are either whole or at least 1 / 65536 from a whole
        # number, so float64 truncates as integer division would, and it vectorises.
        total = np.float64(np.int32(plus[p]) + np.int32(minus[p]))
        difference = np.float64(np.int32(plus[p]) - np.int32(minus[p]))
        quotient = 1000.0 * difference / total if total != 0.0 else 0.0
        out[p] = np.int16(np.int32(min(max(quotient, -32768.0), 32767.0)))


@kernel
def _brightness(scratch, first, n_bands, out):  # type: ignore[no-untyped-def]
    """Write the root of the sum of squares over the bands of one date."""
    squares = scratch.squares
    squares[:] = 0.0
    for band in range(n_bands):
        values = lanes(scratch.features, first + band)
        for p in range(CHUNK):
            value = np.float64(values[p])
            squares[p] += value * value
    for p in range(CHUNK):
        # Sums stay below 2 ** 53, and the root is rounded correctly: truncation is exact.
        out[p] = np.int16(np.int32(min(np.sqrt(squares[p]), 32767.0)))


@kernel
def _blank(scratch, n_rows):  # type: ignore[no-untyped-def]
    """Write no data into the pixels without a clear date."""
    for p in range(CHUNK):
        if scratch.validity[p] == 0:
            for row in range(n_rows):
                scratch.features[row * CHUNK + p] = NODATA
