"""Tasks that take much longer than their peers are named, once, and no others."""

from __future__ import annotations

import io
import json
import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from support.toy_world import World

from oso_pipeline.cli import status_text
from oso_pipeline.cli.progress import BarProgress, JsonProgress, PlainProgress
from oso_pipeline.runtime.events import StageStarted, TaskEnded, TaskStraggles
from oso_pipeline.runtime.folder.log_file import LogFile
from oso_pipeline.runtime.folder.status import Watch
from oso_pipeline.runtime.folder.stragglers import StragglerWatch, Usual
from oso_pipeline.runtime.planner import StagePlan
from oso_pipeline.tasks.heartbeat import Heartbeat, under_way
from oso_pipeline.tasks.task import Cost, TaskResult


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(
            "oso_pipeline.runtime.folder.stragglers.time.monotonic", lambda: self.now
        )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def watch_of(world: World, costs: dict[str, float] | None = None) -> StragglerWatch:
    """Return a watch on the numbers of a world, planned to take as many seconds as told."""
    planner = world.planner()
    plan = planner.plan(planner.stages[0])
    tasks = tuple(
        replace(task, cost=Cost(core_seconds=(costs or {}).get(task.name, 0.0)))
        for task in plan.tasks
    )
    watch = StragglerWatch(world.run_dir, 3600, [], Usual(peers=3, times=5, least_s=30))
    watch.notice(StageStarted(StagePlan(plan.stage, tasks, plan.states)))
    world.run_dir.mkdir(exist_ok=True)
    return watch


def ended(watch: StragglerWatch, *names: str, seconds: float = 10.0) -> None:
    for name in names:
        watch.notice(TaskEnded(TaskResult("numbers", name, "done", seconds=seconds)))


def test_named_once_when_five_times_as_long_as_its_peers(world: World, clock: Clock) -> None:
    watch = watch_of(world)
    with under_way(world.run_dir, "numbers", "n1"):
        assert watch.look() == []
        clock.now += 49
        ended(watch, "n2", "n3")
        clock.now += 100
        assert watch.look() == [], "two that have ended tell nothing"
        clock.now -= 100
        ended(watch, "n4")
        assert watch.look() == [], "49 s are not yet five times 10 s"
        clock.now += 2
        (slow,) = watch.look()
        assert (slow.heartbeat.task, slow.heartbeat.pid) == ("n1", os.getpid())
        assert (slow.seconds, slow.usual_s) == (51, 10)
        clock.now += 1000
        assert watch.look() == [], "once"


def test_short_tasks_are_not_worth_a_line(world: World, clock: Clock) -> None:
    watch = watch_of(world)
    with under_way(world.run_dir, "numbers", "n1"):
        watch.look()
        ended(watch, "n2", "n3", "n4", seconds=0.1)
        clock.now += 29
        assert watch.look() == []
        clock.now += 2
        assert [slow.heartbeat.task for slow in watch.look()] == ["n1"]


def test_a_task_planned_to_be_longer_has_longer(world: World, clock: Clock) -> None:
    watch = watch_of(world, {"n1": 40.0, "n2": 10.0, "n3": 10.0, "n4": 10.0})
    with under_way(world.run_dir, "numbers", "n1"):
        watch.look()
        ended(watch, "n2", "n3", "n4")
        clock.now += 199
        assert watch.look() == [], "four times as much work: 200 s"
        clock.now += 2
        assert len(watch.look()) == 1


def test_clocks_of_other_hosts_do_not_matter(world: World, clock: Clock) -> None:
    watch = watch_of(world)
    folder = world.run_dir / "activity" / "under_way"
    folder.mkdir(parents=True)
    beat = {"stage": "numbers", "task": "n1", "host": "node17", "pid": 7}
    (folder / "node17.7.json").write_text(json.dumps({**beat, "since": time.time() - 1800}))
    ended(watch, "n2", "n3", "n4")
    assert watch.look() == [], "half an hour by a clock that goes ahead"
    clock.now += 51
    assert len(watch.look()) == 1


def test_a_shard_reads_only_the_signs_of_its_host(world: World, clock: Clock) -> None:
    watch = watch_of(world)
    watch.host = socket.gethostname()
    folder = world.run_dir / "activity" / "under_way"
    folder.mkdir(parents=True)
    other = {"stage": "numbers", "task": "n2", "host": "node17", "pid": 7, "since": time.time()}
    (folder / "node17.7.json").write_text(json.dumps(other))
    with under_way(world.run_dir, "numbers", "n1"):
        watch.look()
        ended(watch, "n3", "n4", "n3")
        clock.now += 1000
        assert [slow.heartbeat.task for slow in watch.look()] == ["n1"]


def test_what_a_killed_worker_left_does_not_count(world: World, clock: Clock) -> None:
    watch = watch_of(world)
    folder = world.run_dir / "activity" / "under_way"
    folder.mkdir(parents=True)
    left = {"stage": "numbers", "task": "n1", "host": "node17", "pid": 7, "since": time.time()}
    (folder / "node17.7.json").write_text(json.dumps(left))
    watch.look()
    ended(watch, "n2", "n3", "n4")
    clock.now += 45
    with under_way(world.run_dir, "numbers", "n1"):
        clock.now += 45
        assert watch.look() == [], "its second attempt has just been seen"
    ended(watch, "n1")
    clock.now += 1000
    assert watch.look() == []


def test_reported_in_log_progress_and_status(world: World) -> None:
    log, plain, lines = LogFile(world.run_dir), io.StringIO(), io.StringIO()
    bars = io.StringIO()
    world.run_dir.mkdir()
    with under_way(world.run_dir, "numbers", "n1"):
        (beat,) = Watch(world.planner()).look().heartbeats
        straggler = TaskStraggles(beat, 51.2, 9.96)
        log.notice(straggler)
        PlainProgress(plain).notice(straggler)
        JsonProgress(lines).notice(straggler)
        BarProgress(Console(file=bars, width=120)).notice(straggler)
        (shown,) = [
            line
            for line in status_text.lines(Watch(world.planner()).look(), False)
            if line.startswith("under way")
        ]
    said = f"slow: numbers n1 on {beat.host}, process {beat.pid}, for 51 s; its peers took 10.0 s"
    assert plain.getvalue().strip() == bars.getvalue().strip() == said
    assert shown.startswith(f"under way: numbers n1 on {beat.host}, process {beat.pid}, for ")
    assert shown.endswith(", slow: its peers took 10.0 s")
    for text in (lines.getvalue(), log.path.read_text()):
        entry = json.loads(text)
        assert (entry["event"], entry["task"], entry["peers_s"]) == ("straggler", "n1", 9.96)


def test_status_forgets_it_with_the_attempt(world: World) -> None:
    world.run_dir.mkdir()
    other = Heartbeat("numbers", "n1", "node17", 7, time.time())
    LogFile(world.run_dir).notice(TaskStraggles(other, 51, 10))
    with under_way(world.run_dir, "numbers", "n1"):
        assert Watch(world.planner()).look().slow == {}
