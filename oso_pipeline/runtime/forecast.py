"""What a run is expected to take, and what it took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oso_pipeline.runtime.calibration import Speed
from oso_pipeline.runtime.planner import StagePlan
from oso_pipeline.tasks.task import Task, TaskResult


@dataclass(frozen=True)
class Needs:
    """Of the tasks of one stage.

    Parameters
    ----------
    tasks
        How many.
    core_seconds
        Processor time of all of them.
    memory_bytes
        Peak memory of the greediest.
    """

    tasks: int = 0
    core_seconds: float = 0.0
    memory_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return seconds and megabytes, rounded."""
        return {
            "tasks": self.tasks,
            "core_seconds": round(self.core_seconds, 1),
            "memory_mb": self.memory_bytes // 1_000_000,
        }


@dataclass(frozen=True)
class Forecast:
    """What is expected of a plan.

    Parameters
    ----------
    speed
        Of a core.
    workers
        Processes that share the work.
    """

    speed: Speed
    workers: int

    def needs(self, tasks: Iterable[Task]) -> Needs:
        """Return what `tasks` need together."""
        costs = [task.cost for task in tasks]
        return Needs(
            len(costs),
            sum(self.speed.core_seconds(cost) for cost in costs),
            max((cost.memory_bytes for cost in costs), default=0),
        )

    def wall_seconds(self, plans: Sequence[StagePlan]) -> float:
        """Return how long the stages take one after the other.

        A stage takes no less than its longest task, however many workers there are.
        """
        total = 0.0
        for plan in plans:
            seconds = [self.speed.core_seconds(task.cost) for task in plan.todo]
            total += max(sum(seconds) / self.workers, max(seconds, default=0.0))
        return total


class Ledger:
    """Compares what was expected of each stage with what it took; follows a run."""

    def __init__(self, forecast: Forecast) -> None:
        self.forecast = forecast
        self.expected: dict[str, Needs] = {}
        self.actual: dict[str, Needs] = {}

    def stage_begins(self, plan: StagePlan) -> None:
        """Note what is expected."""
        if plan.todo:
            self.expected[plan.name] = self.forecast.needs(plan.todo)
            self.actual[plan.name] = Needs()

    def task_ended(self, result: TaskResult) -> None:
        """Add what a task took."""
        before = self.actual.get(result.stage, Needs())
        self.actual[result.stage] = replace(
            before,
            tasks=before.tasks + 1,
            core_seconds=before.core_seconds + result.cpu_seconds,
            memory_bytes=max(before.memory_bytes, result.peak_rss_bytes),
        )

    def stage_ends(self, plan: StagePlan, failed: int) -> None:
        """Nothing to do: the sums are complete."""

    def as_json(self) -> dict[str, Any]:
        """Return expected and actual needs by stage."""
        return {
            name: {"expected": needs.as_json(), "actual": self.actual[name].as_json()}
            for name, needs in self.expected.items()
        }
