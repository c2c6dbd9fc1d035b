"""Tasks in flight: dask's scheduler never holds more than a few per worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from oso_pipeline.core.errors import EnvironmentFailure, ExitCode, Problem
from oso_pipeline.runtime.executors import settings
from oso_pipeline.runtime.executors.answers import Answers
from oso_pipeline.runtime.executors.dask_worker import do_here
from oso_pipeline.runtime.executors.interface import TaskLimits
from oso_pipeline.runtime.executors.packed_task import PackedTask
from oso_pipeline.tasks.task import Task, TaskResult

if TYPE_CHECKING:
    from distributed import Client, Future

PER_WORKER = 3
"""Tasks in flight per worker: one runs, the others wait so that the worker is never idle."""
REFILL = 10
"""A tenth of the tasks in flight is submitted at once: a graph of one task costs the scheduler as
much as a graph of many."""
LOOKS = 20
"""With more workers, asking what each of them does costs more and is done less often."""
ANSWER_S = 5.0
"""A result that takes longer is read from the commit record in the run folder."""
RESULT_S = 60.0
"""Seconds after which a result that is neither received nor committed is lost."""


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

    Parameters
    ----------
    client
        Connected to the scheduler.
    pool
        The workers; checked regularly.
    limits
        Time and memory of a task. A task that takes longer is killed with its worker and tried
        once more, on another worker if there is one.
    run_id
        Part of the keys of the tasks on the scheduler.
    """

    POLL_S = 2.0

    def __init__(self, client: Client, pool: WorkerPool, limits: TaskLimits, run_id: str) -> None:
        self.client = client
        self.pool = pool
        self.limits = limits
        self.run_id = run_id
        self.flying: dict[Future, tuple[Task, float]] = {}
        self._answers = Answers(client, f"results of {run_id}")
        self._late: set[tuple[str, str]] = set()
        self._unanswered: dict[Future, float] = {}
        self._started: dict[tuple[str, Any], float] = {}
        self._looked = 0.0

    def run(self, tasks: Iterable[Task | None]) -> Iterator[TaskResult]:
        """Run the tasks and give their results as they come; see `Executor.run`."""
        waiting = iter(tasks)
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

    def _fill(self, waiting: Iterator[Task | None]) -> None:
        """Submit the next tasks, some at a time."""
        most = PER_WORKER * max(1, self.pool.expected_workers())
        free = most - len(self.flying)
        if self.flying and free < most // REFILL:
            return
        tasks: list[Task] = []
        while len(tasks) < free and (task := next(waiting, None)) is not None:
            tasks.append(task)
        self._submit(tasks)

    def _submit(self, tasks: Sequence[Task], workers: Sequence[str] = ()) -> None:
        """Submit tasks, preferably to these workers."""
        if not tasks:
            return
        # Tuples that begin alike keep all tasks in one group, which dask then queues;
        # with plain strings, or a small group, it sends every task to a worker at once.
        keys = [(self.run_id, t.stage, t.name, int((t.stage, t.name) in self._late)) for t in tasks]
        rather = {"workers": list(workers), "allow_other_workers": True} if workers else {}
        futures = self.client.map(
            do_here,
            [PackedTask.of(task) for task in tasks],
            key=keys,
            retries=2,
            pure=False,
            memory_bytes=self.limits.memory_bytes,
            topic=self._answers.topic,
            **rather,
        )
        now = time.monotonic()
        self.flying |= {future: (task, now) for future, task in zip(futures, tasks, strict=True)}

    def _answered(self, answers: Mapping[Any, TaskResult]) -> list[TaskResult]:
        """Take the results that workers sent of tasks in flight, each once."""
        ended = [future for future in self.flying if future.key in answers] if answers else []
        for future in ended:
            self._land(future)
        return [answers[future.key] for future in ended]

    def _land(self, future: Future) -> None:
        """Forget a task whose result is there."""
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
        results = [self._result(*one) for one in zip(ended, outcomes, strict=True)]
        return [result for result in results if result is not None]

    def _result(self, future: Future, outcome: TaskResult | BaseException) -> TaskResult | None:
        """Return the result of a task, or None if it may still come."""
        task, submitted = self.flying[future]
        result: TaskResult | BaseException | None = outcome
        if isinstance(outcome, TimeoutError):
            # Its worker may have died with the result; dask then does the task again.
            since = self._unanswered.setdefault(future, time.monotonic())
            result = _from_commit(task, submitted)
            if result is None and time.monotonic() - since < RESULT_S:
                return None
        if not isinstance(result, TaskResult):
            self._require_scheduler(getattr(outcome, "reason", None))
            result = _lost(task, _describe(outcome), submitted)
        self._land(future)
        return result

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
        late = {
            key: worker
            for (worker, key), since in self._started.items()
            if now - since > self.limits.deadline_s
        }
        overdue = [future for future in self.flying if future.key in late]
        given_up = [self._kill(future, late[future.key], list(processing)) for future in overdue]
        return [result for result in given_up if result is not None]

    def _kill(self, future: Future, worker: str, workers: Sequence[str]) -> TaskResult | None:
        """Kill a task with its worker; the first time it is tried again, rather elsewhere."""
        task, since = self.flying.pop(future)
        self.client.cancel([future], force=True)
        try:
            self.client.restart_workers([worker], timeout=60, raise_for_error=False)
        except Exception:  # noqa: BLE001 - it has just gone by itself, or has no nanny
            self._require_scheduler()
        if (task.stage, task.name) not in self._late:
            self._late.add((task.stage, task.name))
            self._submit([task], _elsewhere(worker, workers))
            return None
        return _lost(
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


async def _outcomes(futures: Sequence[Future]) -> list[TaskResult | BaseException]:
    """Return for each future its result, or what was raised instead; runs in the client's loop."""
    # Never query the status of a future: it can go back after the loss of a worker.
    waiting = (future.result(timeout=ANSWER_S) for future in futures)
    return await asyncio.gather(*waiting, return_exceptions=True)


def _elsewhere(worker: str, workers: Sequence[str]) -> list[str]:
    """Return the workers on other machines, or else the other workers of this one."""
    host = worker.rpartition(":")[0]
    others = [other for other in workers if other != worker]
    return [other for other in others if other.rpartition(":")[0] != host] or others


def _from_commit(task: Task, submitted: float) -> TaskResult | None:
    """Return the result of a task from its commit record, or None if it is not committed."""
    record = task.commit_record()
    if record is None:
        return None
    seconds = time.monotonic() - submitted
    summary = record.get("summary", {})
    return TaskResult(task.stage, task.name, "done", seconds=seconds, summary=summary)


def _lost(task: Task, reason: str, submitted: float) -> TaskResult:
    """Report a task that dask lost: as failed, unless only the word of its end was lost."""
    return _from_commit(task, submitted) or TaskResult(
        task.stage,
        task.name,
        "failed",
        seconds=time.monotonic() - submitted,
        error=f"task {task.stage} {task.name} {reason}",
        exit_code=int(ExitCode.FAILED_TASKS),
    )


def _describe(error: Any) -> str:
    if type(error).__name__ == "KilledWorker":
        return (
            "killed every worker that tried it; the usual cause is memory: set "
            "`runtime.memory_per_worker_gb` higher or `runtime.block_pixels` lower"
        )
    return f"was lost: {type(error).__name__}: {error}"
