"""Tasks that take too much; importable by worker processes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.tasks.job import Job, ReadingJob, place
from oso_pipeline.tasks.task import Summary, Task

STEP = 20_000_000


@dataclass(frozen=True, kw_only=True)
class HangJob(Job):
    """How often the task hangs, and the file that counts its starts."""

    hangs: int = place()
    tries: Path = place()


def fill_memory(job: ReadingJob, task: Task) -> Summary:
    """Take as much memory as is allowed, slower than whoever watches it looks."""
    held = []
    for _ in range(int(job.memory_bytes) // STEP):
        held.append(np.ones(STEP, np.uint8))
        time.sleep(0.02)
    publish_bytes(task.output(), b"full")
    return {"held": len(held)}


def fill_all_memory(job: Job, task: Task) -> Summary:
    """Take ever more."""
    held = []
    while len(held) * STEP < 3e9:
        held.append(np.ones(STEP, np.uint8))
        time.sleep(0.02)
    raise AssertionError("nobody stopped this")


def no_memory(job: Job, task: Task) -> Summary:
    """Be refused by the system."""
    raise MemoryError


def hang_once(job: HangJob, task: Task) -> Summary:
    """Hang the first time."""
    with job.tries.open("a") as tries:
        tries.write("x")
    if len(job.tries.read_text()) <= job.hangs:
        time.sleep(300)
    publish_bytes(task.output(), b"done")
    return {}
