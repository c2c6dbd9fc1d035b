"""Memory, files, clocks, locales, pipes and drivers that are not as expected."""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import ROOT
from support.pipeline_tools import write_config
from support.toy_world import World
from support.toys import Toy

from oso_pipeline.core.commit import sidecar_of
from oso_pipeline.core.errors import ExitCode
from oso_pipeline.tasks.job import Job
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do

TILE = "30UYD"  # one is enough


def oso(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "oso_pipeline.cli", *map(str, arguments)]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)


def greedy(job: Job, task: Task) -> dict[str, int]:
    """Ask for more memory than the limit of the process allows."""
    import numpy as np

    return {"sum": int(np.ones(3_000_000_000, np.uint8)[::4096].sum())}


@pytest.mark.fault(
    row=12,
    injected="RLIMIT_AS: an allocation beyond the limit of the process",
    outcome="the task fails with exit 6 and names memory and the setting; no hang",
)
def test_memory_beyond_the_limit_of_the_process(tmp_path: Path) -> None:
    task = Task("toy", "greedy", f"{__name__}:greedy", tmp_path, ("out.txt",))
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 500_000_000, hard))
    try:
        result = do(task)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert (result.status, result.exit_code) == ("failed", ExitCode.ENVIRONMENT)
    assert "memory" in (result.error or "")
    assert "runtime.memory_per_worker_gb" in (result.error or "")


@pytest.mark.slow
@pytest.mark.fault(
    row=16,
    injected="1000 tasks in one process",
    outcome="open files and memory stay constant, no temporary file is left",
)
def test_a_thousand_units_leave_nothing_behind(world: World) -> None:
    world.values = list(range(1000))
    process = psutil.Process()
    tasks = world.planner().tasks("numbers")
    assert all(do(task).status == "done" for task in tasks[:100])
    gc.collect()
    files, memory = process.num_fds(), process.memory_info().rss
    assert all(do(task).status == "done" for task in tasks[100:])
    gc.collect()
    assert process.num_fds() == files
    assert process.memory_info().rss - memory < 20_000_000
    assert not list(world.run_dir.rglob("*.tmp"))


@pytest.mark.fault(
    row=16,
    injected="no further file can be opened",
    outcome="the task fails with exit 6 and the reason",
)
def test_too_few_files(world: World) -> None:
    world.run_dir.mkdir()
    (task, *_) = world.planner().tasks("numbers")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        result = do(task)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (result.status, result.exit_code) == ("failed", ExitCode.ENVIRONMENT)
    assert "Too many open files" in (result.error or "")
    assert do(task).status == "done"


@pytest.mark.fault(
    row=42,
    injected="another time zone, all files from 1990 or from 2096",
    outcome="nothing is done again",
)
@pytest.mark.parametrize(
    "stamp", [631_152_000, pytest.param(4_000_000_000, marks=pytest.mark.slow)]
)
def test_clocks_do_not_matter(toy: Toy, stamp: int) -> None:
    toy.run()
    for file in toy.run_dir.rglob("*"):
        os.utime(file, (stamp, stamp))
    toy.environment["TZ"] = "Pacific/Kiritimati"
    ended = toy.run()
    assert (ended.code, ended.summary["done"], ended.summary["old"]) == (0, 0, 7)


@pytest.mark.slow
@pytest.mark.fault(
    row=42, injected="times of images and databases changed", outcome="nothing is done again"
)
def test_times_of_the_input_do_not_matter(small_world: Path, tmp_path: Path) -> None:
    world = tmp_path / "world"
    shutil.copytree(small_world, world)
    config = write_config(tmp_path, world, tiles=TILE)
    assert oso("run", config, "--until", "reference").returncode == 0
    for file in world.rglob("*"):
        os.utime(file, (1_000_000_000, 1_000_000_000))
    ended = oso("run", config, "--until", "reference", TZ="Pacific/Kiritimati")
    assert "nothing had to be redone" in ended.stdout, ended.stdout + ended.stderr


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=100).map(str.encode),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
@pytest.mark.fault(
    row=44,
    injected="any bytes, any text, any JSON for a commit record (hypothesis)",
    outcome="counts as not committed; made again; no crash",
)
def test_any_content_of_a_commit_record(world: World, content: bytes) -> None:
    world.run()
    sidecar_of(world.run_dir / "numbers" / "2.txt").write_bytes(content)
    assert world.run().done == 1
    assert world.total() == 20


