"""Which blocks of a tile are predicted, and what a block takes."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache

from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.imagery.tile_grid import TileLayout
from oso_pipeline.learners.protocol import Need
from oso_pipeline.learning.cost import classifying_need
from oso_pipeline.prediction.band_request import BandRequest
from oso_pipeline.prediction.block_file import BYTES_PER_PIXEL
from oso_pipeline.tasks.task import Cost
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading.blocking import block_cost, owned_blocks
from oso_pipeline.timeseries.reading.memory import WorkerMemory
from oso_pipeline.vectors.area_of_interest import AreaOfTask

_NOTHING = Need(0.0)


def memory_of_blocks(
    config: Config, n_products: int, layout: FeatureLayout, tile: TileLayout
) -> WorkerMemory:
    """Return the memory of a worker that predicts blocks of a tile with so many images."""
    need, request = classifying_need(config), BandRequest.of(config)
    more = _NOTHING if request is None else request.need
    memory = WorkerMemory.of(config, n_products, layout, tile.block_shape)
    memory = memory.with_models(need.fixed_bytes, need.pixel_bytes + more.pixel_bytes)
    return memory.with_bands(0 if request is None else request.block_bytes)


def cost_of_block(
    block: Block, memory: WorkerMemory, need: Need, request: BandRequest | None
) -> Cost:
    """Return what a block takes, with the bands of `request`."""
    read = block_cost(block, memory)
    seconds, disk_bytes = need.seconds, float(BYTES_PER_PIXEL)
    if request is not None:
        seconds += request.need.seconds
        disk_bytes += request.disk_bytes
    return replace(
        read,
        core_seconds=read.core_seconds + seconds * block.pixels,
        bytes_written=int(disk_bytes * block.pixels),
    )


@lru_cache(maxsize=256)
def blocks_of_area(
    ownership: str, tile: str, shape: tuple[int, int], area: AreaOfTask | None
) -> tuple[Block, ...]:
    """Return the blocks with an owned pixel of the area; kept as `owned_blocks` are."""
    if area is None:
        return owned_blocks(ownership, tile, shape)
    rule = Ownership.from_json(json.loads(ownership))
    grid = rule.grids[tile]
    blocks = blocks_of(tile, (int(grid.shape[0]), int(grid.shape[1])), shape)
    mask = area.mask(grid)
    requested = ((block, mask.block(block)) for block in blocks)
    return tuple(
        block
        for block, inside in requested
        if inside.any() and (inside & rule.owned(tile, block.crop(grid))).any()
    )
