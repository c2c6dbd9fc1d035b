"""Stage ``predict``: classes of the owned pixels of every tile, block by block."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.model import Area, Config, Strata
from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.commit import sha256_file
from oso_pipeline.core.errors import ConfigError, InputDataError, Problem, Problems
from oso_pipeline.core.grids import grid_from_json, grid_to_json
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.imagery.tile_grid import TileLayout
from oso_pipeline.learning.model_file import Model, cached_model
from oso_pipeline.prediction.block_file import BYTES_PER_PIXEL, write_block
from oso_pipeline.prediction.block_map import outside, predict_pixels
from oso_pipeline.prediction.series_quality import (
    count_quality,
    quality_warnings,
    total_quality,
)
from oso_pipeline.reference.split.variants import map_variant
from oso_pipeline.tasks.stage import Gathered, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading.blocking import (
    block_cost,
    block_shape,
    most_pixels,
    tiles_to_read,
)
from oso_pipeline.timeseries.reading.memory import WorkerMemory
from oso_pipeline.timeseries.reading.pieces import PieceReader
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.reading.windows import Part
from oso_pipeline.timeseries.series import BlockSeries
from oso_pipeline.vectors.area_check import check_area
from oso_pipeline.vectors.area_of_interest import area_mask, digest_of, mask_of_task, task_parts
from oso_pipeline.vectors.strata import stratum_labels


class PredictStage(StageBase):
    """Plans one task per block that holds an owned pixel of the area of interest."""

    name = "predict"
    in_array = True

    def check(self, config: Config) -> Problems:
        """Find an area of interest that cannot be used or lies outside of all tiles."""
        return check_area(config)

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the blocks of all tiles that have images.

        Raises
        ------
        ConfigError
            If the area of interest holds no pixel at all (``E-INPUT-031``).
        InputDataError
            If its file cannot be used.
        """
        inventories = context.tasks("inventory")
        layouts, ownership = tiles_to_read(context)
        tasks = [
            task
            for inventory in inventories
            for task in _tasks_of(context, inventory, layouts[inventory.name], ownership)
        ]
        area = context.config.map.area
        if inventories and not tasks and area is not None:
            tiles = ", ".join(sorted(layouts))
            raise ConfigError(
                Problem(
                    "E-INPUT-031",
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
        headline = f"{totals['pixels']} pixels in {len(done)} blocks"
        return Gathered(summary, tuple(quality_warnings(quality)), headline)


STAGE = PredictStage()


def predict(task: Task) -> Summary:
    """Predict a block and publish its file.

    Raises
    ------
    InputDataError
        If an image cannot be read, or a model is damaged or expects other features.
    """
    params = task.params
    block = Block(params["tile"], **params["block"])
    grid = grid_from_json(params["grid"])
    ownership = Ownership.from_json(params["ownership"])
    layout = FeatureLayout.from_json(params["layout"])
    labels = np.zeros((block.height, block.width), np.int32)
    if params["strata"] is not None:
        strata = Strata(path=Path(task.options["strata"]), **params["strata"])
        labels = stratum_labels(strata, task.inputs["strata"], ownership.epsg, grid, block)
    owned = ownership.owned(block.tile, block.crop(grid))
    area = mask_of_task(task, grid)
    if area is not None:
        owned &= area.block(block)
    labels = outside(owned, labels)
    models = _models(task, layout, np.unique(labels[labels >= 0]))
    inventory = read_inventory(task.input_path(task.options["inventory"]))
    reader = BlockReader(inventory, ReadSpec.from_json(params["read"]))
    layers = np.zeros((3, block.height, block.width), np.uint16)
    quality = []

    def predict_part(part: Part, series: BlockSeries) -> None:
        asked = part.of(labels).ravel()
        found = predict_pixels(series, asked, models, layout, params["vote"])
        part.of(layers)[:] = found.reshape(3, *series.shape)
        quality.append(count_quality(series, asked >= 0, found[2], layout))

    PieceReader(reader, task.options["memory_bytes"]).read(block, labels >= 0, predict_part)
    write_block(task.output(), layers, block.crop(grid))
    codes, counts = np.unique(layers[0][owned], return_counts=True)
    return {
        "pixels": int(owned.sum()),
        "outside_strata": int(np.count_nonzero(owned & (labels < 0))),
        **total_quality(quality),
        "classes": {str(code): int(n) for code, n in zip(codes, counts, strict=True)},
    }


def _models(task: Task, layout: FeatureLayout, labels: npt.NDArray[np.int32]) -> dict[int, Model]:
    """Return the models of the strata with these indices, each fit for the features."""
    problems, models = Problems(), {}
    strata = sorted(task.options["models"])
    for number in labels.tolist():
        stratum = strata[number]
        path = task.input_path(task.options["models"][stratum])
        try:
            models[number] = cached_model(path, task.inputs[f"model/{stratum}"])
            models[number].refuse_layout(layout, path)
        except InputDataError as error:
            problems.extend(error.problems)
    problems.raise_errors(InputDataError)
    return models


def _tasks_of(
    context: PlanContext[Config], inventory: Task, tile: TileLayout, ownership: Ownership
) -> list[Task]:
    config = context.config
    layout = FeatureLayout.of(config)
    memory = WorkerMemory.of(config, len(inventory.inputs), layout, tile.block_shape)
    grid_shape = (int(tile.grid.shape[0]), int(tile.grid.shape[1]))
    shape = block_shape(grid_shape, tile.block_shape, most_pixels(config, memory))
    near = ownership.neighbours(inventory.name).to_json()
    models = {t.params["stratum"]: t for t in context.tasks("train") if _makes_map(t, config)}
    strata, area = config.strata, config.map.area
    parts = task_parts(area)
    shared: Mapping[str, Any] = {
        "tile": inventory.name,
        "grid": grid_to_json(tile.grid),
        "ownership": near,
        "read": ReadSpec.of(config).to_json(),
        "layout": layout.to_json(),
        "vote": config.learning.vote,
        "strata": None if strata is None else {"layer": strata.layer, "field": strata.field},
        **parts.params,
    }
    inputs = {f"model/{stratum}": model.key for stratum, model in models.items()} | parts.inputs
    inputs["inventory"] = inventory.key
    options: dict[str, Any] = {
        "inventory": inventory.outputs[0],
        # The map does not depend on how much is read at once.
        "memory_bytes": memory.allowed_bytes,
        "models": {s: str(PurePosixPath(t.outputs[0]).parent) for s, t in models.items()},
        **parts.options,
    }
    if strata is not None:
        inputs["strata"] = sha256_file(strata.path)
        options["strata"] = str(strata.path)
    return [
        Task(
            stage=PredictStage.name,
            name=f"{block.tile}/{block.name}",
            function="oso_pipeline.prediction.stage:predict",
            run_dir=context.run_dir,
            outputs=(f"blocks/{block.tile}/{block.name}.tif",),
            params={**shared, "block": _window(block)},
            inputs=inputs,
            options=options,
            cost=replace(block_cost(block, memory), bytes_written=BYTES_PER_PIXEL * block.pixels),
        )
        for block in _owned_blocks(
            json.dumps(near),
            inventory.name,
            shape,
            None if area is None else (area, digest_of(area)),
        )
    ]


@lru_cache(maxsize=256)
def _owned_blocks(
    ownership: str, tile: str, shape: tuple[int, int], area: tuple[Area, str] | None
) -> tuple[Block, ...]:
    """Return the blocks with an owned pixel of the area, which comes with its digest.

    They are kept, since plans are made again and again.
    """
    rule = Ownership.from_json(json.loads(ownership))
    grid = rule.grids[tile]
    blocks = blocks_of(tile, (int(grid.shape[0]), int(grid.shape[1])), shape)
    if area is None:
        return tuple(block for block in blocks if rule.owns_any(tile, block.crop(grid)))
    mask = area_mask(*area, grid)
    asked = ((block, mask.block(block)) for block in blocks)
    return tuple(
        block
        for block, inside in asked
        if inside.any() and (inside & rule.owned(tile, block.crop(grid))).any()
    )


def _makes_map(training: Task, config: Config) -> bool:
    return bool(training.params["variant"] == map_variant(config))


def _window(block: Block) -> dict[str, int]:
    return {name: getattr(block, name) for name in ("row", "column", "height", "width")}
