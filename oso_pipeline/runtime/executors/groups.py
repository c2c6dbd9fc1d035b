"""Tasks handed out together: dask's scheduler spends as much on a group as on one task."""

from __future__ import annotations

from collections.abc import Iterable, Sized

from oso_pipeline.tasks.task import Task

MOST, ENOUGH_S = 8, 10.0
"""Most tasks of a group, and the core seconds with which it has enough."""
SHARE = 2
"""A group is at most this part of a worker's share of the tasks left, so that groups become
smaller towards the end and no worker has the last ones."""

Group = tuple[Task, ...]
"""Tasks that a worker does one after the other; for dask, one task."""


class Groups:
    """Gives out tasks in their order: short ones several at a time while many are left.

    Parameters
    ----------
    tasks
        The tasks; None where nothing may begin until another has ended. Only if their number is
        known, they go out together.
    """

    def __init__(self, tasks: Iterable[Task | None]) -> None:
        self._left = len(tasks) if isinstance(tasks, Sized) else 0
        self._waiting = iter(tasks)
        self._first: Task | None = None

    def may_begin(self) -> bool:
        """Return whether there is a task that may begin now."""
        self._first = self._first or next(self._waiting, None)
        return self._first is not None

    def next(self, workers: int) -> Group:
        """Return what to hand out next for so many workers; nothing if nothing may begin."""
        most = max(1, min(MOST, self._left // (SHARE * workers)))
        tasks: list[Task] = []
        seconds = 0.0
        while len(tasks) < most and seconds < ENOUGH_S and self.may_begin():
            task, self._first = self._first, None
            if task is not None:
                tasks.append(task)
                seconds += task.cost.core_seconds
        self._left -= len(tasks)
        return tuple(tasks)
