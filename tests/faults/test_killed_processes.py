"""Processes that are killed, crash, stop or hang: nothing is lost, nothing half done."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support import PYTHONPATH, ROOT, TESTS
from support.pipeline_tools import digests, write_config
from support.toys import Toy

from oso_pipeline.core.commit import read_sidecar, sidecar_of
from oso_pipeline.runtime.folder.verification import verify_run


def sound(toy: Toy) -> None:
    """Assert that everything is there and as it was committed."""
    assert toy.total() == toy.expected_total
    assert not len(verify_run(toy.run_dir).problems)


@pytest.mark.fault(
    row=1, injected="SIGKILL in the task, once", outcome="repeated elsewhere; all done, exit 0"
)
def test_a_worker_killed_in_a_task(toy: Toy) -> None:
    ended = toy.run("local", "in_unit@numbers/n2:kill")
    assert ended.code == 0, ended.errors
    assert toy.struck() == ["in_unit kill numbers/n2"]
    assert ended.summary["done"] == 7
    sound(toy)


@pytest.mark.slow
@pytest.mark.fault(
    row=1,
    injected="SIGKILL in three prediction blocks of two tiles",
    outcome="maps equal those of a clean run byte for byte",
)
def test_killed_workers_leave_the_map_as_it_is(small_world: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    faults = ";".join(f"in_unit@predict/*:{action}:{n}" for n, action in [(1, "kill"), (3, "exit")])
    found = {}
    for name, fault in (("clean", {}), ("faulty", {"FAULT": faults, "FAULT_STATE": str(state)})):
        config = write_config(tmp_path / name, small_world)
        command = [sys.executable, "-m", "oso_pipeline.cli", "run", str(config), "--workers", "2"]
        command += ["--set", "runtime.executor=local", "--set", "runtime.block_pixels=8192"]
        path = os.pathsep.join([str(ROOT / "tests/faults/hook"), str(ROOT)])
        environment = {**os.environ, "PYTHONPATH": path, **fault}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        found[name] = digests(tmp_path / name / "run")
    assert len((state / "struck").read_text().splitlines()) == 2
    assert found["clean"] == found["faulty"]


KILL_WINDOWS = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
from odc.geo.geobox import GeoBox
from oso_pipeline.prediction.block_file import BANDS, write_block

folder = Path(sys.argv[1])
grid = GeoBox.from_bbox((600000, 4800000, 603840, 4803840), "EPSG:32631", resolution=10)
layers = np.random.default_rng(0).integers(0, 900, (3, 384, 384)).astype(np.uint16)
bands = dict(zip(BANDS, layers))
write_block(folder / "whole.tif", bands, grid)
draw = random.Random(0)
for attempt in range(50):
    child = os.fork()
    if child == 0:
        while True:
            write_block(folder / f"{attempt}.tif", bands, grid)
    time.sleep(draw.uniform(0.0, 0.08))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.fault(
    row=2,
    injected="SIGKILL at 50 random moments of writing blocks",
    outcome="no file under its final name, or a complete one; the next run removes temporary files",
)
def test_killed_while_it_writes_a_raster(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILL_WINDOWS, str(tmp_path)], check=True, timeout=120)
    whole = hashlib.sha256((tmp_path / "whole.tif").read_bytes()).hexdigest()
    finals = list(tmp_path.glob("[0-9]*.tif"))
    assert {hashlib.sha256(file.read_bytes()).hexdigest() for file in finals} <= {whole}
    assert list(tmp_path.glob(".*.tmp")), "some were killed in the middle"


@pytest.mark.fault(
    row=2,
    injected="SIGKILL between write and rename",
    outcome="temporary file removed, task repeated",
)
def test_temporaries_of_killed_writers_are_swept(toy: Toy) -> None:
    assert toy.run(fault="after_write@3.txt:kill").code == -signal.SIGKILL
    assert len(list(toy.run_dir.rglob(".*.tmp"))) == 1
    assert not (toy.run_dir / "numbers" / "3.txt").exists()
    assert toy.run().code == 0
    sound(toy)


@pytest.mark.parametrize("point", ["after_rename@3.txt", "before_sidecar@numbers/n3"])
@pytest.mark.fault(
    row=3, injected="SIGKILL between rename and sidecar", outcome="counts as not done; made again"
)
def test_killed_between_file_and_commit(toy: Toy, point: str) -> None:
    # The hook sees the folder, not the file, once the file has been renamed.
    fault = "after_rename@numbers:kill:5" if "rename" in point else f"{point}:kill"
    assert toy.run(fault=fault).code == -signal.SIGKILL
    file = toy.run_dir / "numbers" / "3.txt"
    assert file.exists()
    assert not sidecar_of(file).exists()
    ended = toy.run()
    assert (ended.code, ended.summary["done"], ended.summary["old"]) == (0, 5, 2)
    sound(toy)


@pytest.mark.slow
@pytest.mark.fault(
    row=3,
    injected="SIGKILL between rename and sidecar of a file that replaces an older one",
    outcome="the older commit is withdrawn first: with its configuration, the file is made again",
)
def test_an_old_commit_never_covers_a_new_file(toy: Toy) -> None:
    toy.run()
    file = toy.run_dir / "numbers" / "3.txt"
    key = read_sidecar(file)["key"]
    sidecar_of(file).write_text(sidecar_of(file).read_text().replace(key, "0" * 64))
    assert toy.run(fault="after_rename@numbers:kill").code == -signal.SIGKILL
    assert file.exists()
    assert read_sidecar(file) is None


@pytest.mark.fault(
    row=4, injected="SIGKILL of the driver in the fourth task", outcome="only the rest is done"
)
def test_a_killed_driver(toy: Toy) -> None:
    assert toy.run(fault="in_unit@numbers/n4:kill").code == -signal.SIGKILL
    assert (toy.run_dir / "run.lock").exists()
    ended = toy.run()
    assert (ended.code, ended.summary["done"], ended.summary["old"]) == (0, 4, 3)
    sound(toy)


def wait_for(condition, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, -2), (signal.SIGTERM, 1)],
)
@pytest.mark.fault(
    row=6, injected="SIGINT, SIGTERM to a driver with workers", outcome="no process is left behind"
)
def test_signals_leave_no_process_behind(toy: Toy, number: signal.Signals, code: int) -> None:
    process = toy.start("local", "in_unit@numbers/n2:hang")
    wait_for(toy.struck)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (toy.run_dir / "run.lock").exists()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []


@pytest.mark.slow
@pytest.mark.fault(
    row=7,
    injected="one task in ten kills its worker, by SIGKILL or by exit, 60 tasks",
    outcome="the run ends; the next run does all tasks that it lists as failed",
)
def test_random_deaths(toy: Toy) -> None:
    toy.count = 60
    ended = toy.run("local", "in_unit:kill:0.05;in_unit:exit:0.05")
    assert ended.code in (0, 5), ended.errors
    assert len(toy.struck()) >= 2
    failed = [name for name, _, _ in ended.summary["failures"]]
    made = {path.stem for path in (toy.run_dir / "numbers").glob("*.txt")}
    assert {f"n{stem}" for stem in made} | set(failed) == {f"n{n}" for n in range(1, 61)}
    assert toy.run().code == 0
    sound(toy)


@pytest.mark.slow
@pytest.mark.fault(
    row=8,
    injected="a segmentation fault in every attempt of one task",
    outcome="the task fails after four workers, all others are done, exit 5",
)
def test_a_unit_that_crashes_its_process(toy: Toy) -> None:
    ended = toy.run("local", "in_unit@numbers/n3:segfault:1.0")
    assert ended.code == 5, ended.errors
    ((name, error, _),) = ended.summary["failures"]
    assert name == "n3"
    assert "killed" in error
    assert ended.summary["done"] == 5
    assert toy.run().code == 0
    sound(toy)


@pytest.mark.slow
@pytest.mark.fault(
    row=9,
    injected="SIGSTOP of a worker in a task",
    outcome="after the deadline its worker is replaced; the run ends",
)
def test_a_worker_that_stops(toy: Toy) -> None:
    ended = toy.run("local", "in_unit@numbers/n3:stop")
    assert ended.code in (0, 5), ended.errors
    # What the stopped worker had done before is done, though nobody can ask it any more.
    for name, error, _ in ended.summary["failures"]:
        assert name == "n3"
        assert "deadline" in error
    assert toy.run().code == 0
    sound(toy)


@pytest.mark.slow
@pytest.mark.fault(
    row=10,
    injected="one task is 20 times slower",
    outcome="the others continue; it is named once in the log, before it ends",
)
def test_a_straggler_stalls_nobody(toy: Toy) -> None:
    toy.count = 16
    ended = toy.run("local", "in_unit@numbers/n1:pause")
    assert ended.code == 0, ended.errors
    log = [json.loads(line) for line in (toy.run_dir / "log.jsonl").read_text().splitlines()]
    found = [
        (entry["event"], entry["task"])
        for entry in log
        if entry.get("stage") == "numbers" and "task" in entry
    ]
    order = [task for event, task in found if event == "task_ended"]
    assert order.index("n1") >= toy.count // 2
    assert found.count(("straggler", "n1")) == 1
    assert found.index(("straggler", "n1")) < found.index(("task_ended", "n1"))
    sound(toy)


TWO_WORKERS = """
import sys
from pathlib import Path
from support.minimal_config import minimal_config
from support.toy_stages import Numbers
from oso_pipeline.tasks.worker import do
from oso_pipeline.runtime.planner import Planner

