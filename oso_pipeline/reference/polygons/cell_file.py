"""GeoParquet files of polygons: one per cell, and all of them joined without loading them.

GeoParquet 1.1 with a bounding box per row (https://geoparquet.org/releases/v1.1.0), which QGIS
and GDAL read; text columns are plain text, whole numbers int32 or int64.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
from pyproj import CRS

from oso_pipeline.core.coded_texts import CodedTexts
from oso_pipeline.core.commit import verified
from oso_pipeline.core.parquet_pieces import pieces
from oso_pipeline.reference.polygons.by_object import ByObject

ROW_GROUP = 16_384
"""Rows that a reader loads or skips together; they lie near each other."""

SMALL = ("polygon_id", "code", "source", "side", "stratum", "area_m2", "x", "y")
"""Attributes of each piece besides its shape."""
_TEXTS = ("source", "side", "stratum")

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_FIELDS = {
    "polygon_id": pa.int64(),
    "code": pa.int32(),
    "source": pa.string(),
    "source_id": pa.string(),
    "year": pa.int32(),
    "rule": pa.string(),
    "side": pa.string(),
    "stratum": pa.string(),
    "area_m2": pa.float64(),
    "x": pa.float64(),
    "y": pa.float64(),
}


def write_cell(table: geopandas.GeoDataFrame, final: Path) -> None:
    """Publish the pieces of a cell."""
    shapes = np.asarray(table.geometry)
    centres = shapely.centroid(shapes)
    known = table.drop(columns="geometry").assign(
        area_m2=shapely.area(shapes), x=shapely.get_x(centres), y=shapely.get_y(centres)
    )
    arrow = pa.Table.from_pandas(known[list(_FIELDS)], pa.schema(_FIELDS), preserve_index=False)
    boxes = shapely.bounds(shapes).reshape(-1, 4)
    arrow = arrow.append_column(
        "bbox", pa.StructArray.from_arrays([pa.array(edge) for edge in boxes.T], _EDGES)
    )
    wkb = pa.array(shapely.to_wkb(shapes, flavor="iso"), pa.binary())
    arrow = arrow.append_column("geometry", wkb).replace_schema_metadata(
        {"geo": json.dumps(_geo(table.crs.to_json_dict(), _extent(boxes)))}
    )

    def write(path: Path) -> None:
        pq.write_table(arrow, path, compression="zstd", row_group_size=ROW_GROUP)

    verified(write, lambda path: _expect(path, len(table)), final)


def read_small(paths: Sequence[Path]) -> pd.DataFrame:
    """Return the columns `SMALL` of all cells, with ``cell`` and ``row`` in it, 50 bytes a row.

    ``order`` numbers the objects as their sources list them, by name of the source and
    identifier (of two numbers the smaller first).
    """
    order = _order(paths)
    texts = {name: CodedTexts() for name in _TEXTS}
    parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in (*SMALL, "cell", "row")}
    for number, path in enumerate(paths):
        table = pq.read_table(path, columns=[*SMALL], read_dictionary=[*_TEXTS])
        for name in SMALL:
            column = table[name]
            parts[name].append(texts[name].codes(column) if name in texts else column.to_numpy())
        parts["cell"].append(np.full(len(table), number, np.int32))
        parts["row"].append(np.arange(len(table), dtype=np.int32))
    columns: dict[str, Any] = {name: np.concatenate(parts.pop(name)) for name in [*parts]}
    for name, coded in texts.items():
        columns[name] = coded.categories(columns[name])
    return pd.DataFrame({**columns, "order": order}, copy=False)


def read_boxes(paths: Sequence[Path]) -> dict[str, npt.NDArray[np.float64]]:
    """Return the bounds of the pieces of all cells: ``x_min``, ``y_min``, ``x_max``, ``y_max``."""
    boxes = [_edges(path) for path in paths]
    return {name: np.concatenate([one.pop(name) for one in boxes]) for name in [*boxes[0]]}


def _edges(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    box = pq.read_table(path, columns=["bbox"])["bbox"].combine_chunks()
    return {f"{name[0]}_{name[1:]}": pc.struct_field(box, name).to_numpy() for name in _EDGES}


def _order(paths: Sequence[Path]) -> npt.NDArray[np.int32]:
    """Return for each piece the place of its object among all, int32, shape ``(pieces,)``."""
    objects, place = _places(paths)
    pa.default_memory_pool().release_unused()  # so that the texts do not add to what comes next
    found: npt.NDArray[np.int32] = objects.to_rows(place)
    return found


def _places(paths: Sequence[Path]) -> tuple[ByObject, npt.NDArray[np.int32]]:
    ids, source, names = _identifiers(paths)
    objects = ByObject.of(ids)
    source, names = source[objects.first], names.take(objects.first)
    place = np.empty(len(objects), np.int32)
    done = 0
    for number in np.unique(source):
        rows = np.flatnonzero(source == number)
        some = names.take(rows)
        keys = pa.table({"size": pc.utf8_length(some), "name": some})
        ranked = pc.sort_indices(keys, [("size", "ascending"), ("name", "ascending")]).to_numpy()
        place[rows[ranked]] = np.arange(done, done + len(rows))
        done += len(rows)
    return objects, place


def _identifiers(
    paths: Sequence[Path],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8], pa.ChunkedArray]:
    """Return ``polygon_id``, the place of the source among all, and ``source_id`` of all pieces."""
    coded, ids, source, names = CodedTexts(), [], [], []
    for path in paths:
        columns = ["polygon_id", "source", "source_id"]
        table = pq.read_table(path, columns=columns, read_dictionary=["source"])
        ids.append(table["polygon_id"].to_numpy())
        source.append(coded.codes(table["source"]))
        names += table["source_id"].chunks
    listed = coded.categories(np.concatenate(source)).codes
    return np.concatenate(ids), listed, pa.chunked_array(names, pa.string())


def join_cells(
    paths: Sequence[Path],
    kept: pd.DataFrame,
    columns: Mapping[str, pa.DataType],
    final: Path,
) -> None:
    """Publish the pieces of all cells that were kept, one cell in memory at a time.

    Parameters
    ----------
    paths
        Files of the cells.
    kept
        The rows to keep, ascending by ``cell``, with the ``row`` within it, ``part`` and
        `columns`.
    columns
        Columns to add after the others, with their types.
    final
        The file to publish.
    """
    ends = np.searchsorted(kept["cell"].to_numpy(), np.arange(len(paths) + 1))
    cells = [slice(*both) for both in pairwise(ends.tolist())]
    row = kept["row"].to_numpy()
    meta = json.loads(pq.read_schema(paths[0]).metadata[b"geo"])
    extent = _extent_of(paths, [row[own] for own in cells])
    geo = _geo(meta["columns"]["geometry"]["crs"], extent)

    def write(path: Path) -> None:
        writer: pq.ParquetWriter | None = None
        for source, own in zip(paths, cells, strict=True):
            rows = kept.iloc[own]
            table = _completed(pq.read_table(source).take(row[own]), rows, columns)
            table = table.replace_schema_metadata({"geo": json.dumps(geo)})
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table, row_group_size=ROW_GROUP)
        if writer is not None:
            writer.close()

    verified(write, lambda path: _expect(path, len(kept)), final)


def write_empty(final: Path, epsg: int, columns: Mapping[str, pa.DataType]) -> None:
    """Publish a file like that of :func:`join_cells`, without any piece.

    Parameters
    ----------
    final
        The file to publish.
    epsg
        Coordinate system of the map.
    columns
        As of :func:`join_cells`.
    """
    box = pa.struct([(edge, pa.float64()) for edge in _EDGES])
    known = {**_FIELDS, "bbox": box, "geometry": pa.binary()}
    nothing = pa.table({name: pa.array([], kind) for name, kind in known.items()})
    rows = pd.DataFrame({name: np.empty(0, object) for name in ("part", *columns)})
    geo = _geo(CRS.from_epsg(epsg).to_json_dict(), _extent(np.empty((0, 4))))
    table = _completed(nothing, rows, columns).replace_schema_metadata({"geo": json.dumps(geo)})
    verified(
        lambda path: pq.write_table(table, path, compression="zstd"),
        lambda path: _expect(path, 0),
        final,
    )


def _completed(table: pa.Table, rows: pd.DataFrame, columns: Mapping[str, pa.DataType]) -> pa.Table:
    """Return the columns of the reference, in their order."""
    added = {name: pa.array(rows[name].to_numpy(), kind) for name, kind in columns.items()}
    first = {"polygon_id": table["polygon_id"], "part": pa.array(rows["part"], pa.int32())}
    names = ("code", "source", "source_id", "year", "rule", "stratum")
    return pa.table(
        {
            **first,
            **{name: table[name] for name in names},
            **added,
            "bbox": table["bbox"],
            "geometry": table["geometry"],
        }
    )


def _geo(crs: dict[str, Any], extent: Sequence[float]) -> dict[str, Any]:
    """Return the metadata that make a Parquet file GeoParquet."""
    covering = {edge: ["bbox", edge] for edge in _EDGES}
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": crs,
        "covering": {"bbox": covering},
    }
    if np.isfinite(extent).all():
        column["bbox"] = [float(edge) for edge in extent]
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def _extent(boxes: npt.NDArray[np.float64]) -> list[float]:
    if not len(boxes):
        return [np.inf, np.inf, -np.inf, -np.inf]
    return [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]


def _extent_of(paths: Sequence[Path], rows: Sequence[npt.NDArray[np.int32]]) -> list[float]:
    """Return the extent of some rows of each cell."""
    found = [np.empty((0, 4))]
    for path, own in zip(paths, rows, strict=True):
        if len(own):
            edges = np.stack([values[own] for values in _edges(path).values()], axis=1)
            found.append(np.array([_extent(edges)]))
    return _extent(np.concatenate(found))


def _expect(path: Path, rows: int) -> None:
    """Raise OSError unless the file reads back whole."""
    found = sum(len(piece) for piece in pieces(path, ["polygon_id", "geometry"], ROW_GROUP))
    if found != rows:
        raise OSError(f"{path.name} was read back with {found} rows, not {rows}")
