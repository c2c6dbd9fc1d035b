"""How a tile is cut into blocks: as its files are, and as memory allows."""

from __future__ import annotations

from math import ceil, isqrt, lcm
from typing import TYPE_CHECKING

from oso_pipeline.config.check import check_block
from oso_pipeline.core.errors import ConfigError
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.task import Cost
from oso_pipeline.imagery.inventory import tile_layout
from oso_pipeline.timeseries.layout import FeatureLayout

if TYPE_CHECKING:
    from oso_pipeline.config.model import Config
    from oso_pipeline.core.blocks import Block
    from oso_pipeline.core.task import PlanContext
    from oso_pipeline.imagery.layout import TileLayout

CHUNK_PIXELS = 16_384
"""Pixels whose features are in memory at once."""

_FIXED_BYTES = 400_000_000
"""Interpreter, libraries and the block cache of GDAL."""

_SHARE_OF_MEMORY = 0.8
_LEAST_PIXELS = 4096

# Core time per pixel, measured on one core for 40 dates: decoding 190 MB/s, features and forest.
_SECONDS_PER_BYTE = 1 / 190e6
_SECONDS_PER_PIXEL = 4e-6
_BYTES_PER_BAND_PIXEL = 1.2  # 20 m bands hold a quarter of the pixels


def block_memory(pixels: int, n_products: int, layout: FeatureLayout) -> int:
    """Return how much memory a worker needs for a block, bytes.

    Parameters
    ----------
    pixels
        Pixels of the block.
    n_products
        Images of the tile.
    layout
        Features computed, at most `CHUNK_PIXELS` pixels at once.
    """
    n_bands = len(layout.bands)
    series = n_products * (2 * n_bands + 1)
    one_product = 3 * n_bands + 48
    chunk = min(pixels, CHUNK_PIXELS) * (series + 2 * layout.size)
    return _FIXED_BYTES + pixels * (series + one_product + 16) + chunk


def most_pixels(config: Config, n_products: int, layout: FeatureLayout) -> int:
    """Return how many pixels a block may have: as configured, or as the memory allows."""
    return config.runtime.block_pixels or _fitting_pixels(config, n_products, layout)


def refuse_large_blocks(config: Config, n_products: int, layout: FeatureLayout) -> None:
    """Refuse ``runtime.block_pixels`` that the memory of a worker does not allow.

    Parameters
    ----------
    config
        Gives the size asked for and the memory of a worker.
    n_products
        Images of the tile that has most.
    layout
        Features computed.

    Raises
    ------
    ConfigError
        ``E-INPUT-062``, with the memory needed and a size that fits.
    """
    needed = block_memory(config.runtime.block_pixels or 0, n_products, layout)
    fitting = _fitting_pixels(config, n_products, layout)
    check_block(config, fitting, needed / _SHARE_OF_MEMORY).raise_errors(ConfigError)


def _fitting_pixels(config: Config, n_products: int, layout: FeatureLayout) -> int:
    allowed = _SHARE_OF_MEMORY * config.runtime.memory_per_worker_gb * 1e9
    fixed = block_memory(0, n_products, layout)
    chunk = block_memory(CHUNK_PIXELS, n_products, layout) - fixed
    per_pixel = (block_memory(2 * CHUNK_PIXELS, n_products, layout) - fixed - chunk) / CHUNK_PIXELS
    return max(_LEAST_PIXELS, int((allowed - fixed - chunk) / per_pixel) + CHUNK_PIXELS)


def block_shape(
    grid_shape: tuple[int, int], file_blocks: tuple[int, int], limit: int
) -> tuple[int, int]:
    """Return rows and columns of the blocks of a tile, both even.

    Files in strips are read in bands of whole strips over the full width, tiled files in
    multiples of their tiles: no part of a file is decoded twice. Only where not even one strip
    or tile has at most `limit` pixels is it divided.

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
    height = min(lcm(2, file_blocks[0]), rows)
    width = min(lcm(2, file_blocks[1]), columns)
    if height * width > limit:
        return _divided(height, width, limit)
    units = limit // (height * width)
    across = ceil(columns / width)
    if across > 1:
        across = min(across, ceil(units**0.5))
    down = max(1, units // across)
    return min(height * down, rows), min(width * across, columns)


def block_cost(block: Block, n_products: int, layout: FeatureLayout) -> Cost:
    """Return what reading a block, computing its features and classifying it takes."""
    per_product = len(layout.bands) * _BYTES_PER_BAND_PIXEL + 1
    read = int(block.pixels * n_products * per_product)
    seconds = read * _SECONDS_PER_BYTE + block.pixels * _SECONDS_PER_PIXEL
    return Cost(block.pixels, read, block_memory(block.pixels, n_products, layout), seconds)


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
        If the configured blocks exceed the memory of a worker (``E-INPUT-062``).
    InputDataError
        If no image of a tile can be read.
    """
    inventories = context.tasks("inventory")
    most_products = max((len(task.inputs) for task in inventories), default=0)
    refuse_large_blocks(context.config, most_products, FeatureLayout.of(context.config))
    layouts = {task.name: tile_layout(context, task.name) for task in inventories}
    grids = {tile: layout.grid for tile, layout in layouts.items()}
    return layouts, Ownership(grids, context.config.map.epsg)
