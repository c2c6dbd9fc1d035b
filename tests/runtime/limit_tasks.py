"""Tasks that take too much; importable by worker processes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.tasks.task import Summary, Task

STEP = 20_000_000


def fill_memory(task: Task) -> Summary:
    """Take as much memory as is allowed, slower than whoever watches it looks."""
    held = []
    for _ in range(int(task.options["memory_bytes"]) // STEP):
        held.append(np.ones(STEP, np.uint8))
        time.sleep(0.02)
    publish_bytes(task.output(), b"full")
    return {"held": len(held)}


def fill_all_memory(task: Task) -> Summary:
    """Take ever more."""
    held = []
    while len(held) * STEP < 3e9:
        held.append(np.ones(STEP, np.uint8))
        time.sleep(0.02)
    raise AssertionError("nobody stopped this")


def no_memory(task: Task) -> Summary:
    """Be refused by the system."""
    raise MemoryError


def hang_once(task: Task) -> Summary:
    """Hang the first time."""
    first = Path(task.options["tries"])
    with first.open("a") as tries:
        tries.write("x")
    if len(first.read_text()) <= task.options["hangs"]:
        time.sleep(300)
    publish_bytes(task.output(), b"done")
    return {}
