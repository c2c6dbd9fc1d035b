"""Inventories of a folder of products."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oso_pipeline.config import Config
from oso_pipeline.imagery.cache.stage import STAGE as CACHE
from oso_pipeline.imagery.inventory import Inventory, read_inventory
from oso_pipeline.imagery.stage import STAGE
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do
from support.minimal_config import minimal_config

A = "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V2-2"
B = "SENTINEL2B_20180110-105421-123_L2A_T31TCJ_C_V2-2"


def make_config(folder: Path, tiles: tuple[str, ...] = ("31TCJ",), **imagery: Any) -> Config:
    found = {"paths": [folder / "images"], "tiles": tiles, **imagery}
    return minimal_config(folder / "run", imagery=found)


@dataclass
class Context:
    config: Config

    @property
    def run_dir(self) -> Path:
        return self.config.run_dir

    def tasks(self, stage: str) -> tuple[Task, ...]:
        return tuple({"inventory": STAGE, "cache": CACHE}[stage].plan(self))


def run(config: Config) -> tuple[Inventory, dict[str, Any]]:
    (task,) = STAGE.plan(Context(config))
    result = do(task)
    assert result.status == "done", result.error
    return read_inventory(task.output()), result.summary


def ids(inventory: Inventory) -> list[str]:
    return [item.product_id for item in inventory.acquisitions]
