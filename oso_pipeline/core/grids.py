"""Raster grids as JSON, so that tasks can carry them."""

from __future__ import annotations

from typing import Any

from affine import Affine
from odc.geo.geobox import GeoBox


def grid_to_json(grid: GeoBox) -> dict[str, Any]:
    """Return a north-up or rotated `grid` as JSON values, exactly.

    Raises
    ------
    ValueError
        If the coordinate system has no EPSG code.
    """
    if grid.crs is None or grid.crs.epsg is None:
        raise ValueError("a grid needs a coordinate system with an EPSG code")
    return {
        "epsg": int(grid.crs.epsg),
        "shape": [int(size) for size in grid.shape],
        "transform": [float(value) for value in tuple(grid.affine)[:6]],
    }


def grid_from_json(content: dict[str, Any]) -> GeoBox:
    """Return the grid that :func:`grid_to_json` wrote."""
    rows, columns = content["shape"]
    return GeoBox((rows, columns), Affine(*content["transform"]), f"EPSG:{content['epsg']}")
