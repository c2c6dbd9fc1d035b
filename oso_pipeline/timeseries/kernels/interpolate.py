"""Linear interpolation in time of a chunk of pixels."""

from __future__ import annotations

import numpy as np

from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.kernels.rows import CHUNK, chunk_row
from oso_pipeline.timeseries.kernels.simd import (
    WIDTH,
    between,
    choose,
    everywhere,
    fetch_early,
    load,
    store,
)


@kernel(error_model="numpy")
def weigh(plan, n_in, scratch):  # type: ignore[no-untyped-def]
    """Write the weight of the later clear date for each day of the grid."""
    past, future = scratch.days_past, scratch.days_future
    chunk_row(past, 0)[:] = -1.0
    chunk_row(future, n_in)[:] = -1.0
    for t in range(n_in):
        _carry_day(past, t, t + 1, plan.days_in[t], chunk_row(scratch.seen, t))
    for t in range(n_in - 1, -1, -1):
        _carry_day(future, t + 1, t, plan.days_in[t], chunk_row(scratch.seen, t))
    for date in range(len(plan.days_out)):
        day, split = plan.days_out[date], plan.splits[date]
        before, after = chunk_row(past, split), chunk_row(future, split)
        weights = chunk_row(scratch.weights, date)
        for p in range(CHUNK):
            length = after[p] - before[p]
            weight = (day - before[p]) / length if length != 0 else np.float32(0)
            weight = np.float32(1) if before[p] < 0 else weight
            weights[p] = np.float32(0) if after[p] < 0 else weight


@kernel
def _carry_day(rows, source, target, day, seen):  # type: ignore[no-untyped-def]
    old, new = chunk_row(rows, source), chunk_row(rows, target)
    for p in range(CHUNK):
        new[p] = day if seen[p] else old[p]


@kernel
def fill(plan, images, first, step, band, n_bands, n_in, scratch):  # type: ignore[no-untyped-def]
    """Interpolate one band.

    Image t is found at ``first + t * step`` of `images`. Row t of `future` holds the first clear
    value from image t on, `held` the last one before. Where there is none, the weight hides what
    stands there.
    """
    seen, future, features = scratch.seen, scratch.future, scratch.features
    for offset in range(0, CHUNK, WIDTH):
        held = everywhere(np.int16(0))
        store(future, n_in * WIDTH, held)
        for t in range(n_in - 1, -1, -1):
            place = first + t * step + offset
            held = choose(load(seen, t * CHUNK + offset), load(images, place), held)
            store(future, t * WIDTH, held)
            fetch_early(images, place + CHUNK)
        held, t = everywhere(np.int16(0)), 0
        for date in range(len(plan.days_out)):
            split = plan.splits[date]
            if split < t:  # dates in any order
                held, t = everywhere(np.int16(0)), 0
            while t < split:
                values = load(images, first + t * step + offset)
                held = choose(load(seen, t * CHUNK + offset), values, held)
                t += 1
            weight = load(scratch.weights, date * CHUNK + offset)
            filled = between(held, load(future, split * WIDTH), weight)
            store(features, (date * n_bands + band) * CHUNK + offset, filled)
