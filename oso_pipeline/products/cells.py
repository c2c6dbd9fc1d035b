"""Cells of the map: parts of it that are made apart, whole blocks of the file each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from oso_pipeline.core.blocks import Block
from oso_pipeline.products.overviews import overview_shapes
from oso_pipeline.products.raster import BLOCK_PX

CELL_BLOCKS = 16
"""Side of a cell in blocks, a power of two: four overviews lie wholly inside."""

_EDGE_PARTS = 4
_SLACK_M = 200.0
"""Straight edges bend on the map: a quarter of 110 km by less than this."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A square of the map, cut where the map ends.

    Parameters
    ----------
    row, column
        First pixel on the grid of the map.
    """

    row: int
    column: int

    @property
    def name(self) -> str:
        """Name that is unique within the map, for example ``r008192c016384``."""
        return f"r{self.row:06d}c{self.column:06d}"

    def crop(self, grid: GeoBox, blocks: int) -> GeoBox:
        """Return the part of the grid of the map that a cell of `blocks` x `blocks` covers."""
        rows, columns = grid.shape
        bottom, right = self.row + blocks * BLOCK_PX, self.column + blocks * BLOCK_PX
        return grid[self.row : min(bottom, rows), self.column : min(right, columns)]


def levels_inside(grid: GeoBox, blocks: int) -> int:
    """Return how many overviews of the map lie inside cells of `blocks` x `blocks` blocks."""
    shape = int(grid.shape[0]), int(grid.shape[1])
    return min(blocks.bit_length() - 1, len(overview_shapes(shape, BLOCK_PX)))


def cells_of(
    grid: GeoBox, tiles: Mapping[str, GeoBox], blocks: Mapping[str, Sequence[Block]], side: int
) -> dict[Cell, dict[str, list[Block]]]:
    """Return the cells that a block may reach, and which blocks of which tile.

    Parameters
    ----------
    grid
        Grid of the map.
    tiles
        10 m grid of each tile.
    blocks
        Blocks of each tile.
    side
        Of a cell, in blocks of the file.
    """
    size = side * BLOCK_PX
    found: dict[Cell, dict[str, list[Block]]] = {}
    for tile, ones in sorted(blocks.items()):
        first, last = _pixels_around(grid, tiles[tile], ones)
        first, last = first // size, last // size
        for block, low, high in zip(ones, first.tolist(), last.tolist(), strict=True):
            for row in range(low[0], high[0] + 1):
                for column in range(low[1], high[1] + 1):
                    cell = Cell(row * size, column * size)
                    found.setdefault(cell, {}).setdefault(tile, []).append(block)
    return dict(sorted(found.items()))


def _pixels_around(
    grid: GeoBox, tile_grid: GeoBox, blocks: Sequence[Block]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and last row and column of the map around each block, shape ``(n, 2)``."""
    share = np.linspace(0, 1, _EDGE_PARTS + 1)
    side, end = np.zeros_like(share), np.ones_like(share)
    down = np.concatenate([share, share, side, end])
    right = np.concatenate([side, end, share, share])
    window = np.array([(b.row, b.column, b.height, b.width) for b in blocks], float)
    rows = window[:, 0, None] + window[:, 2, None] * down
    columns = window[:, 1, None] + window[:, 3, None] * right
    x, y = tile_grid.affine @ (columns, rows)
    to_map = Transformer.from_crs(tile_grid.crs.epsg, grid.crs.epsg, always_xy=True)
    column, row = ~grid.affine @ to_map.transform(x, y)
    slack = _SLACK_M / abs(grid.resolution.x)
    low = np.stack([row.min(axis=1), column.min(axis=1)], axis=1) - slack
    high = np.stack([row.max(axis=1), column.max(axis=1)], axis=1) + slack
    limit = np.array(grid.shape) - 1
    return (
        np.clip(np.floor(low), 0, limit).astype(np.int64),
        np.clip(np.floor(high), 0, limit).astype(np.int64),
    )
