"""Runs from scripts and notebooks: configure, plan, run, open the results.

Nothing here prints or ends the process. Errors are `OsoError` and also the built-in exception that
fits; warnings are `OsoWarning`. The names are those of ``import oso_pipeline``.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from oso_pipeline.config import Config, loader
from oso_pipeline.core.commit import writing_into
from oso_pipeline.core.errors import OsoWarning, Problem, RunFailed, UnknownName
from oso_pipeline.runtime import session
from oso_pipeline.runtime.events import Observer
from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import StagePlan
from oso_pipeline.runtime.reuse import begin_with_preparation
from oso_pipeline.runtime.selection import Selection
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.studies.opened_run import Run, opened
from oso_pipeline.studies.run_progress import Progress, ProgressCounter, WarningCollector

PathLike = str | os.PathLike[str]


def load_config(path: PathLike, overrides: Mapping[str, Any] | Sequence[str] = ()) -> Config:
    """Read a configuration and check it in itself; the images and polygons are not looked at.

    Parameters
    ----------
    path
        The YAML file.
    overrides
        Values that win over those of the file, by key: ``{"learning.n_trees": 50}``; or texts as
        after ``oso run --set``: ``["learning.n_trees=50"]``.

    Returns
    -------
    Config
        The complete configuration, all paths absolute.

    Raises
    ------
    ConfigError
        If the configuration has mistakes: all of them, with file, line and column.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> config = oso.load_config("demo/one_year.yaml", {"learning.n_trees": 10})
    >>> config.year, config.imagery.tiles, config.learning.n_trees
    (2018, ('30UYD', '31UCU'), 10)
    """
    if isinstance(overrides, Mapping):
        overrides = [f"{key}={_as_yaml(value)}" for key, value in overrides.items()]
    return loader.load_config(Path(path), overrides)


def plan(config: Config | PathLike, workers: int | None = None) -> pd.DataFrame:
    """Show what a run would do; nothing is run or written.

    Parameters
    ----------
    config
        The configuration, or the path of its YAML file.
    workers
        Number of workers for the estimated time; by default that of the configuration.

    Returns
    -------
    DataFrame
        A row per stage that has tasks, by its name: ``tasks``, of these ``new``, ``done`` and
        ``outdated``; of the tasks that have to run ``read_bytes``, ``written_bytes``,
        ``memory_bytes`` (the largest of a task), ``core_seconds`` (estimated for this machine) and
        ``reason`` (the most frequent one). ``plan.attrs["wall_seconds"]`` is the estimated time of
        the whole run.

    Raises
    ------
    ConfigError, InputDataError, EnvironmentFailure
        With everything that is wrong with the configuration, its input and this machine.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> plan = oso.plan("demo/one_year.yaml")
    >>> plan.loc[["train", "mosaic"], "tasks"].to_dict()
    {'train': 1, 'mosaic': 3}
    """
    planner = session.planner_of(_config_of(config))
    _warn(session.checked(planner).warnings)
    forecast = session.forecast_of(planner.config, workers)
    plans = [plan for plan in map(planner.plan, planner.stages) if plan.tasks]
    rows = [
        _plan_row(one) | {"core_seconds": forecast.needs(one.todo).core_seconds} for one in plans
    ]
    table = pd.DataFrame(rows).set_index("stage")
    table.attrs["wall_seconds"] = forecast.wall_seconds(plans)
    return table[[*table.columns.drop("reason"), "reason"]]


def run(
    config: Config | PathLike,
    until: str | None = None,
    progress: Callable[[Progress], object] | None = None,
    workers: int | None = None,
    begin_with: Run | PathLike | None = None,
) -> Run:
    """Run what is missing or outdated, and open the results.

    Ctrl-C ends a run with KeyboardInterrupt; the same call continues it.

    Parameters
    ----------
    config
        The configuration, or the path of its YAML file.
    until
        The last stage to run; all stages by default.
    progress
        Called with a `Progress` after each task, for example ``print``.
    workers
        Worker processes; as configured by default. A script needs the guard
        ``if __name__ == "__main__":`` for them, as every program that starts processes.
    begin_with
        Another run, or its folder: its labels and samples are taken where they are the same.

    Returns
    -------
    Run
        As `open_run` returns it.

    Raises
    ------
    ConfigError, InputDataError, EnvironmentFailure
        With everything that is wrong with the configuration, its input and this machine; and if
        another run holds the folder.
    UnknownName
        If there is no stage `until`.
    RunFailed
        If tasks failed, with the message of each. All tasks that do not need them are done.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> config = oso.load_config("demo/one_year.yaml", {"run_dir": "another_run"})
    >>> run = oso.run(config, until="inventory", progress=print)
    inventory: 1 of 2 tasks
    inventory: 2 of 2 tasks
    """
    if until is not None and until not in (names := [stage.name for stage in STAGES]):
        message = f"found stage {until!r}, expected one of {', '.join(names)}"
        raise UnknownName(Problem("E-NAME-STAGE", message))
    planner, selection = session.planner_of(_config_of(config)), Selection(until)
    collector = WarningCollector()
    collector.warnings |= dict.fromkeys(map(str, session.checked(planner, selection).warnings))
    if begin_with is not None:
        with writing_into(planner.run_dir):
            begin_with_preparation(_folder_of(begin_with), planner.run_dir)
        planner.forget()
    observers: list[Observer] = [collector]
    if progress is not None:
        observers.append(ProgressCounter(progress))
    try:
        outcome = session.run(planner, selection, session.RunOptions(workers), observers)
    finally:
        _warn(collector.warnings)
    failures = _failures(outcome)
    if outcome.went_on:
        _warn(failures)
    elif failures:
        raise RunFailed(*failures)
    return open_run(planner.run_dir)


def open_run(folder: PathLike) -> Run:
    """Open the folder of a run; nothing is read but its configuration.

    Parameters
    ----------
    folder
        The run folder, or the YAML file of the run.

    Returns
    -------
    Run
        With ``map``, ``confidence`` and ``validity`` as lazy arrays, ``classes``, ``accuracy``,
        ``samples``, ``model(stratum)``, ``inventory`` and ``reference``.

    Raises
    ------
    ConfigError
        If the configuration cannot be read.
    InputDataError
        If no run has written the folder.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> run = oso.open_run("demo/run_one_year")
    >>> run.map.dims, run.map.rio.crs.to_epsg()
    (('y', 'x'), 2154)
    >>> run.classes.columns.tolist()
    ['name_en', 'name_fr', 'colour', 'level1']
    >>> 0 < run.accuracy.overall_accuracy.estimate <= 1
    True
    """
    return opened(Path(folder))


def _warn(found: Iterable[object]) -> None:
    """Issue warnings at the line that called `plan` or `run`."""
    for one in found:
        warnings.warn(str(one), OsoWarning, stacklevel=3)


def _failures(outcome: Outcome) -> list[Problem]:
    """Return what failed, and whether the run was stopped."""
    problems = [
        Problem("E-RUN-TASK", f"{one.stage} {one.name} failed: {one.error}")
        for one in outcome.failures
    ]
    if outcome.stopped:
        message = "the run was stopped before all was done"
        problems.append(Problem("E-RUN-STOPPED", message, hint="run it again to go on"))
    return problems


def _config_of(config: Config | PathLike) -> Config:
    return config if isinstance(config, Config) else load_config(config)


def _folder_of(run: Run | PathLike) -> Path:
    return run.folder if isinstance(run, Run) else opened(Path(run)).folder


def _as_yaml(value: Any) -> str:
    """Return a value as a text that YAML reads as the same value."""
    return json.dumps(value, default=str)


def _plan_row(plan: StagePlan) -> dict[str, Any]:
    costs = [task.cost for task in plan.todo]
    ((reason, _),) = plan.reasons.most_common(1) or [("", 0)]
    return {
        "stage": plan.name,
        "tasks": len(plan.tasks),
        **{state: plan.count(state) for state in ("new", "done", "outdated")},
        "read_bytes": sum(cost.bytes_read for cost in costs),
        "written_bytes": sum(cost.bytes_written for cost in costs),
        "memory_bytes": max((cost.memory_bytes for cost in costs), default=0),
        "reason": reason,
    }
