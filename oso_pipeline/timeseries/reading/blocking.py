"""How a tile is cut into blocks: as its files are, and as memory allows."""

from __future__ import annotations

import json
from functools import lru_cache
from math import ceil, isqrt, lcm
from typing import TYPE_CHECKING

from oso_pipeline.config.check import check_block
from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.errors import ConfigError
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.imagery.stage import tile_layout
from oso_pipeline.tasks.task import Cost, tile_of
from oso_pipeline.timeseries.feature_cost import feature_seconds
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading.memory import SHARE_OF_MEMORY, WorkerMemory

if TYPE_CHECKING:
    from oso_pipeline.config.model import Config
    from oso_pipeline.imagery.tile_grid import TileLayout
    from oso_pipeline.tasks.stage import PlanContext

BLOCK_PIXELS = 2**21
"""Default pixels of a block: some seconds of work, little to repeat after a failure."""

# Core time measured on one quiet core for 40 dates: reading; features.
_SECONDS_PER_BYTE = 1 / 440e6
_SECONDS_PER_PIXEL = 0.9e-6
_BYTES_PER_BAND_PIXEL = 1.1  # 20 m bands hold a quarter of the pixels
_BYTES_OF_MASKS = 3


def most_pixels(config: Config, memory: WorkerMemory) -> int:
    """Return how many pixels a block may have: as configured, or as the memory allows."""
    return config.runtime.block_pixels or min(BLOCK_PIXELS, memory.most_pixels)


def refuse_large_blocks(config: Config, n_products: int, layout: FeatureLayout) -> None:
    """Refuse ``runtime.block_pixels`` that the memory of a worker does not allow.

    Parameters
    ----------
    config
        Gives the requested size and the memory of a worker.
    n_products
        Images of the tile that has most.
    layout
        Features computed.

    Raises
    ------
    ConfigError
        ``E-BLOCK-MEMORY``, with the memory needed and a size that fits.
    """
    memory = WorkerMemory.of(config, n_products, layout, (1, 1))
    needed = memory.needed(config.runtime.block_pixels or 0) / SHARE_OF_MEMORY
    check_block(config, memory.most_pixels, needed).raise_errors(ConfigError)


def block_shape(
    grid_shape: tuple[int, int], file_blocks: tuple[int, int], limit: int
) -> tuple[int, int]:
    """Return rows and columns of the blocks of a tile, both even.

    Files in strips are read in bands of whole strips over the full width, tiled files in
    multiples of their tiles. The blocks of 20 m files cover twice as many rows and columns, so
    multiples of two are taken: no part of a file is decoded twice. Only where `limit` does not
    allow that are these divided, then those of 10 m files.

    Parameters
    ----------
    grid_shape
        Rows and columns of the tile.
    file_blocks
        Rows and columns of the internal blocks of its files.
    limit
        Most pixels of a block, at least 4.

    Examples
    --------
    >>> block_shape((10980, 10980), (1, 10980), 500_000)
    (44, 10980)
    >>> block_shape((10980, 10980), (512, 512), 600_000)
    (512, 1024)
    """
    rows, columns = (size + size % 2 for size in grid_shape)
    for unit in (2, 1):
        height = min(lcm(2, unit * file_blocks[0]), rows)
        width = min(lcm(2, unit * file_blocks[1]), columns)
        if height * width <= limit:
            break
    else:
        return _divided(height, width, limit)
    units = limit // (height * width)
    across = ceil(columns / width)
    if across > 1:
        across = min(across, ceil(units**0.5))
    down = max(1, units // across)
    return min(height * down, rows), min(width * across, columns)


@lru_cache(maxsize=256)
def owned_blocks(ownership: str, tile: str, shape: tuple[int, int]) -> tuple[Block, ...]:
    """Return the blocks of a tile that hold a pixel which the map may take from it.

    They are kept, since plans are made again and again.

    Parameters
    ----------
    ownership
        How the tile and its neighbours share the map, as JSON text.
    tile
        Name of the tile.
    shape
        Rows and columns of a block.
    """
    rule = Ownership.from_json(json.loads(ownership))
    grid = rule.grids[tile]
    blocks = blocks_of(tile, (int(grid.shape[0]), int(grid.shape[1])), shape)
    return tuple(block for block in blocks if rule.owns_any(tile, block.crop(grid)))


def block_cost(block: Block, memory: WorkerMemory) -> Cost:
    """Return what reading a block and computing its features takes."""
    per_product = len(memory.layout.series.bands) * _BYTES_PER_BAND_PIXEL + _BYTES_OF_MASKS
    read = int(block.pixels * memory.n_products * per_product)
    per_pixel = _SECONDS_PER_PIXEL + feature_seconds(memory.layout)
    seconds = read * _SECONDS_PER_BYTE + block.pixels * per_pixel
    decoding = read * _SECONDS_PER_BYTE
    needed = memory.needed(block.pixels)
    return Cost(block.pixels, read, needed, seconds, decode_seconds=decoding)


def _divided(height: int, width: int, limit: int) -> tuple[int, int]:
    """Return a part of a file block that has at most `limit` pixels."""
    if 2 * width <= limit and width > 2 * height:  # a strip: fewer whole rows
        return limit // width // 2 * 2, width
    height = max(2, min(height, isqrt(limit)) // 2 * 2)
    return height, max(2, min(width, limit // height) // 2 * 2)


def tiles_to_read(context: PlanContext[Config]) -> tuple[dict[str, TileLayout], Ownership]:
    """Return the layout of every tile that has images, and how the tiles share the map.

    Raises
    ------
    ConfigError
        If the configured blocks exceed the memory of a worker (``E-BLOCK-MEMORY``).
    InputDataError
        If no image of a tile can be read.
    """
    inventories = context.tasks("inventory")
    most_products = max((len(task.inputs) for task in inventories), default=0)
    refuse_large_blocks(context.config, most_products, FeatureLayout.of(context.config))
    layouts = {tile_of(task): tile_layout(context, tile_of(task)) for task in inventories}
    grids = {tile: layout.grid for tile, layout in layouts.items()}
    return layouts, Ownership(grids, context.config.map.epsg)
