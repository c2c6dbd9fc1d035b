"""How far a run is, told from its folder alone while others work in it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from support.toy_world import World, held_elsewhere

from oso_pipeline.cli import status_text
from oso_pipeline.core.commit import sidecar_of
from oso_pipeline.runtime import runner
from oso_pipeline.runtime.executors import SerialExecutor
from oso_pipeline.runtime.folder.lock import SILENT_S, RunLock
from oso_pipeline.runtime.folder.log_file import LogFile
from oso_pipeline.runtime.folder.status import Progress, ProgressFile, Watch
from oso_pipeline.runtime.runner import Selection
from oso_pipeline.runtime.shard import Shard
from oso_pipeline.tasks.heartbeat import heartbeats, under_way


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def said(world: World, why: bool = False) -> list[str]:
    return list(status_text.lines(Watch(world.planner()).look(), why))


def run_shard(world: World, shard: Shard | None) -> None:
    (world.run_dir / "activity").mkdir(parents=True, exist_ok=True)
    observers = [LogFile(world.run_dir, shard), ProgressFile(world.run_dir, shard)]
    runner.run(world.planner(), SerialExecutor(), observers, Selection(shard=shard))


def test_nothing_done_nobody_there(world: World) -> None:
    assert said(world) == [
        "numbers    0 done, 4 new, 0 outdated",
        "total      0 done, 1 new, 0 outdated",
        "nobody is at work",
    ]


def test_shards_at_work_are_named_with_rate_and_time_left(world: World) -> None:
    world.values = list(range(10))
    run_shard(world, Shard(1, 2))
    held_elsewhere(world.run_dir, 4, "shard 1/2")
    progress = {"stage": "numbers", "todo": 5, "ended": 2, "failed": 0, "seconds": 20.0}
    (world.run_dir / "activity" / "shard-0001-of-0002.json").write_text(json.dumps(progress))
    with RunLock(world.run_dir, Shard(2, 2)):
        (world.run_dir / "activity" / "shard-0002-of-0002.json").write_text(
            json.dumps({**progress, "ended": 4})
        )
        text = said(world)
    assert text[0] == "numbers    5 done, 5 new, 0 outdated"
    assert text[2].startswith("at work: shard 1/2, process 1 on node17, job 42: numbers 2/5, last")
    assert text[3].startswith(f"at work: shard 2/2, process {os.getpid()} on ")
    assert text[4] == "together a task every 3.3 s, about 30 s left of numbers"


def test_who_gave_no_sign_of_life_is_lost(world: World) -> None:
    held_elsewhere(world.run_dir, SILENT_S + 60)
    assert [line for line in said(world) if line.startswith("lost: driver, process 1 on node17")]


def test_failures_are_reported_until_they_are_fixed(world: World) -> None:
    for number in (1, 3):
        (world.trouble / f"bug-{number}").touch()
    (world.trouble / "bad-2").touch()
    run_shard(world, Shard(1, 2))
    run_shard(world, Shard(2, 2))
    failed = [line for line in said(world) if line.startswith("failed")]
    assert failed[0] == "failed: numbers n1 and 1 more: RuntimeError: a bug"
    assert failed[1].startswith("failed: numbers n2: error[E-TOY] number 2 is bad")
    (world.trouble / "bad-2").unlink()
    run_shard(world, None)
    assert not [line for line in said(world) if "E-TOY" in line], "done since"
    for trouble in world.trouble.iterdir():
        trouble.unlink()
    run_shard(world, None)
    assert said(world) == [
        "numbers    4 done, 0 new, 0 outdated",
        "total      1 done, 0 new, 0 outdated",
    ]


def test_a_task_leaves_a_sign_while_it_runs(world: World) -> None:
    world.run_dir.mkdir()
    with under_way(world.run_dir, "numbers", "n1"):
        (beat,) = heartbeats(world.run_dir)
        assert (beat.task, beat.pid) == ("n1", os.getpid())
        assert [line for line in said(world) if line.startswith("under way: numbers n1 on ")]
    assert heartbeats(world.run_dir) == []
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    left = world.run_dir / "activity" / "under_way" / f"x.{gone.pid}.json"
    left.write_text(json.dumps({**_content(beat), "pid": gone.pid}))
    assert not [line for line in said(world) if line.startswith("under way")], "it was killed"
    run_shard(world, None)
    assert not left.exists()


def _content(beat: object) -> dict[str, object]:
    names = ("stage", "task", "host", "pid", "since", "space")
    return {name: getattr(beat, name) for name in names}


def test_a_sign_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "activity").write_text("in the way")
    with under_way(tmp_path, "numbers", "n1"):
        pass
    with under_way(tmp_path / "gone", "numbers", "n1"):
        pass
    assert not (tmp_path / "gone").exists(), "a folder that vanished is not made again"


def test_watching_sees_damage_to_what_was_done(world: World) -> None:
    run_shard(world, None)
    look = Watch(world.planner())
    assert look.look().is_complete
    output = world.run_dir / "numbers" / "2.txt"
    sidecar_of(output).write_text("{")
    assert [plan.count("done") for plan in look.look().plans] == [3, 1]
    run_shard(world, None)
    output.write_text("longer than it was")
    assert [plan.count("done") for plan in look.look().plans] == [3, 1]


def test_watching_thousands_of_tasks_reads_what_is_done_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.values = list(range(300))
    run_shard(world, None)
    look = Watch(world.planner())
    look.look()
    opened = []
    original = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda self, *a, **k: opened.append(self) or original(self, *a, **k)
    )
    assert look.look().is_complete
    assert not [path for path in opened if path.suffix == ".json" and "numbers" in path.parts]


def test_watch_without_a_terminal_gives_lines_and_ends_with_the_run(world: World) -> None:
    run_shard(world, None)
    stream = io.StringIO()
    started = time.monotonic()
    status_text.watch(Watch(world.planner()), False, 30, Console(file=stream))
    assert time.monotonic() - started < 20
    assert stream.getvalue().startswith("--- 20")
    assert "numbers    4 done" in stream.getvalue()


def test_progress_before_the_first_task_promises_nothing() -> None:
    assert Progress("predict", 10, 0, 0, 5.0).left_s is None
    assert Progress("predict", 10, 4, 0, 8.0).left_s == pytest.approx(12.0)
