"""The plan of a run: tasks to do, and the reason for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oso_pipeline.config import Config
from oso_pipeline.core.errors import InputDataError, OsoError, Problem, UnknownName
from oso_pipeline.runtime.shard import Shard
from oso_pipeline.tasks.file_digests import FileDigests, RememberedDigests
from oso_pipeline.tasks.stage import Stage, require_contract
from oso_pipeline.tasks.task import Task, TaskState, tile_of


@dataclass(frozen=True)
class StagePlan:
    """The tasks of one stage with the state of each."""

    stage: Stage
    tasks: tuple[Task, ...]
    states: tuple[TaskState, ...]

    @property
    def name(self) -> str:
        """Name of the stage."""
        return self.stage.name

    @property
    def todo(self) -> list[Task]:
        """Tasks that have to run."""
        return [t for t, s in zip(self.tasks, self.states, strict=True) if s.status != "done"]

    def count(self, status: str) -> int:
        """Return how many tasks are ``new``, ``done`` or ``outdated``."""
        return sum(state.status == status for state in self.states)

    @property
    def reasons(self) -> Counter[str]:
        """Why tasks have to run, with the number of tasks for each reason."""
        return Counter(state.why for state in self.states if state.status != "done")

    def to_json(self) -> dict[str, Any]:
        """Return the plan of the stage as JSON values, costs of what has to run only."""
        todo = self.todo
        return {
            "stage": self.name,
            "tasks": len(self.tasks),
            "new": self.count("new"),
            "done": self.count("done"),
            "outdated": self.count("outdated"),
            "reasons": dict(self.reasons),
            "bytes_to_read": sum(task.cost.bytes_read for task in todo),
            "bytes_to_write": sum(task.cost.bytes_written for task in todo),
            "core_hours": sum(task.cost.core_seconds for task in todo) / 3600,
            "memory_bytes": max((task.cost.memory_bytes for task in todo), default=0),
        }


class Planner:
    """Plans stages, each at most once, from the config and what is committed.

    A task names its inputs by the keys of the tasks that make them, so one pass over the
    stages finds all outdated outputs before anything has run.

    Parameters
    ----------
    config
        Configuration of the run.
    stages
        In the order of the flow.
    digests
        Digests of the files of the user; by default of their content, remembered in the run folder.

    Raises
    ------
    StageError
        If a stage does not obey the contract.
    """

    def __init__(
        self, config: Config, stages: Sequence[Stage], digests: FileDigests | None = None
    ) -> None:
        require_contract(stages)
        self.config = config
        self._digests = digests
        self.stages = tuple(stages)
        self._tasks: dict[str, tuple[Task, ...]] = {}
        self._failures: dict[str, OsoError] = {}
        self._upstream: dict[str, set[str]] = {}
        self._planning: list[str] = []

    @property
    def run_dir(self) -> Path:
        """The run folder."""
        return self.config.run_dir

    @property
    def digests(self) -> FileDigests:
        """Digests of the files of the user; remembered digests may be outdated."""
        return self._digests or RememberedDigests(self.run_dir)

    def tasks(self, stage: str) -> tuple[Task, ...]:
        """Return the tasks of a stage; a stage that requests them depends on that stage."""
        if self._planning:
            self._upstream.setdefault(self._planning[-1], set()).add(stage)
        if stage in self._failures:
            raise self._failures[stage]
        if stage not in self._tasks:
            self._planning.append(stage)
            try:
                self._tasks[stage] = tuple(self.stage(stage).plan(self))
            except OsoError as error:
                self._failures[stage] = error
                raise
            finally:
                self._planning.pop()
        return self._tasks[stage]

    def upstream(self, stage: Stage) -> list[Stage]:
        """Return the stages whose tasks a stage requested while it was planned."""
        self.tasks(stage.name)
        requested = self._upstream.get(stage.name, set())
        return [before for before in self.stages if before.name in requested]

    def needed(self, goal: Stage) -> list[Stage]:
        """Return a stage and all that it reads, directly or not, in the order of the flow."""
        wanted, open_ends = {goal.name}, [goal]
        while open_ends:
            found = [stage for stage in self.upstream(open_ends.pop()) if stage.name not in wanted]
            wanted |= {stage.name for stage in found}
            open_ends += found
        return [stage for stage in self.stages if stage.name in wanted]

    def stage(self, name: str) -> Stage:
        """Return the stage of that name; UnknownName if there is none."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        known = ", ".join(one.name for one in self.stages)
        hint = "series are made without labels; a map needs `reference` or `learning.model`"
        message = f"no stage {name!r} in this run, there are {known}"
        raise UnknownName(Problem("E-NAME-STAGE", message, None, hint))

    def plan(
        self, stage: Stage, tiles: Iterable[str] = (), shard: Shard | None = None
    ) -> StagePlan:
        """Return the tasks of a stage and their states, of some tiles or a shard where given."""
        tasks = self.tasks(stage.name)
        wanted = set(tiles)
        if wanted and is_per_tile(tasks, self.config):
            tasks = tuple(task for task in tasks if tile_of(task) in wanted)
        if shard is not None:
            tasks = shard.share(tasks)
        return StagePlan(stage, tasks, tuple(task.state() for task in tasks))

    def is_done(self, name: str) -> bool:
        """Return whether nothing is to do of a stage of the configuration."""
        plan = self.plan(self.stage(name))
        return bool(plan.tasks) and not plan.todo

    def require_complete(self, before: Stage) -> None:
        """Raise InputDataError unless every stage before `before` is done, but optional ones."""
        problems = []
        needed = [one for one in self.stages[: self.stages.index(before)] if not one.optional]
        for stage in needed:
            plan = self.plan(stage)
            if plan.todo:
                why = next(iter(plan.reasons))
                problems.append(
                    Problem(
                        "E-RUN-STAGE",
                        f"stage {before.name} needs stage {stage.name}, of which "
                        f"{len(plan.todo)} of {len(plan.tasks)} tasks are to do ({why})",
                        str(self.run_dir),
                        "finish the run first: oso run CONFIG",
                    )
                )
        if problems:
            raise InputDataError(*problems)

    def forget(self) -> None:
        """Discard the plans, since committed files have changed."""
        self._tasks.clear()
        self._failures.clear()


def is_per_tile(tasks: Sequence[Task], config: Config) -> bool:
    """Return whether the tasks of a stage belong to one tile each."""
    return bool(tasks) and all(tile_of(task) in config.imagery.tiles for task in tasks)