@pytest.mark.parametrize(
    "old",
    [
        {"size": 1, "sha256": "0", "task_key": "abc"},
        {"size": 1, "key": "abc"},
        {"size": 1, "key": "abc", "recipe": "numbers/n2"},
        {"size": 1, "key": "abc", "recipe": {"version": 0, "inputs": None, "params": [1]}},
        {"size": 1, "key": None, "recipe": {}, "schema_version": 99},
    ],
)
@pytest.mark.fault(
    row=45,
    injected="commit records of other versions, whole or in part",
    outcome="made again with a reason; never misread",
)
def test_commit_records_of_other_versions(world: World, old: dict[str, object]) -> None:
    world.run()
    file = world.run_dir / "numbers" / "2.txt"
    sidecar_of(file).write_text(json.dumps(old))
    planner = world.planner()
    (why,) = planner.plan(planner.stage("numbers")).reasons
    assert why
    assert world.run().done == 1
    assert file.read_text() == "4"


@pytest.mark.fault(
    row=49,
    injected="standard output closed after the first line",
    outcome="the run continues, exit 0",
)
@pytest.mark.parametrize("options", [(), pytest.param(("--json-log",), marks=pytest.mark.slow)])
def test_a_closed_pipe(small_world: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    config = write_config(tmp_path, small_world, tiles=TILE)
    command = [sys.executable, "-m", "oso_pipeline.cli", "run", str(config), *options]
    command += ["--until", "reference"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.readline()
        run.stdout.close()
        errors = run.stderr.read()
    assert run.returncode == 0, errors
    assert "Traceback" not in errors
    assert sidecar_of(tmp_path / "run" / "reference.parquet").exists()


@pytest.mark.parametrize("locale", ["C", pytest.param("POSIX", marks=pytest.mark.slow)])
@pytest.mark.fault(
    row=50,
    injected="LC_ALL=C or POSIX; a folder of 200 letters with accents, spaces and quotes",
    outcome="works",
)
def test_odd_paths_and_locales(small_world: Path, tmp_path: Path, locale: str) -> None:
    name = "Été 2018 l'essai « à côté » 1 "
    folder = tmp_path / (name + "x" * (200 - len(name.encode())))
    folder.mkdir()
    (folder / "monde simulé").symlink_to(small_world)
    config = write_config(folder, folder / "monde simulé", tiles=TILE)
    ended = oso("run", config, "--until", "reference", LC_ALL=locale)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert oso("status", folder / "run", "--why", LC_ALL=locale).returncode == 0


@pytest.mark.parametrize("driver", ["COG", pytest.param("GTiff", marks=pytest.mark.slow)])
@pytest.mark.fault(
    row=54, injected="GDAL_SKIP removes a driver", outcome="E-RUN-DRIVER before any task, exit 6"
)
def test_a_driver_that_gdal_lacks(small_world: Path, tmp_path: Path, driver: str) -> None:
    config = write_config(tmp_path, small_world, tiles=TILE)
    # Images that cannot be opened count as whole tiles, whose samples need more memory.
    few = ("--set", "sampling.max_validation_pixels=300")
    ended = oso("run", config, *few, GDAL_SKIP=driver)
    assert ended.returncode == ExitCode.ENVIRONMENT
    assert f"has no driver {driver}" in ended.stderr
    assert not (tmp_path / "run" / "inventory").exists()


@pytest.mark.fault(
    row=47, injected="tasks submitted in any order", outcome="the same bytes in every file"
)
def test_the_order_of_tasks_does_not_matter(world: World) -> None:
    contents = []
    for seed in range(3):
        tasks = list(world.planner().tasks("numbers"))
        random.Random(seed).shuffle(tasks)
        assert all(do(task).status == "done" for task in tasks)
        files = sorted((world.run_dir / "numbers").iterdir())
        contents.append({file.name: file.read_bytes() for file in files})
    assert contents[0] == contents[1] == contents[2]
