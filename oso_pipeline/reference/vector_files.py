"""Open vector files of any format, saying plainly what is wrong with them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import geopandas
import pandas as pd
import pyarrow
import pyarrow.parquet
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from oso_pipeline.core.commit import digest, sha256_file
from oso_pipeline.core.errors import Problems

_COMPANIONS: dict[str, tuple[str, ...]] = {
    ".shp": (".shx", ".dbf", ".prj", ".cpg"),
    ".tab": (".dat", ".map", ".id", ".ind"),
    ".mif": (".mid",),
    ".gml": (".xsd", ".gfs"),
    ".gpkg": (".gpkg-wal",),
}
_UNREADABLE = (DataSourceError, DataLayerError, OSError, ValueError, pyarrow.ArrowInvalid)


@dataclass(frozen=True, slots=True)
class VectorFile:
    """A layer of a vector file, which may consist of several files on disk.

    Parameters
    ----------
    path
        The file, or the folder of a format that is a folder.
    layer
        Layer to read; needed where there are several.
    """

    path: Path
    layer: str | None = None

    @property
    def name(self) -> str:
        """File name, and layer where one is given; without folder."""
        return self.path.name if self.layer is None else f"{self.path.name}:{self.layer}"

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file whose content determines what is read, sorted by name."""
        if self.path.is_dir():
            return tuple(sorted(file for file in self.path.rglob("*") if file.is_file()))
        wanted = _COMPANIONS.get(self.path.suffix.lower(), ())
        companions = [
            file
            for file in self.path.parent.glob(f"{_escaped(self.path.stem)}.*")
            if file.suffix.lower() in wanted
        ]
        return tuple(sorted({self.path, *companions}))

    def digest(self) -> str:
        """Return the SHA-256 over the content of all `files`; OSError if one is unreadable."""
        contents = []
        for file in self.files:
            state = file.stat()
            contents.append([file.name, _sha256(file, state.st_size, state.st_mtime_ns)])
        return digest(contents)

    def read(self, columns: Sequence[str], problems: Problems) -> geopandas.GeoDataFrame | None:
        """Return the features with `columns` and their geometry, in the order of the file.

        Problems found: file or layer cannot be read (``E-INPUT-058``), a column is missing
        (``E-INPUT-041``), no coordinate system (``E-INPUT-033``), no geometry at all
        (``E-INPUT-037``). The result is then None.
        """
        before = len(problems.errors)
        if not self.path.exists():
            hint = "correct the path; relative paths begin at the configuration file"
            problems.error("E-INPUT-058", "the vector file does not exist", self.path, hint)
            return None
        try:
            if self.path.suffix.lower() == ".parquet":
                self._check_columns(pyarrow.parquet.read_schema(self.path).names, columns, problems)
                frame = (
                    geopandas.read_parquet(self.path) if len(problems.errors) == before else None
                )
            else:
                frame = self._read_with_gdal(columns, problems)
        except _UNREADABLE as error:
            hint = "the file may be cut or lack a companion (.shx, .dbf); copy or export it again"
            problems.error(
                "E-INPUT-058", f"cannot be read as vector file: {error}", self.path, hint
            )
            return None
        if frame is None:
            return None
        if frame.crs is None:
            hint = "add the .prj file, or assign the coordinate system in a GIS"
            message = "the vector file has no coordinate system, one is needed to place it"
            problems.error("E-INPUT-033", message, self.path, hint)
            return None
        table = pd.DataFrame({column: frame[column].to_numpy() for column in columns})
        return geopandas.GeoDataFrame(table, geometry=frame.geometry.to_numpy(), crs=frame.crs)

    def _read_with_gdal(
        self, columns: Sequence[str], problems: Problems
    ) -> geopandas.GeoDataFrame | None:
        before = len(problems.errors)
        layers = [str(name) for name in pyogrio.list_layers(self.path)[:, 0]]
        if self.layer is None and len(layers) > 1:
            hint = "name one as `layer`"
            message = f"the file holds {len(layers)} layers: {', '.join(layers)}"
            problems.error("E-INPUT-058", message, self.path, hint)
            return None
        if self.layer is not None and self.layer not in layers:
            message = f"layer {self.layer!r} is not in the file, which holds {', '.join(layers)}"
            problems.error("E-INPUT-058", message, self.path, nearest(self.layer, layers))
            return None
        layer = self.layer or layers[0]
        info = pyogrio.read_info(self.path, layer=layer)
        self._check_columns([str(name) for name in info["fields"]], columns, problems)
        if info["geometry_type"] is None:
            message = "polygons are expected, but the file holds a table without geometry"
            problems.error("E-INPUT-037", message, self.path, "is the .shp file there?")
        if len(problems.errors) > before:
            return None
        return geopandas.read_file(self.path, layer=layer, columns=list(columns), engine="pyogrio")

    def _check_columns(
        self, present: Sequence[str], columns: Iterable[str], problems: Problems
    ) -> None:
        for column in columns:
            if column not in present:
                fields = ", ".join(present) or "none"
                message = f"column {column!r} is not in the file; its columns: {fields}"
                problems.error("E-INPUT-041", message, self.path, nearest(column, present))


def nearest(wanted: str, present: Sequence[str]) -> str:
    """Suggest the name that was probably meant.

    Shapefiles cut names to 10 characters, and programs differ in case, so these come first.

    Examples
    --------
    >>> nearest("land_cover_code", ["id", "land_cover"])
    "did you mean 'land_cover'? (shapefiles cut names to 10 characters)"
    """
    folded = {name.casefold(): name for name in reversed(present)}
    if found := folded.get(wanted.casefold()):
        return f"did you mean {found!r}?"
    if len(wanted) > 10 and (found := folded.get(wanted[:10].casefold())):
        return f"did you mean {found!r}? (shapefiles cut names to 10 characters)"
    close = difflib.get_close_matches(wanted.casefold(), folded, n=1, cutoff=0.5)
    return f"did you mean {folded[close[0]]!r}?" if close else "name one of those that are there"


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, modified_ns: int) -> str:
    # Size and time only spare hashing twice within one process; the key is the content.
    return sha256_file(path)


def _escaped(stem: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)
