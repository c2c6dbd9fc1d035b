"""Derived features ``relative``: each value less the mean of its series, over its deviation."""

from __future__ import annotations

import numpy as np

from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.kernels.rows import CHUNK
from oso_pipeline.timeseries.kernels.simd import WIDTH, everywhere, load, store
from oso_pipeline.timeseries.kernels.simd_sums import (
    add,
    add_exact_square,
    deviation_factor,
    less_mean,
)


@kernel
def relative(series, row, features):  # type: ignore[no-untyped-def]
    """Write ``1000 (x - mean) / deviation`` of a channel, a row per date from `row` on.

    With n values of sum S and sum of squares Q, whole numbers, that is
    ``rint((n x - S) * (1000 / sqrt(n Q - S S)))`` in float32; 0 where all values are equal. The
    deviation is that of the population.

    Parameters
    ----------
    series
        Where the channel stands, see `derived.Channel`.
    row
        First row to write.
    features
        Flat rows of `CHUNK` pixels, int16.
    """
    count = np.int32(series.dates)
    for offset in range(0, CHUNK, WIDTH):
        total, squares = everywhere(np.int32(0)), everywhere(np.int64(0))
        for date in range(series.dates):
            values = load(features, (series.first + date * series.step) * CHUNK + offset)
            total = add(total, values)
            squares = add_exact_square(squares, values)
        factor = deviation_factor(total, squares, count)
        for date in range(series.dates):
            values = load(features, (series.first + date * series.step) * CHUNK + offset)
            place = (row + date) * CHUNK + offset
            store(features, place, less_mean(values, total, count, factor))
    return row + series.dates
