"""Events of a run for its observers: a frozen dataclass for each.

The run time prints nothing. The command line, a notebook or a log watch a run as `Observer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import StagePlan
from oso_pipeline.tasks.heartbeat import Heartbeat
from oso_pipeline.tasks.stage import Gathered
from oso_pipeline.tasks.task import TaskResult


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run folder is locked and the stages to do are known."""

    run_dir: Path
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage was planned; its tasks come next, maybe among those of others."""

    plan: StagePlan


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A task was done, or has failed."""

    result: TaskResult


@dataclass(frozen=True, slots=True)
class TaskStraggles:
    """A task takes much longer than its peers; reported once for each attempt, from a thread.

    Parameters
    ----------
    heartbeat
        Which task, and where it runs.
    seconds
        How long it has been under way.
    usual_s
        Time of its peers: the median of those that have ended.
    """

    heartbeat: Heartbeat
    seconds: float
    usual_s: float

    def __str__(self) -> str:
        """Return the message."""
        beat = self.heartbeat
        return (
            f"slow: {beat.stage} {beat.task} on {beat.host}, process {beat.pid}, for "
            f"{self.seconds:.0f} s; its peers took {self.usual_s:.1f} s"
        )


@dataclass(frozen=True, slots=True)
class StageEnded:
    """All tasks of a stage have ended, or no further one begins.

    Parameters
    ----------
    plan
        The stage as it was planned.
    failed
        Tasks that failed.
    gathered
        Values, warnings and headline of the stage. Empty if only a part of
        it is done: a shard, some tiles.
    blocked
        Tasks that were not done, as what they read was not made.
    """

    plan: StagePlan
    failed: int
    gathered: Gathered
    blocked: int = 0


@dataclass(frozen=True, slots=True)
class RunEnded:
    """Nothing more is done. A run that is interrupted ends with an exception instead."""

    outcome: Outcome


Event = RunStarted | StageStarted | TaskEnded | TaskStraggles | StageEnded | RunEnded


class Observer(Protocol):
    """Receives the events of a run, to show or record them."""

    def notice(self, event: Event) -> None:
        """Take note of an event; those of no concern are passed over."""
        ...
