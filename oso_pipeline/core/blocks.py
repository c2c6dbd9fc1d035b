"""Blocks: the windows of a tile that are processed as one task."""

from __future__ import annotations

from dataclasses import dataclass

from odc.geo.geobox import GeoBox


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """A rectangle of 10 m pixels of a tile.

    Parameters
    ----------
    tile
        Name of the tile, for example ``31TCJ``.
    row, column
        Upper-left pixel within the tile's 10 m grid; both are even, so that a block holds
        whole 20 m pixels.
    height, width
        Size in 10 m pixels.
    """

    tile: str
    row: int
    column: int
    height: int
    width: int

    @property
    def name(self) -> str:
        """Name that is unique within the tile, for example ``r00128c00000``."""
        return f"r{self.row:05d}c{self.column:05d}"

    def to_json(self) -> dict[str, int]:
        """Return the window within the tile as JSON values; the tile is not part of it."""
        return {
            "row": self.row,
            "column": self.column,
            "height": self.height,
            "width": self.width,
        }

    @property
    def pixels(self) -> int:
        """Number of 10 m pixels."""
        return self.height * self.width

    def crop(self, grid: GeoBox) -> GeoBox:
        """Return the part of the tile's 10 m `grid` that the block covers."""
        return grid[self.row : self.row + self.height, self.column : self.column + self.width]


def blocks_of(tile: str, grid_shape: tuple[int, int], block_shape: tuple[int, int]) -> list[Block]:
    """Cut a tile into blocks, row by row.

    Parameters
    ----------
    tile
        Name of the tile.
    grid_shape
        Rows and columns of the tile's 10 m grid.
    block_shape
        Rows and columns of a block, both even; the last blocks may be smaller.
    """
    rows, columns = grid_shape
    height, width = block_shape
    if height < 2 or width < 2 or height % 2 or width % 2:
        raise ValueError(f"block shape must be even and at least 2 x 2, got {height} x {width}")
    return [
        Block(tile, row, column, min(height, rows - row), min(width, columns - column))
        for row in range(0, rows, height)
        for column in range(0, columns, width)
    ]
