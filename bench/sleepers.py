"""Workers that only sleep and commit: ``python -m bench.sleepers ADDRESS COUNT``.

So many workers of one thread each live in one process, which imports as little as possible. On a
cluster every core watches itself; here the watches of all share few cores, so they look less often.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import dask
from distributed import Worker

from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.tasks.job import Input, Job, place, reads
from oso_pipeline.tasks.task import Summary, Task

STARTS = "starts"
_OF_WORKER = threading.local()
"""Each worker has a thread for its tasks."""


@dataclass(frozen=True, kw_only=True)
class SleepJob(Job):
    """A block that nobody reads.

    Parameters
    ----------
    block
        Its first row and column, its height and width.
    seconds
        How long it takes.
    models
        Inputs by name, so that the task is as large as one that predicts.
    """

    block: tuple[int, int, int, int]
    seconds: float = place()
    models: Mapping[str, Input] = reads()


def sleep_and_commit(job: SleepJob, task: Task) -> Summary:
    """Take the time of a block and publish a small file.

    Every start is a line in a file of this process, so that what is done twice can be counted. The
    summary tells how long the worker had nothing to do since its task before.
    """
    before = getattr(_OF_WORKER, "ended", {}).get(task.run_dir, time.perf_counter())
    idle = time.perf_counter() - before
    starts = task.run_dir / STARTS
    starts.mkdir(exist_ok=True)
    with (starts / str(os.getpid())).open("a", encoding="ascii") as file:
        file.write(task.name + "\n")
    time.sleep(job.seconds)
    publish_bytes(task.output(), bytes(200))
    _OF_WORKER.ended = {task.run_dir: time.perf_counter()}
    return {"idle_s": idle}


async def _host(address: str, count: int) -> None:
    dask.config.set({"distributed.admin.system-monitor.interval": "10s"})
    workers = [
        await Worker(address, nthreads=1, name=f"{time.time_ns()}-{number}", memory_limit=0)
        for number in range(count)
    ]
    await asyncio.gather(*(worker.finished() for worker in workers))


if __name__ == "__main__":
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    asyncio.run(_host(sys.argv[1], int(sys.argv[2])))
