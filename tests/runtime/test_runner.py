from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import psutil
import pytest
from support import PYTHONPATH
from support.minimal_config import minimal_config
from support.toy_stages import Numbers, Total
from support.toy_world import World

from oso_pipeline.core import processes
from oso_pipeline.core.commit import sidecar_of, staged
from oso_pipeline.core.errors import EnvironmentFailure, ExitCode, InputDataError
from oso_pipeline.runtime.events import Event, TaskEnded
from oso_pipeline.runtime.executors import LocalExecutor, SerialExecutor
from oso_pipeline.runtime.folder.lock import RunLock
from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection, run
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.tasks.past_seasons import of_its_season
from oso_pipeline.tasks.stage import Gathered
from oso_pipeline.tasks.task import TaskResult


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_second_run_has_nothing_to_do(world: World) -> None:
    first, second = world.run(), world.run()
    assert (first.done, first.up_to_date) == (5, 0)
    assert (second.done, second.up_to_date) == (0, 5)
    assert world.total() == 20


def test_only_what_depends_on_a_new_input_runs_again(world: World) -> None:
    world.run()
    world.values.append(5)
    outcome = world.run()
    assert (outcome.done, outcome.up_to_date) == (2, 4)
    assert world.total() == 30


@pytest.mark.fault(
    row=43,
    injected="a parameter changed between runs",
    outcome="the affected stages are outdated, with the reason",
)
def test_changed_parameter_outdates_the_chain_before_anything_runs(world: World) -> None:
    world.run()
    planner = world.planner(seed=1)
    numbers, total = (planner.plan(stage) for stage in planner.stages)
    assert numbers.count("outdated") == 4
    assert dict(numbers.reasons) == {"parameter seed: 0 -> 1": 4}
    assert total.count("outdated") == 1
    assert next(iter(total.reasons)).startswith("input n1 changed")


@pytest.mark.fault(
    row=44,
    injected="output or commit record truncated or missing",
    outcome="only that task is repeated",
)
@pytest.mark.parametrize("damage", ["output gone", "sidecar gone", "sidecar cut", "output cut"])
def test_what_is_missing_or_damaged_is_made_again(world: World, damage: str) -> None:
    world.run()
    output = world.run_dir / "numbers" / "2.txt"
    match damage:
        case "output gone":
            output.unlink()
        case "sidecar gone":
            sidecar_of(output).unlink()
        case "sidecar cut":
            sidecar_of(output).write_text('{"a":')
        case "output cut":
            output.write_text("")
    outcome = world.run()
    assert (outcome.done, outcome.up_to_date) == (1, 4)
    assert output.read_text() == "4"


@pytest.mark.fault(
    row=42, injected="times of all files set to 1970", outcome="nothing is done again"
)
def test_file_times_do_not_matter(world: World) -> None:
    world.run()
    for file in world.run_dir.rglob("*"):
        os.utime(file, (0, 0))
    assert world.run().done == 0


def test_failed_task_does_not_stop_the_others(world: World) -> None:
    (world.trouble / "bad-2").touch()
    outcome = world.run()
    assert outcome.done == 3
    assert [failure.name for failure in outcome.failures] == ["n2"]
    assert "numbers.txt" in (outcome.failures[0].error or "")
    assert outcome.exit_code == ExitCode.INPUT
    assert not (world.run_dir / "total.txt").exists()
    (world.trouble / "bad-2").unlink()
    outcome = world.run()
    assert (outcome.done, outcome.exit_code) == (2, ExitCode.OK)
    assert world.total() == 20


def test_bug_in_a_task_is_reported_with_its_trace(world: World) -> None:
    (world.trouble / "bug-3").touch()
    outcome = world.run()
    assert outcome.exit_code == ExitCode.FAILED_TASKS
    assert "RuntimeError: a bug" in (outcome.failures[0].error or "")


