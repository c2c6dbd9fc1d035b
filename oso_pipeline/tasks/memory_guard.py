"""Marks of tasks whose worker died for lack of memory, and limits on further attempts.

A process that the kernel, the batch system or dask's nanny kills says nothing. So a task that
comes near the memory of its worker notes it in a small file, which it removes when it ends. Who
finds the file when the task is run again is not the first one, and goes on with
less at once; and after a second time, that a third would end alike.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import psutil

from oso_pipeline.core.commit import temporary_beside
from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.core.json_files import ODD_VALUES, read_object
from oso_pipeline.tasks.heartbeat import ACTIVITY
from oso_pipeline.tasks.job import ReadingJob

if TYPE_CHECKING:
    from oso_pipeline.tasks.task import Task

FOLDER = f"{ACTIVITY}/memory"
"""Where the files lie in the run folder."""
NEAR = 0.75
"""Of the memory of a worker: from here on it is noted."""
MOST_DEATHS = 2
_POLL_S = 0.05
_STEP = 0.05  # of the limit, between two notes


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the memory of a worker rose.

    Parameters
    ----------
    used_bytes, limit_bytes
        Memory used by the process at the last note, and its limit.
    deaths
        How many workers died over the task, this one included unless the task goes on.
    """

    used_bytes: int
    limit_bytes: int
    deaths: int

    @classmethod
    def read(cls, path: Path) -> Mark | None:
        """Return the mark in a file, None where there is none that can be read."""
        content = read_object(path)
        try:
            return cls(*(int(content[name]) for name in ("used_bytes", "limit_bytes", "deaths")))
        except ODD_VALUES:
            return None

    def write(self, path: Path) -> None:
        """Write the mark; if that fails, the next worker runs the task as if it were the first."""
        temporary = temporary_beside(path)
        with suppress(OSError):
            # Never the run folder: where that is gone, nothing may take its place.
            path.parent.parent.mkdir(exist_ok=True)
            path.parent.mkdir(exist_ok=True)
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")
            temporary.replace(path)


class MemoryWatch:
    """Watches the memory of this process while it does a task.

    Parameters
    ----------
    task
        Task to run.
    limit_bytes
        Memory limit of the process; None for no limit.
    """

    def __init__(self, task: Task, limit_bytes: float | None) -> None:
        self.task = task
        self.limit_bytes = None if limit_bytes is None else int(limit_bytes)
        self.path = task.run_dir / FOLDER / f"{task.key}.json"
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Task:
        """Return the task as it is to be done: with half the memory after a death.

        Raises
        ------
        EnvironmentFailure
            ``E-RUN-MEMORY`` after a second one.
        """
        if self.limit_bytes is None:
            return self.task
        mark = Mark.read(self.path)
        if mark is not None and mark.limit_bytes < self.limit_bytes:
            mark = None  # this worker has more
        deaths = 0 if mark is None else mark.deaths
        if mark is not None and deaths >= MOST_DEATHS:
            raise EnvironmentFailure(out_of_memory(self.task, mark.limit_bytes, mark.used_bytes))
        self._thread = threading.Thread(
            target=self._watch, args=(self.limit_bytes, deaths + 1), daemon=True
        )
        self._thread.start()
        return self.task if deaths == 0 else with_less_memory(self.task)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self.path.unlink(missing_ok=True)

    def _watch(self, limit_bytes: int, deaths: int) -> None:
        noted = NEAR * limit_bytes
        while not self._ended.wait(_POLL_S):
            try:
                used = int(psutil.Process().memory_info().rss)
            except (OSError, psutil.Error):  # no file descriptor is left to look with
                continue
            if used > noted:
                Mark(used, limit_bytes, deaths).write(self.path)
                noted = used + _STEP * limit_bytes


def with_less_memory(task: Task) -> Task:
    """Return the task with half the memory to read images into; its outputs are the same."""
    if not isinstance(task.job, ReadingJob):
        return task
    return replace(task, job=replace(task.job, memory_bytes=task.job.memory_bytes / 2))


def out_of_memory(task: Task, limit_bytes: float | None, used_bytes: int | None = None) -> Problem:
    """Return the error of a worker with too little memory for a task, with possible settings."""
    has = "" if limit_bytes is None else f" of {limit_bytes / 1e9:.2f} GB"
    what = f"task {task.stage} {task.name} needs more memory than its worker{has} has"
    if used_bytes is not None:
        what += f": {MOST_DEATHS} workers died over it, the last one when it used "
        what += f"{used_bytes / 1e9:.2f} GB"
    hint = "set `runtime.memory_per_worker_gb` higher, with fewer `runtime.workers` where the "
    hint += "machine has no more"
    if isinstance(task.job, ReadingJob):
        hint += ", or `runtime.block_pixels` lower"
    return Problem("E-RUN-MEMORY", what, None, hint)


def retry_given_up(run_dir: Path) -> None:
    """Allow one more attempt for tasks that were given up for lack of memory.

    Called when a run begins: the user may have freed memory.
    """
    for path in (run_dir / FOLDER).glob("*.json"):
        mark = Mark.read(path)
        if mark is not None and mark.deaths >= MOST_DEATHS:
            replace(mark, deaths=MOST_DEATHS - 1).write(path)
