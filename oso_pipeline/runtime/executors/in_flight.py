"""Tasks in flight: dask's scheduler never holds more than a few per worker."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.runtime.executors import settings
from oso_pipeline.runtime.executors.answers import Answers
from oso_pipeline.runtime.executors.dask_worker import do_here
from oso_pipeline.runtime.executors.groups import Group, Groups
from oso_pipeline.runtime.executors.interface import TaskLimits
from oso_pipeline.runtime.executors.lost_results import describe, from_commit, lost
from oso_pipeline.runtime.executors.packed_task import PackedTask
from oso_pipeline.tasks.task import TaskResult

if TYPE_CHECKING:
    from distributed import Client, Future

PER_WORKER = 3
"""Groups in flight per worker: one runs, the others wait so that the worker is never idle."""
REFILL, FEW = 10, 4
"""A tenth of the groups in flight is submitted at once, and not less than four, or half of them: a
graph of one costs the scheduler as much as a graph of many."""
LOOKS = 20
"""With more workers, asking what each of them does costs more and is done less often."""
ANSWER_S = 5.0
"""A result that takes longer is read from the commit record in the run folder."""
RESULT_S = 60.0
"""Seconds after which a result that is neither received nor committed is lost."""


Outcome = list[TaskResult] | BaseException
"""Results of a group, or what was raised instead."""


class WorkerPool(Protocol):
    """The workers that run the tasks."""

    def expected_workers(self) -> int:
        """Return how many workers there are, or will be soon."""
        ...

    def check_workers(self, working: int) -> None:
        """Check the workers; raise EnvironmentFailure if none is left."""
        ...


class TasksInFlight:
    """Submits tasks to the workers of a client, a few at a time, and yields every result.

    Short tasks go out in groups. Those of a group that gives no result are submitted one by one,
    so that one of them costs the others nothing.

    Parameters
    ----------
    client
        Connected to the scheduler.
    pool
        The workers; checked regularly.
    limits
        Time and memory of a task. A task that takes longer is killed with its worker and tried
        once more, on another worker if there is one. A group has the time of its tasks together.
    run_id
        Part of the keys of the tasks on the scheduler.
    """

    POLL_S = 2.0

    def __init__(self, client: Client, pool: WorkerPool, limits: TaskLimits, run_id: str) -> None:
        self.client = client
        self.pool = pool
        self.limits = limits
        self.run_id = run_id
        self.flying: dict[Future, tuple[Group, float]] = {}
        self._answers = Answers(client, f"results of {run_id}")
        self._submitted: Counter[tuple[str, str]] = Counter()
        self._late: set[tuple[str, str]] = set()
        self._unanswered: dict[Future, float] = {}
        self._started: dict[tuple[str, Any], float] = {}
        self._looked = 0.0

    def run(self, waiting: Groups) -> Iterator[TaskResult]:
        """Run the tasks and give their results as they come; see `Executor.run`."""
        self._answers.subscribe()
        self._fill(waiting)
        while self.flying:
            patience_s = settings.patience_s(self.pool.expected_workers())
            results = self._answered(self._answers.wait(self.POLL_S, patience_s))
            self._require_scheduler()
            if time.monotonic() - self._looked >= max(self.POLL_S, LOOKS * patience_s):
                results += self._results([one for one in self.flying if one.status != "pending"])
                results += self._look_around()
            self._fill(waiting)
            yield from results
            self._fill(waiting)

    def _fill(self, waiting: Groups) -> None:
        """Submit the next groups, some at a time."""
        workers = max(1, self.pool.expected_workers())
        most = PER_WORKER * workers
        free = most - len(self.flying)
        if self.flying and free < max(most // REFILL, min(most // 2, FEW)):
            return
        groups: list[Group] = []
        while len(groups) < free and (group := waiting.next(workers)):
            groups.append(group)
        self._submit(groups)

    def _submit(self, groups: Sequence[Group], workers: Sequence[str] = ()) -> None:
        """Submit groups, preferably to these workers."""
        if not groups:
            return
        # Tuples that begin alike keep all tasks in one group of dask, which it then queues;
        # with plain strings, or a small group, it sends every task to a worker at once.
        keys = [self._key(group) for group in groups]
        rather = {"workers": list(workers), "allow_other_workers": True} if workers else {}
        futures = self.client.map(
            do_here,
            [[PackedTask.of(task) for task in group] for group in groups],
            key=keys,
            retries=2,
            pure=False,
            memory_bytes=self.limits.memory_bytes,
            topic=self._answers.topic,
            **rather,
        )
        now = time.monotonic()
        self.flying |= {one: (group, now) for one, group in zip(futures, groups, strict=True)}

    def _key(self, group: Group) -> tuple[str, str, str, int]:
        """Return a key that no other group has, and none that was lost."""
        for task in group:
            self._submitted[task.stage, task.name] += 1
        first = group[0]
        again = self._submitted[first.stage, first.name] - 1
        return self.run_id, first.stage, first.name, again

    def _answered(self, answers: Mapping[Any, Sequence[TaskResult]]) -> list[TaskResult]:
        """Take the results that workers sent of groups in flight, each once."""
        ended = [future for future in self.flying if future.key in answers] if answers else []
        for future in ended:
            self._land(future)
        return [result for future in ended for result in answers[future.key]]

    def _land(self, future: Future) -> None:
        """Forget a group whose results are there."""
        del self.flying[future]
        self._unanswered.pop(future, None)
        future.release()

    def _results(self, done: Collection[Future]) -> list[TaskResult]:
        """Fetch results that were not sent; those that do not come yet stay in flight.

        All at once: one after the other, a slow worker keeps the results of all the others waiting,
        and with them the next tasks.
        """
        ended = list(done)
        outcomes = self.client.sync(_outcomes, ended) if ended else []
        found = [self._ended(*one) for one in zip(ended, outcomes, strict=True)]
        return [result for results in found for result in results]

    def _ended(self, future: Future, outcome: Outcome) -> list[TaskResult]:
        """Return the results of a group; none if they may still come, or come of its tasks."""
        group, submitted = self.flying[future]
        if isinstance(outcome, list):
            self._land(future)
            return outcome
        if isinstance(outcome, TimeoutError):
            # Its worker may have died with the result; dask then does the group again.
            since = self._unanswered.setdefault(future, time.monotonic())
            committed = [from_commit(task, submitted) for task in group]
            if None not in committed:
                self._land(future)
                return [result for result in committed if result is not None]
            if time.monotonic() - since < RESULT_S:
                return []
        self._require_scheduler(getattr(outcome, "reason", None))
        self._land(future)
        if len(group) > 1:
            self._submit([(task,) for task in group])
            return []
        return [lost(group[0], describe(outcome), submitted)]

    def _look_around(self) -> list[TaskResult]:
        """Check the workers and give up the tasks that are past their deadline."""
        try:
            processing = self.client.processing()
        except Exception:  # noqa: BLE001 - whatever is raised, the question is the same
            self._require_scheduler()
            return []
        self.pool.check_workers(len(processing))
        now = self._looked = time.monotonic()
        # A task waits for a worker before it starts, on a busy cluster for hours.
        running = {(worker, key) for worker, keys in processing.items() for key in keys}
        self._started = {one: self._started.get(one, now) for one in running}
        sizes = {future.key: len(group) for future, (group, _) in self.flying.items()}
        late = {
            key: worker
            for (worker, key), since in self._started.items()
            if now - since > self.limits.deadline_s * sizes.get(key, 1)
        }
        overdue = [future for future in self.flying if future.key in late]
        given_up = [self._kill(future, late[future.key], list(processing)) for future in overdue]
        return [result for result in given_up if result is not None]

    def _kill(self, future: Future, worker: str, workers: Sequence[str]) -> TaskResult | None:
        """Kill a group with its worker; the first time it is tried again, rather elsewhere."""
        group, since = self.flying.pop(future)
        self.client.cancel([future], force=True)
        try:
            self.client.restart_workers([worker], timeout=60, raise_for_error=False)
        except Exception:  # noqa: BLE001 - it has just gone by itself, or has no nanny
            self._require_scheduler()
        task = group[0]
        if len(group) > 1 or (task.stage, task.name) not in self._late:
            if len(group) == 1:
                self._late.add((task.stage, task.name))
            self._submit([(one,) for one in group], _elsewhere(worker, workers))
            return None
        return lost(
            task,
            f"gave no result within {self.limits.deadline_s:g} s, twice; set "
            "`runtime.task_deadline_s` higher if it needs longer, else look at its worker "
            f"{worker}",
            since,
        )

    def _require_scheduler(self, reason: str | None = None) -> None:
        """Raise EnvironmentFailure if the connection to the scheduler is lost.

        The tasks in flight are lost with it, as the scheduler forgets those of a client that
        is gone; committed files of the workers are kept.
        """
        if self.client.status != "running" or reason == "scheduler-connection-lost":
            address = self.client.scheduler.address if self.client.scheduler else "it"
            raise EnvironmentFailure(
                Problem(
                    "E-CLUSTER-LOST",
                    f"the connection to dask's scheduler at {address} is lost",
                    None,
                    "check whether it was killed or the network failed; committed files are "
                    "kept, run the same command again",
                )
            )


async def _outcomes(futures: Sequence[Future]) -> list[Outcome]:
    """Return for each future its results, or what was raised instead; runs in the client's loop."""
    # Never query the status of a future: it can go back after the loss of a worker.
    waiting = (future.result(timeout=ANSWER_S) for future in futures)
    return await asyncio.gather(*waiting, return_exceptions=True)


def _elsewhere(worker: str, workers: Sequence[str]) -> list[str]:
    """Return the workers on other machines, or else the other workers of this one."""
    host = worker.rpartition(":")[0]
    others = [other for other in workers if other != worker]
    return [other for other in others if other.rpartition(":")[0] != host] or others
