"""What a run asks of an executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from oso_pipeline.tasks.task import Task, TaskResult


@dataclass(frozen=True, slots=True)
class Limits:
    """What a task may take.

    Parameters
    ----------
    deadline_s
        Seconds on a worker.
    memory_bytes
        Memory of the worker; None where nobody looks.
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
        wait until the caller has seen another result, and is asked for again then.

        Raises
        ------
        EnvironmentFailure
            If there is nobody left to run them: no workers, or the scheduler is gone.
        """
        ...
