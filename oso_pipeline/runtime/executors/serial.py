"""Tasks one by one in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from oso_pipeline.tasks.task import Task, TaskResult
from oso_pipeline.tasks.worker import do, vanished


class SerialExecutor:
    """Runs tasks one by one in this process.

    Parameters
    ----------
    memory_bytes
        Memory limit of this process; enforced by the system only.
    """

    def __init__(self, memory_bytes: float | None = None) -> None:
        self.memory_bytes = memory_bytes

    def __enter__(self) -> SerialExecutor:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def run(self, tasks: Iterable[Task | None], run_id: str) -> Iterator[TaskResult]:
        """Run the tasks in the order given.

        Raises
        ------
        EnvironmentFailure
            If the run folder has vanished between two tasks; the next would make it again.
        """
        for task in tasks:
            if task is None:  # none is under way here that it could wait for
                return
            if not task.run_dir.is_dir():
                raise vanished("the run", task.run_dir)
            yield do(task, self.memory_bytes)
