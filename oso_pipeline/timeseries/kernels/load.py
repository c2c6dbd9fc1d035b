"""The images and masks of a chunk, brought together in its scratch memory."""

from __future__ import annotations

import numpy as np

from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.kernels.rows import CHUNK
from oso_pipeline.timeseries.kernels.simd import (
    WIDTH,
    everywhere,
    fetch_early,
    load_in_turn,
    load_mask,
    store,
    subtract,
)


@kernel
def side_by_side(source, start, size):  # type: ignore[no-untyped-def]
    """Return whether the pixels of a chunk are neighbours in one row of the images.

    A chunk that is not full, or whose pixels of 20 m are not neighbours, does not count.
    """
    if size < CHUNK:
        return False
    places, halves = source.places[start : start + CHUNK], source.halves[start : start + CHUNK]
    first, half, odd = places[0], halves[0], halves[1] - halves[0]
    faults = odd & ~1
    for p in range(CHUNK):
        faults |= (places[p] - first - p) | (halves[p] - half - (p + odd) // 2)
    return faults == 0


@kernel
def gather_masks(source, start, size, together, scratch):  # type: ignore[no-untyped-def]
    """Write -1 into `seen` where an image counts, and how often it does into `validity`."""
    if together:
        clear, n_pixels = source.clear.ravel(), source.clear.shape[1]
        first = source.places[start]
        for offset in range(0, CHUNK, WIDTH):
            count = everywhere(np.int16(0))
            for t in range(source.clear.shape[0]):
                place = t * n_pixels + first + offset
                seen = load_mask(clear, place)
                store(scratch.seen, t * CHUNK + offset, seen)
                count = subtract(count, seen)
                fetch_early(clear, place + CHUNK)
            store(scratch.validity, offset, count)
        return
    scratch.validity[:] = 0
    for t in range(source.clear.shape[0]):
        seen, flags = scratch.seen[t * CHUNK : (t + 1) * CHUNK], source.clear[t]
        for p in range(size):
            seen[p] = -np.int16(flags[source.places[start + p]] != 0)
        for p in range(size, CHUNK):
            seen[p] = 0
        for p in range(CHUNK):
            scratch.validity[p] -= seen[p]


@kernel
def gather_band(rows, slot, places, together, raw):  # type: ignore[no-untyped-def]
    """Write the pixels at `places` of one band into rows of `raw`, a row for each image.

    Parameters
    ----------
    rows
        The images, int16, shape ``(time, band, pixel)``.
    slot
        Which band.
    places
        Which pixels.
    together
        Whether all have twice the same place, as pixels of 20 m in a row have.
    raw
        Where they go.
    """
    n_bands, n_pixels = rows.shape[1], rows.shape[2]
    if together:
        flat, odd = rows.ravel(), places[1] - places[0]
        for t in range(rows.shape[0]):
            first = (t * n_bands + slot) * n_pixels + places[0]
            for offset in range(0, CHUNK, WIDTH):
                place = first + offset // 2
                store(raw, t * CHUNK + offset, load_in_turn(flat, place, place + odd))
            fetch_early(flat, first + CHUNK // 2)
            fetch_early(flat, first + CHUNK - WIDTH)
    else:
        for t in range(rows.shape[0]):
            row, out = rows[t, slot], raw[t * CHUNK : (t + 1) * CHUNK]
            for p in range(len(places)):
                out[p] = row[places[p]]
