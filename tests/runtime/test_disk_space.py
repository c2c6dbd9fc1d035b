"""Free disk space is checked against the expected output size before a run starts."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from support.minimal_config import minimal_config
from support.pipeline_tools import write_config

from oso_pipeline.config.loader import load_config
from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.core.errors import EnvironmentFailure, ExitCode
from oso_pipeline.imagery.stage import InventoryStage
from oso_pipeline.runtime.checks.disk import disk_space
from oso_pipeline.runtime.executors import SerialExecutor
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection, run
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.tasks.job import Job
from oso_pipeline.tasks.stage import StageBase
from oso_pipeline.tasks.task import Cost, Summary, Task

GB = 10**9


class Disk:
    """The disk as the system describes it, with as much free as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free_bytes = 100 * GB
        real = os.statvfs

        def told(path: os.PathLike[str]) -> os.statvfs_result:
            found = list(real(path))
            found[0:2] = [4096, 4096]  # f_bsize, f_frsize
            found[3:5] = [self.free_bytes // 4096] * 2  # f_bfree, f_bavail
            return os.statvfs_result(found)

        monkeypatch.setattr("os.statvfs", told)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def write_little(job: Job, task: Task) -> Summary:
    publish_bytes(task.output(), b"little")
    return {}


class Large(StageBase):
    """Three tasks of 2 GB, as they say; two of one tile, one of another."""

    name = "large"

    def plan(self, context) -> list[Task]:
        names = ["31TCJ/a", "31TCJ/b", "31TDJ/c"]
        function, cost = f"{__name__}:write_little", Cost(bytes_written=2 * GB)
        return [
            Task("large", name, function, context.run_dir, (f"{name}.bin",), cost=cost)
            for name in names
        ]


def planner_in(folder: Path) -> Planner:
    imagery = {"paths": ["products"], "tiles": ["31TCJ", "31TDJ"]}
    return Planner(minimal_config(folder / "run", imagery=imagery), [Large()])


def start(planner: Planner, selection: Selection | None = None) -> int:
    return run(planner, SerialExecutor(), [], selection or Selection()).done


@pytest.mark.fault(
    row=13,
    injected="free space below half of the expected output (statvfs)",
    outcome="E-RUN-DISK before any task, exit 6: required space, free space, what to do",
)
def test_a_run_that_cannot_fit_is_refused_before_any_task(tmp_path: Path, disk: Disk) -> None:
    disk.free_bytes = int(2.9 * GB)
    with pytest.raises(EnvironmentFailure) as refused:
        start(planner_in(tmp_path))
    assert refused.value.exit_code == ExitCode.ENVIRONMENT
    said = str(refused.value)
    for word in ("E-RUN-DISK", "6.00 GB to write", "2.90 GB free", "stage large", "`run_dir`"):
        assert word in said
    assert str(tmp_path / "run") in said
    assert not list((tmp_path / "run").rglob("*.bin"))
    assert not (tmp_path / "run" / "run.lock").exists()


def test_estimates_are_trusted_within_a_factor_of_two(tmp_path: Path, disk: Disk) -> None:
    disk.free_bytes = int(3.1 * GB)
    assert start(planner_in(tmp_path)) == 3


def test_finished_and_replaced_files_need_no_space(tmp_path: Path, disk: Disk) -> None:
    planner = planner_in(tmp_path)
    start(planner, Selection(tiles=("31TCJ",)))
    disk.free_bytes = int(1.1 * GB)
    assert disk_space(planner, planner.stages).to_write == {"large": 2 * GB}
    assert start(planner) == 1
    # Of an outdated file that is replaced only what it lacks counts.
    done = tmp_path / "run" / "31TDJ" / "c.bin"
    done.with_name("c.bin.json").unlink()
    with done.open("wb") as stream:
        stream.truncate(int(1.5 * GB))
    assert disk_space(planner, planner.stages).to_write == {"large": GB // 2}


def test_a_part_needs_the_space_of_that_part(tmp_path: Path, disk: Disk) -> None:
    disk.free_bytes = int(1.1 * GB)
    planner = planner_in(tmp_path)
    with pytest.raises(EnvironmentFailure, match="E-RUN-DISK"):
        start(planner)
    assert start(planner, Selection(tiles=("31TDJ",))) == 1


def test_archives_count_with_what_they_are_extracted_to(small_world: Path, tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path, small_world), ())
    archives = list((small_world / "products").rglob("*.zip"))
    assert archives, "the simulated world holds some"
    needed = 0
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            needed += sum(info.file_size for info in archive.infolist())
    context = Planner(config, STAGES)
    tasks = InventoryStage().plan(context)
    told = sum(task.cost.bytes_written for task in tasks)
    assert 0.5 * needed < told <= needed
    first = context.run_dir / "extracted"
    for task in tasks:
        for candidate in task.job.candidates:
            if candidate.path.suffix == ".zip":
                (first / candidate.product_id).mkdir(parents=True)
    assert sum(task.cost.bytes_written for task in InventoryStage().plan(context)) == 0
