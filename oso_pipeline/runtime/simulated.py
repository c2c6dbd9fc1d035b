"""How long tasks take together: the run is gone through task by task, without doing any.

The order is that of a run, see `ReadyTasks`. A worker does one task after the other. The driver is
busy for a moment with each task, so that with very many workers it is the one that all wait for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from oso_pipeline.runtime.planner import StagePlan
from oso_pipeline.runtime.ready_tasks import ReadyTasks, goes_with
from oso_pipeline.tasks.task import Task, TaskResult

DRIVER_S = 2.8e-3
"""Time of the driver's one core for a task, TLS included, measured by `bench/national.py` on a busy
machine; a quiet one needs less."""


@dataclass
class SimulatedExecutor:
    """Ends tasks in the order in which workers would.

    Parameters
    ----------
    workers
        How many there are, from the first second to the last.
    seconds
        How long a task keeps a worker.
    driver_s
        How long it keeps the driver.
    now
        The time, in seconds since the beginning.
    """

    workers: int
    seconds: Callable[[Task], float]
    driver_s: float = DRIVER_S
    now: float = 0.0
    _driver_free: float = field(default=0.0, init=False)

    def run(self, tasks: Iterable[Task | None]) -> Iterator[TaskResult]:
        """Give every task back as done; `now` is the time at which it ended."""
        waiting, number = iter(tasks), itertools.count()
        busy: list[tuple[float, int, Task]] = []
        while True:
            while len(busy) < self.workers and (task := next(waiting, None)) is not None:
                self._driver_free = max(self.now, self._driver_free) + self.driver_s
                end = self._driver_free + self.seconds(task)
                heappush(busy, (end, next(number), task))
            if not busy:
                return
            self.now, _, ended = heappop(busy)
            yield TaskResult(ended.stage, ended.name, "done")


def wall_seconds(
    plans: Sequence[StagePlan], executor: SimulatedExecutor, beside: bool = True
) -> float:
    """Return how long what is to do takes.

    Parameters
    ----------
    plans
        The stages in the order of the flow.
    executor
        Ends the tasks.
    beside
        Whether stages go beside each other where their plans allow it.
    """
    left = list(plans)
    while left:
        together = [left.pop(0)]
        while beside and left and goes_with(left[0].stage, together):
            together.append(left.pop(0))
        tasks = ReadyTasks(together, lambda: False)
        for result in executor.run(tasks):
            tasks.ended(result)
    return executor.now
