"""Expected and actual time, memory and disk of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oso_pipeline.runtime.calibration import Speed
from oso_pipeline.runtime.planner import StagePlan
from oso_pipeline.runtime.simulated import SimulatedExecutor, wall_seconds
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

    def to_json(self) -> dict[str, Any]:
        """Return seconds and megabytes, rounded."""
        return {
            "tasks": self.tasks,
            "core_seconds": round(self.core_seconds, 1),
            "memory_mb": self.memory_bytes // 1_000_000,
        }


@dataclass(frozen=True)
class Forecast:
    """Expected cost of a plan.

    Parameters
    ----------
    speed
        Of a core.
    workers
        Processes that share the work, with a core each.
    beside
        Whether stages go beside each other, as they do where the map may have no holes.
    """

    speed: Speed
    workers: int
    beside: bool = True

    def needs(self, tasks: Iterable[Task]) -> Needs:
        """Return what `tasks` need together."""
        costs = [task.cost for task in tasks]
        return Needs(
            len(costs),
            sum(self.speed.core_seconds(cost) for cost in costs),
            max((cost.memory_bytes for cost in costs), default=0),
        )

    def core_seconds(self, plans: Iterable[StagePlan]) -> float:
        """Return the processor time of all that is to do."""
        return sum(self.needs(plan.todo).core_seconds for plan in plans)

    def wall_seconds(self, plans: Sequence[StagePlan]) -> float:
        """Return how long it takes; longer than if every worker were busy to the end."""
        return wall_seconds(plans, SimulatedExecutor(self.workers, self._seconds), self.beside)

    def core_hours_held(self, plans: Sequence[StagePlan]) -> float:
        """Return the core-hours for which workers are there, busy or not."""
        return self.workers * self.wall_seconds(plans) / 3600

    def _seconds(self, task: Task) -> float:
        """Return how long a task keeps its worker."""
        return self.speed.core_seconds(task.cost) / getattr(task.job, "threads", 1)


@dataclass(frozen=True)
class Compared:
    """Expected and actual cost of a stage."""

    expected: Needs
    actual: Needs

    def to_json(self) -> dict[str, Any]:
        """Return both, rounded."""
        return {"expected": self.expected.to_json(), "actual": self.actual.to_json()}


class Ledger:
    """Compares what was expected of each stage with what it took."""

    def __init__(self, forecast: Forecast) -> None:
        self.forecast = forecast
        self._compared: dict[str, Compared] = {}

    def expect(self, plan: StagePlan) -> None:
        """Note what is expected of a stage that has something to do."""
        if plan.todo:
            self._compared[plan.name] = Compared(self.forecast.needs(plan.todo), Needs())

    def add(self, result: TaskResult) -> None:
        """Add what a task took."""
        compared = self._compared[result.stage]
        before = compared.actual
        actual = Needs(
            tasks=before.tasks + 1,
            core_seconds=before.core_seconds + result.cpu_seconds,
            memory_bytes=max(before.memory_bytes, result.peak_rss_bytes),
        )
        self._compared[result.stage] = replace(compared, actual=actual)

    def needs(self) -> dict[str, Compared]:
        """Return both by stage, in the order in which the stages began."""
        return dict(self._compared)
