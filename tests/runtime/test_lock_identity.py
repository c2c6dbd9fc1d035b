"""Who holds a run folder, whatever clocks and containers say (2.15, 2.16, 2.17)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import ROOT
from support.toy_world import World

from oso_pipeline.cli import status_text
from oso_pipeline.core import processes
from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.runtime.folder.holder import Holder
from oso_pipeline.runtime.folder.lock import RunLock, lock_path
from oso_pipeline.runtime.folder.status import Watch
from oso_pipeline.tasks.heartbeat import heartbeats, live_heartbeats

HOLD = """
import sys, time
from pathlib import Path
from oso_pipeline.runtime.folder.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.run_dir.mkdir()
    return world


def write_lock(world: World, **content: object) -> Path:
    path = lock_path(world.run_dir, None)
    path.write_text(json.dumps({"role": "driver", "host": socket.gethostname(), **content}))
    return path


def test_2_15_a_driver_in_another_pid_namespace_keeps_its_lock(world: World) -> None:
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "true"], check=False).returncode
    ):
        pytest.skip("a PID namespace needs unshare of util-linux and the right to use it")
    command = [*unshare, "--kill-child", sys.executable, "-c", HOLD, str(world.run_dir)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            holder = Holder.read(lock_path(world.run_dir, None))
            assert holder is not None
            assert (holder.host, holder.is_there()) == (socket.gethostname(), None)
            with pytest.raises(EnvironmentFailure, match="E-RUN-LOCK"):
                world.run()
        finally:
            other.kill()


def test_2_15_a_stepped_clock_takes_no_lock_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunLock(world.run_dir) as held:
        monkeypatch.setattr(time, "time", lambda: 4e9)
        monkeypatch.setattr("psutil.boot_time", lambda: 4e9)
        os.utime(held.path, (0, 0))  # renewed last in 1970, by the clock as it is now
        with pytest.raises(EnvironmentFailure, match=f"driver, process {os.getpid()} on"):
            world.run()
        (line,) = [
            x for x in status_text.lines(Watch(world.planner()).look(), False) if "work" in x
        ]
        assert line.startswith("at work: driver")


def test_2_15_a_number_that_was_given_to_another_process_holds_nothing(world: World) -> None:
    ticks = processes.start_ticks(os.getpid())
    assert ticks is not None
    write_lock(world, pid=os.getpid(), space=processes.space(), ticks=ticks - 1)
    assert world.run().done == 5


def test_2_15_before_the_last_boot_silence_tells(world: World) -> None:
    path = write_lock(world, pid=1, space="another boot pid:[1]", ticks=5)
    with pytest.raises(EnvironmentFailure, match="process 1 on"):
        world.run()
    os.utime(path, (time.time() - 3600,) * 2)
    assert world.run().done == 5


def test_2_15_a_process_that_has_ended_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    while processes._fields(process.pid)[0] != "Z":
        time.sleep(0.01)
    assert not processes.is_alive(process.pid), "a zombie"
    process.wait()
    assert not processes.is_alive(process.pid)
    assert not processes.is_alive(2**70)
    assert processes.is_alive(1), "of another user, perhaps"


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(
        [-1, 0, 2**31, 2**70, float("inf"), float("nan"), 1.5, "", "shard", "shard 3/2"]
    ),
    st.integers(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
)
NAMES = ("role", "host", "pid", "space", "ticks", "job", "token", "event", "stage", "task", "since")
NAMES += ("todo", "ended", "failed", "seconds", "error", "peers_s", "ts")
OBJECTS = st.dictionaries(st.sampled_from(NAMES), ODD)


@pytest.mark.slow
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(ODD, OBJECTS), good=st.booleans())
def test_2_16_odd_json_in_lock_log_progress_and_signs(
    world: World, content: object, good: bool
) -> None:
    """A run takes the lock over or is refused, and the status says what it can."""
    start = {"role": "driver", "host": "node17", "pid": 1, "since": time.time()} if good else {}
    start |= {"event": "task_ended", "stage": "numbers", "task": "n1"} if good else {}
    text = json.dumps({**start, **content} if isinstance(content, dict) else content)
    run_dir = world.run_dir
    (run_dir / "activity" / "under_way").mkdir(parents=True, exist_ok=True)
    for name in ("run.lock", "log.jsonl", "activity/driver.json", "activity/under_way/a.1.json"):
        (run_dir / name).write_text(text)
    (run_dir / "log.jsonl").write_text(text + "\n" + text.replace("task_ended", "straggler"))
    list(status_text.lines(Watch(world.planner()).look(), True))
    heartbeats(run_dir)
    live_heartbeats(run_dir, 60)
    try:
        world.run()
    except EnvironmentFailure as error:
        assert "E-RUN-LOCK" in str(error)  # noqa: PT017 - both ends are right


def test_2_16_nesting_without_end_is_no_lock(world: World) -> None:
    lock_path(world.run_dir, None).write_text("[" * 100_000)
    assert world.run().done == 5
