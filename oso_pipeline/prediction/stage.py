"""Stage ``predict``: classes of the owned pixels of every tile, block by block."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from oso_pipeline.config.learning import LearnerSettings
from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import ConfigError, InputDataError, Problem, Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.cache.reading import inventory_of
from oso_pipeline.imagery.cache.stage import copies_of_tiles
from oso_pipeline.imagery.tile_grid import TileLayout
from oso_pipeline.learners.protocol import has_kernel
from oso_pipeline.learners.registry import late_settings, learner_of
from oso_pipeline.learning.cost import classifying_need
from oso_pipeline.learning.jobs import GivenModelJob, TrainJob
from oso_pipeline.learning.model_file import Model, cached_model
from oso_pipeline.prediction.band_request import BandRequest, check_bands
from oso_pipeline.prediction.block_file import BANDS, file_of, write_block
from oso_pipeline.prediction.block_map import empty_layers, outside, predict_pixels
from oso_pipeline.prediction.blocks_to_make import (
    blocks_of_area,
    cost_of_block,
    memory_of_blocks,
)
from oso_pipeline.prediction.series_quality import (
    count_quality,
    quality_warnings,
    total_quality,
)
from oso_pipeline.reference.split.variants import map_variant
from oso_pipeline.tasks.job import Input, ReadingJob, decides, file_part, follows, reads
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading.blocking import block_shape, most_pixels, tiles_to_read
from oso_pipeline.timeseries.reading.pieces import PieceReader
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.reading.windows import Part
from oso_pipeline.timeseries.series import BlockSeries
from oso_pipeline.vectors.area_check import check_area
from oso_pipeline.vectors.area_of_interest import AreaOfTask
from oso_pipeline.vectors.strata import StrataOfTask


@dataclass(frozen=True, kw_only=True)
class PredictJob(ReadingJob):
    """Predict a block.

    Parameters
    ----------
    tile, grid
        The tile and its 10 m grid.
    block
        The part of it.
    ownership
        How the tile and its neighbours share the map.
    read
        Bands and quality layers to read from the images.
    layout
        Features that the models expect.
    learning
        The learner and its settings.
    strata
        Regions with a model of their own; None where there is one model.
    area
        The area of interest; None for whole tiles.
    bands
        Bands beside class, confidence and validity; None where there are none.
    models
        Folder of the model of each stratum.
    inventory
        The images of the tile.
    copies
        Folder of the copies of the images; None where there are none.
    """

    tile: str
    grid: GeoBox
    block: Block
    ownership: Ownership
    read: ReadSpec
    layout: FeatureLayout
    learning: LearnerSettings = decides(merged=True, part=late_settings)
    strata: StrataOfTask | None = file_part()
    area: AreaOfTask | None = file_part(if_set=True)
    bands: BandRequest | None = decides(if_set=True, default=None)
    models: Mapping[str, Input] = reads("model/{}")
    inventory: Input = reads()
    copies: Input | None = follows(default=None)


class PredictStage(StageBase):
    """Plans one task per block that holds an owned pixel of the area of interest."""

    name = "predict"
    makes = Makes("blocks")
    in_array = True
    plans_from = ("inventory",)

    def check(self, config: Config) -> Problems:
        """Find a learner without a kernel, and an area, bands or legends that cannot be used."""
        problems = check_area(config)
        if config.map.bands or config.map.legends:
            problems.extend(check_bands(config, load_nomenclature(config.nomenclature)))
        settings = config.learning
        if not has_kernel(learner_of(settings.kind).classifier):
            microseconds = 1e6 * classifying_need(config).seconds
            problems.warn(
                "W-LEARNER-SLOW",
                f"learner {settings.kind} has no compiled kernel: about {microseconds:.3g} us per "
                "pixel from features to classes",
                "learning.kind",
            )
        return problems

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the blocks of all tiles that have images.

        Raises
        ------
        ConfigError
            If the area of interest holds no pixel at all (``E-AREA-EMPTY``).
        InputDataError
            If its file cannot be used.
        """
        inventories = context.tasks("inventory")
        layouts, ownership = tiles_to_read(context)
        copies = copies_of_tiles(context)
        tasks = [
            task
            for inventory in inventories
            for task in _tasks_of(
                context,
                inventory,
                layouts[inventory.name],
                ownership,
                copies.get(inventory.name),
            )
        ]
        area = context.config.map.area
        if inventories and not tasks and area is not None:
            tiles = ", ".join(sorted(layouts))
            raise ConfigError(
                Problem(
                    "E-AREA-EMPTY",
                    f"the area of interest holds no pixel centre of the images of {tiles}",
                    str(area.path),
                    "draw a larger area, or choose the tiles that it lies in",
                )
            )
        return tasks

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return numbers of blocks and pixels, quality of the series, and pixels per class."""
        done = summaries(tasks)
        classes: dict[str, int] = {}
        for summary in done:
            for code, count in summary["classes"].items():
                classes[code] = classes.get(code, 0) + count
        totals = {
            name: sum(summary[name] for summary in done) for name in ("pixels", "outside_strata")
        }
        quality = total_quality(done)
        ordered = dict(sorted(classes.items(), key=lambda item: int(item[0])))
        summary = {"blocks": len(done), **totals, **quality, "classes": ordered}
        headline = f"{counted(totals['pixels'], 'pixel')} in {counted(len(done), 'block')}"
        return Gathered(summary, tuple(quality_warnings(quality)), headline)


STAGE = PredictStage()


def predict(job: PredictJob, task: Task) -> Summary:
    """Predict a block and publish its file.

    Raises
    ------
    InputDataError
        If an image cannot be read, or a model is damaged or expects other features.
    """
    block, grid, layout = job.block, job.grid, job.layout
    labels = np.zeros((block.height, block.width), np.int32)
    if job.strata is not None:
        labels = job.strata.labels(job.ownership.epsg, grid, block)
    owned = job.ownership.owned(block.tile, block.crop(grid))
    if job.area is not None:
        owned &= job.area.mask(grid).block(block)
    labels = outside(owned, labels)
    models = _models(job, task, np.flatnonzero(np.bincount(labels[labels >= 0])))
    reader = BlockReader(inventory_of(task, job.inventory, job.copies), job.read)
    layers = empty_layers((block.height, block.width), job.bands)
    quality = []

    def predict_part(part: Part, series: BlockSeries) -> None:
        requested = part.of(labels).ravel()
        found = predict_pixels(series, requested, models, layout, job.bands)
        part.of(layers)[:] = found.reshape(len(found), *series.shape)
        quality.append(count_quality(series, requested >= 0, found[2], layout))

    PieceReader(reader, job.memory_bytes).read(block, labels >= 0, predict_part)
    names = (*BANDS, *(band.name for band in (job.bands.bands if job.bands else ())))
    write_block(task.output(), dict(zip(names, layers, strict=True)), block.crop(grid))
    counts = np.bincount(layers[0][owned])
    return {
        "pixels": int(owned.sum()),
        "outside_strata": int(np.count_nonzero(owned & (labels < 0))),
        **total_quality(quality),
        "classes": {str(code): int(counts[code]) for code in np.flatnonzero(counts)},
    }


def _models(job: PredictJob, task: Task, labels: npt.NDArray[np.intp]) -> dict[int, Model]:
    """Return the models of the strata with these indices, each fit for the features."""
    problems, models = Problems(), dict[int, Model]()
    settings = late_settings(job.learning)
    strata = sorted(job.models)
    for number in labels.tolist():
        folder = job.models[strata[number]]
        path = task.path_of(folder)
        try:
            model = cached_model(path, folder.key)
            model.refuse_layout(job.layout, path)
            models[number] = model.with_settings(settings)
        except InputDataError as error:
            problems.extend(error.problems)
    problems.raise_errors(InputDataError)
    return models


def _tasks_of(
    context: PlanContext[Config],
    inventory: Task,
    tile: TileLayout,
    ownership: Ownership,
    copies: Input | None,
) -> list[Task]:
    config = context.config
    layout, request = FeatureLayout.of(config), BandRequest.of(config)
    need = classifying_need(config)
    memory = memory_of_blocks(config, len(inventory.inputs), layout, tile)
    grid_shape = (int(tile.grid.shape[0]), int(tile.grid.shape[1]))
    shape = block_shape(grid_shape, tile.block_shape, most_pixels(config, memory))
    near = ownership.neighbours(inventory.name)
    area = AreaOfTask.of(config.map.area)
    blocks = blocks_of_area(json.dumps(near.to_json()), inventory.name, shape, area)
    if not blocks:
        return []
    first = PredictJob(
        tile=inventory.name,
        grid=tile.grid,
        block=blocks[0],
        ownership=near,
        read=ReadSpec.of(config),
        layout=layout,
        learning=config.learning,
        strata=StrataOfTask.of(config.strata),
        area=area,
        bands=request,
        models=_models_of_map(context),
        inventory=Input.of(inventory),
        copies=copies,
        memory_bytes=memory.allowed_bytes,
    )
    return [
        Task(
            stage=PredictStage.name,
            name=f"{block.tile}/{block.name}",
            function="oso_pipeline.prediction.stage:predict",
            run_dir=context.run_dir,
            outputs=(file_of(block),),
            job=replace(first, block=block),
            cost=cost_of_block(block, memory, need, request),
        )
        for block in blocks
    ]


def _models_of_map(context: PlanContext[Config]) -> dict[str, Input]:
    """Return the folder of the model that makes the map, for each stratum."""
    variant = map_variant(context.config)
    return {
        task.job.stratum: Input(task.key, str(PurePosixPath(task.outputs[0]).parent))
        for task in context.tasks("train")
        if isinstance(task.job, TrainJob | GivenModelJob) and task.job.variant == variant
    }
