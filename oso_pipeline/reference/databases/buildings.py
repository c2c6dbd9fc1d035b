"""From single buildings to built-up units, which are as large as what a pixel sees.

A building is smaller than a pixel. Closing (dilate, unite, erode) fills the yards and gardens
between neighbouring buildings; the land in between belongs to the town. Closing makes one
shape out of many buildings, so it is done in the squares of a fixed grid: a unit never
depends on what else was read, a town is many units, and no building is in two of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from oso_pipeline.vectors.geometry import GRID_M, polygonal

Geometries = npt.NDArray[np.object_]
Squares = npt.NDArray[np.int64]

SQUARE_M = 1_000.0
"""Side of the grid squares, metres in the coordinates of the map."""


@dataclass(frozen=True)
class Buildings:
    """Outlines of buildings in the coordinates of the map.

    Parameters
    ----------
    ids
        Identifiers as delivered, shape ``(n,)``, text.
    geometries
        Valid polygons, shape ``(n,)``.
    """

    ids: npt.NDArray[np.object_]
    geometries: Geometries

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, chosen: Any) -> Buildings:
        return Buildings(self.ids[chosen], self.geometries[chosen])


def squares_of(geometries: Geometries) -> Squares:
    """Return column and row of the square that holds the first vertex of each; ``(n, 2)``.

    The first vertex is a place of the building that no reading by window can miss.
    """
    coordinates, rows = shapely.get_coordinates(geometries, return_index=True)
    _, first = np.unique(rows, return_index=True)
    return np.floor(coordinates[first] / SQUARE_M).astype(np.int64)


def built_up_units(buildings: Buildings, radius_m: float) -> Buildings:
    """Close buildings by square and return one shape per group of neighbours.

    Neighbours are buildings of a square of which a chain of gaps of less than twice
    `radius_m` leads from one to the other. The closed shape of a group may have several parts,
    where gaps were narrow enough to make neighbours and too wide to be filled.

    Parameters
    ----------
    buildings
        All buildings of every square that occurs; see `squares_of`.
    radius_m
        By how much outlines are dilated and then eroded, metres.

    Returns
    -------
    Buildings
        The units; the identifier of a unit is the smallest of its buildings. Ordered by
        square, then by identifier.
    """
    ids: list[npt.NDArray[np.object_]] = [np.empty(0, dtype=object)]
    shapes: list[Geometries] = [np.empty(0, dtype=object)]
    for group in _by_square(buildings):
        dilated = shapely.union_all(shapely.buffer(group.geometries, radius_m))
        parts = shapely.get_parts(dilated)
        names = _smallest_ids(group, parts)
        order = np.argsort(names)
        ids.append(names[order])
        shapes.append(shapely.buffer(parts[order], -radius_m))
    return Buildings(np.concatenate(ids), np.concatenate(shapes))


def _by_square(buildings: Buildings) -> Iterator[Buildings]:
    """Yield the buildings of one square after the other, ordered by identifier.

    The order matters: sums of floating coordinates depend on it, and the order of the file
    would differ between a department and its neighbour.
    """
    if not len(buildings):
        return
    squares = squares_of(buildings.geometries)
    order = np.lexsort((buildings.ids.astype(str), squares[:, 1], squares[:, 0]))
    border = np.any(np.diff(squares[order], axis=0) != 0, axis=1)
    for rows in np.split(order, np.flatnonzero(border) + 1):
        yield buildings[rows]


def _smallest_ids(group: Buildings, parts: Geometries) -> npt.NDArray[np.object_]:
    """Return the smallest identifier of the buildings inside each part of the dilation."""
    coordinates, rows = shapely.get_coordinates(group.geometries, return_index=True)
    _, first = np.unique(rows, return_index=True)
    tree = shapely.STRtree(parts)
    of_building, of_part = tree.query(shapely.points(coordinates[first]), predicate="intersects")
    names = np.full(len(parts), None, dtype=object)
    # Buildings come ordered by identifier: written from the last, the smallest remains.
    names[of_part[::-1]] = group.ids[of_building[::-1]]
    return names


def inside(units: Buildings, zones: Geometries) -> Buildings:
    """Return what of each unit lies in zones; units without any such part are left out.

    Parameters
    ----------
    units
        Shapes that may have several parts.
    zones
        Valid polygons, shape ``(m,)``, in the same coordinates.
    """
    shapely.prepare(zones)
    tree = shapely.STRtree(units.geometries)
    whole = np.unique(tree.query(zones, predicate="covers")[1])
    of_zone, of_unit = tree.query(zones, predicate="intersects")
    crossing = ~np.isin(of_unit, whole)
    of_zone, of_unit = of_zone[crossing], of_unit[crossing]
    order = np.lexsort((of_zone, of_unit))
    of_zone, of_unit = of_zone[order], of_unit[order]
    pieces = shapely.intersection(units.geometries[of_unit], zones[of_zone], grid_size=GRID_M)
    cut, first = np.unique(of_unit, return_index=True)
    shapes = units.geometries.copy()
    shapes[cut] = [shapely.union_all(group) for group in np.split(pieces, first[1:])][: len(cut)]
    kept = np.union1d(whole, cut).astype(np.intp)
    shapes = polygonal(shapes[kept])
    kept = kept[filled := shapely.area(shapes) > 0]
    return Buildings(units.ids[kept], shapes[filled])
