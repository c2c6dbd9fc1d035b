"""Grid and file blocks of a tile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from odc.geo.geobox import GeoBox

from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Acquisition
from oso_pipeline.imagery.checks import most_common_grid, snapped
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.tiff import Header, UnreadableRaster, read_header


@dataclass(frozen=True)
class TileLayout:
    """The 10 m grid of a tile, and rows and columns of the internal blocks of its files."""

    grid: GeoBox
    block_shape: tuple[int, int]


def layout_of(acquisition: Acquisition) -> TileLayout:
    """Return the layout of a product that has been checked."""
    finest = next(asset for asset in acquisition.assets if asset.resolution_m == 10)
    return _layout(read_header(finest.path), acquisition.tile)


def peek_layout(candidates: Iterable[Candidate], readers: Readers, tile: str) -> TileLayout:
    """Return the layout of a tile from the first product with a readable 10 m raster.

    Used for planning before an inventory exists; without such a product, the whole tile.
    """
    for candidate in candidates:
        raster = readers[candidate.family].peek(candidate)
        if raster is not None:
            try:
                return _layout(read_header(raster), tile)
            except UnreadableRaster:
                continue
    return shared_layout((), tile)


def shared_layout(layouts: Iterable[TileLayout], tile: str) -> TileLayout:
    """Return what most products of a tile have; without any, the whole tile."""
    every = list(layouts)
    if not every:
        grid = Tile(tile).geobox()
        return TileLayout(grid, (1, grid.shape[1]))
    # Blocks may differ between products of one grid; the most frequent size reads best.
    shapes = [layout.block_shape for layout in every]
    grid = most_common_grid(layout.grid for layout in every)
    return TileLayout(grid, max(shapes, key=shapes.count))


def _layout(header: Header, tile: str) -> TileLayout:
    grid = GeoBox(header.shape, snapped(header.transform, 10), f"EPSG:{Tile(tile).epsg}")
    return TileLayout(grid, header.block_shape)