folder = Path(sys.argv[1])
planner = Planner(minimal_config(folder / "run"), [Numbers([1], folder / "trouble")])
result = do(planner.tasks("numbers")[0])
print(result.status, result.error)
"""


@pytest.mark.parametrize(
    "point",
    [
        *("in_unit", "before_sidecar"),
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("before_write", "before_rename")),
    ],
)
@pytest.mark.fault(
    row=41,
    injected="a worker stopped in a task, continued after another worker has done the task",
    outcome="both succeed with the same bytes and one commit",
)
def test_two_workers_at_one_unit(toy: Toy, point: str) -> None:
    toy.run_dir.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((PYTHONPATH, str(TESTS / "faults/hook"))),
        "FAULT_STATE": str(toy.folder / "state"),
    }

    def start(**more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", TWO_WORKERS, str(toy.folder)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, text=True, env={**environment, **more})

    first = start(FAULT=f"{point}:stop")
    wait_for(lambda: psutil.Process(first.pid).status() == psutil.STATUS_STOPPED)
    second, _ = start().communicate(timeout=60)
    file = toy.run_dir / "numbers" / "1.txt"
    before = file.read_bytes(), sidecar_of(file).read_bytes()
    first.send_signal(signal.SIGCONT)
    assert first.communicate(timeout=60)[0] == second == "done None\n"
    assert (file.read_bytes(), sidecar_of(file).read_bytes()) == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["1.txt", "1.txt.json"]


@pytest.mark.parametrize("kind", ["serial", "local"])
@pytest.mark.fault(
    row=48, injected="an exception that holds a lock", outcome="reported with its traceback, exit 5"
)
def test_an_error_that_cannot_travel(toy: Toy, kind: str) -> None:
    ended = toy.run(kind, "in_unit@numbers/n3:unpicklable")
    assert ended.code == 5, ended.errors
    ((name, error, _),) = ended.summary["failures"]
    assert name == "n3"
    assert "Unpicklable: an error that holds a lock" in error


@pytest.mark.slow
@pytest.mark.fault(
    row=52,
    injected="the command line of every worker",
    outcome="workers are spawned, none is forked from a process with threads of GDAL",
)
def test_workers_are_spawned(toy: Toy) -> None:
    process = toy.start("local", "in_unit@numbers/n2:hang")
    try:
        wait_for(toy.struck)
        children = psutil.Process(process.pid).children(recursive=True)
        commands = [" ".join(child.cmdline()) for child in children]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    workers = [text for text in commands if "spawn_main" in text]
    assert len(workers) == 2
    assert all("toy_run" not in text for text in commands), "no fork of the driver"


DIES_AT_START = """
import os, signal
from pathlib import Path

deaths = Path({folder!r})
number = len(list(deaths.iterdir()))
if number < {times}:
    (deaths / str(number)).touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("times", "done"), [(1, True), (100, False)])
@pytest.mark.fault(
    row=1,
    injected="SIGKILL while the workers start, once and every time",
    outcome="restarted, all done; after three times exit 6 with the reason",
)
def test_a_worker_killed_while_it_starts(toy: Toy, times: int, done: bool) -> None:
    deaths = toy.folder / "deaths"
    deaths.mkdir()
    script = toy.folder / "dies.py"
    script.write_text(DIES_AT_START.format(folder=str(deaths), times=times))
    toy.environment = {"DASK_DISTRIBUTED__WORKER__PRELOAD": repr([str(script)])}
    ended = toy.run("local")
    assert list(deaths.iterdir())
    assert "Traceback" not in ended.errors
    if done:
        assert ended.code == 0, ended.errors
        sound(toy)
    else:
        assert ended.code == 6
        assert "E-CLUSTER-START" in ended.errors
