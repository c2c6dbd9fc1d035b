"""Plan of each tile for the stages ``draw``, ``pixels`` and ``samples``."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.imagery.cache.stage import copies_of_tiles
from oso_pipeline.imagery.tile_grid import TileLayout
from oso_pipeline.reference.split.variants import split_columns, variants
from oso_pipeline.sampling.drawn import with_margin
from oso_pipeline.sampling.draws import Unlabelled
from oso_pipeline.sampling.jobs import SampleJob
from oso_pipeline.sampling.sample_files import samples_files
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.stage import PlanContext, summaries
from oso_pipeline.tasks.task import Cost, Task, tile_of
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading.blocking import (
    block_shape,
    most_pixels,
    owned_blocks,
    tiles_to_read,
)
from oso_pipeline.timeseries.reading.memory import FIXED_BYTES, WorkerMemory
from oso_pipeline.timeseries.reading.reader import ReadSpec

_LABELLED = 0.1
"""Fraction of the pixels of a tile that is assumed to be labelled before it is known."""
_BYTES_PER_VALUE = 1.7
"""Of a feature in the file, compressed, as measured."""
_LIBRARIES_BYTES, _BYTES_PER_PIXEL = 550_000_000, 150
_ROWS_IN_MEMORY = 5 * 65_536
_SECONDS_PER_VALUE = 2.8e-8
FEWER_PIXELS = (
    "or draw fewer pixels: sampling.max_train_pixels and sampling.max_validation_pixels, "
    "for example 10000; null takes all"
)
"""Hint for a lack of memory."""


@dataclass(frozen=True)
class TilePlan:
    """Plan of a tile.

    Parameters
    ----------
    job, sample
        Job of the samples, and the task that writes them, still without draw and parts.
    drawn
        How many pixels are drawn, as far as is known beforehand.
    memory
        Of a worker that reads blocks.
    """

    job: SampleJob
    sample: Task
    drawn: int
    memory: WorkerMemory

    def with_copies(self, copies: Input | None) -> TilePlan:
        """Return the plan with what the tasks follow where images are read from copies."""
        job = replace(self.job, copies=copies)
        return replace(self, job=job, sample=replace(self.sample, job=job))

    def after(self, draw: Task) -> TilePlan:
        """Return the plan with the number of pixels that were drawn, once it is known."""
        done = [summary for summary in summaries((draw,)) if summary]
        if not done:
            return self
        drawn = sum(done[0]["drawn"])
        sample = replace(self.sample, cost=_cost(drawn, self.job, self.memory))
        return replace(self, sample=sample, drawn=drawn)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks that hold an owned pixel."""
        near = json.dumps(self.job.ownership.to_json())
        return owned_blocks(near, self.job.tile, self.job.block_shape)


def tile_plans(context: PlanContext[Config]) -> list[TilePlan]:
    """Return what is planned for the tiles that have images; nothing with given models."""
    if context.config.learning.model is not None:
        return []
    inventories = context.tasks("inventory")
    layouts, ownership = tiles_to_read(context)
    copies = copies_of_tiles(context)
    plans = [
        _plan(context, inventory, layouts[tile_of(inventory)], ownership)
        for inventory in inventories
    ]
    return [plan.with_copies(copies.get(plan.job.tile)) for plan in plans]


def _plan(
    context: PlanContext[Config],
    inventory: Task,
    tile: TileLayout,
    ownership: Ownership,
) -> TilePlan:
    config = context.config
    (reference,) = context.tasks("reference")
    layout, name, unlabelled = FeatureLayout.of(config), tile_of(inventory), Unlabelled.of(config)
    memory = WorkerMemory.of(config, len(inventory.inputs), layout, tile.block_shape)
    rows, columns = (int(size) for size in tile.grid.shape)
    drawn = _expected_pixels(config, rows * columns)
    job = SampleJob(
        tile=name,
        grid=tile.grid,
        ownership=ownership.neighbours(name),
        read=ReadSpec.of(config),
        layout=layout,
        columns=tuple(split_columns(config)),
        variants=tuple(variants(config)),
        max_train=config.sampling.max_train_pixels,
        max_validation=config.sampling.max_validation_pixels,
        min_validity=config.sampling.min_validity,
        seed=config.seed,
        season=config.year,
        unlabelled=unlabelled,
        unlabelled_regions=unlabelled.file if unlabelled else None,
        inventory=Input.of(inventory),
        reference=Input.of(reference),
        block_shape=block_shape((rows, columns), tile.block_shape, most_pixels(config, memory)),
        memory_bytes=memory.allowed_bytes,
    )
    sample = Task(
        stage="samples",
        name=name,
        function="oso_pipeline.sampling.stage:sample",
        run_dir=context.run_dir,
        outputs=samples_files(name)[: 2 if unlabelled else 1],
        version=2,
        job=job,
        cost=_cost(drawn, job, memory),
    )
    return TilePlan(job, sample, drawn, memory)


def _expected_pixels(config: Config, pixels: int) -> int:
    """Return how many pixels of a tile of that many are drawn, as far as is known beforehand."""
    labelled = int(_LABELLED * pixels)
    limits = (config.sampling.max_train_pixels, config.sampling.max_validation_pixels)
    drawn = [with_margin(limit) for limit in limits]
    if None not in drawn:
        groups = len(load_nomenclature(config.nomenclature).codes) * len(variants(config))
        labelled = min(labelled, groups * sum(limit for limit in drawn if limit is not None))
    by_area = config.adaptation.target_sample_size if config.adaptation else 0
    return labelled + (with_margin(by_area) or 0 if by_area else 0)


def _cost(drawn: int, job: SampleJob, memory: WorkerMemory) -> Cost:
    """Return the cost of the samples of a tile; a second round is not known beforehand.

    Its memory is, as it may be needed: that of reading, or of writing if this is more.
    """
    size = job.layout.size
    height, width = job.block_shape
    reading = memory.needed(height * width) - FIXED_BYTES
    writing = 2 * size * min(drawn, _ROWS_IN_MEMORY)
    return Cost(
        pixels=drawn,
        memory_bytes=_LIBRARIES_BYTES + _BYTES_PER_PIXEL * drawn + max(reading, writing),
        core_seconds=1.0 + _SECONDS_PER_VALUE * size * drawn,
        bytes_written=int(_BYTES_PER_VALUE * size * drawn),
    )
