"""A task that holds its worker too long: killed with it, tried once more elsewhere, then given up.

The scheduler is a table of who does what, the clock is set by hand, and what must happen when is
written out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oso_pipeline.core.commit import publish_bytes, write_sidecar
from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.runtime.executors import in_flight
from oso_pipeline.runtime.executors.groups import Groups
from oso_pipeline.runtime.executors.in_flight import PER_WORKER, TasksInFlight
from oso_pipeline.runtime.executors.interface import TaskLimits
from oso_pipeline.tasks.task import Task

HERE, BESIDE, FAR = "tls://10.0.0.1:1001", "tls://10.0.0.1:1002", "tls://10.0.0.2:1001"
DEADLINE_S = 100.0
Key = tuple[str, str, str, int]


class Clock:
    """Seconds since some moment."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@dataclass(eq=False)
class Future:
    """What a client holds of a task on the scheduler."""

    key: Key
    status: str = "pending"


class Scheduler:
    """The part of a dask client that starts, lists and stops tasks; `doing` says who does what."""

    def __init__(self, *workers: str) -> None:
        self.status = "running"
        self.scheduler = SimpleNamespace(address="tls://10.0.0.9:8786")
        self.doing: dict[str, list[Key]] = {worker: [] for worker in workers}
        self.submitted: list[tuple[Key, list[str]]] = []
        self.cancelled: list[Key] = []
        self.restarted: list[str] = []

    def map(self, function: object, tasks: list[Any], key: list[Key], **options: Any) -> list[Any]:
        self.submitted += [(one, options.get("workers", [])) for one in key]
        return [Future(one) for one in key]

    def processing(self) -> dict[str, list[Key]]:
        return self.doing

    def cancel(self, futures: list[Any], force: bool) -> None:
        self.cancelled += [future.key for future in futures]

    def restart_workers(self, workers: list[str], **options: Any) -> None:
        self.restarted += workers
        for worker in workers:
            self.doing[worker] = []


