"""Where the tiles lie on the map: their centres, how far a place is from them and inside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from pyproj import Transformer

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TileGeometry:
    """Tiles as they are seen on a map.

    Parameters
    ----------
    grids
        The 10 m grid of each tile in the tile's own coordinate system.
    epsg
        Coordinate system of the map, projected, in metres.
    """

    grids: Mapping[str, GeoBox]
    epsg: int

    @cached_property
    def tiles(self) -> tuple[str, ...]:
        """Names of the tiles in the order of the indices that :meth:`owner_of` returns."""
        return tuple(sorted(self.grids))

    def _to_map_of(self, tile: str) -> Transformer:
        return _transformer(_epsg(self.grids[tile]), self.epsg)

    @cached_property
    def _centres(self) -> dict[str, tuple[float, float]]:
        return {tile: self._to_map(tile, *_middle(grid)) for tile, grid in self.grids.items()}

    @cached_property
    def _extents(self) -> dict[str, tuple[float, float, float, float]]:
        """Bounds of each tile on the map, metres, generous by the sag of straight edges."""
        extents = {}
        for tile, grid in self.grids.items():
            edge = np.array(grid.boundary(16))
            x, y = self._to_map(tile, *(grid.affine @ (edge[:, 0], edge[:, 1])))
            slack = 500.0
            extents[tile] = (x.min() - slack, y.min() - slack, x.max() + slack, y.max() + slack)
        return extents

    def _near(
        self, left: float, bottom: float, right: float, top: float, margin_m: float = 0.0
    ) -> set[str]:
        return {
            tile
            for tile, (x0, y0, x1, y1) in self._extents.items()
            if x0 - margin_m <= right
            and x1 + margin_m >= left
            and y0 - margin_m <= top
            and y1 + margin_m >= bottom
        }

    def _to_map(self, tile: str, x: Any, y: Any) -> Any:
        return self._to_map_of(tile).transform(x, y)

    def _distance2(self, tile: str, x: Any, y: Any) -> Any:
        """Squared distance from the centre of a tile on the map, square metres."""
        centre_x, centre_y = self._centres[tile]
        return (x - centre_x) ** 2 + (y - centre_y) ** 2

    def _pixel(self, tile: str, x: Any, y: Any) -> tuple[Any, Any]:
        """Return column and row in the grid of a tile, with fractions."""
        grid = self.grids[tile]
        there = _transformer(self.epsg, _epsg(grid)).transform(x, y)
        column, row = ~grid.affine @ there
        return column, row

    def _contains(self, tile: str, x: Floats, y: Floats) -> Mask:
        rows, columns = self.grids[tile].shape
        column, row = self._pixel(tile, x, y)
        inside: Mask = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        return inside

    def _depth(self, tile: str, x: Any, y: Any) -> Any:
        """How far inside the grid of a tile a place lies, metres; negative outside."""
        grid = self.grids[tile]
        rows, columns = grid.shape
        column, row = self._pixel(tile, x, y)
        depth = np.minimum(np.minimum(column, columns - column), np.minimum(row, rows - row))
        return depth * abs(grid.resolution.x)


def _middle(grid: GeoBox) -> tuple[float, float]:
    rows, columns = grid.shape
    x, y = grid.affine @ (columns / 2, rows / 2)
    return x, y


def _epsg(grid: GeoBox) -> int:
    if grid.crs is None or grid.crs.epsg is None:
        raise ValueError("the grid of a tile needs a coordinate system with an EPSG code")
    return int(grid.crs.epsg)


@lru_cache(maxsize=64)
def _transformer(source: int, target: int) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)
