"""The parcels on the border of tiles, computed from what each tile knows of them.

Memory does not grow with the nation, but for a few numbers per shared parcel: files are read row
group by row group, and the parts of a parcel meet because each file is sorted by its number.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyproj import CRS

from oso_pipeline.products.series.parcels_outputs import Outputs, table_writer
from oso_pipeline.products.series.parcels_parts import (
    SHAPES_AT_ONCE,
    PartPaths,
    clear_name,
    finished_of,
    layout_of,
)
from oso_pipeline.products.series.parcels_statistics import Histogram
from oso_pipeline.products.series.parcels_table import (
    WITHOUT_PIXEL,
    Parts,
    Steps,
    long_table,
    notes_of,
    shapes_schema,
)
from oso_pipeline.timeseries.series_layout import SeriesLayout, Variable

_TABLES_AT_ONCE = 1000


@dataclass
class _Listed:
    """A shared parcel: its name, its tile, its size, and the pixels of all tiles."""

    parcel_id: str
    tile: str
    area_m2: float
    cut: bool
    pixels: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Part:
    """What one tile knows of a shared parcel in one variable."""

    number: int
    steps: Steps
    pixels: int
    histogram: Histogram


@dataclass(frozen=True)
class Combined:
    """The files of all tiles, sorted by tile.

    Parameters
    ----------
    tiles
        Names of the tiles and their files.
    erosion_m
        With which the pixels were chosen.
    """

    tiles: Mapping[str, PartPaths]
    erosion_m: float

    def write(self, outputs: Outputs) -> dict[str, Any]:
        """Write the tables of shared parcels.

        Returns
        -------
        dict
            ``rows`` written, ``shared`` parcels; ``parcels`` and those by note (``notes``) of all
            tiles, the finished ones included.
        """
        layouts = {tile: layout_of(paths.shared) for tile, paths in self.tiles.items()}
        variables = {one.name: one for layout in layouts.values() for one in layout.variables}
        listed = self._listed()
        self._count(listed, layouts)
        n_rows = 0
        with outputs.numbers() as write:
            shares: dict[int, dict[int, npt.NDArray[np.float32]]] = {}
            for variable in variables.values():
                size = variable.resolution_m
                if variable.axis == "time" and size not in shares:
                    shares[size] = self._shares(size, layouts)
                clear = shares[size] if variable.axis == "time" else {}
                for table in self._shared_rows(variable, layouts, listed, clear):
                    n_rows += len(table)
                    write(table)
        notes = self._write_shapes(outputs.shapes, listed)
        parcels = len(listed)
        for paths in self.tiles.values():
            finished = finished_of(paths.shared)
            parcels += finished["parcels"]
            for size, known in finished["notes"].items():
                notes[size].update(known)
        counts = {size: dict(sorted(known.items())) for size, known in notes.items()}
        return {"rows": n_rows, "shared": len(listed), "parcels": parcels, "notes": counts}

    def _listed(self) -> dict[int, _Listed]:
        """Return the shared parcels by number."""
        found: dict[int, _Listed] = {}
        columns = ["number", "parcel_id", "area_m2", "cut"]
        for tile, paths in self.tiles.items():
            with pq.ParquetFile(paths.listed) as file:
                for batch in file.iter_batches(columns=columns):
                    for row in batch.to_pylist():
                        one = _Listed(row["parcel_id"], tile, row["area_m2"], row["cut"])
                        found.setdefault(row["number"], one)
        return found

    def _count(self, listed: Mapping[int, _Listed], layouts: Mapping[str, SeriesLayout]) -> None:
        """Add the pixels that each tile has of the shared parcels."""
        for tile, paths in self.tiles.items():
            for size in layouts[tile].resolutions_m:
                name = layouts[tile].of_resolution(size).names[0]
                for part in _read_parts(paths.shared, name, Steps()):
                    if part.number in listed:
                        listed[part.number].pixels[size] += part.pixels

    def _parts(self, name: str, variable: Variable, layouts: Mapping[str, SeriesLayout]) -> Any:
        """Yield the number of each shared parcel and its parts, in ascending order."""
        readers = [
            _read_parts(paths.shared, name, Steps.of(variable, layouts[tile]))
            for tile, paths in self.tiles.items()
        ]
        merged = heapq.merge(*readers, key=lambda part: part.number)
        return groupby(merged, key=lambda part: part.number)

    def _shares(
        self, resolution_m: int, layouts: Mapping[str, SeriesLayout]
    ) -> dict[int, npt.NDArray[np.float32]]:
        """Return the share of clear pixels of each shared parcel and date."""
        grid = Variable("", "", "1", "time", "uint8", resolution_m)
        found = {}
        for number, parts in self._parts(clear_name(resolution_m), grid, layouts):
            sums = Histogram.merged([part.histogram for part in parts]).sums()
            found[number] = sums.statistics(1.0, 0.0).mean
        return found

    def _shared_rows(
        self,
        variable: Variable,
        layouts: Mapping[str, SeriesLayout],
        listed: Mapping[int, _Listed],
        clear: Mapping[int, npt.NDArray[np.float32]],
    ) -> Iterator[pa.Table]:
        """Yield the rows of a variable of the shared parcels, in tables of a thousand parcels."""
        tables: list[pa.Table] = []
        size = variable.resolution_m
        for number, some in self._parts(variable.name, variable, layouts):
            if number not in listed:
                continue  # pixels of a parcel that no tile lists: it has no name
            one = listed[number]
            steps, histogram = _joined(list(some))
            sums, pixels = histogram.sums(), np.array([one.pixels[size]])
            areas, cut = np.array([one.area_m2]), np.array([one.cut])
            notes = notes_of(pixels, areas, cut, size, self.erosion_m)
            names = np.array([one.parcel_id], object), np.array([one.tile], object)
            statistics = sums.statistics(variable.scale, variable.offset)
            counts = sums.count.astype(np.int32), clear.get(number)
            tables.append(
                long_table(
                    Parts(*names, pixels, notes),
                    variable.name,
                    steps,
                    statistics,
                    counts,
                )
            )
            if len(tables) >= _TABLES_AT_ONCE:
                yield _concatenated(tables)
                tables = []
        if tables:
            yield _concatenated(tables)

    def _write_shapes(self, path: Path, listed: Mapping[int, _Listed]) -> dict[str, Counter[str]]:
        """Write the shapes and return, of each size, numbers of parcels by note."""
        first = next(iter(self.tiles.values()))
        schema = pq.read_schema(first.listed)
        sizes = [int(n[7:-1]) for n in schema.names if n.startswith("pixels_")]
        out = shapes_schema(sizes, CRS.from_wkt(schema.metadata[b"crs"].decode()))
        notes = {str(size): Counter[str]() for size in sizes}
        with table_writer(path, out) as writer:
            for tile, paths in self.tiles.items():
                with pq.ParquetFile(paths.listed) as file:
                    for batch in file.iter_batches(SHAPES_AT_ONCE):
                        table = self._shapes(tile, batch, listed, sizes, notes)
                        writer.write_table(table.cast(out))
        return notes

    def _shapes(
        self,
        tile: str,
        batch: pa.RecordBatch,
        listed: Mapping[int, _Listed],
        sizes: Sequence[int],
        notes: Mapping[str, Counter[str]],
    ) -> pa.Table:
        numbers = batch["number"].to_pylist()
        # A parcel that two tiles list belongs to the first.
        kept = [listed[n].tile == tile for n in numbers]
        batch = batch.filter(pa.array(kept))
        numbers = batch["number"].to_pylist()
        areas, cut = np.asarray(batch["area_m2"]), np.asarray(batch["cut"])
        columns: dict[str, Any] = {
            "parcel_id": batch["parcel_id"],
            "tile": pa.array([tile] * len(batch), pa.string()),
            "area_m2": batch["area_m2"],
        }
        said = None
        for size in sizes:
            pixels = np.zeros(len(numbers), np.int64)
            for row, number in enumerate(numbers):
                pixels[row] = listed[number].pixels[size]
            found = notes_of(pixels, areas, cut, size, self.erosion_m)
            notes[str(size)].update(one for one in found.tolist() if one in WITHOUT_PIXEL)
            said = found if said is None else said
            columns[f"pixels_{size}m"] = pa.array(pixels.astype(np.int32))
        return pa.table(
            {**columns, "note": pa.array(said, pa.string()), "geometry": batch["geometry"]}
        )


def _groups_of(file: pq.ParquetFile, variable: str) -> Iterator[int]:
    """Yield the row groups of a variable; each holds one variable only."""
    column = file.schema_arrow.get_field_index("variable")
    for number in range(file.num_row_groups):
        if file.metadata.row_group(number).column(column).statistics.min == variable:
            yield number


def _read_parts(path: Path, name: str, steps: Steps) -> Iterator[_Part]:
    """Yield the parts of a variable in a file, in ascending order of the parcels."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for group in _groups_of(file, name):
            table = file.read_row_group(group, ["number", "pixels", "ends", "values", "counts"])
            numbers, pixels = table["number"].to_pylist(), table["pixels"].to_pylist()
            lists = [table[one].combine_chunks() for one in ("values", "counts", "ends")]
            for row, number in enumerate(numbers):
                arrays = [np.asarray(one[row].values) for one in lists]
                yield _Part(number, steps, pixels[row], Histogram(*arrays))


def _joined(parts: list[_Part]) -> tuple[Steps, Histogram]:
    """Return the histogram of a parcel over all tiles, on the days of any of them."""
    steps = parts[0].steps
    if any(part.steps != steps for part in parts):
        days = sorted({day for part in parts for day in part.steps.days})
        steps = Steps(tuple(days))
        places = {day: place for place, day in enumerate(days)}
        found = [
            part.histogram.of_steps(np.array([places[d] for d in part.steps.days], int), len(days))
            for part in parts
        ]
        return steps, Histogram.merged(found)
    return steps, Histogram.merged([part.histogram for part in parts])


def _concatenated(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()
