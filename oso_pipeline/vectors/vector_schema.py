"""Schema of a layer of a vector file, read without its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyogrio
import pyproj
from pyproj.exceptions import ProjError

from oso_pipeline.vectors.stand_ins import readable
from oso_pipeline.vectors.systems import places

_SHOWN = 60

State = tuple[tuple[str, int, int], ...]
"""Name, size and time of change of the files that a vector file consists of."""


class Schema(NamedTuple):
    """Schema of a layer, read without its features.

    Parameters
    ----------
    layer
        Name of the layer.
    fields
        Names of the columns.
    geometry_type
        As GDAL names it, ``Polygon Z`` for example; None for a table without geometry.
    crs
        Coordinate system, None where the file names none and none was given.
    n_features
        How many features; negative if the format does not state it.
    unusable
        Name of the coordinate system in the file where it places nothing on Earth.
    """

    layer: str
    fields: tuple[str, ...]
    geometry_type: str | None
    crs: pyproj.CRS | None
    n_features: int
    unusable: str | None = None


def system_of(found: Any, given: str | None) -> pyproj.CRS | None:
    """Return the coordinate system that a file names, or where it has no usable one that given."""
    crs, _ = _usable(found)
    if crs is not None:
        return crs
    return None if given is None else pyproj.CRS.from_user_input(given)


def unusable(found: Any) -> str | None:
    """Return the name of a system that a file names and that places nothing; else None."""
    return _usable(found)[1]


def _usable(found: Any) -> tuple[pyproj.CRS | None, str | None]:
    """Return a system, or the name of what is none."""
    if found is None:
        return None, None
    try:
        crs = pyproj.CRS.from_user_input(found)
    except ProjError:
        return None, str(found)[:_SHOWN]
    # GeoPackages name their "none": undefined Cartesian and undefined geographic system.
    if crs.name.casefold().startswith("undefined"):
        return None, None
    return (crs, None) if places(crs) else (None, crs.name)


def state_of(files: Sequence[Path]) -> State:
    """Return the state of `files`, by which a change of them is noticed."""
    found = ((file, file.stat()) for file in files)
    return tuple((file.name, about.st_size, about.st_mtime_ns) for file, about in found)


@lru_cache(maxsize=4096)  # all layers of all departments, which each cell asks for
def layers_of(path: Path, state: State) -> tuple[str, ...]:
    """Return the names of the layers; read once per process and `state`.

    Tables without geometry, such as the styles that QGIS keeps beside the layers, do not count
    where there is a layer with geometry.
    """
    with readable(path) as opened:
        found = pyogrio.list_layers(opened)
    placed = tuple(str(name) for name, geometry in found if geometry is not None)
    return placed or tuple(str(name) for name, _ in found)


@lru_cache(maxsize=1024)
def info_of(path: Path, layer: str, encoding: str | None, state: State) -> Mapping[str, Any]:
    """Return the information of GDAL on a layer; read once per process and `state`.

    Opening a database costs more than reading a cell of it, and each cell needs the schema.
    """
    with readable(path) as opened:
        return pyogrio.read_info(opened, layer=layer, encoding=encoding)
