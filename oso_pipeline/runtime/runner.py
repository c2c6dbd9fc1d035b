"""Run stages one after the other: only what is missing or outdated."""

from __future__ import annotations

import platform
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from ruamel.yaml import YAML

from oso_pipeline.config import Config
from oso_pipeline.core.commit import digest, publish_json, staged, sweep_temporaries
from oso_pipeline.core.errors import EnvironmentFailure, ExitCode, InputDataError, Problem
from oso_pipeline.core.task import Stage, TaskResult
from oso_pipeline.runtime.executors import Executor
from oso_pipeline.runtime.lock import RunLock
from oso_pipeline.runtime.planner import Planner, StagePlan, is_per_tile


class Terminated(BaseException):
    """The process was asked to end (SIGTERM)."""


class Observer(Protocol):
    """Is told what a run does, to show it or to write it down."""

    def stage_begins(self, plan: StagePlan) -> None:
        """Hear that a stage was planned; its tasks to do come next."""
        ...

    def task_ended(self, result: TaskResult) -> None:
        """Hear that a task has ended."""
        ...

    def stage_ends(self, plan: StagePlan, failed: int) -> None:
        """Hear that all tasks of the stage have ended."""
        ...


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
    """

    until: str | None = None
    only: str | None = None
    goal: str | None = None
    tiles: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What a run did."""

    done: int = 0
    up_to_date: int = 0
    failures: list[TaskResult] = field(default_factory=list)
    waiting_for_tiles: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        """0, the code of the cause where all failures share one, otherwise 5."""
        if not self.failures:
            return ExitCode.OK
        codes = {failure.exit_code for failure in self.failures}
        shared = codes.pop() if len(codes) == 1 else None
        if shared in (ExitCode.CONFIG, ExitCode.INPUT, ExitCode.ENVIRONMENT):
            return ExitCode(shared)
        return ExitCode.FAILED_TASKS


def run(
    planner: Planner, executor: Executor, observers: Sequence[Observer], selection: Selection
) -> Outcome:
    """Run what is to do and return what was done.

    A failed task does not stop the others of its stage. The stages after it are only run
    when the configuration accepts a partial map.

    Raises
    ------
    ConfigError
        If the configuration does not allow one of the stages to be planned; nothing has run.
    InputDataError
        If a stage cannot be planned because its input is missing.
    EnvironmentFailure
        If the run folder is locked or cannot be written.
    Terminated
        On SIGTERM.
    """
    outcome = Outcome()
    _prepare_folder(planner.run_dir)
    with RunLock(planner.run_dir), _sigterm_raises():
        sweep_temporaries(planner.run_dir)
        run_id = describe_run(planner.config)
        with executor:
            stages = _selected(planner, selection)
            _foresee(planner, stages[-1])
            for stage in stages:
                if not _stage(planner, stage, executor, observers, selection, run_id, outcome):
                    break
    return outcome


def _stage(
    planner: Planner,
    stage: Stage,
    executor: Executor,
    observers: Sequence[Observer],
    selection: Selection,
    run_id: str,
    outcome: Outcome,
) -> bool:
    """Run one stage; return whether the next may follow."""
    if selection.tiles and not is_per_tile(planner.tasks(stage.name), planner.config):
        unfinished = [
            before.name for before in planner.upstream(stage) if planner.plan(before).todo
        ]
        if unfinished:
            outcome.waiting_for_tiles = (
                f"stage {stage.name} waits for {', '.join(unfinished)} of the other tiles"
            )
            return False
    plan = planner.plan(stage, selection.tiles)
    if not plan.tasks:  # the configuration does not ask for it
        return True
    for observer in observers:
        observer.stage_begins(plan)
    failed = 0
    for result in executor.run(plan.todo, run_id):
        if result.status == "failed":
            failed += 1
            outcome.failures.append(result)
        else:
            outcome.done += 1
        for observer in observers:
            observer.task_ended(result)
    outcome.up_to_date += plan.count("done")
    for observer in observers:
        observer.stage_ends(plan, failed)
    planner.forget()
    return not failed or planner.config.map.allow_partial


def _foresee(planner: Planner, last: Stage) -> None:
    """Raise ConfigError before any work if a later stage could not be planned with this config.

    Input that is missing is left to the stage that meets it first, which tells more.
    """
    with suppress(InputDataError):
        planner.tasks(last.name)
    planner.forget()


def _selected(planner: Planner, selection: Selection) -> Sequence[Stage]:
    if selection.only is not None:
        stage = planner.stage(selection.only)
        planner.require_complete(stage)
        return [stage]
    if selection.goal is not None:
        return planner.needed(planner.stage(selection.goal))
    if selection.until is not None:
        return planner.stages[: planner.stages.index(planner.stage(selection.until)) + 1]
    return planner.stages


def describe_run(config: Config) -> str:
    """Write ``run.json`` and ``config.yaml`` and return the id of the run."""
    run_id = digest(config.science())[:12]
    with staged(config.run_dir / "config.yaml") as temporary:
        YAML(typ="safe", pure=True).dump(config.model_dump(mode="json"), temporary)
    software = ("oso_pipeline", "numpy", "numba", "scikit-learn", "rasterio", "geopandas", "dask")
    publish_json(
        config.run_dir / "run.json",
        {
            "run_id": run_id,
            "name": config.name,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "software": {name: version(name) for name in software},
        },
    )
    return run_id


def _prepare_folder(run_dir: Path) -> None:
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        probe = run_dir / f".probe.{time.monotonic_ns()}.tmp"
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


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> Any:
        raise Terminated

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