def test_until_and_only(world: World) -> None:
    assert world.run(selection=Selection(until="numbers")).done == 4
    assert world.run(selection=Selection(only="total")).done == 1


def test_only_needs_the_stages_before(world: World) -> None:
    with pytest.raises(InputDataError, match="stage total needs stage numbers"):
        world.run(selection=Selection(only="total"))


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    final = tmp_path / "file.bin"
    final.write_bytes(b"old")

    def fill_the_disk() -> None:
        with staged(final) as temporary:
            temporary.write_bytes(b"ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk"):
        fill_the_disk()
    assert final.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [final]


def test_strays_of_killed_writers_are_swept(world: World) -> None:
    world.run_dir.mkdir()
    stray = world.run_dir / ".1.txt.host.1.abcdef01.tmp"
    stray.touch()
    world.run()
    assert not stray.exists()


@pytest.mark.fault(
    row=39,
    injected="a second run in the folder of an active run",
    outcome="refused; process and host of the active run are named",
)
def test_second_run_in_one_folder_is_refused(world: World) -> None:
    with (
        RunLock(world.run_dir),
        pytest.raises(EnvironmentFailure, match=f"{os.getpid()}") as caught,
    ):
        world.run()
    assert caught.value.exit_code == ExitCode.ENVIRONMENT
    assert world.run().done == 5


@pytest.mark.fault(
    row=40, injected="the lock of a process that has ended", outcome="recognised and taken over"
)
def test_lock_of_a_dead_process_is_taken_over(world: World) -> None:
    world.run_dir.mkdir()
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    ticks = processes.start_ticks(process.pid)
    process.wait()
    holder = {"host": "any", "pid": process.pid, "space": processes.space(), "ticks": ticks}
    (world.run_dir / "run.lock").write_text(json.dumps(holder))
    assert world.run().done == 5


def test_lock_of_another_machine_is_respected(world: World) -> None:
    world.run_dir.mkdir()
    holder = {"host": "elsewhere", "pid": 1, "space": "another boot", "ticks": 0}
    (world.run_dir / "run.lock").write_text(json.dumps(holder))
    with pytest.raises(EnvironmentFailure, match="elsewhere"):
        world.run()


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([4, 4], 4), ([4, 1], 5), ([1], 5), ([6], 6), ([5], 5)],
)
def test_exit_code_of_failures(codes: list[int], expected: int) -> None:
    failures = [TaskResult("s", "t", "failed", exit_code=code) for code in codes]
    assert Outcome(failures=failures).exit_code == expected


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalExecutor]:
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    with LocalExecutor(workers=2, deadline_s=60) as executor:
        first = Planner(minimal_config(tmp_path / "first"), [Numbers([1], tmp_path)])
        list(executor.run(first.tasks("numbers"), "first"))
        executor._client.run(import_module, "support.toy_stages")
        # Workers that have loaded all they need do a task of nothing in time, however busy.
        executor.limits = replace(executor.limits, deadline_s=3)
        yield executor


class ClusterWatch:
    """Looks at the cluster while it works."""

    def __init__(self, executor: LocalExecutor) -> None:
        self.executor = executor
        self.most_tasks = 0
        self.groups: set[int] = set()
        self.handling_signals: set[str] = set()

    def notice(self, event: Event) -> None:
        if not isinstance(event, TaskEnded):
            return
        scheduler = self.executor._cluster.scheduler
        self.most_tasks = max(self.most_tasks, len(scheduler.tasks))
        self.groups.add(len(scheduler.task_groups))
        if not self.handling_signals:
            me = psutil.Process()
            for process in [me, *me.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):  # a worker that was killed meanwhile
                    self.handling_signals |= _addresses_listened_at(process)


def _addresses_listened_at(process: psutil.Process) -> set[str]:
    connections = process.net_connections("tcp")
    return {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}


