"""What a layer of a vector file is, known without reading its features."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyproj


class Schema(NamedTuple):
    """What a layer is, known without reading its features.

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
        How many features; negative where the format does not tell.
    """

    layer: str
    fields: tuple[str, ...]
    geometry_type: str | None
    crs: pyproj.CRS | None
    n_features: int


def system_of(found: Any, given: str | None) -> pyproj.CRS | None:
    """Return the coordinate system that a file names, or where it names none the one given."""
    crs = None if found is None else pyproj.CRS.from_user_input(found)
    # GeoPackages name their "none": undefined Cartesian and undefined geographic system.
    if crs is not None and not crs.name.casefold().startswith("undefined"):
        return crs
    return None if given is None else pyproj.CRS.from_user_input(given)
