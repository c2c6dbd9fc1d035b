"""A run folder with committed blocks of two tiles in different UTM zones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.minimal_config import minimal_config

from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.commit import sidecar_of, write_sidecar
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.tiles import Tile
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.prediction.band_request import BandRequest
from oso_pipeline.prediction.block_file import BANDS, write_block
from oso_pipeline.prediction.stage import PredictJob
from oso_pipeline.products import cell_stage, stage
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading.reader import ReadSpec

CORNER_PX = 120
DAY = date(2018, 1, 1)
TILES = ("30UYD", "31UCU")  # their upper-left corners overlap across the border of the zones


def config_of(run_dir: Path, **changes: Any) -> Config:
    imagery = {"paths": ["images"], "tiles": list(TILES)}
    return minimal_config(run_dir, **{"name": "two_zones", "imagery": imagery, **changes})


def made(task: Task) -> Task:
    result = do(task)
    assert result.status == "done", result.error
    return task


@dataclass
class Planned:
    """The tasks of a map: cells, and the layers by name."""

    cells: tuple[Task, ...]
    layers: dict[str, Task]

    def __getitem__(self, layer: str) -> Task:
        """Return the task of a layer; its cells are not made."""
        return self.layers[layer]

    def made(self, layer: str) -> Task:
        """Make a layer, and the cells that are not up to date."""
        self.make_cells()
        return made(self.layers[layer])

    def all_made(self) -> dict[str, Task]:
        """Make all layers."""
        return {layer: self.made(layer) for layer in self.layers}

    def make_cells(self) -> None:
        """Make the cells that are not up to date."""
        for task in self.cells:
            if task.commit_record() is None:
                made(task)


@dataclass
class World:
    """Two tiles whose pixel values are known."""

    run_dir: Path

    def __post_init__(self) -> None:
        self.grids = {tile: Tile(tile).geobox(CORNER_PX) for tile in TILES}
        codes = np.array(load_nomenclature("oso17").codes, np.uint16)
        self.bands: dict[str, np.ndarray] = {}
        for index, tile in enumerate(TILES):
            # Neighbouring pixels differ in each direction, and so do the two tiles.
            row, column = np.indices((CORNER_PX, CORNER_PX))
            mixed = row * 7 + column * 3 + index * 5
            validity = mixed % 300
            self.bands[tile] = np.stack(
                [codes[mixed % len(codes)], 1 + mixed % 100, validity]
            ).astype(np.uint16)

    def predict_tasks(
        self, block_px: int = 40, bands: BandRequest | None = None
    ) -> tuple[Task, ...]:
        return tuple(
            self._task(block, bands)
            for tile in TILES
            for block in blocks_of(tile, (CORNER_PX, CORNER_PX), (block_px, block_px))
        )

    def _task(self, block: Block, bands: BandRequest | None = None) -> Task:
        return Task(
            "predict",
            f"{block.tile}/{block.name}",
            "nowhere:nothing",
            self.run_dir,
            (f"blocks/{block.tile}/{block.name}.tif",),
            PredictJob(
                tile=block.tile,
                grid=self.grids[block.tile],
                block=block,
                ownership=Ownership(self.grids, 2154),
                read=ReadSpec(("B4",), "oso", DAY, DAY),
                layout=FeatureLayout.optical(("B4",), (DAY,)),
                learning=ForestSettings(),
                strata=None,
                area=None,
                bands=bands,
                models={},
                inventory=Input("a" * 64, "inventory/tile.parquet"),
                memory_bytes=0,
            ),
        )

    def commit(
        self, tasks: tuple[Task, ...], order: tuple[str, ...] = BANDS, more: Any = ()
    ) -> None:
        """Commit blocks; `more` names bands and makes each from those of the tile."""
        for task in tasks:
            block = cell_stage.block_of_task(task)
            grid = block.crop(self.grids[block.tile])
            rows = slice(block.row, block.row + block.height)
            columns = slice(block.column, block.column + block.width)
            layers = self.bands[block.tile][:, rows, columns]
            bands = dict(zip(BANDS, layers, strict=True))
            extra = {name: function(*layers) for name, function in dict(more).items()}
            write_block(task.output(), {name: bands[name] for name in order} | extra, grid)
            write_sidecar(task.output(), {"key": task.key, "recipe": task.recipe, "summary": {}})

    def uncommit(self, task: Task) -> None:
        sidecar_of(task.output()).unlink()

    def config(self, **changes: Any) -> Config:
        return config_of(self.run_dir, **changes)

    def plan(self, tasks: tuple[Task, ...], **changes: Any) -> Planned:
        config, known = self.config(**changes), {"predict": tasks}
        context = SimpleNamespace(config=config, run_dir=self.run_dir, tasks=known.__getitem__)
        known["cells"] = tuple(cell_stage.STAGE.plan(context))
        layers = {task.name: task for task in stage.STAGE.plan(context)}
        return Planned(known["cells"], layers)


@pytest.fixture(scope="session")
def world_in() -> type[World]:
    return World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
