"""A national run without pixels: real tiles and blocks, tasks that sleep and commit small files.

``python -m bench.national`` (``make bench-scale``) cuts the 89 tiles of `configs/national.yaml`
into the blocks of a run and hands them to 200 workers of one thread through the executor of a run
on a cluster. A task sleeps as long as a block takes, divided by ``--faster``: to the scheduler that
many times more cores. Then it commits a file. Half way through the last run, of 1,000 blocks, 30 %
of the workers are killed at once. Beside what a run took stands what the simulation of
`oso_pipeline.runtime.simulated` says, from the times of its tasks and of the driver; it also says
where one driver ends. The tables go into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil
from distributed import Client, LocalCluster
from ruamel.yaml import YAML

from bench import PROJECT, RESULTS
from bench.machine import describe
from bench.sleepers import STARTS, SleepJob
from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.tiles import Tile
from oso_pipeline.prediction.stage import STAGE as PREDICT
from oso_pipeline.runtime.executors import settings, tls
from oso_pipeline.runtime.executors.dask_base import DaskExecutor
from oso_pipeline.runtime.planner import StagePlan
from oso_pipeline.runtime.simulated import SimulatedExecutor, wall_seconds
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Cost, Task, TaskState
from oso_pipeline.timeseries.reading.blocking import BLOCK_PIXELS, block_shape

RESULT = RESULTS / "national.json"
PAGE = PROJECT / "docs" / "performance.md"
BEGIN, END = "<!-- national: begin -->", "<!-- national: end -->"
SECONDS_PER_PIXEL = 3.8e-6
"""Of a core, measured on a whole tile (docs/performance.md)."""
PROCESSES, THREADS = 10, 20
KILLED, BLOCKS_AT_DEATH = 0.3, 1000
WORKER_COUNTS = (200, 500, 1000, 2000, 4000)


def national_blocks(most: int | None = None) -> list[Block]:
    """Return the blocks of the tiles of France that hold a pixel which the tile owns.

    `most` takes the first so many only.
    """
    config = YAML(typ="safe").load(PROJECT / "configs" / "national.yaml")
    grids = {name: Tile(name).geobox() for name in config["imagery"]["tiles"]}
    ownership = Ownership(grids, 2154)
    blocks: list[Block] = []
    for name, grid in grids.items():
        if most is not None and len(blocks) >= most:
            break
        near, size = ownership.neighbours(name), (int(grid.shape[0]), int(grid.shape[1]))
        shape = block_shape(size, (1, size[1]), BLOCK_PIXELS)
        cut = blocks_of(name, size, shape)
        blocks += [block for block in cut if near.owns_any(name, block.crop(grid))]
    return blocks[:most]


def tasks_of(blocks: Sequence[Block], folder: Path, faster: float) -> list[Task]:
    """Return a task for each block, as large as those that predict."""
    return [
        Task(
            stage="predict",
            name=f"{number:06d}/{block.tile}/{block.name}",
            function="bench.sleepers:sleep_and_commit",
            run_dir=folder,
            outputs=(f"blocks/{block.tile}/{number:06d}.tif",),
            job=SleepJob(
                block=(block.row, block.column, block.height, block.width),
                seconds=block.pixels * SECONDS_PER_PIXEL / faster,
                models={f"input {n}": Input("0" * 64, f"inputs/{n}") for n in range(4)},
            ),
            cost=Cost(core_seconds=block.pixels * SECONDS_PER_PIXEL),  # groups depend on it
        )
        for number, block in enumerate(blocks)
    ]


class ManyWorkers(DaskExecutor):
    """Worker processes on this machine, of many workers each, none of which computes.

    They talk by TLS, as workers on a cluster do.
    """

    def __init__(self, deadline_s: float) -> None:
        super().__init__(deadline_s)
        self._keys = tempfile.TemporaryDirectory()

    def expected_workers(self) -> int:
        """Return the number of workers, all of one thread."""
        return PROCESSES * THREADS

    def __exit__(self, *error: object) -> None:
        """Let all end."""
        super().__exit__(*error)
        for process in getattr(self, "_hosts", ()):
            process.kill()
            process.wait()
        self._cluster.close(timeout=60)
        self._keys.cleanup()

    def _start(self) -> Client:
        settings.apply()
        keys = Path(self._keys.name) / "keys"
        tls.make_keys(keys)
        self._cluster = LocalCluster(
            n_workers=0,
            host="127.0.0.1",
            protocol="tls://",
            security=tls.security_of(keys),
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        )
        address = self._cluster.scheduler_address
        command = [sys.executable, "-m", "bench.sleepers", address, str(THREADS)]
        environment = {**os.environ, **settings.worker_environment(), **tls.worker_variables(keys)}
        self._hosts = [subprocess.Popen(command, env=environment) for _ in range(PROCESSES)]
        client = Client(self._cluster)
        settings.be_patient(self._cluster.scheduler, self.expected_workers())
        client.wait_for_workers(self.expected_workers(), timeout=600)
        return client

    @property
    def known_tasks(self) -> int:
        """Tasks that the scheduler holds now."""
        return len(self._cluster.scheduler.tasks)

    def kill_some(self) -> int:
        """Kill a share of the worker processes, as a rack without power; return how many."""
        doomed = self._hosts[: round(KILLED * PROCESSES)]
        for process in doomed:
            process.kill()
        return len(doomed)


@dataclass
class Watch:
    """What the driver, which holds the scheduler, needs while tasks run."""

    executor: ManyWorkers
    most_tasks: int = 0
    most_bytes: int = 0

    def __enter__(self) -> Watch:
        self._ended = threading.Event()
        self.least_bytes = psutil.Process().memory_info().rss
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.2):
            self.most_tasks = max(self.most_tasks, self.executor.known_tasks)
            self.most_bytes = max(self.most_bytes, psutil.Process().memory_info().rss)


def measure(executor: ManyWorkers, tasks: Sequence[Task], kill: bool) -> dict[str, Any]:
    """Run tasks, with workers killed half way if requested."""
    slept = sum(task.job.seconds for task in tasks if isinstance(task.job, SleepJob))
    workers, failed, first, killed_at, busy = PROCESSES * THREADS, 0, 0.0, 0.0, 0.0
    idle: list[float] = []
    alive = workers
    with Watch(executor) as watch:
        cpu, began = time.process_time(), time.perf_counter()
        for done, result in enumerate(executor.run(tasks, f"n{began:.0f}"), start=1):
            first = first or time.perf_counter() - began
            failed += result.status == "failed"
            busy += result.seconds
            idle.append(float(result.summary["idle_s"]))
            if kill and done == len(tasks) // 2:
                killed_at = time.perf_counter() - began
                alive -= THREADS * executor.kill_some()
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    handing_over = fmean([seconds for seconds in idle if seconds] or [0.0])
    besides_s = (busy - slept) / len(tasks) + handing_over
    # Of those killed, what they had until then; of the others, all of it.
    available = alive * wall + (workers - alive) * killed_at
    return {
        "tasks": len(tasks),
        "task_s": round(slept / len(tasks), 2),
        "wall_s": round(wall, 1),
        "commit_s": round((busy - slept) / len(tasks), 3),
        "handing_over_s": round(handing_over, 3),
        "simulated_s": None if kill else simulated(tasks, besides_s, cpu / len(tasks)),
        "ideal_s": round(wall - (available - slept) / alive, 1),
        "first_s": round(first, 1),
        "commits_per_s": round(len(tasks) / wall, 1),
        "lost_percent": round(100 * (1 - slept / available), 1),
        "driver_ms_per_task": round(1000 * cpu / len(tasks), 2),
        "most_tasks_known": watch.most_tasks,
        "driver_mb": round(watch.most_bytes / 1e6),
        "driver_growth_mb": round((watch.most_bytes - watch.least_bytes) / 1e6),
        "workers_killed": workers - alive,
        "started_again": starts(tasks[0].run_dir) - len(tasks),
        "failed": failed,
        "uncommitted": sum(task.commit_record() is None for task in tasks),
    }


def simulated(
    tasks: Sequence[Task], besides_s: float, driver_s: float, workers: int = PROCESSES * THREADS
) -> float:
    """Return how long tasks take that sleep, do something besides, and keep the driver busy."""

    def seconds(task: Task) -> float:
        return besides_s + (task.job.seconds if isinstance(task.job, SleepJob) else 0.0)

    states = tuple(TaskState("new", "never made") for _ in tasks)
    plan = StagePlan(PREDICT, tuple(tasks), states)
    return round(wall_seconds([plan], SimulatedExecutor(workers, seconds, driver_s)), 1)


def one_driver(tasks: Sequence[Task], driver_s: float) -> list[dict[str, Any]]:
    """Return how long the blocks of a nation take with more and more workers of one driver."""
    slept = sum(task.job.seconds for task in tasks if isinstance(task.job, SleepJob))
    return [
        {
            "workers": workers,
            "wall_s": simulated(tasks, 0.0, driver_s, workers),
            "ideal_s": round(slept / workers, 1),
        }
        for workers in WORKER_COUNTS
    ]


def starts(folder: Path) -> int:
    """Return how often a task was started."""
    return sum(len(path.read_text().splitlines()) for path in (folder / STARTS).iterdir())


def planning(tasks: Sequence[Task]) -> dict[str, Any]:
    """Measure what it takes to look which tasks are done, none of which is."""
    began = time.process_time()
    todo = sum(task.state().status != "done" for task in tasks)
    return {"tasks": todo, "state_ms": round(1000 * (time.process_time() - began) / todo, 3)}


def table(content: dict[str, Any]) -> str:
    """Return the results as a table in Markdown."""
    lines = [
        "| | s per block | equivalent cores | wall (simulated, ideal) | lost time of workers "
        "| commits/s | driver, ms of a core per block | most tasks at a time "
        "| driver, memory (growth) | repeated | not done |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    real = content["real_task_s"]
    lines += [
        f"| {name} | {row['task_s']} | {PROCESSES * THREADS * real / row['task_s']:,.0f} "
        f"| {row['wall_s']:.0f} s ({_seconds(row.get('simulated_s'))}, {row['ideal_s']:.0f} s) "
        f"| {row['lost_percent']:.1f} % | {row['commits_per_s']:.0f} "
        f"| {row['driver_ms_per_task']:.1f} | {row['most_tasks_known']} "
        f"| {row['driver_mb']} MB ({row['driver_growth_mb']} MB) "
        f"| {row['started_again']} | {row['failed'] + row['uncommitted']} |"
        for name, row in content["runs"].items()
    ]
    lines += [
        "",
        "Simulated: all blocks, with one driver and its time per block from the first run.",
        "",
        "| workers | wall | ideal wall | lost time of workers |",
        "|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one['workers']:,} | {one['wall_s']:.0f} s | {one['ideal_s']:.0f} s "
        f"| {100 * (1 - one['ideal_s'] / one['wall_s']):.0f} % |"
        for one in content["one_driver"]
    ]
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


def write(content: dict[str, Any]) -> None:
    """Keep the figures, and put the table between the marks of the page."""
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(content)}\n\n{END}{after}", encoding="utf-8")


_DEATH = f"{KILLED:.0%} of the workers killed half way through {BLOCKS_AT_DEATH:,} blocks"


def _named(faster: float) -> str:
    return "as fast as a real block" if faster == 1 else f"{faster:g} times faster"


def main() -> None:
    """Measure a national run as it is, faster, and with workers killed."""
    parser = argparse.ArgumentParser(prog="python -m bench.national")
    parser.add_argument("--faster", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--blocks", type=int, help="only so many blocks")
    options = parser.parse_args()
    began = time.process_time()
    blocks = national_blocks(options.blocks)
    content: dict[str, Any] = {
        "machine": describe(),
        "tiles": len({block.tile for block in blocks}),
        "blocks": len(blocks),
        "cutting_s": round(time.process_time() - began, 1),
        "real_task_s": sum(b.pixels for b in blocks) * SECONDS_PER_PIXEL / len(blocks),
        "runs": {},
    }
    with ManyWorkers(deadline_s=3600.0) as executor:
        for _ in executor.run(tasks_of(blocks[:1], Path(tempfile.mkdtemp()), 1000.0), "warm"):
            pass
        plans = [(_named(faster), len(blocks), faster, False) for faster in options.faster]
        plans.append((_DEATH, BLOCKS_AT_DEATH, options.faster[0], True))
        for name, most, faster, kill in plans:
            with tempfile.TemporaryDirectory() as folder:
                tasks = tasks_of(blocks[:most], Path(folder), faster)
                content["planning"] = planning(tasks)
                content["runs"][name] = measure(executor, tasks, kill)
                print(name, json.dumps(content["runs"][name]), flush=True)
                if "one_driver" not in content:
                    driver_s = content["runs"][name]["driver_ms_per_task"] / 1000
                    content["one_driver"] = one_driver(tasks, driver_s)
                if options.blocks is None:
                    write(content)


if __name__ == "__main__":
    main()
