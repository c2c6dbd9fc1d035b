"""GeoParquet: metadata, and reading a window."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import geopandas
import numpy as np
import pyarrow.parquet
import shapely


class ParquetSchema(NamedTuple):
    """Fields, primary geometry column with its system as written, and number of rows."""

    fields: tuple[str, ...]
    geometry: str
    crs: Any
    n_rows: int


def parquet_schema(path: Path) -> ParquetSchema:
    """Return what the metadata of a GeoParquet file say; ValueError where it is none.

    Notes
    -----
    GeoParquet 1.1: a file without ``crs`` is in longitude and latitude (OGC:CRS84); an
    explicit null means that the system is not known.
    """
    metadata = pyarrow.parquet.read_metadata(path)
    names = tuple(metadata.schema.to_arrow_schema().names)
    geo = (metadata.metadata or {}).get(b"geo")
    if geo is None:
        raise ValueError("a Parquet file without GeoParquet metadata holds no geometry")
    content = json.loads(geo)
    column = content["primary_column"]
    system = content["columns"][column].get("crs", "OGC:CRS84")
    fields = tuple(name for name in names if name not in content["columns"])
    return ParquetSchema(fields, column, system, metadata.num_rows)


def read_parquet_window(
    path: Path, columns: Sequence[str], box: tuple[float, float, float, float] | None
) -> geopandas.GeoDataFrame:
    """Return columns and two-dimensional geometry of the features that meet a box."""
    schema = parquet_schema(path)
    frame = geopandas.read_parquet(path, columns=[*columns, schema.geometry])
    frame = frame.set_geometry(shapely.force_2d(np.asarray(frame.geometry)))
    return frame if box is None else frame.cx[box[0] : box[2], box[1] : box[3]]
