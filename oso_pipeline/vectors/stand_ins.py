"""Where GDAL would write beside an input, or trust what lies there, it gets links elsewhere.

The inputs may lie on a read-only disk, and belong to others: nothing is ever written beside them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oso_pipeline.vectors.formats import only_as_named
from oso_pipeline.vectors.shapefiles import (
    boxes_differ,
    companion,
    index_of,
    index_with_both_boxes,
)

_PARTS_OF_SHAPEFILE = (".shx", ".dbf", ".prj", ".cpg")
_SPATIAL_INDEXES = (".qix", ".sbn")
_PARTS_OF_GML = (".xsd", ".gfs")
_WAL_AT, _WAL_VERSIONS = 18, b"\x02\x02"


@contextmanager
def readable(path: Path) -> Iterator[Path]:
    """Yield a path that GDAL may open, with the drivers of its extension only.

    It is `path` itself, or of the same name in a temporary folder: links to a shapefile without
    ``.shx``, with a new index, or whose index states another box, which then gets one that
    holds both, or with a spatial index that may be of other data; to GML, whose schema GDAL would
    write beside it; or a copy of a GeoPackage with a write-ahead log, which cannot be read without
    files of SQLite beside it.

    Raises
    ------
    RefusedFormat
        As `only_as_named`.
    """
    fill = _filler(path)
    if fill is None:
        with only_as_named(path):
            yield path.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="oso-vector-") as folder:
        stand_in = Path(folder) / f"{path.stem}{path.suffix.lower()}"
        fill(path, stand_in)
        with only_as_named(stand_in):
            yield stand_in


def _filler(path: Path) -> Callable[[Path, Path], None] | None:
    """Return what makes the stand-in of a file, None where it needs none."""
    suffix = path.suffix.lower()
    if suffix == ".shp":
        indexed = any(companion(path, one) for one in _SPATIAL_INDEXES)
        stands_in = indexed or companion(path, ".shx") is None or boxes_differ(path)
        return _link_shapefile if stands_in else None
    if suffix == ".gml":
        return _link_gml
    return _copy_database if suffix == ".gpkg" and _has_log(path) else None


def _link_shapefile(path: Path, stand_in: Path) -> None:
    stand_in.symlink_to(path.resolve())
    _link(path, stand_in, _PARTS_OF_SHAPEFILE)
    index = stand_in.with_suffix(".shx")
    if (shx := companion(path, ".shx")) is None:
        index.write_bytes(index_of(path))
    elif boxes_differ(path):
        index.unlink()
        index.write_bytes(index_with_both_boxes(path, shx))


def _link_gml(path: Path, stand_in: Path) -> None:
    stand_in.symlink_to(path.resolve())
    _link(path, stand_in, _PARTS_OF_GML)


def _copy_database(path: Path, stand_in: Path) -> None:
    # SQLite looks for the log beside the file that a link leads to, hence copies.
    shutil.copyfile(path, stand_in)
    log = path.with_name(f"{path.name}-wal")
    if log.is_file():
        shutil.copyfile(log, stand_in.with_name(f"{stand_in.name}-wal"))


def _link(path: Path, stand_in: Path, suffixes: tuple[str, ...]) -> None:
    for suffix in suffixes:
        if (found := companion(path, suffix)) is not None:
            stand_in.with_suffix(suffix).symlink_to(found.resolve())


def _has_log(path: Path) -> bool:
    """Whether a database keeps a write-ahead log; SQLite file format 1.3.3."""
    with path.open("rb") as file:
        return file.read(_WAL_AT + 2)[_WAL_AT:] == _WAL_VERSIONS
