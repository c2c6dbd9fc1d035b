"""Images on the web are checked by their pixels once they are copied."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.file_server import FileServer, file_server
from support.inventories import make_config, run
from support.safe_factory import FACTS, facts, scene
from support.stac_factory import Content, each_asset, edit
from support.web_items import to_web

from oso_pipeline.config import Config
from oso_pipeline.imagery.cache.check_stage import STAGE as CHECK
from oso_pipeline.imagery.cache.stage import STAGE as CACHE
from oso_pipeline.imagery.stage import STAGE as INVENTORY
from oso_pipeline.simulation.writers.stac import write_item
from oso_pipeline.tasks.task import Task, TaskResult
from oso_pipeline.tasks.worker import do

REMOTE = [{"kind": "stac", "remote": True}]
STAGES = {stage.name: stage for stage in (INVENTORY, CACHE, CHECK)}


class Planned:
    """Plans the stages up to the check; nothing reads images yet."""

    def __init__(self, config: Config) -> None:
        self.config, self.run_dir = config, config.run_dir

    def tasks(self, stage: str) -> tuple[Task, ...]:
        return tuple(STAGES[stage].plan(self)) if stage in STAGES else ()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as state:
        yield state


def season(folder: Path) -> list[Path]:
    """Write twelve items of two baselines, of which one stores reflectance with an offset."""
    days = (FACTS.sensed + timedelta(days=5 * number) for number in range(12))
    return [
        write_item(folder, facts(sensed=day, baseline=("05.11", "02.12")[n % 2]), scene(400))
        for n, day in enumerate(days)
    ]


def checked(folder: Path) -> TaskResult:
    config = make_config(folder, readers=REMOTE, bands=("B2", "B4", "B8", "B11"))
    inventory, _ = run(config)
    assert len(inventory.acquisitions) == 12, "what they show is not known before they are copied"
    plan = Planned(config)
    assert all(do(task).status == "done" for task in plan.tasks("cache"))
    (check,) = plan.tasks("cache_check")
    (copies,) = {str(Path(task.outputs[0]).parents[1]) for task in plan.tasks("cache")}
    assert check.outputs == (f"{copies}/check.json",), "what follows the copies waits for it"
    return do(check)


def without_offset(item: Content) -> None:
    def state_none(asset: Content) -> None:
        for band in asset.get("raster:bands", ()):
            band.pop("offset", None)
            if "scale" in band:
                band["offset"] = 0

    each_asset(item, state_none)


def test_a_season_that_is_sane(tmp_path: Path, server: FileServer) -> None:
    for item in season(tmp_path / "images"):
        to_web(item, server)
    result = checked(tmp_path)
    assert result.status == "done", result.error
    (made,) = (tmp_path / "run").rglob("check.json")
    assert json.loads(made.read_text()) == {"tile": "31TCJ", "images": 12, "warnings": []}


def test_offsets_that_items_leave_out_stop_the_run(tmp_path: Path, server: FileServer) -> None:
    for number, item in enumerate(season(tmp_path / "images")):
        if number % 2 == 0:
            edit(item, without_offset)
        to_web(item, server)
    result = checked(tmp_path)
    assert result.status == "failed"
    assert "E-IMAGE-OFFSET" in str(result.error)
    assert "6 products of one kind" in str(result.error)
    assert not list((tmp_path / "run").rglob("check.json"))


def test_images_on_this_machine_need_no_second_check(tmp_path: Path) -> None:
    season(tmp_path / "images")
    config = make_config(tmp_path, readers=REMOTE, bands=("B2", "B4", "B8", "B11"))
    run(config)
    assert Planned(config).tasks("cache_check") == ()
