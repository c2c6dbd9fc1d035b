"""What 0.1 left behind: site files and scripts still work, a run folder is continued.

``tests/data/0.1`` holds configurations and sites as 0.1 shipped them, the values that it read
from the sites, the scripts that its ``oso submit --print-script`` wrote for the demo, and the
folder of a finished run over 32 x 32 pixels of the simulated world, without the extracted images
and the report. That configurations plan alike is tested in ``tests/tasks``.
"""

from __future__ import annotations

import json
import re
import shlex
import tarfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from support.planned_keys import AFTER_PREDICT
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.site import load_site
from oso_pipeline.core.commit import read_sidecar, sidecar_of
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.tasks.task import Task

OLD = Path(__file__).resolve().parents[1] / "data" / "0.1"
SITES = json.loads((OLD / "sites.json").read_text(encoding="utf-8"))
DOCS = Path(__file__).resolve().parents[2] / "docs" / "migration.md"
_MOVED = re.compile(r"^\| `[\w.]+` \| `([a-z_.]+)\.(\w+)` \|$", re.MULTILINE)
_VARIABLE = re.compile(r"\$\w+")


@pytest.mark.parametrize("name", SITES)
def test_a_site_file_means_what_it_meant(name: str) -> None:
    site = load_site(OLD / "sites" / f"{name}.yaml").model_dump(mode="json")
    assert {key: site.get(key) for key in SITES[name]} == SITES[name]


def commands_of(script: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of the program, as an element 1 of an array gives them."""
    for line in script.splitlines():
        before, found, after = line.partition(" -m oso_pipeline.cli ")
        if found:
            assert "python" in before
            yield shlex.split(_VARIABLE.sub("1", after.removesuffix("&")))


@pytest.mark.parametrize("name", ["laptop", "pbs-generic", "slurm-generic", "slurm-pilot"])
def test_the_commands_of_a_script_are_understood(name: str) -> None:
    program = typer.main.get_command(app)
    stages = {stage.name for stage in STAGES}
    calls = list(commands_of((OLD / "scripts" / f"{name}.txt").read_text(encoding="utf-8")))
    assert calls
    for words in calls:
        group = program.make_context("oso", list(words))
        command = group.command.get_command(group, words[0])  # type: ignore[attr-defined]
        assert command is not None, words
        given = command.make_context(words[0], words[1:], parent=group).params
        assert {given[key] for key in ("until", "stage") if given.get(key)} <= stages
        assert "/data/demo/run/batch/config.yaml" in map(str, given.values())


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """Return the configuration of a run that 0.1 finished."""
    with tarfile.open(OLD / "run.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    copy = tmp_path / "run" / "config.yaml"
    copy.write_text(copy.read_text().replace("/data/tiny", str(tmp_path)), encoding="utf-8")
    return tmp_path / "tiny.yaml"


def tasks_of(config: Path) -> list[Task]:
    planner = Planner(load_config(config, (), {}), STAGES)
    return [task for stage in STAGES for task in planner.tasks(stage.name)]


def contents(run: Path) -> dict[str, tuple[bytes, bytes]]:
    """Return blocks, model, samples and polygons with their commit records."""
    patterns = ("blocks/*/*.tif", "models/*/*/*.npz", "samples/*.parquet", "reference.parquet")
    files = [path for pattern in patterns for path in run.glob(pattern)]
    return {str(path): (path.read_bytes(), sidecar_of(path).read_bytes()) for path in files}


@pytest.mark.slow
def test_samples_are_those_of_0_1_where_limits_bind(old_run: Path) -> None:
    fresh = old_run.parent / "fresh"
    command = ["run", str(old_run), "--until", "samples", "--set", f"run_dir={fresh}"]
    assert CliRunner().invoke(app, command).exit_code == 0
    made, old = (
        pq.read_table(run / "samples" / "31UCU.parquet") for run in (fresh, old_run.parent / "run")
    )
    assert len(made) > 100
    assert made.equals(old)


def test_a_run_folder_is_continued(old_run: Path) -> None:
    todo = {
        task.stage: task.state().why
        for task in tasks_of(old_run)
        if task.stage not in AFTER_PREDICT and task.state().status != "done"
    }
    # The folder lies elsewhere than 0.1 left it, so the inventory lists its images again.
    assert set(todo) == {"inventory"}
    plan = CliRunner().invoke(app, ["plan", str(old_run)])
    assert plan.exit_code == 0, plan.output
    assert f"inventory: 1 of 1: {todo['inventory']}" in " ".join(plan.output.split())

    before = contents(old_run.parent / "run")
    assert len(before) == 4 + 3
    result = CliRunner().invoke(app, ["run", str(old_run)])
    assert result.exit_code == 0, result.output
    assert contents(old_run.parent / "run") == before
    assert all(task.state().status == "done" for task in tasks_of(old_run))


@pytest.mark.parametrize("command", ["verify", "status"])
def test_a_run_folder_is_read(old_run: Path, command: str) -> None:
    result = CliRunner().invoke(app, [command, str(old_run.parent / "run")])
    assert result.exit_code == 0, result.output


def test_what_is_redone_is_named_with_the_reason(old_run: Path) -> None:
    status = CliRunner().invoke(
        app, ["plan", str(old_run), "--set", "learning.n_trees=5"], catch_exceptions=False
    )
    assert "train: 1 of 1: parameter n_trees: 4 -> 5" in " ".join(status.output.split())


def test_a_file_of_0_1_that_was_damaged_is_not_used(old_run: Path) -> None:
    block = next((old_run.parent / "run" / "blocks").rglob("*.tif"))
    block.write_bytes(block.read_bytes()[:-1])
    assert read_sidecar(block) is None
    todo = [task.name for task in tasks_of(old_run) if task.state().status != "done"]
    assert f"{block.parent.name}/{block.stem}" in todo
    assert len([name for name in todo if name.startswith(f"{block.parent.name}/")]) == 1


def test_what_moved_is_where_the_page_says() -> None:
    moved = _MOVED.findall(DOCS.read_text(encoding="utf-8"))
    assert ("adaptation", "AdaptedForestClassifier") in moved
    lost = [
        f"{module}.{name}"
        for module, name in moved
        if not hasattr(import_module(f"oso_pipeline.{module}"), name)
    ]
    assert lost == []
