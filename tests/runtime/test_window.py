"""Results of tasks in flight, fetched from workers of which some are slow and some are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from oso_pipeline.runtime.executors.in_flight import Window
from oso_pipeline.runtime.executors.interface import Limits
from oso_pipeline.tasks.task import Task, TaskResult


class Loop:
    """The part of a dask client that fetches: it runs coroutines and waits for them."""

    status = "running"

    def sync(self, function: Callable[..., Awaitable[Any]], *args: object) -> object:
        return asyncio.run(asyncio.wait_for(function(*args), 20))


class Future:
    """Gives its result when all of `before` have been asked for theirs."""

    def __init__(self, outcome: TaskResult | Exception, before: Sequence[Future] = ()) -> None:
        self.outcome, self.before = outcome, before
        self.asked = self.released = False

    async def result(self, timeout: float) -> TaskResult:
        self.asked = True
        while not all(other.asked for other in self.before):
            await asyncio.sleep(0)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def release(self) -> None:
        self.released = True


def task_named(name: str, folder: Path) -> Task:
    return Task(stage="predict", name=name, function="os:getcwd", run_dir=folder, outputs=(name,))


def test_slow_and_lost_results_keep_no_other_waiting(tmp_path: Path) -> None:
    quick = Future(TaskResult("predict", "quick", "done"))
    lost = Future(ConnectionError("worker is gone"), before=[quick])
    slow = Future(TaskResult("predict", "slow", "done"), before=[quick, lost])
    futures = {"slow": slow, "lost": lost, "quick": quick}
    nobody: Any = None  # who tends is not asked here
    window = Window(Loop(), nobody, Limits(60.0, None), "run")
    window.flying = {future: (task_named(n, tmp_path), 0.0) for n, future in futures.items()}
    results = {result.name: result for result in window._results(list(futures.values()))}
    assert {name: result.status for name, result in results.items()} == {
        "slow": "done",
        "lost": "failed",
        "quick": "done",
    }
    assert "worker is gone" in str(results["lost"].error)
    assert not window.flying
    assert all(future.released for future in futures.values())
