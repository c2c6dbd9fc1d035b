"""Helpers for geometries: areas, equality, the grid of overlays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

Geometries = npt.NDArray[np.object_]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

LEAST_AREA_M2 = 1e-3
"""Below this a difference of geometries is rounding, not land."""
GRID_M = 1e-4
"""Overlays snap to this grid: with floating coordinates GEOS may report a whole polygon as the
intersection of two that only share a border up to rounding."""

_SAME_WITHIN_M = 0.01
_POLYGON, _MULTIPOLYGON = 3, 6


def polygonal(geometries: Geometries) -> Geometries:
    """Return only the areas of geometries of any type: polygons, multipolygons or empty."""
    result = geometries.copy()
    other = ~np.isin(shapely.get_type_id(geometries), (_POLYGON, _MULTIPOLYGON))
    for i in np.flatnonzero(other):
        # Taken apart twice: a collection may hold multipolygons.
        parts = shapely.get_parts(shapely.get_parts(geometries[i : i + 1]))
        areas = parts[shapely.get_type_id(parts) == _POLYGON]
        result[i] = shapely.union_all(areas) if len(areas) else shapely.Polygon()
    return result


def repaired(geometries: Geometries) -> tuple[Geometries, npt.NDArray[np.bool_]]:
    """Return valid areas, and which of the geometries were not valid before.

    Nothing is left of one with vertices that are not numbers: GEOS repairs no such shape.
    """
    result, lost = geometries.copy(), ~finite(geometries)
    result[lost] = shapely.Polygon()
    broken = ~shapely.is_valid(result)
    result[broken] = shapely.make_valid(result[broken])
    return polygonal(result), broken | lost


def finite(geometries: Geometries) -> npt.NDArray[np.bool_]:
    """Return which geometries have only finite vertices; missing ones count as such."""
    coordinates, rows = shapely.get_coordinates(geometries, return_index=True)
    result = np.ones(len(geometries), dtype=bool)
    result[rows[~np.isfinite(coordinates).all(axis=1)]] = False
    return result


def fingerprints(geometries: Geometries) -> npt.NDArray[np.object_]:
    """Return bytes that are equal for geometries equal within a centimetre."""
    rounded = shapely.set_precision(geometries, _SAME_WITHIN_M, mode="pointwise")
    return shapely.to_wkb(shapely.normalize(rounded))


def groups(keys: npt.NDArray[np.int64]) -> list[Rows]:
    """Return the positions of equal keys, one array per distinct key, by ascending key."""
    if not len(keys):
        return []
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order])) + 1
    return np.split(order, starts)
