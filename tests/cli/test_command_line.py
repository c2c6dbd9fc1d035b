"""Small things of the command line (3.18): version, help, status for machines, progress."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import pytest
from support.toy_world import World, held_elsewhere
from typer.testing import CliRunner

import oso_pipeline
from oso_pipeline.cli import progress as progress_module
from oso_pipeline.cli import status_json
from oso_pipeline.cli.command import app
from oso_pipeline.cli.progress import PlainProgress
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.template import example, short_template, template
from oso_pipeline.core.errors import ConfigError
from oso_pipeline.runtime import runner, stages
from oso_pipeline.runtime.events import StageEnded, StageStarted, TaskEnded
from oso_pipeline.runtime.executors import SerialExecutor
from oso_pipeline.runtime.folder.log_file import LogFile
from oso_pipeline.runtime.folder.status import Watch
from oso_pipeline.runtime.runner import Selection
from oso_pipeline.simulation.world.spec import WorldSpec
from oso_pipeline.simulation.world.world import require_near
from oso_pipeline.tasks.stage import Gathered, StageBase
from oso_pipeline.tasks.task import TaskResult

DOCS = Path(__file__).parents[2] / "docs"


def oso(*words: str, code: int = 0) -> str:
    found = CliRunner().invoke(app, [*words], env={"COLUMNS": "200"})
    assert found.exit_code == code, found.output
    return found.output


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_3_18_the_version_is_reported() -> None:
    assert oso("--version").strip() == f"oso_pipeline {oso_pipeline.__version__}"


def test_3_18_the_help_lists_the_stages_those_of_others_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Extra(StageBase):
        name = "extra_of_somebody"

    monkeypatch.setattr(stages, "STAGES", (*stages.STAGES, Extra()))
    text = re.sub(r"[│\s]+", " ", oso("run", "--help"))
    names = ", ".join(stage.name for stage in stages.STAGES)
    assert text.count(f"one of: {names}.") == 2
    assert "extra_of_somebody" in text


def test_3_18_the_status_for_machines_has_the_keys_that_are_documented(world: World) -> None:
    (world.trouble / "bad-2").touch()
    (world.run_dir / "activity").mkdir(parents=True)
    runner.run(world.planner(), SerialExecutor(), [LogFile(world.run_dir, None)], Selection())
    path = held_elsewhere(world.run_dir, 4, "shard 1/2")
    progress = {"stage": "numbers", "todo": 4, "ended": 3, "failed": 1, "seconds": 20.0}
    (world.run_dir / "activity" / "shard-0001-of-0002.json").write_text(json.dumps(progress))
    beat = {"stage": "numbers", "task": "n2", "host": "node17", "pid": 1, "since": 0.0}
    content = json.loads(json.dumps(status_json.content(Watch(world.planner()).look(), True)))
    assert path.exists()
    assert content["complete"] is False
    numbers = content["stages"][0]
    assert (numbers["name"], numbers["tasks"], numbers["done"]) == ("numbers", 4, 3)
    assert numbers["reasons"] == {"never made": 1}
    (worker,) = content["workers"]
    assert (worker["role"], worker["host"], worker["job"]) == ("shard 1/2", "node17", "42")
    assert worker["progress"] == progress
    (failure,) = content["failures"]
    assert failure["stage"] == "numbers"
    assert failure["error"]
    page = (DOCS / "formats.md").read_text(encoding="utf-8")
    part = page[page.index("`oso status RUN --json`") :]
    for key in {*content, *numbers, *worker, *progress, *beat, "slow", "error"}:
        assert f"`{key}`" in part, key


def test_3_18_the_command_prints_one_object(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world.run()
    from oso_pipeline.cli import running

    monkeypatch.setattr(running, "planner_to_look", lambda _: world.planner())
    for options in ([], ["--watch"]):
        content = json.loads(oso("status", str(tmp_path), "--json", *options))
        assert content["complete"] is True
        assert [stage["name"] for stage in content["stages"]] == ["numbers", "total"]


def test_3_18_init_writes_the_keys_that_are_needed(tmp_path: Path) -> None:
    oso("init", str(tmp_path / "short"))
    oso("init", str(tmp_path / "long"), "--full")
    short, long = (tmp_path / name / "oso.yaml" for name in ("short", "long"))
    assert short.read_text() == short_template()
    assert long.read_text() == template()
    assert len(short.read_text().splitlines()) <= 20 < len(long.read_text().splitlines())
    first, second = (load_config(path, (), {}) for path in (short, long))
    away = {"run_dir", "imagery", "reference"}
    assert first.model_dump(exclude=away) == second.model_dump(exclude=away)
    assert first.recipe_id == second.recipe_id


def test_3_18_a_missing_section_is_explained_by_its_shape(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("")
    with pytest.raises(ConfigError) as caught:
        load_config(path, (), {})
    found = {problem.message.split(":")[0]: problem for problem in caught.value.problems}
    section = found["reference"]
    assert section.message == "reference: is missing, expected a section: the labelled polygons"
    assert section.hint == "write for example `reference: {sources: [{path: reference.gpkg}]}`"
    # What is advised can be written.
    path.write_text("".join(f"{example((key,))}\n" for key in found))
    assert load_config(path, (), {}).year == 2018


def test_3_18_progress_says_nothing_of_what_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 45))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: float(next(clock)))
    stream = io.StringIO()
    shown = PlainProgress(stream)
    plan = world.planner().plan(world.planner().stage("numbers"))
    result = TaskResult("numbers", "n", "done")
    shown.notice(StageStarted(plan))
    for _ in plan.todo:
        shown.notice(TaskEnded(result))
    shown.notice(StageEnded(plan, 0, Gathered()))
    lines = stream.getvalue().splitlines()[1:]
    assert lines[0] == "  1/4, a task every 45 s, 135 s left"
    assert not any("0.0 tasks/s" in line or "4/4" in line for line in lines)
    assert lines[-1].startswith("  numbers took")


def test_3_18_a_world_of_other_tiles_and_dates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oso_pipeline.simulation import demo

    made: list[WorldSpec] = []
    monkeypatch.setattr(demo, "ensure_world", lambda _, spec: made.append(spec) or True)
    folder = str(tmp_path / "world")
    oso("simulate", folder, "--tiles", "t31tcj,31TDJ", "--dates", "12", "--size", "64")
    assert (made[0].tiles, made[0].dates_per_orbit) == (("31TCJ", "31TDJ"), 12)
    for tiles in ("31TCJ,31UCU", "31TCJ,31TCJ", "nowhere", ""):
        assert "--tiles" in oso("simulate", folder, "--tiles", tiles, code=2)
    oso("simulate", folder, "--dates", "5", code=2)
    assert len(made) == 1
    require_near(WorldSpec())
    assert os.listdir(tmp_path) == []
