"""Files of the drawn clear pixels of a block, with their features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from oso_pipeline.core.commit import staged
from oso_pipeline.core.parquet_pieces import chosen_rows
from oso_pipeline.sampling.pixel_features import Features, Validity

Add = Callable[[npt.NDArray[np.int64], Validity, Features], None]
"""Takes pixels: their numbers in the draw, clear dates and features ``(pixels, features)``."""


def part_files(path: str) -> tuple[str, str]:
    """Return the files of a block: labelled pixels, and those drawn by area.

    Examples
    --------
    >>> part_files("past/2017/pixels/31TCJ/r00000c00000.parquet")[1]
    'past/2017/pixels/unlabelled/31TCJ/r00000c00000.parquet'
    """
    folder, tile, name = path.rsplit("/", 2)
    return path, f"{folder}/unlabelled/{tile}/{name}"


@contextmanager
def part_file(path: Path, n_features: int) -> Iterator[Add]:
    """Give what writes pixels to `path`, which is published when the body has ended.

    Parameters
    ----------
    path
        The file: Parquet with columns ``number`` (int64), ``validity`` (uint16) and ``features``
        (`n_features` int16 as bytes), in the order in which pixels were read.
    n_features
        Features of a pixel.
    """
    kinds = (pa.int64(), pa.uint16(), pa.binary(2 * n_features))
    schema = pa.schema(list(zip(("number", "validity", "features"), kinds, strict=True)))
    written = hashlib.sha256()
    with staged(path) as temporary:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:

            def add(number: npt.NDArray[np.int64], validity: Validity, features: Features) -> None:
                if not len(number):
                    return
                values = np.ascontiguousarray(features).tobytes()
                for content in (number.tobytes(), validity.tobytes(), values):
                    written.update(content)
                held = pa.FixedSizeBinaryArray.from_buffers(
                    kinds[2], len(number), [None, pa.py_buffer(values)]
                )
                writer.write_table(pa.table([number, validity, held], schema=schema))

            yield add
        if _content(temporary, n_features) != written.hexdigest():
            raise OSError(f"{path} does not read back as it was written; is the disk sound?")


def _content(path: Path, n_features: int) -> str:
    """Return the digest of what a part holds, row group by row group."""
    found = hashlib.sha256()
    with pq.ParquetFile(path) as source:
        for group in range(source.num_row_groups):
            table = source.read_row_group(group)
            for name in ("number", "validity"):
                found.update(table[name].to_numpy().tobytes())
            found.update(_values(table, n_features).tobytes())
    return found.hexdigest()


def _values(table: pa.Table, n_features: int) -> Features:
    """Return the features of a table, shape ``(rows, n_features)``."""
    arrays = [
        np.frombuffer(chunk.buffers()[1], np.int16)[
            chunk.offset * n_features : (chunk.offset + len(chunk)) * n_features
        ]
        for chunk in table["features"].chunks
        if len(chunk)
    ]
    flat = np.concatenate(arrays) if arrays else np.empty(0, np.int16)
    return flat.reshape(-1, n_features)


@dataclass(frozen=True)
class PartReader:
    """Reads the parts of a tile.

    Parameters
    ----------
    paths
        The file of each block.
    n_features
        Features of a pixel.
    """

    paths: tuple[Path, ...]
    n_features: int

    def and_part(self, path: Path) -> PartReader:
        """Return the reader of these parts and one more."""
        return replace(self, paths=(*self.paths, path))

    def places(self) -> tuple[npt.NDArray[np.int64], ...]:
        """Return number and validity of all pixels, and where they stand: part, and row in it."""
        found = [np.empty((0, 4), np.int64)]
        for part, path in enumerate(self.paths):
            with pq.ParquetFile(path) as source:
                table = source.read(["number", "validity"])
            number, validity = (table[name].to_numpy() for name in table.column_names)
            rows = np.arange(len(number))
            found.append(np.stack([number, validity, np.full(len(rows), part), rows], axis=1))
        return tuple(np.concatenate(found).T)

    def features(self, part: npt.NDArray[np.int64], row: npt.NDArray[np.int64]) -> Features:
        """Return the features of pixels by part and row in it, shape ``(pixels, n_features)``."""
        values = np.empty((len(part), self.n_features), np.int16)
        for number in np.unique(part):
            places = np.flatnonzero(part == number)
            places = places[np.argsort(row[places])]
            done = 0
            for table in chosen_rows(self.paths[number], ["features"], row[places]):
                values[places[done : done + len(table)]] = _values(table, self.n_features)
                done += len(table)
        return values
