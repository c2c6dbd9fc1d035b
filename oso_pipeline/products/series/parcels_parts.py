"""The parcels of one tile on disk: finished ones, and parts of shared ones.

Rows and shapes of parcels that no other tile shares go to the files of the tile. Of those that one
may share, there are two more files: the histograms, sorted by number, from which the rows are
computed when all tiles are there; and the shapes of those that are listed with the tile.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from oso_pipeline.products.series.parcels_extract import (
    CLEAR,
    Found,
    TileExtract,
    is_measured,
    nearest_of,
)
from oso_pipeline.products.series.parcels_outputs import Outputs, Write, table_writer
from oso_pipeline.products.series.parcels_statistics import Histogram
from oso_pipeline.products.series.parcels_table import (
    WITHOUT_PIXEL,
    Parts,
    Steps,
    as_wkb,
    long_table,
    notes_of,
    shapes_schema,
)
from oso_pipeline.timeseries.series_layout import SeriesLayout, Variable

ROWS_AT_ONCE = 1_000_000
"""Rows of a row group of the long table, about."""
_SHARED_AT_ONCE = 2_000
SHAPES_AT_ONCE = 50_000
"""Shapes of a row group."""
_LAYOUT, _FINISHED = b"oso_layout", b"oso_finished"

SHARED = pa.schema(
    [
        ("number", pa.int64()),
        ("variable", pa.string()),
        ("pixels", pa.int64()),
        ("ends", pa.list_(pa.int64())),
        ("values", pa.list_(pa.int32())),
        ("counts", pa.list_(pa.int32())),
    ]
)


@dataclass(frozen=True)
class PartPaths:
    """The files of a tile.

    Parameters
    ----------
    shared, listed
        Histograms of shared parcels that have a pixel here; shapes of those that are listed here.
    """

    shared: Path
    listed: Path

    @classmethod
    def of(cls, folder: Path, tile: str) -> PartPaths:
        """Return the files of a tile in a folder."""
        return cls(*(folder / name for name in names_of_parts(tile)))


def names_of_parts(tile: str) -> tuple[str, str]:
    """Return the names of the files of a tile."""
    return f"{tile}_shared.parquet", f"{tile}_listed.parquet"


def clear_name(resolution_m: int) -> str:
    """Return how the share of clear pixels of a resolution is called among histograms."""
    return f"{CLEAR}_{resolution_m}m"


def write_parts(
    extract: TileExtract,
    names: tuple[str, ...],
    clear_within_days: int,
    paths: PartPaths,
    outputs: Outputs,
) -> dict[str, Any]:
    """Write the files of a tile and return how many parcels and rows are finished.

    Parameters
    ----------
    extract
        Parcels and series of the tile.
    names
        Variables to write.
    clear_within_days
        A date of the grid counts as clear where the nearest clear date is so near.
    paths, outputs
        Where shared and where finished parcels go.
    """
    layout = extract.source.layout.only(names)
    pixels = {size: extract.pixels(size) for size in layout.resolutions_m}
    finished = _finished(extract, pixels)
    notes = {_LAYOUT: json.dumps(layout.to_json()), _FINISHED: json.dumps(finished)}
    n_rows = 0
    with ExitStack() as stack:
        rows = stack.enter_context(outputs.numbers())
        shared = stack.enter_context(table_writer(paths.shared, SHARED.with_metadata(notes)))
        clear: dict[int, Found] = {}
        for variable in layout.variables:
            size = variable.resolution_m
            near = _near(extract, variable)
            if near is not None and size not in clear:
                clear[size] = extract.variable(near, clear_within_days)
                _write_shared(shared, extract, clear_name(size), clear[size], pixels[size])
            found = extract.variable(variable)
            share = None if near is None else clear[size].statistics.mean
            n_rows += _write_rows(rows, extract, found, pixels[size], share)
            _write_shared(shared, extract, variable.name, found, pixels[size])
    _write_listed(paths.listed, extract, pixels)
    _write_shapes(outputs.shapes, extract, pixels)
    return {**finished, "shared": int(extract.parcels.shared.sum()), "rows": n_rows}


def _finished(extract: TileExtract, pixels: Mapping[int, npt.NDArray[np.int64]]) -> dict[str, Any]:
    """Return how many parcels no other tile shares, and of each size those by note."""
    parcels = extract.parcels
    notes = {}
    for size, counts in pixels.items():
        said = notes_of(counts, parcels.areas_m2, parcels.cut, size, extract.erosion_m)
        known = Counter(one for one in said[~parcels.shared].tolist() if one in WITHOUT_PIXEL)
        notes[str(size)] = dict(sorted(known.items()))
    return {"parcels": int((~parcels.shared).sum()), "notes": notes}


def _near(extract: TileExtract, variable: Variable) -> Variable | None:
    """Return the distance to the nearest clear date, for variables that have one for each step."""
    if variable.axis != "time":
        return None
    return nearest_of(variable, extract.source.layout)


def _write_rows(
    write: Write,
    extract: TileExtract,
    found: Found,
    pixels: npt.NDArray[np.int64],
    clear: npt.NDArray[np.float32] | None,
) -> int:
    """Write the rows of the parcels that are not shared; return how many."""
    parcels, variable = extract.parcels, found.variable
    steps = Steps.of(variable, extract.source.layout)
    notes = notes_of(
        pixels, parcels.areas_m2, parcels.cut, variable.resolution_m, extract.erosion_m
    )
    own = np.flatnonzero(~parcels.shared)
    at_once = max(1, ROWS_AT_ONCE // len(steps))
    for first in range(0, len(own), at_once):
        some = own[first : first + at_once]
        tiles = np.full(len(some), extract.place.tile, object)
        parts = Parts(parcels.ids[some], tiles, pixels[some], notes[some])
        share = None if clear is None else clear[some]
        statistics = found.statistics.of(some)
        write(long_table(parts, variable.name, steps, statistics, (found.valid[some], share)))
    return len(own) * len(steps)


def _write_shared(
    writer: pq.ParquetWriter,
    extract: TileExtract,
    name: str,
    found: Found,
    pixels: npt.NDArray[np.int64],
) -> None:
    """Write the histograms of a variable: of shared parcels with a pixel, or listed here."""
    parcels = extract.parcels
    steps = found.valid.shape[1]
    nothing = Histogram(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(steps, np.int64))
    listed = np.flatnonzero(parcels.shared & (parcels.home | (pixels > 0)))
    for first in range(0, len(listed), _SHARED_AT_ONCE):
        some = listed[first : first + _SHARED_AT_ONCE]
        parts = [found.shared.get(int(one), nothing) for one in some]
        writer.write_table(
            pa.Table.from_arrays(
                [
                    pa.array(parcels.numbers[some]),
                    pa.array([name] * len(some), pa.string()),
                    pa.array(pixels[some]),
                    *(
                        _lists([getattr(part, one) for part in parts])
                        for one in ("ends", "values", "counts")
                    ),
                ],
                schema=writer.schema,
            )
        )


def _lists(arrays: list[npt.NDArray[Any]]) -> pa.Array:
    offsets = np.cumsum([0, *(len(one) for one in arrays)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(arrays)))


def _write_shapes(
    path: Path, extract: TileExtract, pixels: Mapping[int, npt.NDArray[np.int64]]
) -> None:
    """Write the shapes of the parcels that no other tile shares."""
    parcels, first = extract.parcels, min(pixels)
    own = np.flatnonzero(~parcels.shared)
    notes = notes_of(pixels[first], parcels.areas_m2, parcels.cut, first, extract.erosion_m)
    with table_writer(path, shapes_schema(list(pixels), parcels.crs)) as writer:
        for begin in range(0, len(own), SHAPES_AT_ONCE):
            some = own[begin : begin + SHAPES_AT_ONCE]
            columns = [
                pa.array(parcels.ids[some], pa.string()),
                pa.array([extract.place.tile] * len(some), pa.string()),
                pa.array(parcels.areas_m2[some]),
                *(pa.array(counts[some].astype(np.int32)) for counts in pixels.values()),
                pa.array(notes[some], pa.string()),
                as_wkb(parcels.shapes[some]),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=writer.schema))


def _write_listed(
    path: Path, extract: TileExtract, pixels: Mapping[int, npt.NDArray[np.int64]]
) -> None:
    """Write the shapes of the shared parcels that are listed here."""
    parcels = extract.parcels
    some = np.flatnonzero(parcels.home & parcels.shared)
    table = pa.table(
        {
            "number": parcels.numbers[some],
            "parcel_id": pa.array(parcels.ids[some], pa.string()),
            "area_m2": parcels.areas_m2[some],
            "cut": parcels.cut[some],
            **{f"pixels_{size}m": counts[some] for size, counts in pixels.items()},
            "geometry": as_wkb(parcels.shapes[some]),
        }
    )
    table = table.replace_schema_metadata({b"crs": parcels.crs.to_wkt()})
    with table_writer(path, table.schema) as writer:
        writer.write_table(table, row_group_size=SHAPES_AT_ONCE)


def layout_of(path: Path) -> SeriesLayout:
    """Return the layout that a file of shared parcels was made with."""
    notes = pq.read_schema(path).metadata
    return SeriesLayout.from_json(json.loads(notes[_LAYOUT]))


def finished_of(path: Path) -> dict[str, Any]:
    """Return what a file of shared parcels says of the parcels of its tile that are finished."""
    found: dict[str, Any] = json.loads(pq.read_schema(path).metadata[_FINISHED])
    return found


def measured(layout: SeriesLayout, names: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the variables of a layout that parcels have a mean of, or those of `names`."""
    found = tuple(one.name for one in layout.variables if is_measured(one))
    return found if names is None else tuple(name for name in found if name in names)
