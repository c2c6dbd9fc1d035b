"""Writes vector files as the producers deliver them: exact DBF fields, fixed bytes, any size.

GDAL writes the geometry. It cannot write DBF fields of a given width from Python and stamps
today's date into the header, so the attribute table of a shapefile is written here (dBASE III,
as in the ESRI Shapefile Technical Description of 1998). Batches are streamed: memory
depends on the size of a batch, not of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyogrio
import shapely

CRS = "EPSG:2154"
Geometries = npt.NDArray[np.object_]
Column = npt.NDArray[Any] | str | float | None
"""One value per feature, or one for all; None is an empty cell."""


@dataclass(frozen=True)
class Field:
    """A field of a DBF table: text (C), number (N) or date (D, YYYYMMDD)."""

    name: str
    kind: Literal["C", "N", "D"]
    width: int
    decimals: int = 0

    def cells(self, column: Column, count: int) -> npt.NDArray[np.bytes_]:
        """Return the padded cells of the field, shape ``(count,)``, dtype ``S<width>``.

        Raises
        ------
        ValueError
            If a value is longer than the field.
        """
        if not count:
            return np.empty(0, dtype=f"S{self.width}")
        values = np.atleast_1d(np.asarray("" if column is None else column))
        if self.kind == "N" and values.dtype.kind in "fiu":
            values = np.char.mod(f"%{self.width}.{self.decimals}f", values)
        raw = np.char.encode(values.astype(str), "utf-8")
        if raw.dtype.itemsize > self.width:
            raise ValueError(f"{self.name}: {raw.max()!r} is longer than {self.width} bytes")
        pad = np.char.rjust if self.kind == "N" else np.char.ljust
        padded = pad(raw, self.width).astype(f"S{self.width}")
        return np.broadcast_to(padded, (count,))


@dataclass(frozen=True)
class Batch:
    """Some features: geometries, and a column for each field that is not empty."""

    geometry: Geometries
    columns: Mapping[str, Column] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.geometry)

    def take(self, index: npt.NDArray[Any]) -> Batch:
        """Return the features at `index` (a mask or positions)."""
        columns = {
            name: column[index] if isinstance(column, np.ndarray) else column
            for name, column in self.columns.items()
        }
        return Batch(self.geometry[index], columns)


def concatenate(batches: Iterable[Batch]) -> Batch:
    """Return one batch; a column that some batch lacks is empty there."""
    parts = [batch for batch in batches if len(batch)]
    names = list(dict.fromkeys(chain.from_iterable(part.columns for part in parts)))
    columns: dict[str, Column] = {
        name: np.concatenate([_whole(part.columns.get(name), len(part)) for part in parts])
        for name in names
    }
    empty = np.array([], dtype=object)
    return Batch(np.concatenate([part.geometry for part in parts]) if parts else empty, columns)


def _whole(column: Column, count: int) -> npt.NDArray[Any]:
    value = "" if column is None else column
    return np.broadcast_to(np.asarray(value), (count,))


@dataclass(frozen=True)
class Shapefile:
    """How a shapefile is delivered.

    Parameters
    ----------
    fields
        Of the attribute table, in order.
    geometry_type
        As GDAL names it, ``Polygon`` or ``LineString Z``.
    code_page
        Content of the ``.cpg`` file; None for deliveries without one. Text is UTF-8 in any case,
        and the language byte of the table stays 0, as in the deliveries of IGN.
    date
        Last change in the header of the table, year, month, day.
    """

    fields: tuple[Field, ...]
    geometry_type: str = "Polygon"
    code_page: str | None = None
    date: tuple[int, int, int] = (2019, 1, 1)

    def write(self, path: Path, batches: Iterable[Batch]) -> int:
        """Write a shapefile and return the number of features.

        Raises
        ------
        ValueError
            If a batch has a column that is not a field, or a value longer than its field.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        table = path.with_suffix(".table")
        with table.open("wb") as file:
            rows = _Table(file, self)
            _write_geometry(path, "ESRI Shapefile", self.geometry_type, rows.passing(batches))
            rows.close()
        path.with_suffix(".cpg").unlink(missing_ok=True)
        table.replace(path.with_suffix(".dbf"))
        if self.code_page is not None:
            path.with_suffix(".cpg").write_text(self.code_page, encoding="ascii")
        return rows.count


