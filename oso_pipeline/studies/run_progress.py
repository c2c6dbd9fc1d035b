"""Progress of each stage and warnings, for the caller of `oso_pipeline.run`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from oso_pipeline.core.wording import counted
from oso_pipeline.runtime.events import Event, StageEnded, StageStarted, TaskEnded


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage of a run is.

    Parameters
    ----------
    stage
        Its name.
    done
        Tasks that have ended, with those that were up to date before.
    total
        Tasks of the stage.
    failed
        Those of them that failed.
    """

    stage: str
    done: int
    total: int
    failed: int = 0

    def __str__(self) -> str:
        """Return one line for people."""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.stage}: {self.done} of {counted(self.total, 'task')}{failed}"


class ProgressCounter:
    """Counts the tasks of each stage, and calls a function with each count."""

    def __init__(self, call: Callable[[Progress], object]) -> None:
        self._call = call
        self._stages: dict[str, Progress] = {}

    def notice(self, event: Event) -> None:
        """Count a task that has ended."""
        match event:
            case StageStarted(plan):
                done, total = plan.count("done"), len(plan.tasks)
                self._stages[plan.name] = Progress(plan.name, done, total)
            case TaskEnded(result):
                before = self._stages[result.stage]
                failed = before.failed + (result.status == "failed")
                now = replace(before, done=before.done + 1, failed=failed)
                self._stages[result.stage] = now
                self._call(now)
            case _:
                pass


class WarningCollector:
    """Keeps the warnings of the stages, each once."""

    def __init__(self) -> None:
        self.warnings: dict[str, None] = {}

    def notice(self, event: Event) -> None:
        """Keep the warnings of a stage that has ended."""
        if isinstance(event, StageEnded):
            self.warnings |= dict.fromkeys(event.gathered.warnings)
