"""Base of the executors on dask: a client, a bounded number of tasks in flight, worker checks."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Self

from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.runtime.executors.groups import Groups
from oso_pipeline.runtime.executors.in_flight import TasksInFlight
from oso_pipeline.runtime.executors.interface import TaskLimits
from oso_pipeline.tasks.task import Task, TaskResult

if TYPE_CHECKING:
    from distributed import Client


class DaskExecutor:
    """Runs tasks on dask workers, with a bounded number of them known to the scheduler.

    The cluster starts with the first task, so a run with nothing to do starts none.

    Parameters
    ----------
    deadline_s
        A task that keeps a worker longer is given up and its worker replaced.
    no_workers_s
        The run ends after so many seconds without a worker.
    memory_bytes
        Memory limit of a worker; None for no limit.
    """

    def __init__(
        self,
        deadline_s: float,
        no_workers_s: float = 600.0,
        memory_bytes: float | None = None,
    ) -> None:
        self.limits = TaskLimits(deadline_s, memory_bytes)
        self.no_workers_s = no_workers_s
        self._client: Client | None = None
        self._last_worker = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._client is not None:
            self._client.close(timeout=10)

    def run(self, tasks: Iterable[Task | None], run_id: str) -> Iterator[TaskResult]:
        """Run the tasks; see `Executor`."""
        waiting = Groups(tasks)
        if not waiting.may_begin():
            return
        if self._client is None:
            logging.getLogger("distributed").setLevel(logging.CRITICAL)
            self._client = self._start()
        self._last_worker = time.monotonic()
        yield from TasksInFlight(self._client, self, self.limits, run_id).run(waiting)

    def expected_workers(self) -> int:
        """Return how many workers there are, or will be soon; it bounds the tasks in flight."""
        raise NotImplementedError

    def check_workers(self, working: int) -> None:
        """Check the cluster; called every few seconds while tasks are in flight.

        Parameters
        ----------
        working
            Workers connected now.

        Raises
        ------
        EnvironmentFailure
            If there has been no worker for too long.
        """
        now = time.monotonic()
        if working:
            self._last_worker = now
        elif now - self._last_worker > self.no_workers_s:
            raise EnvironmentFailure(self._nobody(now - self._last_worker))

    def _start(self) -> Client:
        """Start the cluster, or find it, and return a client of it."""
        raise NotImplementedError

    def _nobody(self, seconds: float) -> Problem:
        """Return the message for a cluster without workers."""
        return Problem(
            "E-CLUSTER-WORKERS",
            f"no worker for {seconds:.0f} s",
            None,
            "check why workers do not start or die, then run the same command again",
        )
