"""Stage ``pixels``: the features of the drawn pixels, block by block."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import digest
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.cache.reading import inventory_of
from oso_pipeline.sampling.draws import Places, read_places
from oso_pipeline.sampling.jobs import PixelJob
from oso_pipeline.sampling.parts import Add, part_file, part_files
from oso_pipeline.sampling.pixel_features import Features, PixelRequest, Validity, read_features
from oso_pipeline.sampling.planning import TilePlan, tile_plans
from oso_pipeline.tasks.job import Input, Inputs
from oso_pipeline.tasks.part_task import PartTask, require_parts
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Cost, Summary, Task, tile_of
from oso_pipeline.timeseries.reading.blocking import block_cost
from oso_pipeline.timeseries.reading.memory import BLOCK_BYTES
from oso_pipeline.timeseries.reading.pieces import PieceReader
from oso_pipeline.timeseries.reading.reader import BlockReader

_SECONDS, _SECONDS_PER_PIXEL = 0.3, 1e-5
"""Of a task, and of a drawn pixel: its features, written and read back."""
_BLOCK_BYTES = 2
"""Of a pixel of the block: whether it is wanted. Nothing else of the whole block is held."""
_BYTES_PER_VALUE = 1.7
"""Of a feature in the file, compressed."""


class PixelStage(StageBase):
    """Plans one task per block that holds an owned pixel."""

    name = "pixels"
    makes = Makes("pixels")
    plans_from = ("inventory",)
    in_array = True

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the blocks of all tiles that have images; none with given models."""
        plans = tile_plans(context)
        draws = {tile_of(task): task for task in context.tasks("draw")} if plans else {}
        return [task for tile in plans for task in _tasks_of(tile, draws[tile.job.tile])]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return how many of the drawn pixels are clear."""
        done = [summary for summary in summaries(tasks) if summary]
        totals = {
            name: sum(one[name] for one in done) for name in ("drawn", "clear", "blocks_read")
        }
        if not done:
            return Gathered(totals)
        blocks = counted(totals["blocks_read"], "block")
        headline = f"{counted(totals['clear'], 'clear pixel')} of {totals['drawn']} in {blocks}"
        return Gathered(totals, (), headline)


STAGE = PixelStage()


def read_pixels(job: PixelJob, task: Task) -> Summary:
    """Read the drawn pixels of a block and publish those that are clear often enough.

    A block without a drawn pixel opens no image.

    Raises
    ------
    InputDataError
        If an image cannot be read.
    """
    require_parts(task, Inputs(digest([job.draw.key]), (job.draw.path,)))
    inputs = [one for one in (job.draw, job.draw_by_area) if one is not None]
    drawn = [read_places(task.path_of(one), job.block) for one in inputs]
    clear = 0

    def request(places: Places, add: Add) -> PixelRequest:
        def take(some: npt.NDArray[np.intp], validity: Validity, features: Features) -> None:
            nonlocal clear
            usable = np.flatnonzero(validity >= job.min_validity)
            add(places.number[some[usable]], validity[usable], features[usable])
            clear += len(usable)

        return PixelRequest(places.row, places.column, take)

    with ExitStack() as files:
        parts = [
            files.enter_context(part_file(task.output(number), job.layout.size))
            for number in range(len(drawn))
        ]
        if any(map(len, drawn)):
            images = inventory_of(task, job.inventory, job.copies)
            reader = BlockReader(images, job.read)
            wanted = [request(places, add) for places, add in zip(drawn, parts, strict=True)]
            read_features(PieceReader(reader, job.memory_bytes), job.block, wanted, job.layout)
    n_drawn = sum(map(len, drawn))
    return {"drawn": n_drawn, "clear": clear, "blocks_read": int(n_drawn > 0)}


def _tasks_of(tile: TilePlan, draw: Task) -> list[Task]:
    tile = tile.after(draw)
    sample, blocks = tile.job, tile.blocks
    if not blocks:
        return []
    by_area = sample.unlabelled is not None
    first = PixelJob(
        block=blocks[0],
        read=sample.read,
        layout=sample.layout,
        min_validity=sample.min_validity,
        inventory=sample.inventory,
        draw=Input.of(draw),
        draw_by_area=Input.of(draw, 1) if by_area else None,
        memory_bytes=sample.memory_bytes,
        copies=sample.copies,
    )
    n_owned = sum(block.pixels for block in blocks)
    return [
        PartTask(
            stage=PixelStage.name,
            name=f"{block.tile}/{block.name}",
            function="oso_pipeline.sampling.pixel_stage:read_pixels",
            run_dir=tile.sample.run_dir,
            outputs=part_files(f"pixels/{block.tile}/{block.name}.parquet")[: 1 + by_area],
            job=replace(first, block=block),
            cost=_cost(tile, block, tile.drawn * block.pixels // n_owned),
            whole=tile.sample,
        )
        for block in blocks
    ]


def _cost(tile: TilePlan, block: Block, drawn: int) -> Cost:
    """Return the cost of reading a block with `drawn` drawn pixels."""
    read = block_cost(block, tile.memory)
    return replace(
        read,
        memory_bytes=read.memory_bytes - (BLOCK_BYTES - _BLOCK_BYTES) * block.pixels,
        core_seconds=_SECONDS + read.decode_seconds + _SECONDS_PER_PIXEL * drawn,
        bytes_written=int(_BYTES_PER_VALUE * tile.job.layout.size * drawn),
    )
