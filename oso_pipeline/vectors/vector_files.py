"""Open vector files of any format, saying plainly what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
from shapely.errors import ShapelyError

from oso_pipeline.core.commit import digest, sha256_file
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.regular_files import is_odd
from oso_pipeline.vectors.damage import (
    DAMAGED_SYSTEM,
    NOT_BUILT,
    UNREADABLE,
    is_cut,
    report_unreadable,
    without_damaged,
)
from oso_pipeline.vectors.field_names import nearest
from oso_pipeline.vectors.parquet_files import parquet_schema, read_parquet_window
from oso_pipeline.vectors.shapefiles import (
    BYTES_AS_THEY_ARE,
    PARTS,
    box_of,
    companion,
    decoded,
    files_of_folder,
    foreign_encoding,
)
from oso_pipeline.vectors.stand_ins import readable
from oso_pipeline.vectors.systems import near_miss
from oso_pipeline.vectors.vector_schema import (
    Schema,
    info_of,
    layers_of,
    state_of,
    system_of,
    unusable,
)
from oso_pipeline.vectors.window import Window

_COMPANIONS: dict[str, tuple[str, ...]] = {
    ".shp": PARTS[1:],
    ".tab": (".dat", ".map", ".id", ".ind"),
    ".mif": (".mid",),
    ".gml": (".xsd", ".gfs"),
    ".gpkg": (".gpkg-wal",),
    ".csv": (".csvt", ".prj"),
}


@dataclass(frozen=True, slots=True)
class VectorFile:
    """A layer of a vector file, which may consist of several files on disk.

    Parameters
    ----------
    path
        The file, or the folder of a format that is a folder.
    layer
        Layer to read; needed where there are several.
    crs
        Coordinate system for a file without one, for example EPSG:2154; it never replaces its own.
    """

    path: Path
    layer: str | None = None
    crs: str | None = None

    @property
    def name(self) -> str:
        """File name, and layer where one is given; without folder."""
        return self.path.name if self.layer is None else f"{self.path.name}:{self.layer}"

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file whose content determines what is read, sorted by name."""
        if self.path.is_dir():
            return files_of_folder(self.path)
        wanted = _COMPANIONS.get(self.path.suffix.lower(), ())
        companions = [
            file
            for file in self.path.parent.glob(f"{_escaped(self.path.stem)}.*")
            if file.suffix.lower() in wanted
        ]
        return tuple(sorted({self.path, *companions}))

    @property
    def has_table(self) -> bool:
        """Whether there is an attribute table; shapefiles come without at times."""
        return self.path.suffix.lower() != ".shp" or companion(self.path, ".dbf") is not None

    @property
    def encoding(self) -> str | None:
        """In which GDAL is to read texts; None where it finds out by itself."""
        if self.path.suffix.lower() != ".shp" or foreign_encoding(self.path):
            return None
        return BYTES_AS_THEY_ARE

    def digest(self) -> str:
        """Return the SHA-256 over the content of all `files`; OSError if one is unreadable."""
        contents = []
        for file in self.files:
            state = file.stat()
            contents.append([file.name, _sha256(file, state.st_size, state.st_mtime_ns)])
        return digest(contents)

    def schema(self, problems: Problems) -> Schema | None:
        """Return layer, fields and coordinate system without reading features.

        Problems found: file or layer cannot be read, or a file of it is cut
        (``E-PATH-MISSING``). The result is then None.
        """
        if not self.path.exists():
            hint = "correct the path; relative paths begin at the configuration file"
            problems.error("E-PATH-MISSING", "the vector file does not exist", self.path, hint)
            return None
        try:
            if is_cut(self.path, problems) or self._is_odd(problems):
                return None
            if self.path.suffix.lower() == ".parquet":
                return self._schema_of_parquet()
            return self._schema_by_gdal(problems)
        except UNREADABLE as error:
            report_unreadable(self.path, error, problems)
            return None

    def check(self, columns: Sequence[str], problems: Problems) -> Schema | None:
        """Return the schema where `read` with these columns can go ahead, else None.

        Problems found: file or layer cannot be read (``E-VECTOR-READ``), a column is missing
        (``E-VECTOR-COLUMN``), no coordinate system or one without a place (``E-CRS-MISSING``), one
        that is nearly a known one (``W-CRS-DAMAGED``), no geometry at all (``E-GEOMETRY-NONE``).
        """
        before = len(problems.errors)
        schema = self.schema(problems)
        if schema is None:
            return None
        self._check_columns(schema, columns, problems)
        if schema.geometry_type is None:
            message = "polygons are expected, but the file holds a table without geometry"
            problems.error("E-GEOMETRY-NONE", message, self.path, "is the .shp file there?")
        elif schema.crs is None:
            hint = "add the .prj file, or name the system as `crs` of the source"
            message = "the vector file has no coordinate system, one is needed to place it"
            if schema.unusable is not None:
                message = (
                    f"the coordinate system of the file, {schema.unusable!r}, has no place on Earth"
                )
            problems.error("E-CRS-MISSING", message, self.path, hint)
        elif (difference := near_miss(schema.crs)) is not None:
            message = f"the coordinate system {schema.crs.name!r} of the file {difference}"
            problems.warn("W-CRS-DAMAGED", message, self.path, DAMAGED_SYSTEM)
        return None if len(problems.errors) > before else schema

    def layers(self, problems: Problems) -> tuple[str, ...]:
        """Return the names of the layers with geometry; of all where not one has it.

        A file that cannot be read has none (``E-VECTOR-READ``).
        """
        if self.path.suffix.lower() == ".parquet":
            return (self.path.stem,)
        try:
            return () if is_cut(self.path, problems) else layers_of(self.path, state_of(self.files))
        except UNREADABLE as error:
            report_unreadable(self.path, error, problems)
            return ()

    def count(self, problems: Problems) -> int:
        """Return how many features there are, those without geometry included; 0 if unreadable."""
        schema = self.schema(problems)
        if schema is None or schema.n_features >= 0:
            return 0 if schema is None else schema.n_features
        with readable(self.path) as path:
            info = pyogrio.read_info(path, layer=schema.layer, force_feature_count=True)
        return int(info["features"])

    def read(
        self, columns: Sequence[str], problems: Problems, window: Window | None = None
    ) -> geopandas.GeoDataFrame | None:
        """Return the features with `columns` and their geometry, in the order of the file.

        Parameters
        ----------
        columns
            Names of columns as `schema` gives them.
        problems
            Receives what `check` finds; the result is None after errors. Features whose geometry
            cannot be built, or has a vertex that is not a number, are left out
            (``W-GEOMETRY-INVALID``).
        window
            Only features whose bounds meet it are read, and few others.

        Returns
        -------
        geopandas.GeoDataFrame
            Two-dimensional geometries in the coordinate system of the file. The index holds
            the numbers of the features in the file, as GDAL counts them.
        """
        schema = self.check(columns, problems)
        if schema is None:
            return None
        box = None if window is None or schema.crs is None else window.bounds_in(schema.crs)
        try:
            frame = self._read(schema, list(columns), box)
        except UNREADABLE as error:
            report_unreadable(self.path, error, problems)
            return None
        return without_damaged(frame, self.path, problems)

    def misses(self, window: Window, schema: Schema) -> bool:
        """Return whether it is known without a search that no feature meets a window."""
        if schema.crs is None or self.path.suffix.lower() != ".shp":
            return False
        box, stated = window.bounds_in(schema.crs), box_of(self.path)
        if box is None or stated is None:
            return False
        left, bottom, right, top = stated
        return box[0] > right or box[2] < left or box[1] > top or box[3] < bottom

    def read_regions(
        self, columns: Sequence[str], problems: Problems
    ) -> geopandas.GeoDataFrame | None:
        """Return all features as `read`, where none may lack: damaged ones are an error."""
        found = Problems()
        frame = self.read(columns, found)
        for one in found:
            if one.code == "W-GEOMETRY-INVALID":
                hint = "fix it, in QGIS with `fix geometries`, or export the file again"
                problems.error("E-GEOMETRY-INVALID", one.message, one.where, hint)
                frame = None
            else:
                problems.extend([one])
        return frame

    def _read(
        self, schema: Schema, columns: list[str], box: tuple[float, float, float, float] | None
    ) -> geopandas.GeoDataFrame:
        if self.path.suffix.lower() == ".parquet":
            frame = read_parquet_window(self.path, columns, box)
        else:
            with readable(self.path) as path:
                frame = self._read_by_gdal(path, schema, columns, box)
        table = pd.DataFrame({column: frame[column] for column in columns}, index=frame.index)
        shapes = np.asarray(frame.geometry)
        result = geopandas.GeoDataFrame(table, geometry=shapes, crs=schema.crs)
        result.attrs.update(frame.attrs)
        return result

    def _read_by_gdal(
        self,
        path: Path,
        schema: Schema,
        columns: list[str],
        box: tuple[float, float, float, float] | None,
    ) -> geopandas.GeoDataFrame:
        encoding = self.encoding
        how: dict[str, Any] = {"layer": schema.layer, "columns": columns, "bbox": box}
        how |= {"encoding": encoding, "force_2d": True, "fid_as_index": True}
        try:
            frame = pyogrio.read_dataframe(path, **how)
        except ShapelyError:
            frame = pyogrio.read_dataframe(path, **how, on_invalid="ignore")
            frame.attrs[NOT_BUILT] = True
        if encoding == BYTES_AS_THEY_ARE:
            texts = [c for c in columns if not pd.api.types.is_numeric_dtype(frame[c].dtype)]
            for column in texts:
                frame[column] = decoded(frame[column])
        return frame

    def _is_odd(self, problems: Problems) -> bool:
        """Report files of it that are devices or pipes, which GDAL would wait for."""
        odd = [file for file in self.files if is_odd(file)]
        for file in odd:
            hint = "put the file itself there"
            problems.error("E-PATH-KIND", "cannot be read: it is not a regular file", file, hint)
        return bool(odd)

    def _schema_by_gdal(self, problems: Problems) -> Schema | None:
        state = state_of(self.files)
        layers = layers_of(self.path, state)
        layer = layers[0] if self.layer is None and len(layers) == 1 else self.layer
        if layer is None:
            hint = "name one as `layer`"
            message = f"the file holds {len(layers)} layers: {', '.join(layers)}"
            problems.error("E-VECTOR-LAYER", message, self.path, hint)
            return None
        if layer not in layers:
            message = f"layer {layer!r} is not in the file, which holds {', '.join(layers)}"
            problems.error("E-VECTOR-LAYER", message, self.path, nearest(layer, layers))
            return None
        info = info_of(self.path, layer, self.encoding, state)
        fields = tuple(str(name) for name in info["fields"])
        crs, bad = system_of(info["crs"], self.crs), unusable(info["crs"])
        return Schema(layer, fields, info["geometry_type"], crs, int(info["features"]), bad)

    def _schema_of_parquet(self) -> Schema:
        found = parquet_schema(self.path)
        crs = system_of(found.crs, self.crs)
        bad = unusable(found.crs)
        return Schema(self.path.stem, found.fields, "Unknown", crs, found.n_rows, bad)

    def _check_columns(self, schema: Schema, columns: Sequence[str], problems: Problems) -> None:
        if columns and not self.has_table:
            message = (
                f"the shapefile has no attribute table (.dbf), where {', '.join(columns)} "
                "would stand; there is geometry only"
            )
            problems.error("E-VECTOR-TABLE", message, self.path, "put the .dbf beside the .shp")
            return
        for column in columns:
            if column not in schema.fields:
                fields = ", ".join(schema.fields) or "none"
                message = f"column {column!r} is not in the file; its columns: {fields}"
                hint = nearest(column, schema.fields)
                problems.error("E-VECTOR-COLUMN", message, self.path, hint)


@lru_cache(maxsize=4096)  # all layers of all departments, which each cell asks for
def _sha256(path: Path, size: int, modified_ns: int) -> str:
    # Size and time only spare hashing twice within one process; the key is the content.
    return sha256_file(path)


def _escaped(stem: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)
