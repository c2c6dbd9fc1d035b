"""Tables on disk that are larger than memory, read piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

ROWS_AT_ONCE = 65_536
"""Rows of a piece, at most."""


def pieces(
    path: Path, columns: Sequence[str] | None = None, rows: int = ROWS_AT_ONCE
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file in their order, at most so many at a time.

    Parameters
    ----------
    path
        The file.
    columns
        Columns to read; all by default.
    rows
        Most rows of a piece.
    """
    # By default pyarrow fetches all requested columns before it returns the first piece.
    with pq.ParquetFile(path, pre_buffer=False) as source:
        yield from source.iter_batches(rows, columns=None if columns is None else [*columns])


def chosen_rows(
    path: Path, columns: Sequence[str] | None, rows: npt.NDArray[np.intp]
) -> Iterator[pa.Table]:
    """Yield chosen rows of a Parquet file in their order; of its row groups only those with some.

    Parameters
    ----------
    path
        The file.
    columns
        Columns to read; None for all.
    rows
        Numbers of the rows, ascending.
    """
    if not len(rows):
        return
    with pq.ParquetFile(path, pre_buffer=False) as source:
        start = 0
        for number in range(source.num_row_groups):
            end = start + source.metadata.row_group(number).num_rows
            first, last = np.searchsorted(rows, (start, end))
            if last > first:
                group = source.read_row_group(number, None if columns is None else [*columns])
                yield group.take(rows[first:last] - start)
            start = end
