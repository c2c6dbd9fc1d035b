"""Grid and file blocks of a tile."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from affine import Affine
from odc.geo.geobox import GeoBox

from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Acquisition, StatedPlace
from oso_pipeline.imagery.cache.copies import block_shape
from oso_pipeline.imagery.checks import most_common_grid, snapped
from oso_pipeline.imagery.damage import UnreadableRaster
from oso_pipeline.imagery.header import Header, read_header
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.readers import Readers


@dataclass(frozen=True)
class TileLayout:
    """The 10 m grid of a tile, and rows and columns of the internal blocks of its files."""

    grid: GeoBox
    block_shape: tuple[int, int]


def layout_of(acquisition: Acquisition) -> TileLayout:
    """Return the layout of a product that has been checked; its copies need not be there yet."""
    finest = next(asset for asset in acquisition.assets if asset.resolution_m == 10)
    if finest.grid is not None:
        layout = _stated(finest.grid)
    else:
        layout = _layout(read_header(Path(finest.href)), acquisition.tile)
    return layout if finest.cached is None else _copied(layout)


def peek_layout(
    candidates: Iterable[Candidate],
    readers: Readers,
    tile: str,
    copied: Collection[Candidate] = (),
) -> TileLayout:
    """Return the layout of a tile from the first product with a readable 10 m raster.

    Used for planning before an inventory exists; without such a product, the whole tile. Those
    of `copied` will be read from copies.
    """
    for candidate in candidates:
        reader = readers[candidate.family]
        raster, stated = reader.peek(candidate), getattr(reader, "stated_place", None)
        if raster is None and stated is not None and (place := stated(candidate)) is not None:
            return _copied(_stated(place))
        if raster is not None:
            try:
                layout = _layout(read_header(raster), tile)
                return _copied(layout) if candidate in copied else layout
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


def _stated(place: StatedPlace) -> TileLayout:
    """Return the layout of an image that is not read yet."""
    shape = place.rows, place.columns
    transform = snapped(Affine(10, 0, place.x, 0, -10, place.y), 10)
    return TileLayout(GeoBox(shape, transform, f"EPSG:{place.epsg}"), (1, place.columns))


def _copied(layout: TileLayout) -> TileLayout:
    rows, columns = layout.grid.shape
    return replace(layout, block_shape=block_shape((rows, columns)))


def _layout(header: Header, tile: str) -> TileLayout:
    grid = GeoBox(header.shape, snapped(header.transform, 10), f"EPSG:{Tile(tile).epsg}")
    return TileLayout(grid, header.block_shape)
