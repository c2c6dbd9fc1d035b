"""``oso clean`` removes what a run made and can make again, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.minimal_config import minimal_config
from support.toy_stages import Numbers, Total
from support.toy_world import World
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.core.commit import sidecar_of
from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.runtime.executors import SerialExecutor
from oso_pipeline.runtime.folder.cleaning import OUTDATED, TEMPORARY, Holding, look, remove
from oso_pipeline.runtime.folder.lock import RunLock
from oso_pipeline.runtime.folder.verification import verify_run
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection, run
from oso_pipeline.runtime.upkeep import clean
from oso_pipeline.tasks.stage import Makes


class Parts(Numbers):
    makes = Makes("parts")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def planner_of(world: World) -> Planner:
    stages = [Parts(world.values, world.trouble), Total()]
    return Planner(minimal_config(world.run_dir), stages)


def make(world: World) -> int:
    return run(planner_of(world), SerialExecutor(), [], Selection()).done


def holding_of(world: World) -> Holding:
    """Return what the run folder holds, compared with the plan of now."""
    planner = planner_of(world)
    tasks = [task for stage in planner.stages for task in planner.tasks(stage.name)]
    return look(world.run_dir, planner.stages, {o for task in tasks for o in task.outputs})


def names(holding: Holding, kind: str) -> list[str]:
    return [path.name for path in holding.kinds[kind].files]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_no_task_makes_any_more_is_outdated_but_results_are_not(world: World) -> None:
    make(world)
    world.values = [1, 2]
    make(world)
    (world.run_dir / "numbers" / ".9.txt.host.1.abcdef01.tmp").write_text("cut")
    holding = holding_of(world)
    assert names(holding, OUTDATED) == ["3.txt", "4.txt"]
    assert names(holding, TEMPORARY) == [".9.txt.host.1.abcdef01.tmp"]
    assert (names(holding, "parts"), names(holding, "total")) == (["1.txt", "2.txt"], ["total.txt"])
    size = sum((world.run_dir / "numbers" / f"3.txt{end}").stat().st_size for end in ("", ".json"))
    assert holding.kinds[OUTDATED].n_bytes == 2 * size
    for kind in (OUTDATED, TEMPORARY):
        remove(world.run_dir, holding.kinds[kind])
    assert make(world) == 0
    assert [*verify_run(world.run_dir).problems] == []
    result = look(world.run_dir, planner_of(world).stages, planned=set())
    assert names(result, OUTDATED) == ["1.txt", "2.txt"]
    assert names(result, "total") == ["total.txt"]


def test_a_kind_is_made_again_and_what_was_made_from_it_stays(world: World) -> None:
    make(world)
    remove(world.run_dir, holding_of(world).kinds["parts"])
    assert not (world.run_dir / "numbers").exists()
    before = (world.run_dir / "total.txt.json").stat().st_mtime_ns
    assert make(world) == 4
    assert (world.run_dir / "total.txt.json").stat().st_mtime_ns == before


def test_files_of_others_stay(world: World) -> None:
    make(world)
    within = world.run_dir / "evaluation" / "seasons" / "2017"
    make_within(world, within)
    assert [*verify_run(world.run_dir).problems] == []
    numbers = world.run_dir / "numbers"
    (numbers / "1.txt").write_text("mine now")
    (numbers / "notes.txt").write_text("mine")
    (numbers / "other.json").write_text(json.dumps({"sha256": "a", "size": 1, "key": "b"}))
    other = json.loads((numbers / "2.txt.json").read_text())
    other["recipe"]["stage"] = "of another version"
    (numbers / "2.txt.json").write_text(json.dumps(other))
    link = numbers / "3.txt"
    kept = link.rename(world.run_dir.parent / "kept.txt")
    link.symlink_to(kept)
    mine = files(within) | {"1.txt", "notes.txt", "other.json", "2.txt", "2.txt.json", "3.txt"}
    holding = look(world.run_dir, planner_of(world).stages, planned=set())
    assert {path.name for path in holding.changed} == {"1.txt", "3.txt"}
    for found in holding.kinds.values():
        remove(world.run_dir, found)
    left = {name.rpartition("/")[2] for name in files(world.run_dir)}
    assert left >= {name.rpartition("/")[2] for name in mine}
    assert "4.txt" in files(within) or (within / "numbers" / "4.txt").exists()
    assert not (numbers / "4.txt").exists()
    assert kept.read_text() == "6"


def make_within(world: World, folder: Path) -> None:
    stages = [Parts(world.values, world.trouble), Total()]
    run(Planner(minimal_config(folder), stages), SerialExecutor(), [], Selection())


@pytest.mark.slow
def test_killed_anywhere_the_same_command_and_the_next_run_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(world)
    whole = files(world.run_dir / "numbers")
    unlink, left = Path.unlink, 0

    def killed(self: Path, **options: Any) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        unlink(self, **options)

    for steps in range(4):
        monkeypatch.setattr(Path, "unlink", killed)
        left = steps
        with pytest.raises(KeyboardInterrupt):
            remove(world.run_dir, holding_of(world).kinds["parts"])
        monkeypatch.undo()
        left_over = holding_of(world).kinds["parts"]
        assert len(left_over.files) == 4 - steps // 2
        if steps == 3:  # the same command
            remove(world.run_dir, left_over)
            assert not (world.run_dir / "numbers").exists()
        assert make(world) == (0, 1, 1, 4)[steps]
        assert [*verify_run(world.run_dir).problems] == []
        assert whole == files(world.run_dir / "numbers")


def test_a_run_at_work_is_left_alone(world: World) -> None:
    make(world)
    (world.run_dir / "total.txt.json").unlink()
    with RunLock(world.run_dir):
        with pytest.raises(EnvironmentFailure, match="E-RUN-LOCK"):
            clean(world.run_dir, ["samples"])
        assert clean(world.run_dir, ["samples"], dry_run=True).changed == []


def test_the_command_names_kinds_and_refuses_what_is_no_run(world: World, tmp_path: Path) -> None:
    make(world)
    before = files(world.run_dir)
    result = CliRunner().invoke(app, ["clean", str(world.run_dir), "--kind", "sample"])
    assert result.exit_code == 2
    assert "samples" in result.output
    result = CliRunner().invoke(app, ["clean", str(world.run_dir), "--kind", "maps, blocks"])
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "nothing to remove")
    assert files(world.run_dir) == before  # of stages that this version does not know
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("a: 1\n")
    result = CliRunner().invoke(app, ["clean", str(tmp_path / "mine"), "--kind", "blocks"])
    assert result.exit_code == 1  # the command as a whole turns it into a message and exit code 4
    assert "E-RUN-NONE" in str(result.exception)
    assert sidecar_of(world.run_dir / "total.txt").exists()
