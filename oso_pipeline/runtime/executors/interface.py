"""The interface of an executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from oso_pipeline.tasks.task import Task, TaskResult


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """Time and memory limits of a task.

    Parameters
    ----------
    deadline_s
        Seconds on a worker.
    memory_bytes
        Memory of the worker; None for no limit.
    """

    deadline_s: float
    memory_bytes: float | None = None


class Executor(Protocol):
    """Runs tasks and gives their results in the order they end."""

    def __enter__(self) -> Executor: ...

    def __exit__(self, *error: object) -> None: ...

    def run(self, tasks: Iterable[Task | None], run_id: str) -> Iterator[TaskResult]:
        """Run the tasks; every task gives exactly one result.

        They are taken one by one as there are workers for them. Where the next is None it has to
        wait until the caller has seen another result, and is requested again then.

        Raises
        ------
        EnvironmentFailure
            If no workers are left, or the scheduler is gone.
        """
        ...
