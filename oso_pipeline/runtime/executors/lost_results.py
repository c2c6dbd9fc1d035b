"""Results that dask lost: read from the commits, or reported as failures."""

from __future__ import annotations

import time
from typing import Any

from oso_pipeline.core.errors import ExitCode
from oso_pipeline.tasks.task import Task, TaskResult


def from_commit(task: Task, submitted: float) -> TaskResult | None:
    """Return the result of a task from its commit record, or None if it is not committed."""
    record = task.commit_record()
    if record is None:
        return None
    seconds = time.monotonic() - submitted
    summary = record.get("summary", {})
    return TaskResult(task.stage, task.name, "done", seconds=seconds, summary=summary)


def lost(task: Task, reason: str, submitted: float) -> TaskResult:
    """Report a task that dask lost: as failed, unless only the word of its end was lost."""
    return from_commit(task, submitted) or TaskResult(
        task.stage,
        task.name,
        "failed",
        seconds=time.monotonic() - submitted,
        error=f"task {task.stage} {task.name} {reason}",
        exit_code=int(ExitCode.FAILED_TASKS),
    )


def describe(error: Any) -> str:
    """Return what to say of what dask raised instead of results."""
    if type(error).__name__ == "KilledWorker":
        return (
            "killed every worker that tried it; the usual cause is memory: set "
            "`runtime.memory_per_worker_gb` higher or `runtime.block_pixels` lower"
        )
    return f"was lost: {type(error).__name__}: {error}"
