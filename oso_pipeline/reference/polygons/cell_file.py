"""GeoParquet files of polygons: one per cell, and all of them joined without loading them.

GeoParquet 1.1 with a bounding box per row (https://geoparquet.org/releases/v1.1.0), which QGIS
and GDAL read; text columns are plain text, whole numbers int32 or int64.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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

from oso_pipeline.core.commit import verified

ROW_GROUP = 16_384
"""Rows that a reader loads or skips together; they lie near each other."""

SMALL = (
    "polygon_id", "code", "source", "side", "stratum", "area_m2", "x", "y",
    "x_min", "y_min", "x_max", "y_max",
)  # fmt: skip
"""What is known of each piece besides its shape."""

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
    """Return the columns `SMALL` of all cells, with ``cell`` and ``row`` in it.

    ``order`` numbers the objects as their sources list them, by name of the source and
    identifier (of two numbers the smaller first).
    """
    parts = []
    for number, path in enumerate(paths):
        columns = [*(name for name in SMALL if name in _FIELDS), "source_id"]
        table = pq.read_table(path, columns=[*columns, "bbox"])
        box = table["bbox"].combine_chunks()
        edges = {f"{name[0]}_{name[1:]}": pc.struct_field(box, name).to_numpy() for name in _EDGES}
        frame = table.select(columns).to_pandas(strings_to_categorical=True)
        parts.append(frame.assign(**edges, cell=number, row=np.arange(len(frame))))
    whole = pd.concat(parts, ignore_index=True)
    for name in ("source", "side", "stratum"):
        whole[name] = whole[name].astype(str).astype("category")
    return whole.assign(order=_order(whole)).drop(columns="source_id")


def _order(parts: pd.DataFrame) -> npt.NDArray[np.int64]:
    objects = parts.drop_duplicates("polygon_id")
    names = objects["source_id"].astype(str)
    keys = pd.DataFrame({"source": objects["source"].astype(str), "size": names.str.len()})
    ranked = keys.assign(name=names).sort_values(["source", "size", "name"]).index
    place = pd.Series(np.arange(len(ranked)), index=objects.loc[ranked, "polygon_id"])
    return place.loc[parts["polygon_id"]].to_numpy(dtype=np.int64)


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
        The rows to keep, with their ``cell``, ``row`` within it, ``part`` and `columns`.
    columns
        Columns to add after the others, with their types.
    final
        The file to publish.
    """
    extent = [np.inf, np.inf, -np.inf, -np.inf]
    if len(kept):
        extent = [
            kept["x_min"].min(),
            kept["y_min"].min(),
            kept["x_max"].max(),
            kept["y_max"].max(),
        ]
    meta = json.loads(pq.read_schema(paths[0]).metadata[b"geo"])
    geo = _geo(meta["columns"]["geometry"]["crs"], extent)

    def write(path: Path) -> None:
        writer: pq.ParquetWriter | None = None
        for number, source in enumerate(paths):
            rows = kept[kept["cell"] == number]
            table = _completed(pq.read_table(source).take(rows["row"].to_numpy()), rows, columns)
            table = table.replace_schema_metadata({"geo": json.dumps(geo)})
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table, row_group_size=ROW_GROUP)
        if writer is not None:
            writer.close()

    verified(write, lambda path: _expect(path, len(kept)), final)


def write_nothing(final: Path, epsg: int, columns: Mapping[str, pa.DataType]) -> None:
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


def _expect(path: Path, rows: int) -> None:
    """Raise OSError unless the file reads back whole."""
    found = 0
    with pq.ParquetFile(path) as source:
        for batch in source.iter_batches(batch_size=ROW_GROUP, columns=["polygon_id", "geometry"]):
            found += len(batch)
    if found != rows:
        raise OSError(f"{path.name} was read back with {found} rows, not {rows}")
