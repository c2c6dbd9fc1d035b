"""The fixed squares in which polygons are prepared, and in which large ones are cut.

Squares lie on multiples of their side in the coordinates of the map, so that they are the
same in every run, whatever tiles are mapped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Transformer

from oso_pipeline.core.tiles import Tile
from oso_pipeline.vectors.geometry import GRID_M, Floats, Geometries, Rows, polygonal

CELL_M = 50_000.0
"""Side of the cells, the unit of work."""
CUT_M = 5_000.0
"""Side of the squares in which large polygons are cut."""
MARGIN_M = 1_000.0
"""Margin that is read around a cell. No operation reaches farther than 200 m."""

_ON_THE_LINE = 1e-9

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Cell:
    """A square of a regular grid, half-open: its left and lower edges belong to it.

    Parameters
    ----------
    column, row
        Index in the grid, counted from the origin of the map's coordinates.
    side_m
        Side in metres.
    """

    column: int
    row: int
    side_m: float = CELL_M

    @property
    def name(self) -> str:
        """Name in kilometres of the lower left corner: ``x0600y6300``."""
        x, y = (round(place * self.side_m / 1000) for place in (self.column, self.row))
        return f"x{x:04d}y{y:04d}"

    def to_json(self) -> list[float]:
        """Return column, row and side."""
        return [self.column, self.row, self.side_m]

    @property
    def bounds(self) -> Bounds:
        """Left, lower, right and upper edge, metres."""
        x, y = self.column * self.side_m, self.row * self.side_m
        return x, y, x + self.side_m, y + self.side_m

    @property
    def window(self) -> Bounds:
        """The bounds with what is read around them."""
        left, lower, right, upper = self.bounds
        return left - MARGIN_M, lower - MARGIN_M, right + MARGIN_M, upper + MARGIN_M

    @cached_property
    def box(self) -> shapely.Polygon:
        """The square as polygon."""
        return shapely.box(*self.bounds)

    def meets(self, geometries: Geometries) -> npt.NDArray[np.bool_]:
        """Return which geometries may reach into the cell, by their bounding boxes."""
        return _boxes_meet(shapely.bounds(geometries), self.bounds)

    def areas(self, geometries: Geometries) -> Floats:
        """Return the area of each geometry inside the cell, square metres."""
        return shapely.area(clipped(geometries, self.bounds))


def cells_of(tiles: Iterable[str], epsg: int, side_m: float = CELL_M) -> dict[Cell, list[str]]:
    """Return the cells that `tiles` reach into, each with its tiles, by column and row."""
    found: dict[Cell, list[str]] = {}
    for tile in sorted(tiles):
        shape = footprint(tile, epsg)
        columns, rows = np.meshgrid(*_places(shape.bounds, side_m))
        for column, row in zip(columns.ravel().tolist(), rows.ravel().tolist(), strict=True):
            cell = Cell(column, row, side_m)
            if shape.intersects(cell.box):
                found.setdefault(cell, []).append(tile)
    return dict(sorted(found.items(), key=lambda item: (item[0].column, item[0].row)))


@cache
def footprint(tile: str, epsg: int) -> shapely.Polygon:
    """Return the outline of a tile on the map; its curved edges have a point per kilometre."""
    grid = Tile.parse(tile).geobox()
    edge = shapely.get_coordinates(shapely.segmentize(shapely.box(*grid.boundingbox.bbox), 1_000))
    to_map = Transformer.from_crs(grid.crs.epsg, epsg, always_xy=True)
    return shapely.Polygon(np.column_stack(to_map.transform(edge[:, 0], edge[:, 1])))


def clipped(geometries: Geometries, bounds: Bounds) -> Geometries:
    """Return the part of each geometry inside a box; geometries inside stay unchanged."""
    left, lower, right, upper = bounds
    edges = shapely.bounds(geometries)
    with np.errstate(invalid="ignore"):
        crossing = (
            (edges[:, 0] < left)
            | (edges[:, 1] < lower)
            | (edges[:, 2] > right)
            | (edges[:, 3] > upper)
        )
    if not crossing.any():
        return geometries
    result = geometries.copy()
    cut = shapely.intersection(geometries[crossing], shapely.box(*bounds), grid_size=GRID_M)
    result[crossing] = polygonal(cut)
    return result


def cut(geometries: Geometries, side_m: float = CUT_M) -> tuple[Geometries, Rows]:
    """Cut polygons along the lines of a grid.

    Returns
    -------
    pieces, rows
        The pieces, and the position of the polygon each came from; ascending.
    """
    pieces, rows = geometries, np.arange(len(geometries))
    for axis in (0, 1):
        while True:
            # Halves of halves: a polygon with many vertices is not cut by every square.
            edges = shapely.bounds(pieces) / side_m
            first = np.floor(edges[:, axis] + _ON_THE_LINE)
            last = np.ceil(edges[:, axis + 2] - _ON_THE_LINE)
            wide = last - first > 1
            if not wide.any():
                break
            middle = np.floor((first + last) / 2)[wide] * side_m
            halves = _halved(pieces[wide], axis, middle)
            parts, positions = shapely.get_parts(halves.ravel(), return_index=True)
            pieces = np.concatenate([pieces[~wide], parts])
            rows = np.concatenate([rows[~wide], np.repeat(rows[wide], 2)[positions]])
    order = np.argsort(rows, kind="stable")
    return pieces[order], rows[order]


def _halved(geometries: Geometries, axis: int, line: Floats) -> Geometries:
    """Return what lies below and above a line across each geometry, shape ``(n, 2)``."""
    edges = shapely.bounds(geometries)
    below, above = edges.copy(), edges.copy()
    below[:, axis + 2] = above[:, axis] = line
    boxes = np.stack([shapely.box(*below.T), shapely.box(*above.T)], axis=1)
    found = shapely.intersection(geometries[:, np.newaxis], boxes, grid_size=GRID_M)
    return polygonal(found.ravel()).reshape(-1, 2)


def _places(bounds: Bounds, side_m: float) -> tuple[Rows, Rows]:
    left, lower, right, upper = (edge / side_m for edge in bounds)
    return (
        np.arange(np.floor(left), np.ceil(right)).astype(np.intp),
        np.arange(np.floor(lower), np.ceil(upper)).astype(np.intp),
    )


def _boxes_meet(edges: Floats, bounds: Bounds) -> npt.NDArray[np.bool_]:
    left, lower, right, upper = bounds
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (edges[:, 0] <= right)
            & (edges[:, 2] >= left)
            & (edges[:, 1] <= upper)
            & (edges[:, 3] >= lower)
        )
