"""Stages repeated for the past seasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from oso_pipeline.config.model import Config
from oso_pipeline.config.seasons import past_config, past_years
from oso_pipeline.core.errors import Problems
from oso_pipeline.tasks.file_digests import FileDigests
from oso_pipeline.tasks.part_task import PartTask
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, Stage
from oso_pipeline.tasks.task import Task

PREFIX = "past_"
"""Before the name of a stage: its tasks of the past seasons."""


@dataclass(frozen=True)
class PastContext:
    """View of a past season for a stage: its configuration, and the tasks of that season.

    Parameters
    ----------
    whole
        Context of a stage of the season of the map.
    config
        The configuration as the past season sees it.
    """

    whole: PlanContext[Config]
    config: Config

    @property
    def run_dir(self) -> Path:
        """The run folder."""
        return self.whole.run_dir

    @property
    def stages(self) -> Sequence[Stage]:
        """All stages of the run."""
        return self.whole.stages

    @property
    def digests(self) -> FileDigests:
        """Digests of the files of the user."""
        return self.whole.digests

    def tasks(self, stage: str) -> tuple[Task, ...]:
        """Return the tasks of an earlier stage for this season."""
        return past_tasks(self.whole, stage, self.config.year)


def past_tasks(context: PlanContext[Config], stage: str, year: int) -> tuple[Task, ...]:
    """Return the tasks of a stage for a past season."""
    ending = f"/{year}"
    found = context.tasks(f"{PREFIX}{stage}")
    return tuple(task for task in found if task.name.endswith(ending))


def of_its_season(found: Gathered, stage: Stage, context: PlanContext[Config]) -> Gathered:
    """Return the summary of a stage, with the year before each warning of a past season.

    Warnings of past seasons name theirs; beside these, those of the map have to as well.
    """
    repeated = any(one.name == PREFIX + stage.name for one in context.stages)
    if not repeated or not past_years(context.config):
        return found
    season = f"season {context.config.year}: "
    return replace(found, warnings=tuple(season + text for text in found.warnings))


def as_it_is(task: Task, context: PlanContext[Config]) -> Task:
    """Return the task of a past season as its stage planned it."""
    return task


@dataclass(frozen=True)
class PastStage:
    """A stage as it is done for each past season, in ``past/<year>`` of the run folder.

    Below that folder all is named as in the run folder itself. Task ``31TCJ`` of the stage is
    ``31TCJ/2017`` for the season 2017, so that those of a tile stay together.

    Parameters
    ----------
    stage
        The stage.
    change
        Differences from the season of the map: a function of a task and the context of
        all seasons to the task to do.
    """

    stage: Stage
    change: Callable[[Task, PlanContext[Config]], Task] = as_it_is

    @property
    def name(self) -> str:
        """``past_`` and the name of the stage."""
        return PREFIX + self.stage.name

    @property
    def reusable(self) -> tuple[str, ...]:
        """Reusable outputs of the stage, for each season."""
        return tuple(f"past/*/{pattern}" for pattern in self.stage.reusable)

    @property
    def unverified(self) -> tuple[str, ...]:
        """Those of the stage: they lie at the top, whatever the season."""
        return self.stage.unverified

    @property
    def makes(self) -> Makes | None:
        """That of the stage."""
        return self.stage.makes

    @property
    def section(self) -> None:
        """Nothing: the section of a stage shows the season of the map."""
        return

    @property
    def in_array(self) -> bool:
        """Past seasons have few images beside those of the map: no array of their own."""
        return False

    @property
    def disk_hint(self) -> str:
        """That of the stage."""
        return self.stage.disk_hint

    @property
    def memory_hint(self) -> str:
        """That of the stage."""
        return self.stage.memory_hint

    @property
    def optional(self) -> bool:
        """That of the stage."""
        return self.stage.optional

    @property
    def plans_from(self) -> tuple[str, ...] | None:
        """Those of the stage, of the past seasons."""
        names = self.stage.plans_from
        return None if names is None else tuple(PREFIX + name for name in names)

    def check(self, config: Config) -> Problems:
        """Find what is wrong with the past seasons."""
        problems = Problems()
        for year in past_years(config):
            found = self.stage.check(past_config(config, year))
            found.notes[:] = [f"season {year}: {note}" for note in found.notes]
            problems.extend(found)
        return problems

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the tasks of all past seasons; none without ``adaptation``."""
        return [
            self.change(self._of(task, year), context)
            for year in past_years(context.config)
            for task in self.stage.plan(PastContext(context, past_config(context.config, year)))
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return the summaries by season, and their warnings and headlines together."""
        years = sorted({task.name.rpartition("/")[2] for task in tasks})
        seasons = {
            year: self.stage.gather(tuple(t for t in tasks if t.name.endswith(f"/{year}")))
            for year in years
        }
        return Gathered(
            {year: one.summary for year, one in seasons.items()},
            tuple(f"season {y}: {text}" for y, one in seasons.items() for text in one.warnings),
            "; ".join(f"{y}: {one.headline}" for y, one in seasons.items() if one.headline),
        )

    def _of(self, task: Task, year: int) -> Task:
        past = replace(
            task,
            stage=PREFIX + task.stage,
            name=f"{task.name}/{year}",
            outputs=tuple(f"past/{year}/{output}" for output in task.outputs),
        )
        if isinstance(past, PartTask) and past.whole is not None:
            return replace(past, whole=self._of(past.whole, year))
        return past
