"""Operations on a run for commands and notebooks: load, plan, run, verify."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.config import Config
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.site import Site
from oso_pipeline.core.errors import ConfigError, InputDataError, Problem
from oso_pipeline.retrieval.checks import check_retrieval
from oso_pipeline.runtime import runner
from oso_pipeline.runtime.batch import Submission, fitted
from oso_pipeline.runtime.calibration import NOMINAL, remembered
from oso_pipeline.runtime.checks import drivers
from oso_pipeline.runtime.checks.everything import (
    Part,
    add_paths,
    find_everything,
    find_everything_unread,
)
from oso_pipeline.runtime.checks.findings import Findings
from oso_pipeline.runtime.events import Observer
from oso_pipeline.runtime.executors import Executor, SerialExecutor, executor_of, n_workers
from oso_pipeline.runtime.folder import ownership, verification
from oso_pipeline.runtime.folder.lock import RunLock
from oso_pipeline.runtime.folder.log_file import LogFile
from oso_pipeline.runtime.folder.status import ProgressFile
from oso_pipeline.runtime.folder.stragglers import StragglerWatch
from oso_pipeline.runtime.forecast import Forecast
from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection
from oso_pipeline.runtime.stages import STAGES, stages_of
from oso_pipeline.tasks.stage import Stage


@dataclass(frozen=True)
class Loaded:
    """A checked configuration, with warnings and notes.

    Parameters
    ----------
    config
        The configuration.
    warnings
        Warnings, which do not stop the run.
    notes
        Successful checks, one line each.
    """

    config: Config
    warnings: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def load(
    path: Path,
    overrides: Sequence[str] | None = None,
    stages: Sequence[Stage] = STAGES,
    with_retrieval: bool = False,
) -> Loaded:
    """Load a configuration, and find all that is wrong with it and its input.

    See `find_everything`; no large file is read whole.

    Parameters
    ----------
    path
        The YAML file.
    overrides
        Settings ``a.b=value``.
    stages
        Those of the run.
    with_retrieval
        Also check what `oso fetch` needs, which no run does.

    Raises
    ------
    ConfigError, InputDataError, EnvironmentFailure
        With everything that was found.
    """
    config = load_config(path, overrides or ())
    stages = stages_of(config, stages)
    found = find_everything_unread(config, stages, Part(stages))
    if with_retrieval:
        found.add(check_retrieval(config), ConfigError)
    return _without_errors(config, found)


def read(path: Path, overrides: Sequence[str] | None = None) -> Config:
    """Read a configuration, and check it by itself; files that it names are not read.

    Raises
    ------
    ConfigError
        If the configuration has mistakes.
    """
    return load_config(path, overrides or ())


def checked(planner: Planner, selection: Selection | None = None) -> Loaded:
    """Find all that is wrong with what is to be run; the plan is that of the run.

    Raises
    ------
    ConfigError, InputDataError, EnvironmentFailure
        With everything that was found.
    """
    selection = selection or Selection()
    part = Part(runner.concerned(planner, selection), selection.tiles)
    return _without_errors(planner.config, find_everything(planner, part))


def submission_of(
    config: Config, site: Site, stages: Sequence[Stage] = STAGES, attempt: int = 0
) -> tuple[Submission, Loaded]:
    """Return the jobs of a run at a site, and what was found of what they are to do there.

    Raises
    ------
    ConfigError, InputDataError, EnvironmentFailure
        With everything that was found; and if site and configuration do not go together.
    """
    stages = stages_of(config, stages)
    planner = Planner(fitted(config, site), stages)
    found = find_everything_unread(planner.config, stages, Part(stages, in_jobs=True))
    loaded = _without_errors(planner.config, found)
    return Submission.of(planner, site, attempt), loaded


def _without_errors(config: Config, found: Findings) -> Loaded:
    found.raise_errors()
    return Loaded(config, tuple(found.warnings), tuple(found.notes))


def load_to_look(run_folder: Path) -> Loaded:
    """Load the configuration of a run, of whichever user, to read its folder.

    Its input is not looked at, but has to be there.

    Raises
    ------
    ConfigError, InputDataError
        If the configuration has mistakes, or something that it names is missing; and if no run
        has written the folder.
    """
    config = load_config(config_of(run_folder), ())
    found = Findings()
    add_paths(config, found)
    return _without_errors(config, found)


def config_of(run_folder: Path) -> Path:
    """Return the configuration that a run left in its folder, or the YAML file given instead.

    Raises
    ------
    InputDataError
        If there is nothing at `run_folder`, or a folder that no run has written.
    """
    path = run_folder / "config.yaml" if run_folder.is_dir() else run_folder
    submitted = run_folder / "batch" / "config.yaml"
    if not path.exists() and submitted.exists():  # no job has begun yet
        return submitted
    if not path.exists():
        found = "the folder holds no config.yaml" if run_folder.is_dir() else "there is nothing"
        raise InputDataError(
            Problem(
                "E-RUN-NONE",
                f"no run: {found}, expected the folder of a run or its YAML file",
                str(run_folder),
                "`oso check CONFIG` names the run folder of a configuration; `oso run` makes it",
            )
        )
    return path


def planner_of(config: Config) -> Planner:
    """Return the planner of all stages."""
    return Planner(config, stages_of(config))


def forecast_of(config: Config, workers: int | None = None) -> Forecast:
    """Return what to expect on this machine, or on that of the estimates."""
    speed, beside = remembered() or NOMINAL, not config.map.allow_partial
    return Forecast(speed, n_workers(config, workers), beside)


@dataclass(frozen=True)
class RunOptions:
    """Options of how tasks are executed; they do not change results.

    Parameters
    ----------
    workers
        Worker processes; None as configured.
    serial
        Run in this process, ignoring the configured cluster.
    wait_lock_s
        Seconds to wait for another run in the folder to end.
    break_lock
        Take over the run folder even if another run holds it.
    """

    workers: int | None = None
    serial: bool = False
    wait_lock_s: float = 0
    break_lock: bool = False


def run(
    planner: Planner,
    selection: Selection | None = None,
    options: RunOptions | None = None,
    observers: Sequence[Observer] = (),
) -> Outcome:
    """Run what is missing, log it, and compare it with what was expected.

    Parameters
    ----------
    planner
        Plan of the run.
    selection
        Which part of it; everything by default.
    options
        How it is run; as configured by default.
    observers
        Notified of every event, in addition to the log of the run folder.

    Raises
    ------
    OsoError
        As `runner.run`, and if GDAL lacks a format.
    KeyboardInterrupt, Terminated, OutOfTime
        On Ctrl-C, SIGTERM, and where what ran at SIGUSR1 had to be dropped; the same call
        goes on with the run.
    """
    drivers.require_drivers()
    selection, options = selection or Selection(), options or RunOptions()
    config, run_dir, shard = planner.config, planner.run_dir, selection.shard
    if options.serial:
        executor: Executor = SerialExecutor(config.runtime.memory_per_worker_bytes)
    else:
        executor = executor_of(config, options.workers)
    log = LogFile(run_dir, shard)
    slow = StragglerWatch(
        run_dir,
        config.runtime.task_deadline_s,
        [log, *observers],
        host=socket.gethostname() if shard else None,
    )
    lock = RunLock(run_dir, shard, options.wait_lock_s, options.break_lock, config.recipe_id)
    watching: list[Observer] = [log, ProgressFile(run_dir, shard), slow, *observers]
    with slow:
        forecast = forecast_of(config, options.workers)
        return runner.run(planner, executor, watching, selection, lock, forecast)


def folder_of(run_folder: Path) -> Path:
    """Return the folder of a run, which may be named by its YAML file.

    Raises
    ------
    InputDataError
        If no run has written the folder.
    """
    folder = run_folder if run_folder.is_dir() else load_config(run_folder).run_dir
    config_of(folder)
    if not ownership.is_run_folder(folder):
        message = f"no run: the folder has no {ownership.MARK}, which every run writes"
        raise InputDataError(Problem("E-RUN-NONE", message, str(folder), "name a run folder"))
    return folder


def verify(run_folder: Path, repair: bool) -> verification.Verification:
    """Compare a run folder with its commits; withdraw those that do not match, if requested.

    Raises
    ------
    InputDataError
        If no run has written the folder.
    EnvironmentFailure
        If commits are to be withdrawn while a run works there.
    """
    folder = folder_of(run_folder)
    if not repair:
        return verification.verify_run(folder)
    with RunLock(folder):
        found = verification.verify_run(folder)
        verification.repair(found)
    return found
