"""The contract between the rooms of the package and the run time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, TypeVar

from oso_pipeline.tasks.task import Summary, Task

ConfigT_co = TypeVar("ConfigT_co", covariant=True)


class PlanContext(Protocol[ConfigT_co]):
    """What a stage may look at while it plans."""

    @property
    def config(self) -> ConfigT_co:
        """The validated configuration."""
        ...

    @property
    def run_dir(self) -> Path:
        """The run folder, which may not exist yet."""
        ...

    def tasks(self, stage: str) -> tuple[Task, ...]:
        """Return the tasks of an earlier stage."""
        ...


class Stage(Protocol):
    """The contract between the rooms of the package and the run time."""

    @property
    def name(self) -> str:
        """Name of the stage, as users type it."""
        ...

    def plan(self, context: PlanContext[Any]) -> list[Task]:
        """List the tasks; decide from the config and what is committed, write nothing."""
        ...

    def gather(self, tasks: tuple[Task, ...]) -> Summary:
        """Sum up what the tasks committed, for the report and the progress line."""
        ...


def summaries(tasks: tuple[Task, ...] | list[Task]) -> list[Summary]:
    """Return the summaries that the committed ones among `tasks` left in their sidecars."""
    records = (task.committed() for task in tasks)
    return [record.get("summary", {}) for record in records if record is not None]
