"""Machines that are not a developer's; numbers are those of the list of faults found in use."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.machine_tools import NOBODY, as_nobody, in_process, open_folder, oso
from support.minimal_config import minimal_config
from support.pipeline_tools import write_config

from oso_pipeline.core import machine, own_data
from oso_pipeline.core.errors import ExitCode, InputDataError, Problem
from oso_pipeline.learning.train_stage import _threads
from oso_pipeline.runtime import calibration
from oso_pipeline.runtime.executors import n_workers, queues
from oso_pipeline.tasks.job import Job
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do

TILE = "30UYD"


@pytest.fixture
def foreign_data(tmp_path: Path) -> Path:
    """Return a folder with the data of an older PROJ."""
    shutil.copy(Path(rasterio.__file__).parent / "proj_data" / "proj.db", tmp_path)
    with sqlite3.connect(tmp_path / "proj.db") as database:
        database.execute(
            "update metadata set value = 0 where key = 'DATABASE.LAYOUT.VERSION.MINOR'"
        )
    return tmp_path


@pytest.mark.slow
def test_1_5_and_2_13_a_user_without_home_or_entry_in_passwd_runs(small_world: Path) -> None:
    nobody = as_nobody()
    with open_folder() as folder:
        shutil.copytree(small_world, folder / "world")
        config = write_config(folder, folder / "world", tiles=TILE)
        for home, command in (("", ("run", "--until", "reference")), ("/nonexistent", ("plan",))):
            environ = {"HOME": home, "TMPDIR": str(folder)}
            ended = oso(command[0], config, *command[1:], environ=environ, user=nobody)
            assert ended.returncode == 0, ended.stderr
        assert (folder / f"oso_pipeline-{NOBODY}" / "compiled").is_dir()


def test_2_13_no_home_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", _unknown)
    monkeypatch.chdir("/proc")  # where nothing can be written
    assert calibration.remembered() is None
    calibration.remember(calibration.NOMINAL)
    assert queues._user() == str(os.getuid())


def _unknown(uid: int) -> None:
    raise KeyError(uid)


@pytest.mark.parametrize("content", ["[]", "1", "null", '{"machine": 1}', "[" * 5000])
@pytest.mark.parametrize("rate", ["", "NaN", "0", "-1", '"x"', "null", "1e999"])
def test_2_16_an_odd_file_of_speeds_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, rate: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calibration._memory().parent.mkdir()
    odd = f'{{"decoded_bytes_per_s": {rate}, "computed_pixels_per_s": 1}}' if rate else content
    calibration._memory().write_text(odd)
    assert calibration.remembered() is None


def test_a_measured_speed_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calibration.remember(calibration.NOMINAL)
    assert calibration.remembered() == calibration.NOMINAL


@pytest.mark.parametrize("name", ["PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH"])
@pytest.mark.parametrize("place", ["older", "empty", "absent"])
def test_1_6_data_of_another_installation_are_not_used(
    foreign_data: Path, name: str, place: str
) -> None:
    (foreign_data / "empty").mkdir()
    folder = foreign_data if place == "older" else foreign_data / place
    words = "import oso_pipeline, rasterio; print(rasterio.CRS.from_epsg(2154).to_epsg())"
    found = in_process([sys.executable, "-c", words], environ={name: str(folder)})
    assert found.stdout.strip() == "2154", found.stderr


@pytest.mark.slow
def test_1_6_driver_and_workers_use_their_own_data(
    small_world: Path, tmp_path: Path, foreign_data: Path
) -> None:
    config = write_config(tmp_path, small_world, tiles=TILE)
    environ = {"PROJ_LIB": str(foreign_data), "PROJ_DATA": str(foreign_data)}
    command = ("run", config, "--until", "reference", "--cluster", "local", "--workers", 1)
    run = oso(*command, environ=environ)
    assert run.returncode == 0, run.stderr


def test_1_6_a_build_without_data_of_its_own_keeps_what_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environ = {"PROJ_DATA": "/usr/share/proj"}
    monkeypatch.setattr(own_data, "_brings_own_data", lambda package: False)
    assert own_data.prefer_own_data(environ) == ()
    assert environ == {"PROJ_DATA": "/usr/share/proj"}


VERSION_2 = {
    "proc/self/cgroup": "0::/system.slice/job\n",
    "sys/fs/cgroup/system.slice/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/system.slice/job/cpu.max": "max 100000\n",
    "sys/fs/cgroup/system.slice/memory.max": "max\n",
    "sys/fs/cgroup/system.slice/job/memory.max": "1000000000\n",
}
VERSION_1 = {
    "proc/self/cgroup": "4:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n1:name=systemd:/\n",
    "sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "100000\n",
    "sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes": "1000000000\n",
}
IN_A_CONTAINER = {  # which sees its own group at the top, and the path of its host
    "proc/self/cgroup": "4:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000000000\n",
}
UNLIMITED = {
    "proc/self/cgroup": "4:memory:/\n2:cpu:/\n0::/\n",
    "sys/fs/cgroup/cpu.max": "max 100000\n",
    "sys/fs/cgroup/memory.max": "max\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}\n",
}
ODD = {"proc/self/cgroup": "0\n\n::::\n", "sys/fs/cgroup/cpu.max": "\n"}


def root_of(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize("files", [VERSION_2, VERSION_1, IN_A_CONTAINER])
def test_1_13_limits_of_a_container_count_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    monkeypatch.setattr(machine, "ROOT", root_of(tmp_path, files))
    assert (machine.cores(), machine.memory_bytes()) == (1, 1_000_000_000)
    config = minimal_config(tmp_path / "run")
    assert n_workers(config) == 1
    assert _threads(config, n_tasks=1) == 1


@pytest.mark.parametrize("files", [UNLIMITED, ODD, {}])
def test_1_13_without_a_limit_the_machine_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    monkeypatch.setattr(machine, "ROOT", root_of(tmp_path, files))
    assert machine.cores() == 64
    assert machine.memory_bytes() == machine.psutil.virtual_memory().total


def test_1_13_memory_bounds_the_workers_unless_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 64)
    monkeypatch.setattr(machine, "memory_bytes", lambda: 8_000_000_000)
    config = minimal_config(tmp_path / "run")
    each = config.runtime.memory_per_worker_bytes
    assert n_workers(config) == 8_000_000_000 // each
    assert n_workers(config, 20) == 20


def opens_an_image(job: Job, task: Task) -> dict[str, int]:
    """Read an image with no descriptor left, as a task of a run does."""
    from oso_pipeline.timeseries.reading.rasters import _named

    path = task.run_dir / "image.tif"
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        with _named(path), rasterio.open(path) as image:
            return {"sum": int(image.read(1).sum())}
    finally:
        for descriptor in held:
            os.close(descriptor)


def test_2_9_few_file_descriptors_are_named_as_such(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "image.tif", "w", driver="GTiff", width=1, height=1, count=1, dtype="uint8"
    ) as image:
        image.write(np.ones((1, 1, 1), np.uint8))
    task = Task("toy", "opens", f"{__name__}:opens_an_image", tmp_path, ("out.txt",))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        result = do(task, memory_bytes=8e9)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert result.exit_code == ExitCode.ENVIRONMENT, result.error
    assert "E-SYSTEM-FILES" in (result.error or "")
    assert "ulimit -n" in (result.error or "")
    assert "damaged" not in (result.error or "")


def opens_what_is_gone(job: Job, task: Task) -> dict[str, int]:
    (task.run_dir / "gone.zip").read_bytes()
    return {}


def test_what_vanishes_under_a_task_is_named_with_what_to_do(tmp_path: Path) -> None:
    task = Task("toy", "opens", f"{__name__}:opens_what_is_gone", tmp_path, ("out.txt",))
    result = do(task)
    assert result.exit_code == ExitCode.ENVIRONMENT
    for word in ("E-SYSTEM", "No such file or directory", str(tmp_path / "gone.zip"), "run again"):
        assert word in (result.error or "")


def damaged(job: Job, task: Task) -> dict[str, int]:
    raise InputDataError(Problem("E-IMAGE-CUT", "an image is damaged", "a.tif", ""))


def test_2_9_a_damaged_image_is_still_a_damaged_image(tmp_path: Path) -> None:
    result = do(Task("toy", "damaged", f"{__name__}:damaged", tmp_path, ("out.txt",)))
    assert result.exit_code == ExitCode.INPUT
    assert "E-IMAGE-CUT" in (result.error or "")


@pytest.mark.slow
@pytest.mark.parametrize(("closed", "options"), [("1", ()), ("0 1 2", ("--json-log",))])
def test_2_18_closed_streams(
    small_world: Path, tmp_path: Path, closed: str, options: tuple[str, ...]
) -> None:
    config = write_config(tmp_path, small_world, tiles=TILE)

    def close() -> None:
        for number in map(int, closed.split()):
            os.close(number)

    streams = {"stdout": None, "stderr": None if "2" in closed else subprocess.PIPE}
    run = oso("run", config, "--until", "inventory", *options, preexec_fn=close, **streams)
    assert run.returncode == 0, run.stderr
    assert list((tmp_path / "run").rglob("*.parquet"))
