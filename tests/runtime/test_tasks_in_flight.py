"""Results of tasks in flight, fetched from workers of which some are slow and some are gone."""

from __future__ import annotations

import asyncio
import heapq
import pickle
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oso_pipeline.runtime.executors import in_flight
from oso_pipeline.runtime.executors.groups import Groups
from oso_pipeline.runtime.executors.in_flight import TasksInFlight
from oso_pipeline.runtime.executors.interface import TaskLimits
from oso_pipeline.tasks.task import Cost, Task, TaskResult


class Loop:
    """The part of a dask client that fetches: it runs coroutines and waits for them."""

    status = "running"

    def sync(self, function: Callable[..., Awaitable[Any]], *args: object) -> object:
        return asyncio.run(asyncio.wait_for(function(*args), 20))


class Future:
    """Gives its result when all of `before` have been asked for theirs."""

    def __init__(
        self, outcome: list[TaskResult] | Exception, before: Sequence[Future] = ()
    ) -> None:
        self.outcome, self.before = outcome, before
        self.asked = self.released = False

    async def result(self, timeout: float) -> list[TaskResult]:
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
    quick = Future([TaskResult("predict", "quick", "done")])
    lost = Future(ConnectionError("worker is gone"), before=[quick])
    slow = Future([TaskResult("predict", "slow", "done")], before=[quick, lost])
    futures = {"slow": slow, "lost": lost, "quick": quick}
    nobody: Any = None  # who tends is not asked here
    window = TasksInFlight(Loop(), nobody, TaskLimits(60.0, None), "run")
    window.flying = {future: ((task_named(n, tmp_path),), 0.0) for n, future in futures.items()}
    results = {result.name: result for result in window._results(list(futures.values()))}
    assert {name: result.status for name, result in results.items()} == {
        "slow": "done",
        "lost": "failed",
        "quick": "done",
    }
    assert "worker is gone" in str(results["lost"].error)
    assert not window.flying
    assert all(future.released for future in futures.values())


