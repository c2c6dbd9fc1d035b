"""Shares of a run: who does what, and who may work beside whom."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import PYTHONPATH
from support.minimal_config import minimal_config
from support.toy_stages import Numbers, Total
from support.toy_world import World, held_elsewhere

from oso_pipeline.core.errors import EnvironmentFailure, ExitCode
from oso_pipeline.runtime.events import Event, TaskEnded
from oso_pipeline.runtime.executors import SerialExecutor
from oso_pipeline.runtime.folder import lock as lock_module
from oso_pipeline.runtime.folder.lock import RunLock, lock_path
from oso_pipeline.runtime.folder.log_file import LogFile
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection, run
from oso_pipeline.runtime.shard import Shard
from oso_pipeline.runtime.stopping import Terminated
from oso_pipeline.tasks.task import Cost, Task


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def tasks_of(seconds: list[float]) -> list[Task]:
    return [
        Task("predict", f"t{n}", "nowhere:nothing", Path("run"), (), cost=Cost(core_seconds=s))
        for n, s in enumerate(seconds)
    ]


@given(st.lists(st.floats(0, 1e4), max_size=60), st.integers(1, 25))
def test_every_task_belongs_to_one_shard_and_shares_are_equal(
    seconds: list[float], count: int
) -> None:
    tasks = tasks_of(seconds)
    shares = [Shard(number, count).share(tasks) for number in range(1, count + 1)]
    assert [task for share in shares for task in share] == tasks, "neighbours stay together"
    equal = sum(seconds) / count
    for share in shares:
        work = sum(task.cost.core_seconds for task in share)
        assert abs(work - equal) <= max(seconds, default=0) * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "a/b", "1/2/3", "-1/2"])
def test_a_shard_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected i/n"):
        Shard.parse(text)


def test_shards_and_a_last_driver_do_together_what_one_run_does(world: World) -> None:
    world.values = list(range(10))
    done = []
    for number in (2, 3, 1):
        outcome = world.run(selection=Selection(shard=Shard(number, 3)))
        done.append(outcome.done)
        assert outcome.exit_code == ExitCode.OK
        if number != 1:
            assert outcome.waiting == "stage total waits for numbers of the other shards"
    assert sum(done) in (10, 11), "the last shard may own the one task of the last stage"
    assert max(done) <= 5
    outcome = world.run()
    assert world.total() == 2 * sum(range(10))
    assert outcome.done + sum(done) == 11


def test_a_shard_goes_on_with_its_own_share(world: World) -> None:
    world.values = list(range(9))
    shard = Selection(only="numbers", shard=Shard(2, 3))
    (world.trouble / "bad-4").touch()
    first = world.run(selection=shard)
    assert (first.done, first.exit_code) == (2, ExitCode.INPUT)
    (world.trouble / "bad-4").unlink()
    second = world.run(selection=shard)
    assert (second.done, second.up_to_date, second.exit_code) == (1, 2, ExitCode.OK)


def test_shards_coexist_but_not_with_a_driver_nor_with_themselves(world: World) -> None:
    one, two = Selection(only="numbers", shard=Shard(1, 2)), Selection(shard=Shard(2, 2))
    with RunLock(world.run_dir, Shard(1, 2)):
        assert world.run(selection=two).done == 2
        with pytest.raises(EnvironmentFailure, match=rf"shard 1/2, process {os.getpid()} on "):
            world.run()
        assert not lock_path(world.run_dir, None).exists(), "the refused leaves no lock"
        with pytest.raises(EnvironmentFailure, match="shard 1/2"):
            world.run(selection=one)
    with RunLock(world.run_dir), pytest.raises(EnvironmentFailure, match="driver, process"):
        world.run(selection=one)
    assert world.run(selection=one).done == 2


def recipe(world: World, **changes: object) -> str:
    return minimal_config(world.run_dir, **changes).recipe_id


def test_2_20_a_shard_of_another_configuration_is_refused_with_both_ids(world: World) -> None:
    one, two = recipe(world), recipe(world, seed=1)
    with RunLock(world.run_dir, Shard(1, 2), recipe=one):
        with pytest.raises(EnvironmentFailure) as caught:
            world.run(selection=Selection(shard=Shard(2, 2)), seed=1)
        (problem,) = caught.value.problems
        assert problem.code == "E-RUN-SHARDS"
        assert one in problem.message
        assert two in problem.message
        assert "shard 1/2" in problem.message
        assert not lock_path(world.run_dir, Shard(2, 2)).exists(), "the refused leaves no lock"
        assert not (world.run_dir / "config.yaml").exists(), "nothing was replaced"
        assert world.run(selection=Selection(shard=Shard(2, 2))).done == 2
    assert world.run(selection=Selection(shard=Shard(2, 2)), seed=1).exit_code == ExitCode.OK


def test_2_20_a_shard_that_is_gone_is_in_nobodys_way(world: World) -> None:
    path = held_elsewhere(world.run_dir, lock_module.SILENT_S + 5, "shard 1/2")
    path.write_text(json.dumps({**json.loads(path.read_text()), "recipe": "0" * 12}))
    os.utime(path, (time.time() - lock_module.SILENT_S - 5,) * 2)
    assert world.run(selection=Selection(shard=Shard(2, 2))).exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"name": "other"}, True),
        ({"runtime": {"workers": 3}}, True),
        ({"runtime": {"block_pixels": 1000}}, False),
        ({"runtime": {"memory_per_worker_gb": 3}}, False),
        ({"seed": 1}, False),
        ({"validation": {"bootstrap": 200}}, False),
    ],
)
def test_2_20_what_decides_the_tasks_tells_shards_apart(
    world: World, changes: dict[str, object], same: bool
) -> None:
    assert (recipe(world, **changes) == recipe(world)) is same


@pytest.mark.fault(
    row=40, injected="a lock of another host that is not renewed", outcome="taken over"
)
@pytest.mark.parametrize("role", ["driver", "shard 1/2"])
def test_a_lock_that_is_not_renewed_is_taken_over(world: World, role: str) -> None:
    held_elsewhere(world.run_dir, 60, role)
    with pytest.raises(EnvironmentFailure, match=f"{role}, process 1 on node17, job 42"):
        world.run()
    held_elsewhere(world.run_dir, lock_module.SILENT_S + 5, role)
    assert world.run().done == 5


def test_a_holder_renews_its_lock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "RENEW_S", 0.02)
    with RunLock(world.run_dir) as held:
        os.utime(held.path, (0, 0))
        for _ in range(200):
            if (lock_module.silence_s(held.path) or 0) < 60:
                return
            time.sleep(0.02)
    pytest.fail("the lock was not renewed")


def test_patience_waits_until_the_holder_is_taken_for_dead(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "SILENT_S", 1.0)
    held_elsewhere(world.run_dir, 0.5)
    with RunLock(world.run_dir, patience_s=10) as held:
        assert held.holder.host == socket.gethostname()


@pytest.mark.fault(
    row=40, injected="--break-lock during a run", outcome="the run that lost its lock stops"
)
def test_a_broken_lock_stops_the_run_that_held_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "RENEW_S", 0.02)
    with RunLock(world.run_dir) as held:
        with RunLock(world.run_dir, seize=True):
            for _ in range(200):
                if held.lost:
                    break
                time.sleep(0.02)
            with pytest.raises(EnvironmentFailure, match="taken away"):
                held.require_held()
        assert not held.path.exists()


class SignalAfter:
    """Sends a signal to this process when some tasks have ended."""

    def __init__(self, number: signal.Signals, tasks: int) -> None:
        self.number, self.left = number, tasks

    def notice(self, event: Event) -> None:
        if isinstance(event, TaskEnded):
            self.task_ended()

    def task_ended(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


def test_an_announced_end_leaves_the_rest_to_the_next_run(world: World) -> None:
    planner = world.planner()
    outcome = run(planner, SerialExecutor(), [SignalAfter(signal.SIGUSR1, 2)], Selection())
    assert (outcome.done, outcome.stopped, outcome.exit_code) == (2, True, ExitCode.SOME_LEFT)
    assert int(ExitCode.SOME_LEFT) == 75
    assert not lock_path(world.run_dir, None).exists()
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    outcome = world.run()
    assert (outcome.done, outcome.up_to_date, outcome.exit_code) == (3, 2, ExitCode.OK)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_an_end_that_python_ignores_is_heeded(
    world: World, number: signal.Signals, kind: type[BaseException]
) -> None:
    class Finalised:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    class InFinaliser(SignalAfter):
        def task_ended(self) -> None:
            Finalised()

    with pytest.raises(kind):
        run(world.planner(), SerialExecutor(), [InFinaliser(number, 1)], Selection())
    assert not lock_path(world.run_dir, None).exists()


HANGING = """
import sys
from pathlib import Path
from support.toy_world import World
from support.minimal_config import minimal_config
from oso_pipeline.cli.running import run_shown
from oso_pipeline.runtime.runner import Selection
world = World.__new__(World)
world.trouble, world.run_dir, world.values = Path(sys.argv[1]), Path(sys.argv[2]), [1, 2, 3]
cluster = {"kind": sys.argv[3]}
planner = world.planner(runtime={"cluster": cluster, "workers": 1, "stop_grace_s": 0.5})
run_shown(planner, Selection())
"""


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", "local"])
def test_what_does_not_end_within_the_grace_is_dropped(world: World, executor: str) -> None:
    (world.trouble / "hang-2").touch()
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    command = [sys.executable, "-c", HANGING, str(world.trouble), str(world.run_dir), executor]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    for _ in range(1200):
        if (world.trouble / "hangs-2").exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert "run the same command again" in errors
    assert not lock_path(world.run_dir, None).exists()


def test_logs_of_shards_lie_apart(world: World) -> None:
    config = minimal_config(world.run_dir)
    planner = Planner(config, [Numbers(world.values, world.trouble), Total()])
    shard = Shard(1, 2)
    lock_path(world.run_dir, shard).parent.mkdir(parents=True)
    log = LogFile(world.run_dir, shard)
    run(planner, SerialExecutor(), [log], Selection(only="numbers", shard=shard))
    names = [json.loads(line).get("task") for line in log.path.read_text().splitlines()]
    assert [name for name in names if name] == ["n1", "n2"]
    assert not (world.run_dir / "log.jsonl").exists()
