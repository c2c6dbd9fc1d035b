"""The peak of memory of a task is its own, not that of the process before it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from oso_pipeline.tasks.job import Job
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.tasks.worker import do

MEGABYTES = 1_000_000


def small(job: Job, task: Task) -> Summary:
    task.output().write_bytes(b"small")
    return {}


def large(job: Job, task: Task) -> Summary:
    task.output().write_bytes(b"large")
    return {"sum": int(np.ones(300 * MEGABYTES, np.uint8).sum())}


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the system cannot forget a peak"
)
def test_the_peak_is_that_of_the_task(tmp_path: Path) -> None:
    peaks = {}
    for name in ("small", "large", "after"):
        function = f"{__name__}:{'large' if name == 'large' else 'small'}"
        task = Task("test", name, function, tmp_path, (f"{name}.bin",))
        result = do(task)
        assert result.status == "done", result.error
        peaks[name] = result.peak_rss_bytes
    assert peaks["large"] > peaks["small"] + 250 * MEGABYTES
    assert peaks["after"] < peaks["large"] - 250 * MEGABYTES
