"""Which driver of GDAL may open which vector file, and what it may not do meanwhile.

A file may come from anyone, and GDAL looks at content, not at names: a file named as a GeoPackage
may be a virtual file that reads other files and addresses of the network. So each extension names
its drivers, no other one is there while a file is open, and the network is closed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pyogrio
from pyogrio.core import _register_drivers

_SHAPEFILE, _GEOPACKAGE = "ESRI Shapefile", "GPKG"
_JSON = ("GeoJSON", "TopoJSON", "ESRIJSON", "GeoJSONSeq")
_DRIVERS: dict[str, tuple[str, ...]] = {
    ".shp": (_SHAPEFILE,),
    ".shz": (_SHAPEFILE,),
    ".zip": (_SHAPEFILE, _GEOPACKAGE, "FlatGeobuf", "GeoJSON"),
    ".gpkg": (_GEOPACKAGE,),
    ".gdb": ("OpenFileGDB",),
    ".geojson": _JSON,
    ".json": _JSON,
    ".geojsonl": _JSON,
    ".fgb": ("FlatGeobuf",),
    ".gml": ("GML",),
    ".kml": ("LIBKML", "KML"),
    ".kmz": ("LIBKML",),
    ".sqlite": ("SQLite",),
    ".tab": ("MapInfo File",),
    ".mif": ("MapInfo File",),
    ".csv": ("CSV",),
}
_FOLDER = (_SHAPEFILE,)
_PACKED = (".7z", ".001", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".rar")
UNPACK = "unpack it, and name the folder or file"
_EXPORT = "export what it shows as GeoPackage"
_PARQUET = ".parquet"
_OF_ITS_OWN = re.compile(rb"^\s*type\s+(native|dbf)\b", re.IGNORECASE | re.MULTILINE)
_TAB_BYTES = 1_000_000
_CLOSED = "127.0.0.1:0"
"""A proxy that nothing can be reached by: port 0 is none."""
_LOCK = threading.RLock()


class RefusedFormat(ValueError):
    """A file of a format that is not read, or that would have other files read.

    Parameters
    ----------
    message
        Value found.
    hint
        Action for the user.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def drivers_of(path: Path) -> tuple[str, ...]:
    """Return the drivers that may open a file or folder.

    Raises
    ------
    RefusedFormat
        Where its extension names none, or it only points to other files.

    Examples
    --------
    >>> drivers_of(Path("parcels.gpkg"))
    ('GPKG',)
    """
    suffix = path.suffix.lower()
    found = _DRIVERS.get(suffix, _FOLDER if path.is_dir() else None)
    if found is None:
        known = ", ".join(sorted([*_DRIVERS, _PARQUET]))
        message = f"{suffix or 'a file without extension'} is not read; read are {known}"
        raise RefusedFormat(message, UNPACK if suffix in _PACKED else _EXPORT)
    if found is _FOLDER and not any(name.suffix.lower() == ".shp" for name in path.iterdir()):
        message = "found a folder without a shapefile, expected a vector file"
        raise RefusedFormat(message, "name the file itself")
    if suffix == ".tab" and not _holds_its_table(path):
        message = "a .tab that joins or lists other tables is not read, these are"
        raise RefusedFormat(message, _EXPORT)
    return found


@contextmanager
def only_as_named(path: Path) -> Iterator[None]:
    """Leave GDAL the drivers of `path`, and no network, while the block runs.

    Raises
    ------
    RefusedFormat
        As `drivers_of`.
    """
    allowed = drivers_of(path)
    settings = {
        "OGR_SKIP": ",".join(sorted(_every_driver() - set(allowed))),
        "GDAL_HTTP_PROXY": _CLOSED,
        "GDAL_HTTPS_PROXY": _CLOSED,
    }
    with _LOCK:
        before = {key: pyogrio.get_gdal_config_option(key) for key in settings}
        pyogrio.set_gdal_config_options(settings)
        # GDAL drops what it shall skip at each registration, and takes it back at the next.
        _register_drivers()
        try:
            yield
        finally:
            pyogrio.set_gdal_config_options(before)
            _register_drivers()


@cache
def _every_driver() -> frozenset[str]:
    return frozenset(pyogrio.list_drivers())


def _holds_its_table(path: Path) -> bool:
    with path.open("rb") as file:
        text = file.read(_TAB_BYTES)
    return _OF_ITS_OWN.search(text) is not None and b"isseamless" not in text.lower()
