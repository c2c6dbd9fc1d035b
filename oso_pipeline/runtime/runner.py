"""Run stages one after the other: only what is missing or outdated."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from oso_pipeline.config import Config
from oso_pipeline.core.commit import (
    publish_bytes,
    publish_json,
    sweep_temporaries,
    temporary_beside,
)
from oso_pipeline.core.errors import ConfigError, EnvironmentFailure, InputDataError, Problem
from oso_pipeline.core.regular_files import real_place
from oso_pipeline.runtime.checks.disk import refuse_full_disk
from oso_pipeline.runtime.checks.memory import refuse_memory
from oso_pipeline.runtime.events import (
    Event,
    Observer,
    RunEnded,
    RunStarted,
    StageEnded,
    StageStarted,
    TaskEnded,
)
from oso_pipeline.runtime.executors import Executor
from oso_pipeline.runtime.folder import ownership
from oso_pipeline.runtime.folder.lock import RunLock
from oso_pipeline.runtime.forecast import Forecast, Ledger
from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import Planner, StagePlan, is_per_tile
from oso_pipeline.runtime.shard import Shard
from oso_pipeline.runtime.stopping import Stop, UntilTold
from oso_pipeline.tasks.heartbeat import forget_signs
from oso_pipeline.tasks.memory_guard import forget_verdicts
from oso_pipeline.tasks.past_seasons import of_its_season
from oso_pipeline.tasks.stage import Gathered, Stage


@dataclass(frozen=True)
class Selection:
    """Which part of the plan to run; everything by default.

    Parameters
    ----------
    until
        Last stage to run.
    only
        The one stage to run; the stages before it must be done.
    goal
        A stage to run with those that it reads, and no others.
    tiles
        Do only the share of these tiles in stages that work per tile. Stages that need all
        tiles run when the others are done too.
    shard
        Do only this share of each stage. A shard never waits: it ends where a stage needs
        what other shards have not done yet.
    """

    until: str | None = None
    only: str | None = None
    goal: str | None = None
    tiles: tuple[str, ...] = ()
    shard: Shard | None = None

    @property
    def others(self) -> str | None:
        """Who else works on the stages, where this is only a part."""
        return "shards" if self.shard else "tiles" if self.tiles else None


def run(
    planner: Planner,
    executor: Executor,
    observers: Sequence[Observer],
    selection: Selection,
    lock: RunLock | None = None,
    forecast: Forecast | None = None,
) -> Outcome:
    """Run what is to do and return what was done.

    A failed task does not stop the others of its stage. The stages after it are only run
    when the stage is optional, or the configuration accepts a partial map.

    Parameters
    ----------
    planner
        What is to do.
    executor
        Does the tasks.
    observers
        Are told of every event; what they raise ends the run.
    selection
        Which part of the plan to run.
    lock
        The one to hold, where it is not simply that of the run folder.
    forecast
        Where given, the outcome compares it with what each stage took.

    Raises
    ------
    ConfigError
        If the configuration does not allow one of the stages to be planned; nothing has run.
    InputDataError
        If a stage cannot be planned because its input is missing.
    EnvironmentFailure
        If the run folder is locked, cannot be written, or its disk has too little room.
    KeyboardInterrupt
        On Ctrl-C.
    Terminated
        On SIGTERM.
    OutOfTime
        If what ran when SIGUSR1 announced the end did not end within the grace.
    """
    _prepare_folder(planner.run_dir)
    recipe = planner.config.recipe_id
    held = lock or RunLock(planner.run_dir, selection.shard, recipe=recipe)
    stop = Stop(planner.config.runtime.stop_grace_s)
    course = _Course(planner, executor, observers, selection, held, stop)
    if forecast is not None:
        course.ledger = Ledger(forecast)
    with stop.listening(), held:
        if selection.shard is None:  # other shards write files just now
            sweep_temporaries(planner.run_dir)
            forget_signs(planner.run_dir)
        forget_verdicts(planner.run_dir)
        describe_run(planner.config)
        with executor:
            course.all(_selected(planner, selection))
        held.require_held()
    course.tell(RunEnded(course.outcome))
    return course.outcome


@dataclass
class _Course:
    """The way of a run through its stages."""

    planner: Planner
    executor: Executor
    observers: Sequence[Observer]
    selection: Selection
    lock: RunLock
    stop: Stop
    ledger: Ledger | None = None
    outcome: Outcome = field(default_factory=Outcome)

    def all(self, stages: Sequence[Stage]) -> None:
        """Run the stages until one does not allow the next to follow."""
        _foresee(self.planner, stages, self.selection)
        self.tell(RunStarted(self.planner.run_dir, tuple(stage.name for stage in stages)))
        for stage in stages:
            if not self.stage(stage):
                break
        if self.ledger is not None:
            self.outcome.needs = self.ledger.needs()

    def tell(self, event: Event) -> None:
        """Tell everyone who watches."""
        for observer in self.observers:
            observer.notice(event)

    def stage(self, stage: Stage) -> bool:
        """Run one stage; return whether the next may follow."""
        self.stop.heed()
        if self._must_wait(stage):
            return False
        plan = self.planner.plan(stage, self.selection.tiles, self.selection.shard)
        if not plan.tasks:  # the configuration does not ask for it
            return True
        if self.ledger is not None:
            self.ledger.expect(plan)
        self.tell(StageStarted(plan))
        failed, ended = self._tasks(plan)
        self.tell(StageEnded(plan, failed, self._gathered(plan)))
        self.outcome.up_to_date += plan.count("done")
        self.planner.forget()
        if ended < len(plan.todo):
            self.outcome.stopped = True
            return False
        if failed and stage.optional:
            self.outcome.passed_over.add(stage.name)
            return True
        return not failed or self.planner.config.map.allow_partial

    def _tasks(self, plan: StagePlan) -> tuple[int, int]:
        """Run what is to do; return how many tasks failed and how many ended."""
        failed = ended = 0
        # The longest first: begun last, one would keep all other workers waiting.
        longest_first = sorted(plan.todo, key=lambda task: -task.cost.core_seconds)
        todo = UntilTold(longest_first, self._is_told)
        for result in self.executor.run(todo, self._name()):
            self.stop.heed()
            ended += 1
            if result.status == "failed":
                failed += 1
                self.outcome.failures.append(result)
            else:
                self.outcome.done += 1
            if self.ledger is not None:
                self.ledger.add(result)
            self.tell(TaskEnded(result))
        return failed, ended

    def _name(self) -> str:
        """Return what tells the run from others of the same settings on one scheduler."""
        place = sha256(os.fsencode(real_place(self.planner.run_dir))).hexdigest()[:8]
        return f"{self.planner.config.run_id}-{place}"

    def _gathered(self, plan: StagePlan) -> Gathered:
        """Return what the stage tells of itself; a part of it tells nothing."""
        if self.selection.others:
            return Gathered()
        return of_its_season(plan.stage.gather(plan.tasks), plan.stage, self.planner)

    def _is_told(self) -> bool:
        return self.stop.announced or self.lock.lost

    def _must_wait(self, stage: Stage) -> bool:
        """Tell whether a part of a run ends here, since others have not done their part."""
        others = self.selection.others
        if others is None:
            return False
        if others == "tiles" and is_per_tile(self.planner.tasks(stage.name), self.planner.config):
            return False
        before = self.planner.upstream(stage)
        unfinished = [one.name for one in before if self.planner.plan(one).todo]
        if unfinished:
            names = ", ".join(unfinished)
            self.outcome.waiting = f"stage {stage.name} waits for {names} of the other {others}"
        return bool(unfinished)


def _foresee(planner: Planner, stages: Sequence[Stage], selection: Selection) -> None:
    """Raise before any work if a stage to come could not be planned, held, or written.

    Input that is missing is left to the stage that meets it first, which tells more.
    """
    with suppress(InputDataError):
        planner.tasks(stages[-1].name)
    refuse_memory(planner, stages)
    refuse_full_disk(planner, stages, selection.tiles)
    planner.forget()


def _selected(planner: Planner, selection: Selection) -> Sequence[Stage]:
    if selection.only is not None:
        planner.require_complete(planner.stage(selection.only))
    return concerned(planner, selection)


def concerned(planner: Planner, selection: Selection) -> Sequence[Stage]:
    """Return the stages that a selection runs.

    Raises
    ------
    InputDataError
        If a goal cannot be planned because its input is missing.
    """
    if selection.only is not None:
        return [planner.stage(selection.only)]
    if selection.goal is not None:
        return planner.needed(planner.stage(selection.goal))
    if selection.until is not None:
        return planner.stages[: planner.stages.index(planner.stage(selection.until)) + 1]
    return planner.stages


def describe_run(config: Config) -> None:
    """Write ``run.json``, which makes the folder that of a run, and ``config.yaml``."""
    software = ("oso_pipeline", "numpy", "numba", "scikit-learn", "rasterio", "geopandas", "dask")
    publish_json(
        config.run_dir / ownership.MARK,
        {
            "run_id": config.run_id,
            "name": config.name,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "software": {name: version(name) for name in software},
        },
    )
    text = ownership.dump(config.model_dump(mode="json"))
    publish_bytes(config.run_dir / ownership.CONFIG, text.encode())


def _prepare_folder(run_dir: Path) -> None:
    ownership.check_own(run_dir).raise_errors(ConfigError)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        probe = temporary_beside(run_dir / "probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise EnvironmentFailure(
            Problem(
                "E-RUN-FOLDER",
                f"the run folder cannot be written: {error}",
                str(run_dir),
                "set `run_dir` to a folder that you may write",
            )
        ) from error