class Pool:
    """As many workers as the scheduler has."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.working: list[int] = []

    def expected_workers(self) -> int:
        return len(self.scheduler.doing)

    def check_workers(self, working: int) -> None:
        self.working.append(working)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(in_flight, "time", clock)
    return clock


def tasks_in(folder: Path, number: int) -> list[Task]:
    return [Task("predict", f"t{n}", "os:getcwd", folder, (f"t{n}.txt",)) for n in range(number)]


def flight(scheduler: Scheduler) -> Any:
    client: Any = scheduler
    return TasksInFlight(client, Pool(scheduler), TaskLimits(DEADLINE_S), "run")


def key(number: int, again: int = 0) -> Key:
    return "run", "predict", f"t{number}", again


def test_no_more_than_a_few_tasks_per_worker_are_handed_over(tmp_path: Path, clock: Clock) -> None:
    scheduler = Scheduler(HERE, FAR)
    tasks = flight(scheduler)
    waiting = Groups(iter(tasks_in(tmp_path, 20)))
    tasks._fill(waiting)
    assert [one for one, _ in scheduler.submitted] == [key(n) for n in range(2 * PER_WORKER)]
    tasks._fill(waiting)
    assert len(scheduler.submitted) == 2 * PER_WORKER, "none has ended"
    for ended in range(1, PER_WORKER + 1):
        tasks.flying.pop(next(iter(tasks.flying)))
        tasks._fill(waiting)
        more = PER_WORKER if ended == PER_WORKER else 0
        assert len(scheduler.submitted) == 2 * PER_WORKER + more, "half of them together"
    assert [one for one, _ in scheduler.submitted] == [key(n) for n in range(3 * PER_WORKER)]
    assert len(tasks.flying) == 2 * PER_WORKER


def test_where_the_next_task_must_wait_none_behind_it_is_taken(
    tmp_path: Path, clock: Clock
) -> None:
    scheduler = Scheduler(HERE)
    first, second = tasks_in(tmp_path, 2)
    waiting = Groups(iter([first, None, second]))
    tasks = flight(scheduler)
    tasks._fill(waiting)
    assert [one for one, _ in scheduler.submitted] == [key(0)]
    tasks._fill(waiting)
    assert [one for one, _ in scheduler.submitted] == [key(0), key(1)]


def test_the_deadline_counts_from_the_start_on_a_worker(tmp_path: Path, clock: Clock) -> None:
    scheduler = Scheduler(HERE, FAR)
    tasks = flight(scheduler)
    tasks._fill(Groups(iter(tasks_in(tmp_path, 2))))
    clock.now += 10 * DEADLINE_S  # it waits for a worker that long
    scheduler.doing[HERE] = [key(0)]
    assert tasks._look_around() == []
    clock.now += DEADLINE_S
    assert tasks._look_around() == []
    assert scheduler.cancelled == []
    clock.now += 0.1
    assert tasks._look_around() == []
    assert (scheduler.cancelled, scheduler.restarted) == ([key(0)], [HERE])
    assert tasks.pool.working == [2, 2, 2]


def test_a_task_that_another_worker_takes_over_has_its_time_anew(
    tmp_path: Path, clock: Clock
) -> None:
    scheduler = Scheduler(HERE, FAR)
    tasks = flight(scheduler)
    tasks._fill(Groups(iter(tasks_in(tmp_path, 1))))
    scheduler.doing[HERE] = [key(0)]
    tasks._look_around()
    clock.now += 0.9 * DEADLINE_S
    scheduler.doing = {HERE: [], FAR: [key(0)]}
    tasks._look_around()
    clock.now += 0.9 * DEADLINE_S
    assert tasks._look_around() == []
    assert scheduler.cancelled == []


@pytest.mark.parametrize(
    ("workers", "preferred"),
    [
        ((HERE, BESIDE, FAR), [FAR]),  # its machine may be the fault
        ((HERE, BESIDE), [BESIDE]),
        ((HERE,), []),
    ],
)
def test_what_is_late_is_tried_once_more_rather_elsewhere_and_then_given_up(
    tmp_path: Path, clock: Clock, workers: tuple[str, ...], preferred: list[str]
) -> None:
    scheduler = Scheduler(*workers)
    tasks = flight(scheduler)
    tasks._fill(Groups(iter(tasks_in(tmp_path, 1))))
    scheduler.doing[HERE] = [key(0)]
    tasks._look_around()
    clock.now += DEADLINE_S + 1
    assert tasks._look_around() == []
    assert scheduler.submitted[1:] == [(key(0, again=1), preferred)], "under a key of its own"
    last = workers[-1]
    scheduler.doing[last] = [key(0, again=1)]
    tasks._look_around()
    clock.now += DEADLINE_S + 1
    (given_up,) = tasks._look_around()
    assert (given_up.name, given_up.status, given_up.exit_code) == ("t0", "failed", 5)
    for word in ("predict t0", "100 s", "twice", "runtime.task_deadline_s", last):
        assert word in str(given_up.error)
    assert not tasks.flying
    assert len(scheduler.submitted) == 2


def test_a_late_task_that_was_committed_is_done(tmp_path: Path, clock: Clock) -> None:
    """Only the word of its end was lost."""
    scheduler = Scheduler(HERE)
    tasks = flight(scheduler)
    (task,) = tasks_in(tmp_path, 1)
    tasks._late.add(("predict", "t0"))
    tasks._submitted["predict", "t0"] += 1
    tasks._fill(Groups([task]))
    publish_bytes(task.output(), b"done")
    summary = {"pixels": 3}
    write_sidecar(task.output(), {"key": task.key, "recipe": task.recipe, "summary": summary})
    scheduler.doing[HERE] = [key(0, again=1)]
    tasks._look_around()
    clock.now += DEADLINE_S + 1
    (result,) = tasks._look_around()
    assert (result.status, result.summary) == ("done", {"pixels": 3})


def test_a_worker_that_has_just_gone_is_no_error_but_a_lost_scheduler_is(
    tmp_path: Path, clock: Clock
) -> None:
    class Gone(Scheduler):
        def restart_workers(self, workers: list[str], **options: Any) -> None:
            raise OSError("no such worker")

        def processing(self) -> dict[str, list[Key]]:
            if self.status != "running":
                raise OSError("connection refused")
            return self.doing

    scheduler = Gone(HERE, FAR)
    tasks = flight(scheduler)
    tasks._fill(Groups(iter(tasks_in(tmp_path, 1))))
    scheduler.doing[HERE] = [key(0)]
    tasks._look_around()
    clock.now += DEADLINE_S + 1
    assert tasks._look_around() == []
    assert scheduler.submitted[1:] == [(key(0, again=1), [FAR])]
    scheduler.status = "closed"
    with pytest.raises(EnvironmentFailure, match=r"E-CLUSTER-LOST.*tls://10.0.0.9:8786"):
        tasks._look_around()


def test_a_group_has_the_time_of_its_tasks_and_is_then_tried_one_by_one(
    tmp_path: Path, clock: Clock
) -> None:
    scheduler = Scheduler(HERE, FAR)
    tasks = flight(scheduler)
    tasks._submit([tuple(tasks_in(tmp_path, 3))])
    scheduler.doing[HERE] = [key(0)]
    tasks._look_around()
    clock.now += 3 * DEADLINE_S
    assert tasks._look_around() == []
    assert scheduler.cancelled == []
    clock.now += 1
    assert tasks._look_around() == []
    assert scheduler.cancelled == [key(0)]
    assert [one for one, _ in scheduler.submitted[1:]] == [key(n, again=1) for n in range(3)]
    scheduler.doing[HERE] = [key(1, again=1)]
    tasks._look_around()
    clock.now += DEADLINE_S + 1
    assert tasks._look_around() == []
    assert scheduler.submitted[-1][0] == key(1, again=2), "alone it has its own second time"
