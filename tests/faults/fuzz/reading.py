"""What foreign libraries read in a damaged file: the same, other valid values, or nothing.

This keeps the class "another input" narrow: only a file that rasterio, zipfile, ElementTree,
pyogrio or csv read to its end counts, and only where what they read differs.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

SAME, OTHER, UNREADABLE = "same", "other", "unreadable"


def comparison(before: Path, after: Path) -> str:
    """Compare what a file held with what it holds now, as a foreign library reads both."""
    read = _READERS.get(after.suffix, _bytes)
    expected = read(before)
    try:
        found = read(after)
    except Exception:  # noqa: BLE001 - whatever a library raises, it does not read the file
        return UNREADABLE
    return SAME if _equal(expected, found) else OTHER


def _raster(path: Path) -> Any:
    import rasterio

    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.open(path, driver="GTiff") as source:
        return (source.read(), tuple(source.transform), source.crs, source.nodata, source.dtypes)


def _archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _xml(path: Path) -> Any:
    root = ElementTree.fromstring(path.read_bytes())
    return [(node.tag, sorted(node.attrib.items()), (node.text or "").strip())
            for node in root.iter()]  # fmt: skip


def _vector(path: Path) -> Any:
    import geopandas

    frame = geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path)
    table = frame.drop(columns="geometry")
    return (frame.crs, frame.geometry.to_wkb().tolist(), table.columns.tolist(),
            table.astype(str).to_numpy().tolist())  # fmt: skip


def _table(path: Path) -> Any:
    return list(csv.reader(io.StringIO(path.read_text(encoding="latin-1"))))


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _bytes(path: Path) -> Any:
    return path.read_bytes()


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return bool(np.array_equal(one, other))
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


_READERS: dict[str, Callable[[Path], Any]] = {
    ".tif": _raster, ".zip": _archive, ".xml": _xml, ".csv": _table, ".json": _json,
    **dict.fromkeys((".gpkg", ".shp", ".geojson", ".parquet", ".fgb"), _vector),
}  # fmt: skip
