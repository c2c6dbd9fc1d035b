"""What it costs to plan, hand out and commit blocks, without any pixels.

``python -m bench.coordination`` runs 10,000 blocks that do nothing through the executor that a run
uses, once with nothing to commit and once committing a small file each, and compares the processor
time of driver, scheduler and workers with what a block of real work takes.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from bench import RESULTS
from bench.machine import describe
from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.runtime.executors import LocalExecutor
from oso_pipeline.tasks.job import Input, Job, reads
from oso_pipeline.tasks.task import Cost as TaskCost
from oso_pipeline.tasks.task import Summary, Task

RESULT = RESULTS / "coordination.json"
PIXELS_PER_BLOCK = 44 * 10_980
"""Rows of strips that 1.5 GB of memory allow at 40 dates."""
SECONDS_PER_PIXEL = 5e-6


@dataclass(frozen=True)
class Cost:
    """Of handing out tasks.

    Parameters
    ----------
    tasks
        How many.
    wall_seconds
        From the first to the last.
    driver_ms, workers_ms
        Processor time per task: of the process that holds plan and scheduler, of all workers.
    share_percent
        Both together, of the processor time that a block of real work takes.
    driver_mb
        Resident memory of the driver after each tenth of the tasks.
    """

    tasks: int
    wall_seconds: float
    driver_ms: float
    workers_ms: float
    share_percent: float
    driver_mb: tuple[int, ...]

    @property
    def growth_mb(self) -> int:
        """Memory gained over the second half of the tasks, when everything is warm."""
        return self.driver_mb[-1] - self.driver_mb[len(self.driver_mb) // 2]


@dataclass(frozen=True, kw_only=True)
class NoJob(Job):
    """A job as large as that of a task that predicts.

    Parameters
    ----------
    layout
        Bands and dates.
    block
        Row and column.
    models
        Inputs by name.
    """

    layout: Mapping[str, Any]
    block: Mapping[str, int]
    models: Mapping[str, Input] = reads()


def nothing(job: NoJob, task: Task) -> Summary:
    """Do nothing at all."""
    return {"pixels": 0}


def small_file(job: NoJob, task: Task) -> Summary:
    """Commit a file of 100 bytes."""
    publish_bytes(task.output(), bytes(100))
    return {"pixels": 0}


def tasks_of(folder: Path, count: int, function: str, commits: bool) -> list[Task]:
    """Return tasks as large as those that predict blocks, and expected to take as long."""
    cost = TaskCost(core_seconds=PIXELS_PER_BLOCK * SECONDS_PER_PIXEL)  # groups depend on it
    layout = {"bands": [f"B{n}" for n in range(10)], "dates": ["2018-01-01"] * 36}
    return [
        Task(
            stage="predict",
            name=f"31TCJ/{number:06d}",
            function=f"bench.coordination:{function}",
            run_dir=folder,
            outputs=(f"blocks/{number // 250}/{number:06d}.tif",) if commits else (),
            job=NoJob(
                layout=layout,
                block={"row": number, "column": 0},
                models={f"input {n}": Input("0" * 64, f"inputs/{n}") for n in range(4)},
            ),
            cost=cost,
        )
        for number in range(count)
    ]


def measure(tasks: Sequence[Task], workers: int) -> Cost:
    """Run `tasks` on a cluster of this machine."""
    me = psutil.Process()
    memory: list[int] = []
    with LocalExecutor(workers, 600.0) as executor:
        for _ in executor.run(tasks[: 4 * workers], "warm"):
            pass
        workers = [child for child in me.children(recursive=True) if child.is_running()]
        before, began = _seconds(workers), time.perf_counter()
        driver = time.process_time()
        for done, _ in enumerate(executor.run(tasks, "bench"), start=1):
            if done % (len(tasks) // 10) == 0:
                memory.append(round(me.memory_info().rss / 1e6))
        wall = time.perf_counter() - began
        driver, working = time.process_time() - driver, _seconds(workers) - before
    real = len(tasks) * PIXELS_PER_BLOCK * SECONDS_PER_PIXEL
    each = 1000 / len(tasks)
    share = 100 * (driver + working) / real
    return Cost(len(tasks), wall, driver * each, working * each, share, tuple(memory))


def _seconds(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write `coordination.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args(arguments)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, function, commits in (
            ("nothing", "nothing", False),
            ("a small file committed", "small_file", True),
        ):
            tasks = tasks_of(Path(folder), chosen.tasks, function, commits)
            began = time.process_time()
            states = [task.state().status for task in tasks]
            planning = (time.process_time() - began) / len(states) * 1000
            cost = measure(tasks, chosen.workers)
            found[name] = {**asdict(cost), "growth_mb": cost.growth_mb, "state_ms": planning}
            print(
                f"{name}: {cost.tasks} tasks in {cost.wall_seconds:.0f} s; per task driver "
                f"{cost.driver_ms:.2f} ms, workers {cost.workers_ms:.2f} ms, state "
                f"{planning:.2f} ms; {cost.share_percent:.2f} % of real work; driver "
                f"{statistics.median(cost.driver_mb):.0f} MB, growth {cost.growth_mb} MB"
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    content = {"machine": describe(), "real_block_pixels": PIXELS_PER_BLOCK, "found": found}
    RESULT.write_text(json.dumps({**content, "driver_peak_mb": peak}, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