def test_a_result_that_does_not_come_is_read_from_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker died with it, and dask waits for another one that never comes."""
    done, pending = Future(TimeoutError()), Future(TimeoutError())
    nobody: Any = None
    window = TasksInFlight(Loop(), nobody, TaskLimits(60.0, None), "run")
    window.flying = {done: ((task_named("done", tmp_path),), 0.0)}
    window.flying[pending] = ((task_named("pending", tmp_path),), 0.0)
    ((committed,), _) = window.flying[done]
    record = {"key": committed.key, "summary": {"pixels": 9}}
    monkeypatch.setattr(
        Task, "commit_record", lambda task: record if task.name == committed.name else None
    )
    (result,) = window._results([done, pending])
    assert (result.name, result.status, result.summary) == ("done", "done", {"pixels": 9})
    assert list(window.flying) == [pending]
    assert not pending.released
    monkeypatch.setattr(in_flight, "RESULT_S", 0.0)
    (lost,) = window._results([pending])
    assert (lost.name, lost.status) == ("pending", "failed")
    assert not window.flying


class Handed:
    """A future of a task that was handed over."""

    def __init__(self, key: tuple[str, str, str, int]) -> None:
        self.key, self.status = key, "pending"

    def release(self) -> None:
        self.status = "released"


class Sender:
    """A client whose workers send every result, after one of a task that nobody waits for."""

    status = "running"

    def __init__(self) -> None:
        self.graphs: list[list[list[str]]] = []
        self.most = 0
        self._flying: list[Handed] = []

    def subscribe_topic(self, topic: str, handler: Callable[[tuple[float, bytes]], None]) -> None:
        self._send = handler

    def map(self, function: object, groups: list[Any], key: list[Any], **options: Any) -> list[Any]:
        self.graphs.append([[task.name for task in group] for group in groups])
        futures = [Handed(one) for one in key]
        self._flying = [one for one in self._flying if one.status == "pending"] + futures
        self.most = max(self.most, len(self._flying))
        self._answer(("run", "predict", "of before", 0), ["of before"])
        for one, group in zip(key, groups, strict=True):
            self._answer(one, [task.name for task in group])
        return futures

    def _answer(self, key: Any, names: list[str]) -> None:
        results = [TaskResult("predict", name, "done") for name in names]
        self._send((0.0, pickle.dumps((key, results))))

    def processing(self) -> dict[str, list[str]]:
        return {}


class Waiting:
    """A client whose workers take their time; it counts the groups of each graph."""

    status = "running"

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def map(self, function: object, groups: list[Any], key: list[Any], **options: Any) -> list[Any]:
        self.sizes.append(len(groups))
        return [Handed(one) for one in key]


class TwentyWorkers:
    def expected_workers(self) -> int:
        return 20

    def check_workers(self, working: int) -> None:
        return None


def test_results_that_workers_send_are_taken_once_and_none_is_fetched(tmp_path: Path) -> None:
    client: Any = Sender()  # it has no `sync`, by which results are fetched
    window = TasksInFlight(client, TwentyWorkers(), TaskLimits(60.0, None), "run")
    names = [f"t{number:04d}" for number in range(1000)]
    results = list(window.run(Groups([task_named(name, tmp_path) for name in names])))
    assert sorted(result.name for result in results) == names
    groups = [group for graph in client.graphs for group in graph]
    assert [name for group in groups for name in group] == names, "in the order given"
    assert client.most <= 60, "three for each worker"
    assert len(client.graphs) <= len(groups) / 6 + 1, "a tenth of these at once, not one by one"


def test_short_tasks_go_out_together_while_many_are_left(tmp_path: Path) -> None:
    client: Any = Sender()
    window = TasksInFlight(client, TwentyWorkers(), TaskLimits(60.0, None), "run")
    short = [task_named(f"s{number}", tmp_path) for number in range(400)]
    long = [replace(one, name=f"l{one.name}", cost=Cost(core_seconds=11.0)) for one in short]
    list(window.run(Groups([*long, *short])))
    sizes = [len(group) for graph in client.graphs for group in graph]
    assert sizes[:400] == [1] * 400, "each is long enough"
    assert sizes[400:411] == [8] * 11, "until fewer than sixteen for each worker are left"
    for number, size in enumerate(sizes[411:], start=411):
        left = 800 - sum(sizes[:number])
        assert size == max(1, left // 40), "half of a worker's share of those left"
    assert sizes[-79:] == [1] * 79, "the last ones go alone"
    assert sum(sizes) == 800


def test_pairs_of_blocks_keep_no_worker_longer_than_its_share(tmp_path: Path) -> None:
    workers, block_s = 200, 8.0
    blocks = [
        replace(task_named(f"b{number}", tmp_path), cost=Cost(core_seconds=block_s))
        for number in range(4915)
    ]
    groups = Groups(blocks)
    free, sizes = [0.0] * workers, []
    while group := groups.next(workers):
        heapq.heappush(free, heapq.heappop(free) + block_s * len(group))
        sizes.append(len(group))
    assert len(sizes) < 0.6 * len(blocks), "most go out in pairs"
    assert max(free) <= (len(blocks) / workers + 1) * block_s, "none ends a block after its share"


def test_few_workers_get_groups_some_at_a_time_and_are_never_idle(tmp_path: Path) -> None:
    for workers in (1, 2, 3, 8):
        client: Any = Waiting()
        pool = SimpleNamespace(expected_workers=lambda n=workers: n)
        window = TasksInFlight(client, pool, TaskLimits(60.0, None), "run")
        waiting = Groups(
            [
                replace(task_named(f"t{number}", tmp_path), cost=Cost(core_seconds=60.0))
                for number in range(60)
            ]
        )
        while True:
            window._fill(waiting)
            if not window.flying:
                break
            if waiting.may_begin():
                assert workers <= len(window.flying) <= 3 * workers
            window._land(next(iter(window.flying)))
        assert sum(client.sizes) == 60
        assert len(client.sizes) <= 60 / min(4, 3 * workers // 2) + 1


def test_the_tasks_of_a_group_that_is_lost_are_tried_one_by_one(tmp_path: Path) -> None:
    client: Any = Sender()
    window = TasksInFlight(client, TwentyWorkers(), TaskLimits(60.0, None), "run")
    window._answers.subscribe()
    group = tuple(task_named(name, tmp_path) for name in ("a", "b"))
    window._submit([group])
    (future,) = window.flying
    assert window._ended(future, ConnectionError("worker is gone")) == []
    assert [one for one, _ in window.flying.values()] == [(group[0],), (group[1],)]
    keys = [one.key for one in window.flying]
    assert len({*keys, future.key}) == 3, "an answer of the lost group is not taken for theirs"
    (lost,) = window._ended(next(iter(window.flying)), ConnectionError("worker is gone"))
    assert (lost.name, lost.status) == ("a", "failed")
