"""Tasks one by one in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oso_pipeline.core.task import Task, TaskResult, do


class SerialExecutor:
    """Runs tasks one by one in this process."""

    def __enter__(self) -> SerialExecutor:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def run(self, tasks: Sequence[Task], run_id: str) -> Iterator[TaskResult]:
        """Run the tasks in the order given."""
        yield from map(do, tasks)