def test_cluster_bounds_its_queue_serves_on_loopback_and_survives_deaths(
    world: World, local: LocalExecutor
) -> None:
    world.values = list(range(30))
    (world.trouble / "kill-7").touch()
    watch = ClusterWatch(local)
    outcome = run(world.planner(), local, [watch], Selection())
    assert (outcome.done, outcome.failures) == (31, [])
    assert world.total() == 2 * sum(range(30))
    assert watch.handling_signals == {"127.0.0.1"}
    assert 1 <= watch.most_tasks <= 12, "the scheduler holds a bounded window"
    assert max(watch.groups) == 1, "one group for all, or dask sends every task at once"


@pytest.mark.slow
@pytest.mark.fault(
    row=9,
    injected="a task that sleeps for ever",
    outcome="abandoned at its deadline and named; the others are done",
)
def test_task_that_hangs_is_given_up_and_the_others_end(world: World, local: LocalExecutor) -> None:
    (world.trouble / "hang-3").touch()
    outcome = world.run(local)
    assert outcome.done == 3
    assert "n3 gave no result within 3 s, twice" in (outcome.failures[0].error or "")
    assert "`runtime.task_deadline_s`" in (outcome.failures[0].error or "")
    assert outcome.exit_code == ExitCode.FAILED_TASKS


@pytest.mark.fault(
    row=11,
    injected="a task that kills every worker that tries it",
    outcome="named, with memory as the usual cause and the setting; the others are done",
)
@pytest.mark.slow
def test_task_that_kills_every_worker_is_blamed(world: World, local: LocalExecutor) -> None:
    (world.trouble / "kill-always-3").touch()
    outcome = world.run(local)
    assert outcome.done == 3
    assert "memory" in (outcome.failures[0].error or "")


class Extra(Numbers):
    """As the numbers, but nothing depends on them."""

    name = "numbers"
    optional = True


@pytest.fixture
def extra(world: World) -> Planner:
    stages = [Extra(world.values, world.trouble), Total()]
    return Planner(minimal_config(world.run_dir), stages)


def test_3_9_an_optional_stage_that_fails_stops_nothing(world: World, extra: Planner) -> None:
    (world.trouble / "bad-2").touch()
    outcome = run(extra, SerialExecutor(), [], Selection())
    assert outcome.done == 4, "the stage after it was done"
    assert (outcome.went_on, outcome.passed_over) == (True, {"numbers"})
    assert outcome.exit_code == ExitCode.FAILED_TASKS
    assert world.total() == 16
    extra.require_complete(extra.stage("total"))
    (world.trouble / "bad-2").unlink()
    extra.forget()
    outcome = run(extra, SerialExecutor(), [], Selection())
    assert (outcome.done, outcome.went_on, outcome.exit_code) == (1, False, ExitCode.OK)


def test_3_9_a_failure_of_what_is_needed_counts_for_the_exit_code() -> None:
    optional = TaskResult("validate", "t", "failed", exit_code=4)
    needed = TaskResult("report", "t", "failed", exit_code=6)
    assert Outcome(failures=[optional], passed_over={"validate"}).exit_code == 5
    both = Outcome(failures=[needed, replace(needed)], passed_over={"validate"})
    assert (both.went_on, both.exit_code) == (False, 6)


def test_3_15_warnings_of_the_map_name_its_season_beside_those_of_past_ones(
    tmp_path: Path,
) -> None:
    found = Gathered(warnings=("warning[W-TOY] odd",))
    past = {"year": 2017, "imagery": {"paths": ["products_2017"]}}
    for adaptation, expected in (
        (None, "warning[W-TOY] odd"),
        ({"sources": [past]}, "season 2018: warning[W-TOY] odd"),
    ):
        planner = Planner(minimal_config(tmp_path, adaptation=adaptation), STAGES)
        assert of_its_season(found, planner.stage("reference"), planner).warnings == (expected,)
        assert of_its_season(found, planner.stage("train"), planner) == found