class _Table:
    """A dBASE III table that grows with the batches that pass."""

    def __init__(self, file: IO[bytes], layout: Shapefile) -> None:
        self._file, self._layout = file, layout
        self.count = 0
        self._file.write(self._header())

    def _header(self) -> bytes:
        fields = self._layout.fields
        year, month, day = self._layout.date
        length = 1 + sum(f.width for f in fields)
        head = struct.pack(
            "<4BIHH20x", 3, year - 1900, month, day, self.count, 33 + 32 * len(fields), length
        )
        cells = (
            struct.pack(
                "<11sc4xBB14x", f.name.encode("ascii"), f.kind.encode(), f.width, f.decimals
            )
            for f in fields
        )
        return head + b"".join(cells) + b"\r"

    def passing(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches and write their rows."""
        names = {f.name for f in self._layout.fields}
        for batch in batches:
            if unknown := set(batch.columns) - names:
                raise ValueError(f"no such fields: {sorted(unknown)}")
            row = [("deleted", "S1"), *((f.name, f"S{f.width}") for f in self._layout.fields)]
            rows = np.empty(len(batch), dtype=row)
            rows["deleted"] = b" "
            for f in self._layout.fields:
                rows[f.name] = f.cells(batch.columns.get(f.name), len(batch))
            self._file.write(rows.tobytes())
            self.count += len(batch)
            yield batch

    def close(self) -> None:
        """End the table and write its length to the header."""
        self._file.write(b"\x1a")
        self._file.seek(0)
        self._file.write(self._header())


def write_geopackage(
    path: Path, layer: str, batches: Iterable[Batch], types: Mapping[str, pa.DataType]
) -> int:
    """Write polygons as a GeoPackage with multi-polygons in the column ``the_geom``.

    Parameters
    ----------
    path, layer
        The file, and its one layer.
    batches
        With a column for each of `types`.
    types
        Of the fields, in order.

    Returns
    -------
    int
        Number of features.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0

    def counted() -> Iterator[Batch]:
        nonlocal count
        for batch in batches:
            count += len(batch)
            single = shapely.get_type_id(batch.geometry) == shapely.GeometryType.POLYGON
            geometry = batch.geometry.copy()
            geometry[single] = shapely.multipolygons(geometry[single][:, None])
            yield Batch(geometry, batch.columns)

    options = {"GEOMETRY_NAME": "the_geom", "FID": "fid"}
    with fixed_clock():
        _write_geometry(path, "GPKG", "MultiPolygon", counted(), types, layer=layer, **options)
    return count


def _write_geometry(
    path: Path, driver: str, geometry_type: str, batches: Iterator[Batch],
    types: Mapping[str, pa.DataType] | None = None, **options: Any,
) -> None:  # fmt: skip
    """Stream batches to GDAL as Arrow record batches."""
    types = types or {}
    schema = pa.schema([*types.items(), ("geometry", pa.binary())])

    def records() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = [
                pa.array(_whole(batch.columns.get(name), len(batch)).tolist(), type=kind)
                for name, kind in types.items()
            ]
            geometry = pa.array(shapely.to_wkb(batch.geometry, include_srid=False), pa.binary())
            yield pa.record_batch([*columns, geometry], schema=schema)

    stream = pa.RecordBatchReader.from_batches(schema, records())
    pyogrio.write_arrow(
        stream, path, driver=driver, geometry_name="geometry", geometry_type=geometry_type,
        crs=CRS, **options,
    )  # fmt: skip


@contextmanager
def fixed_clock() -> Iterator[None]:
    """Make GDAL write a constant time of last change."""
    key = "OGR_CURRENT_DATE"
    before = pyogrio.get_gdal_config_option(key)
    pyogrio.set_gdal_config_options({key: "2000-01-01T00:00:00.000Z"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({key: before})
