"""Pixels of the map from the blocks of all tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from oso_pipeline.core.ownership import Ownership
from oso_pipeline.products.grid import Locator
from oso_pipeline.products.pixel_kernels import pixels_of_owner, put
from oso_pipeline.products.tile_blocks import TileBlocks
from oso_pipeline.vectors.area_of_interest import AreaMask


@dataclass
class Holes:
    """Pixels of the map that should have come from a block that is not there."""

    pixels: int = 0
    blocks: set[str] = field(default_factory=set)

    def add(
        self,
        tile: str,
        pixels: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]],
        block_shape: tuple[int, int],
    ) -> None:
        """Record missing `pixels` (rows, columns) of a tile that is cut in `block_shape`."""
        rows, columns = pixels
        height, width = block_shape
        self.pixels += len(rows)
        starts = np.stack([rows // height * height, columns // width * width], axis=1)
        self.blocks |= {
            f"{tile}/r{row:05d}c{column:05d}" for row, column in np.unique(starts, axis=0)
        }


class Mosaic:
    """Puts the bands of the map together, window by window.

    Each pixel of the map takes the value of the pixel of its owner tile in which its centre
    lies. The result does not depend on the windows, on the shape of the blocks or on their
    order.

    Parameters
    ----------
    grid
        Grid of the map, or of a part of it.
    ownership
        Which tile each place belongs to.
    nodata
        Value of each band outside the tiles and the area.
    blocks
        The blocks of each tile, opened for these bands. A tile without an entry was
        a tile without blocks; its places are nodata.
    block_shapes
        Rows and columns of the blocks of each tile; only used to name missing ones.
    areas
        Which pixels of a tile are mapped; all of them where a tile has no entry.
    """

    def __init__(
        self,
        grid: GeoBox,
        ownership: Ownership,
        nodata: Sequence[int],
        blocks: Mapping[str, TileBlocks],
        block_shapes: Mapping[str, tuple[int, int]],
        areas: Mapping[str, AreaMask] | None = None,
    ) -> None:
        self.grid = grid
        self.holes = Holes()
        self._ownership = ownership
        self._nodata = np.array(nodata, np.uint16)
        self._blocks = blocks
        self._block_shapes = block_shapes
        self._areas = areas or {}
        self._locators = {tile: Locator(grid, ownership.grids[tile]) for tile in blocks}

    def read(self, window: Window) -> npt.NDArray[np.uint16]:
        """Return a window of the map, nodata outside tiles and area and where a block is missing.

        Pixels whose block is missing are added to `holes`.

        Returns
        -------
        uint16 array of shape ``(bands, window.height, window.width)``
        """
        part = self.grid[
            window.row_off : window.row_off + window.height,
            window.col_off : window.col_off + window.width,
        ]
        owners = self._ownership.owners(part)
        result = np.empty((len(self._nodata), *owners.shape), np.uint16)
        result[:] = self._nodata[:, None, None]
        found = np.bincount(owners.ravel() + 1, minlength=len(self._ownership.tiles) + 1)[1:]
        for index in np.flatnonzero(found).tolist():
            tile = self._ownership.tiles[index]
            if tile in self._blocks:
                self._take(tile, window, owners, index, result)
        return result

    def _take(
        self,
        tile: str,
        window: Window,
        owners: npt.NDArray[np.int16],
        index: int,
        result: npt.NDArray[np.uint16],
    ) -> None:
        """Write what `tile`, whose index is `index` in `owners`, gives to a window."""
        locator = self._locators[tile]
        height, width = self._ownership.grids[tile].shape
        nodes, (cells, shares) = locator.nodes(window), locator.between(window)
        flat, rows, columns = pixels_of_owner(
            owners, index, nodes, cells, shares, (int(height), int(width))
        )
        if tile in self._areas:
            inside = self._areas[tile].pixels(rows, columns)
            flat, rows, columns = flat[inside], rows[inside], columns[inside]
            if not len(flat):
                return
        values, covered = self._blocks[tile].gather(rows, columns)
        put(result, flat, values, covered)
        if not covered.all():
            missing = (rows[~covered], columns[~covered])
            self.holes.add(tile, missing, self._block_shapes[tile])
