"""The files of parcels that the field opens: numbers as Parquet and CSV, shapes as GeoParquet.

There is a file per tile, so that no file and no task grows with the nation, and one for the parcels
on the border of tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from oso_pipeline.core.commit import staged
from oso_pipeline.products.series.parcels_table import LONG, harmless

Write = Callable[[pa.Table], None]
"""Writes rows to all files of numbers."""

FOLDER, SHAPES = "series/parcels", "series/parcels_geometry"
"""Folders of the run that take the numbers and the shapes."""
BORDER = "border"
"""What the files of parcels on the border of tiles are called, instead of a tile."""


@dataclass(frozen=True)
class Outputs:
    """Where numbers and shapes go.

    Parameters
    ----------
    shapes
        The shapes, GeoParquet.
    long
        The numbers, Parquet; None for none.
    csv
        The numbers as CSV; None for none.
    """

    shapes: Path
    long: Path | None
    csv: Path | None = None

    @classmethod
    def of(cls, folder: Path, name: str, formats: tuple[str, ...]) -> Outputs:
        """Return the files of a tile, or of the border, in a run folder."""
        shapes, *numbers = (folder / path for path in names_of_outputs(name, formats))
        found = {path.suffix: path for path in numbers}
        return cls(shapes, found.get(".parquet"), found.get(".csv"))

    @contextmanager
    def numbers(self) -> Iterator[Write]:
        """Write the files of numbers, all or nothing; without forms nothing is written."""
        with ExitStack() as stack:
            writers: list[Write] = []
            if self.long is not None:
                writers.append(stack.enter_context(table_writer(self.long, LONG)).write_table)
            if self.csv is not None:
                writers.append(stack.enter_context(_csv_writer(self.csv)))

            def write(table: pa.Table) -> None:
                for one in writers:
                    one(table)

            yield write


def names_of_outputs(name: str, formats: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files of a tile, or of the border, relative to the run folder.

    Examples
    --------
    >>> names_of_outputs("31TCJ", ("csv",))
    ('series/parcels_geometry/31TCJ.parquet', 'series/parcels/31TCJ.csv')
    """
    return (f"{SHAPES}/{name}.parquet", *(f"{FOLDER}/{name}.{form}" for form in formats))


@contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write a Parquet file, all or nothing, and read its end back."""
    with staged(path) as temporary:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            yield writer
        pq.ParquetFile(temporary).close()


@contextmanager
def _csv_writer(path: Path) -> Iterator[Write]:
    with staged(path) as temporary:
        plain = harmless(LONG.empty_table()).schema
        with pa.csv.CSVWriter(temporary, plain) as writer:
            yield lambda table: writer.write_table(harmless(table))
