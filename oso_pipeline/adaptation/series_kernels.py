"""Series of many samples moved in time and in level, compiled."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.kernels.chunks import indices_chunk
from oso_pipeline.timeseries.kernels.programs import new_registers
from oso_pipeline.timeseries.kernels.rows import CHUNK, aligned

Moves = namedtuple("Moves", ["days", "gain", "offset", "pivot"])
"""Changes to each series.

``days`` is the delay of each sample, float32, shape ``(sample,)``. A value v of a band becomes
``pivot + gain * (v - pivot) + offset``; ``gain`` and ``offset`` are float32 of shape
``(sample, band)``, ``pivot`` of shape ``(band,)``. Samples share the last row of ``gain`` and
``offset`` where these have fewer.
"""

FeatureRows = namedtuple("FeatureRows", ["features", "registers"])


@kernel
def move_bands(table, days, n_bands, moves, rounded, out):  # type: ignore[no-untyped-def]
    """Write the bands of all samples after their moves.

    Parameters
    ----------
    table
        Shape ``(sample, feature)``, bands by date first.
    days
        Days of the dates, ascending, float32.
    n_bands
        Number of bands.
    moves
        See :class:`Moves`.
    rounded
        Whether values are whole numbers: rounded half to even, as gap-filling does, and kept
        within int16.
    out
        As `table`; only the columns of bands are written.
    """
    n_dates = len(days)
    low = np.empty(n_dates, np.int64)
    weight = np.empty(n_dates, np.float32)
    most = len(moves.gain) - 1
    for sample in range(len(table)):
        _places(days, moves.days[min(sample, len(moves.days) - 1)], low, weight)
        row = min(sample, most)
        for date in range(n_dates):
            before = low[date] * n_bands
            after = min(low[date] + 1, n_dates - 1) * n_bands
            for band in range(n_bands):
                first = np.float32(table[sample, before + band])
                change = np.float32(table[sample, after + band]) - first
                value = first + change * weight[date]
                pivot = moves.pivot[band]
                if moves.gain[row, band] != np.float32(1):
                    value = pivot + moves.gain[row, band] * (value - pivot)
                value += moves.offset[row, band]
                if rounded:
                    value = min(max(np.rint(value), np.float32(-32768)), np.float32(32767))
                out[sample, date * n_bands + band] = value


@kernel(error_model="numpy")
def _places(days, delay, low, weight):  # type: ignore[no-untyped-def]
    """Write between which dates each date looks after a delay; edges are held."""
    last = len(days) - 1
    place = 0
    for date in range(len(days)):
        day = days[date] - delay
        while place < last and days[place + 1] <= day:
            place += 1
        low[date] = place
        inside = place < last and day > days[place]
        length = days[min(place + 1, last)] - days[place]
        weight[date] = (day - days[place]) / length if inside else np.float32(0)


@kernel
def write_indices(plan, n_bands, table):  # type: ignore[no-untyped-def]
    """Compute all but the bands of samples from these, with the kernel of the block reader.

    Parameters
    ----------
    plan
        As for :func:`~oso_pipeline.timeseries.kernels.chunks.indices_chunk`.
    n_bands
        Number of bands.
    table
        int16, shape ``(sample, feature)``; all columns after those of the bands are written.
    """
    n_features = table.shape[1]
    rows = aligned(2 * n_features * CHUNK).view(np.int16)
    scratch = FeatureRows(rows, new_registers(plan.programs))
    first_index = len(plan.days_out) * n_bands
    for start in range(0, len(table), CHUNK):
        size = min(CHUNK, len(table) - start)
        for p in range(size):
            for row in range(first_index):
                scratch.features[row * CHUNK + p] = table[start + p, row]
        indices_chunk(plan, n_bands, scratch)
        for p in range(size):
            for row in range(first_index, n_features):
                table[start + p, row] = scratch.features[row * CHUNK + p]
