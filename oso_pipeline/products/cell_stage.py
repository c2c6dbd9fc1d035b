"""Stage ``cells``: the map in parts, all layers of a cell at once, without names and colours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from odc.geo.geobox import GeoBox

from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import digest
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.wording import counted
from oso_pipeline.prediction.block_file import BLOCKS, block_family, file_of
from oso_pipeline.prediction.stage import PredictJob
from oso_pipeline.products import cells as cutting
from oso_pipeline.products.cell_job import CellJob
from oso_pipeline.products.cells import Cell, cells_of, levels_inside
from oso_pipeline.products.grid import cropped, map_grid
from oso_pipeline.products.layers import LAYERS, PixelType
from oso_pipeline.products.map_files import greatest_values, map_files
from oso_pipeline.products.tile_blocks import CACHE_BYTES
from oso_pipeline.tasks.job import Input, Inputs
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Cost, Task
from oso_pipeline.vectors.area_of_interest import AreaMask, AreaOfTask

# Measured for three layers of a map of 21,000 x 21,000 pixels of four tiles.
_SECONDS_PER_PIXEL = 0.24e-6
_BYTES_PER_PIXEL = 1.0  # on disk, with overviews
_MEMORY_BYTES = 360 * 2**20
_MEMORY_PER_PIXEL = 6
# For each band more, in percent of 8 bits.
_MORE_SECONDS, _MORE_BYTES, _MORE_MEMORY = 0.05e-6, 0.4, 0.8
_IMAGE_PIXEL_M = 10.0


class CellStage(StageBase):
    """Plans one task per cell that a block reaches; where none does is nothing to do."""

    name = "cells"
    makes = Makes("parts")
    in_array = True
    plans_from = ()

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the cells, row by row.

        A task names its input by one digest: that of the families of the blocks around, see
        `committed.family`. Where a map with holes is accepted, the blocks that are missing
        now count too, so that the cell is made again when they have come.
        """
        by_tile: dict[str, list[Task]] = defaultdict(list)
        for task in context.tasks("predict"):
            by_tile[block_of_task(task).tile].append(task)
        if not by_tile:
            return []
        return _tasks(context, by_tile)

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return the number of cells and of pixels without value for lack of a block."""
        done = summaries(tasks)
        missing = sum(one["missing_pixels"] for one in done)
        return Gathered(
            {"cells": len(done), "missing_pixels": missing}, (), counted(len(done), "cell")
        )


STAGE = CellStage()


def block_of_task(task: Task) -> Block:
    """Return the block of a task of stage ``predict``."""
    return _predict_job(task).block


def _predict_job(task: Task) -> PredictJob:
    if not isinstance(task.job, PredictJob):
        raise TypeError(f"task {task.stage} {task.name} predicts no block")
    return task.job


def _ownership(by_tile: Mapping[str, list[Task]]) -> Ownership:
    """Return how the tiles shared the map when the blocks were planned.

    Neighbours without a block count: their pixels have no block elsewhere.
    """
    shares = [_predict_job(tasks[0]).ownership for tasks in by_tile.values()]
    grids = {tile: grid for share in shares for tile, grid in share.grids.items()}
    return Ownership(grids, shares[0].epsg)


def _map_grid(config: Config, grids: Mapping[str, GeoBox], area: AreaOfTask | None) -> GeoBox:
    """Return the grid of the map: the tiles, or what the area covers of them."""
    epsg = config.map.epsg
    whole = map_grid(grids, epsg, config.map.resolution_m)
    masks: list[AreaMask] = [] if area is None else [area.mask(grid) for grid in grids.values()]
    bounds = [b for mask in masks if (b := mask.bounds_in(epsg)) is not None]
    if not bounds:
        return whole
    # The centre of a map pixel lies in the image pixel it shows, less than a pixel from the
    # centre that decides about the area.
    low, high = np.min(bounds, axis=0) - _IMAGE_PIXEL_M, np.max(bounds, axis=0) + _IMAGE_PIXEL_M
    return cropped(whole, (low[0], low[1], high[2], high[3]))


def _tasks(context: PlanContext[Config], by_tile: Mapping[str, list[Task]]) -> list[Task]:
    config, side = context.config, cutting.CELL_BLOCKS
    nomenclature = load_nomenclature(config.nomenclature)
    ownership, area = _ownership(by_tile), AreaOfTask.of(config.map.area)
    grids = {tile: ownership.grids[tile] for tile in sorted(by_tile)}
    grid = _map_grid(config, grids, area)
    blocks = {tile: [block_of_task(task) for task in tasks] for tile, tasks in by_tile.items()}
    families = {
        tile: tuple(sorted({block_family(task.recipe) for task in tasks}))
        for tile, tasks in by_tile.items()
    }
    shapes = {
        tile: (max(b.height for b in ones), max(b.width for b in ones))
        for tile, ones in blocks.items()
    }
    missing: set[Block] = set()
    if config.map.allow_partial:
        missing = {
            block_of_task(t) for ts in by_tile.values() for t in ts if t.commit_record() is None
        }
    common = CellJob(
        grid=grid,
        levels=levels_inside(grid, side),
        layers={
            layer.name: PixelType.of(layer, nomenclature)
            for file in map_files(config)
            for layer in file.layers
        },
        codes=nomenclature.codes,
        ownership=ownership,
        area=area,
        blocks=Inputs("", ()),
        missing_blocks=None,
        map_grid=grid,
        cell=Cell(0, 0),
        families=families,
        block_shapes=shapes,
        greatest=greatest_values(config),
        allow_partial=config.map.allow_partial,
    )
    return [
        _task(context, cell, _job(common, cell, near, missing), near)
        for cell, near in cells_of(grid, grids, blocks, side).items()
    ]


def _job(
    common: CellJob, cell: Cell, near: Mapping[str, list[Block]], missing: set[Block]
) -> CellJob:
    """Return the job of a cell, which carries the tiles around and no others."""
    grid = cell.crop(common.grid, cutting.CELL_BLOCKS)
    families = {tile: common.families[tile] for tile in near}
    blocks = [block for ones in near.values() for block in ones]
    names = sorted(f"{block.tile}/{block.name}" for block in blocks if block in missing)
    return replace(
        common,
        grid=grid,
        ownership=common.ownership.around(grid, near),
        blocks=Inputs(digest(families), tuple(map(file_of, blocks))),
        missing_blocks=Input(digest(names), BLOCKS) if names else None,
        cell=cell,
        families=families,
        block_shapes={tile: common.block_shapes[tile] for tile in near},
    )


def _task(
    context: PlanContext[Config], cell: Cell, job: CellJob, near: Mapping[str, list[Block]]
) -> Task:
    whole = int(job.grid.shape[0]) * int(job.grid.shape[1])
    read = sum(block.pixels for ones in near.values() for block in ones)
    # Blocks may cover a corner of the cell only, as on a coast.
    pixels = min(whole, int(read * (_IMAGE_PIXEL_M / abs(job.grid.resolution.x)) ** 2))
    more = len(job.layers) - len(LAYERS)
    block_px = max(height * width for height, width in job.block_shapes.values())
    return Task(
        stage=CellStage.name,
        name=cell.name,
        function="oso_pipeline.products.cell_job:make_cell",
        run_dir=context.run_dir,
        outputs=tuple(f"mosaic/{name}/{cell.name}.tif" for name in job.layers),
        job=job,
        cost=Cost(
            pixels=pixels,
            bytes_read=2 * len(job.layers) * read,
            memory_bytes=_MEMORY_BYTES
            + _MEMORY_PER_PIXEL * whole
            + more * (CACHE_BYTES // len(LAYERS) + int(whole * _MORE_MEMORY) + 2 * block_px),
            core_seconds=(_SECONDS_PER_PIXEL + more * _MORE_SECONDS) * pixels,
            bytes_written=int((_BYTES_PER_PIXEL + more * _MORE_BYTES) * pixels),
        ),
    )
