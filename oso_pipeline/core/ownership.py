"""Which tile a place of the map belongs to.

Neighbouring tiles overlap by about ten kilometres. Every place belongs to exactly one tile:
the one with the nearest centre among those whose 10 m grid contains it. Distances are
measured in the coordinate system of the map, ties go to the first name, so the answer does
not depend on blocks, workers or the order of tiles.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from oso_pipeline.core.grids import grid_from_json, grid_to_json
from oso_pipeline.core.tile_geometry import Floats, Mask, TileGeometry

MARGIN_PIXELS = 1.5
"""A map pixel takes the value of the image pixel under its centre, at most 0.71 pixels from
that pixel's own centre; the rest is reserve for rounding."""

_CELL, _LARGE_CELL = 64, 1024
_STRETCH = 1.01  # the scale of UTM against the map projection differs by less than 1 %


@dataclass(frozen=True)
class Ownership(TileGeometry):
    """The rule by which overlapping tiles share the map.

    Parameters
    ----------
    grids
        The 10 m grid of each tile in the tile's own coordinate system.
    epsg
        Coordinate system of the map, projected, in metres.
    """

    def to_json(self) -> dict[str, Any]:
        """Return the rule as JSON values, for the parameters of a task."""
        return {
            "epsg": self.epsg,
            "grids": {tile: grid_to_json(self.grids[tile]) for tile in self.tiles},
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Ownership:
        """Return the rule that :meth:`to_json` wrote."""
        grids = {tile: grid_from_json(grid) for tile, grid in content["grids"].items()}
        return cls(grids, content["epsg"])

    def neighbours(self, tile: str) -> Ownership:
        """Return the rule with only `tile` and the tiles that may overlap it.

        It gives the same answers within `tile` and is all that a task on it needs to carry.
        """
        near = self._near(*self._extents[tile])
        return Ownership({name: self.grids[name] for name in self.tiles if name in near}, self.epsg)

    def owner_of(self, x: npt.ArrayLike, y: npt.ArrayLike) -> npt.NDArray[np.int16]:
        """Return the index in :attr:`tiles` of the owner of each place, -1 where there is none.

        Parameters
        ----------
        x, y
            Map coordinates in metres, of one shape.
        """
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        owner = np.full(x.shape, -1, np.int16)
        if x.size == 0:
            return owner
        nearest = np.full(x.shape, np.inf)
        near = self._near(x.min(), y.min(), x.max(), y.max())
        for index, tile in enumerate(self.tiles):
            if tile in near:
                distance = np.where(self._contains(tile, x, y), self._distance2(tile, x, y), np.inf)
                closer = distance < nearest  # a tie stays with the first name
                owner[closer] = index
                nearest[closer] = distance[closer]
        return owner

    def owners(self, grid: GeoBox) -> npt.NDArray[np.int16]:
        """Return :meth:`owner_of` the pixel centres of a map `grid`, shape ``grid.shape``.

        Squares of pixels that certainly have one owner are decided at once.
        """
        if grid.crs is None or grid.crs.epsg != self.epsg:
            raise ValueError(f"the grid must be in EPSG:{self.epsg}, the system of the map")
        owner = np.full(tuple(grid.shape), -1, np.int16)
        self._fill(owner, grid)
        return owner

    def around(self, grid: GeoBox, also: Collection[str] = ()) -> Ownership:
        """Return the rule with only the tiles that may hold a place of a map `grid`, and `also`.

        It gives the same answers within `grid` and is all that a task on it needs to carry.
        """
        near = self._near(*grid.boundingbox.bbox) | set(also)
        return Ownership({name: self.grids[name] for name in self.tiles if name in near}, self.epsg)

    def owns(self, tile: str, block: GeoBox) -> Mask:
        """Return which pixel centres of `block`, a part of the grid of `tile`, it owns exactly."""
        return self._by_cells(tile, block, 0.0)

    def owned(self, tile: str, block: GeoBox) -> Mask:
        """Return which pixels of `block` the map may take from `tile`.

        Parameters
        ----------
        tile
            Name of the tile.
        block
            Part of the tile's 10 m grid.

        Returns
        -------
        bool array of shape ``block.shape``
            True for every pixel within `MARGIN_PIXELS` of a place that the tile owns, so a map
            made by nearest neighbour with exact ownership never lacks a pixel.
        """
        return self._by_cells(tile, block, MARGIN_PIXELS * abs(block.resolution.x))

    def owns_any(self, tile: str, block: GeoBox) -> bool:
        """Return whether :meth:`owned` is true anywhere in `block`.

        Mostly the middle pixel decides. Otherwise halves are checked until they certainly have
        one answer: hundreds of times faster.
        """
        rows, columns = block.shape
        middle = block.affine @ (columns // 2 + 0.5, rows // 2 + 0.5)
        owner = int(self.owner_of(*self._to_map_of(tile).transform(*middle)))
        return owner == self.tiles.index(tile) or self._owns_any_part(tile, block)

    def _owns_any_part(self, tile: str, block: GeoBox) -> bool:
        to_map, margin_m = self._to_map_of(tile), MARGIN_PIXELS * abs(block.resolution.x)
        certain = self._decide(tile, *self._map_cell(block, to_map), margin_m)
        if certain is not None:
            return certain
        rows, columns = block.shape
        if max(rows, columns) <= _CELL:
            x, y = to_map.transform(*_centres(block))
            return bool(self._may_own(tile, x, y, margin_m).any())
        if rows > columns:
            halves = (block[: rows // 2, :], block[rows // 2 :, :])
        else:
            halves = (block[:, : columns // 2], block[:, columns // 2 :])
        return any(self._owns_any_part(tile, half) for half in halves)

    def _by_cells(self, tile: str, block: GeoBox, margin_m: float) -> Mask:
        to_map = self._to_map_of(tile)
        answer = np.zeros(tuple(block.shape), bool)
        for rows, columns in _cells(block, _LARGE_CELL):
            part = block[rows, columns]
            certain = self._decide(tile, *self._map_cell(part, to_map), margin_m)
            if certain is None:
                self._by_small_cells(tile, part, margin_m, answer[rows, columns])
            else:
                answer[rows, columns] = certain
        return answer

    def _by_small_cells(self, tile: str, block: GeoBox, margin_m: float, answer: Mask) -> None:
        """Write the answer for a part whose pixels may differ."""
        to_map = self._to_map_of(tile)
        for rows, columns in _cells(block, _CELL):
            part = block[rows, columns]
            certain = self._decide(tile, *self._map_cell(part, to_map), margin_m)
            if certain is None:
                x, y = to_map.transform(*_centres(part))
                if margin_m == 0:
                    answer[rows, columns] = self.owner_of(x, y) == self.tiles.index(tile)
                else:
                    answer[rows, columns] = self._may_own(tile, x, y, margin_m)
            else:
                answer[rows, columns] = certain

    def _map_cell(self, part: GeoBox, to_map: Transformer) -> tuple[float, float, float]:
        """Return the centre of a cell on the map and the greatest distance of a pixel from it."""
        rows, columns = part.shape
        x, y = to_map.transform(*(part.affine @ (columns / 2, rows / 2)))
        return x, y, float(np.hypot(rows, columns)) / 2 * abs(part.resolution.x) * _STRETCH

    def _may_own(self, tile: str, x: Floats, y: Floats, margin_m: float) -> Mask:
        """Whether `tile` owns a place within `margin_m`; true rather than false in doubt."""
        own = np.sqrt(self._distance2(tile, x, y))
        possible = np.ones(x.shape, bool)
        for other in self._near(x.min(), y.min(), x.max(), y.max(), margin_m) - {tile}:
            # Moving by m changes a difference of two distances by at most 2 m.
            farther = own - np.sqrt(self._distance2(other, x, y)) > 2 * margin_m
            possible &= ~(farther & (self._depth(other, x, y) >= margin_m * _STRETCH))
        return possible

    def _decide(
        self, tile: str, x: float, y: float, reach_m: float, margin_m: float
    ) -> bool | None:
        """Answer for all places within `reach_m` at once, None where they may differ."""
        own = float(np.sqrt(self._distance2(tile, x, y)))
        reach = reach_m * _STRETCH
        everywhere = margin_m > 0 or bool(self._depth(tile, x, y) > reach)
        for other in self._near(x, y, x, y, reach_m + margin_m) - {tile}:
            farther = own - float(np.sqrt(self._distance2(other, x, y))) - 2 * margin_m
            deeper = float(self._depth(other, x, y)) - margin_m * _STRETCH
            if farther > 2 * reach_m and deeper > reach:
                return False
            everywhere &= farther < -2 * reach_m or deeper < -reach
        return True if everywhere else None

    def _fill(self, owner: npt.NDArray[np.int16], grid: GeoBox) -> None:
        """Write the owners of a map `grid`: at once, else quarter by quarter, else one by one."""
        near = self._near(*grid.boundingbox.bbox)
        if not near:
            return  # nobody sees it
        rows, columns = grid.shape
        x, y = grid.affine @ (columns / 2, rows / 2)
        reach = float(np.hypot(rows, columns)) / 2 * abs(grid.resolution.x) + 1
        common = self._common_owner(x, y, reach)
        if common >= 0:
            owner[:] = common
        elif max(rows, columns) <= _CELL:
            owner[:] = self._owner_of_each(grid, near, (x, y, reach))
        else:
            half = max(_CELL, _CELL * round(max(rows, columns) / 2 / _CELL))
            for top in range(0, rows, half):
                for left in range(0, columns, half):
                    part = (
                        slice(top, min(top + half, rows)),
                        slice(left, min(left + half, columns)),
                    )
                    self._fill(owner[part], grid[part])

    def _owner_of_each(
        self, grid: GeoBox, near: set[str], cell: tuple[float, float, float]
    ) -> npt.NDArray[np.int16]:
        """Return :meth:`owner_of` the pixels of a small `grid`; `cell` is its centre and reach.

        A tile that certainly holds all of them, or none, is not tested for each.
        """
        x, y = _centres(grid)
        owner = np.full(x.shape, -1, np.int16)
        nearest = np.full(x.shape, np.inf)
        reach = cell[2] * _STRETCH
        for index, tile in enumerate(self.tiles):
            if tile not in near:
                continue
            depth = float(self._depth(tile, *cell[:2]))
            if depth < -reach:
                continue
            distance = self._distance2(tile, x, y)
            if not depth > reach:
                distance = np.where(self._contains(tile, x, y), distance, np.inf)
            closer = distance < nearest  # a tie stays with the first name
            owner[closer] = index
            nearest[closer] = distance[closer]
        return owner

    def _common_owner(self, x: float, y: float, reach: float) -> int:
        """Return the tile that owns all places within `reach`, -1 where that is not certain."""
        owner = int(self.owner_of(x, y))
        if owner >= 0 and self._decide(self.tiles[owner], x, y, reach, 0.0):
            return owner
        return -1


def _cells(grid: GeoBox, side: int) -> list[tuple[slice, slice]]:
    rows, columns = grid.shape
    return [
        (slice(row, min(row + side, rows)), slice(column, min(column + side, columns)))
        for row in range(0, rows, side)
        for column in range(0, columns, side)
    ]


def _centres(grid: GeoBox) -> tuple[Floats, Floats]:
    """Return x and y of the pixel centres, each of shape ``grid.shape``."""
    rows, columns = grid.shape
    column, row = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    x, y = grid.affine @ (column, row)
    return x, y
