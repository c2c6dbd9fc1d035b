"""``oso experiment``: train and validate variants of one configuration, and compare them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oso_pipeline.config.experiment import (
    Experimental,
    LoadedExperiment,
    experiment_of,
    load_experiment,
    node_of,
)
from oso_pipeline.config.loader import name_from
from oso_pipeline.core.errors import (
    ConfigError,
    EnvironmentFailure,
    InputDataError,
    OsoError,
    OsoWarning,
    Problem,
    Problems,
)
from oso_pipeline.runtime import session
from oso_pipeline.runtime.folder import ownership
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.selection import Selection
from oso_pipeline.studies.experiment.result import ExperimentResult, Row, write
from oso_pipeline.studies.experiment.times import TaskTimes, TimeKeeper
from oso_pipeline.studies.goal_runs import GoalFailed, Surroundings, reach
from oso_pipeline.studies.held_out import (
    HeldOut,
    Resampling,
    counting_variants,
    gain_of,
    paired_interval,
    read_held_out,
)
from oso_pipeline.tasks.task import Task

GOAL, MAP = "validate", "mosaic"
"""Stages: the last one that a variant is run up to, and the one that would end the map."""
TIMES = "times.json"


def experiment(
    source: str | os.PathLike[str],
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    name: str | None = None,
    price_per_core_hour: float | None = None,
    workers: int | None = None,
    progress: Callable[[str], object] | None = None,
) -> ExperimentResult:
    """Train and validate variants of one configuration, and compare their accuracy and cost.

    Stages that variants share are run once. Committed outputs are not made again: call it again
    after an interruption, or with more variants.

    Parameters
    ----------
    source
        The file of the experiment; with `variants`, the configuration that they vary.
    variants
        Settings of each variant, by its name: values by dotted key, ``{"learning.n_trees": 50}``.
        Nothing for the configuration as it is. Differences are those to the first.
    name
        Name of the folder of the results, with `variants`; by default that of the file.
    price_per_core_hour
        Price of a core-hour in any currency, in place of that of the file.
    workers
        Worker processes; as configured by default.
    progress
        Called with the progress of the experiment, as lines of text.

    Returns
    -------
    ExperimentResult
        A row per variant; ``to_frame()`` gives it as a DataFrame.

    Raises
    ------
    ConfigError, InputDataError, EnvironmentFailure
        With everything that is wrong with the experiment and its variants; nothing has run.
    RunFailed
        If the run of a variant has failed; the others are in the files.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> variants = {"ten": {"learning.n_trees": 10}, "five": {"learning.n_trees": 5}}
    >>> table = oso.experiment("demo/one_year.yaml", variants).to_frame()
    >>> table.index.tolist(), "overall_accuracy" in table
    (['ten', 'five'], True)
    """
    if variants is None:
        loaded = load_experiment(Path(source))
    else:
        content = {
            "base": os.path.abspath(os.path.expanduser(source)),
            "variants": [{"name": one, "set": settings} for one, settings in variants.items()],
        }
        loaded = experiment_of(
            node_of(content, "variants"), name or name_from(Path(source)), Problems()
        )
    if price_per_core_hour is not None:
        loaded = replace(loaded, price=price_per_core_hour)
    for warning in check(loaded):
        warnings.warn(str(warning), OsoWarning, stacklevel=2)
    options = session.RunOptions(workers)
    around = Surroundings(
        lambda planner, selection, seen: session.run(planner, selection, options, seen),
        progress or (lambda text: None),
    )
    return run(loaded, around)


def check(experiment: LoadedExperiment) -> tuple[Problem, ...]:
    """Find all that is wrong with the input of all variants; return the warnings.

    Raises
    ------
    ConfigError, InputDataError, EnvironmentFailure
        With everything that was found, each finding once.
    """
    found: dict[Problem, type[OsoError]] = {}
    found |= dict.fromkeys(ownership.check_own(experiment.base_run_dir).errors, ConfigError)
    of_variants: dict[tuple[Problem, type[OsoError]], list[str]] = {}
    remarks: dict[Problem, None] = {}
    for variant in experiment.variants:
        errors, noted = _problems_of(variant)
        for problem, kind in errors:
            of_variants.setdefault((problem, kind), []).append(variant.name)
        remarks |= dict.fromkeys(noted)
    for (problem, kind), names in of_variants.items():
        if len(names) < len(experiment.variants):
            problem = replace(problem, message=f"variant {', '.join(names)}: {problem.message}")
        found[problem] = kind
    for kind in (ConfigError, InputDataError, EnvironmentFailure):
        if kind in found.values():
            raise kind(*found)
    return tuple(remarks)


def run(experiment: LoadedExperiment, around: Surroundings) -> ExperimentResult:
    """Run the variants up to their validation and write the table.

    Parameters
    ----------
    experiment
        An experiment that was checked.
    around
        How plans are run and progress is reported.

    Raises
    ------
    GoalFailed
        If the run of a variant has failed; the others were run all the same. If a run was stopped.
    """
    times = TaskTimes.load(experiment.folder / TIMES)
    begin_with = [experiment.base_run_dir]
    failures: list[GoalFailed] = []
    runs: list[tuple[Row, _Measured | None]] = []
    ownership.claim(experiment.base_run_dir)
    for variant in experiment.variants:
        planner = session.planner_of(variant.config)
        times.learn(experiment.base_run_dir, _tasks_of(planner))
        row, measured = Row(variant.name, variant.settings, variant.config.run_dir), None
        try:
            reach(GOAL, planner, begin_with, around, [TimeKeeper(times, variant.name)])
            measured = _measure(variant, planner)
            row = _with_cost(row, planner, times)
        except GoalFailed as failed:
            if failed.outcome.stopped:  # no time is left for the others
                raise
            failures.append(failed)
        finally:
            times.save()
        runs.append((row, measured))
        begin_with.append(variant.config.run_dir)
        around.say(f"{variant.name}: {_accuracy_in_words(measured)}")
    first = runs[0][1]
    rows = tuple(_compared(row, measured, first) for row, measured in runs)
    result = ExperimentResult(experiment.name, rows, experiment.price)
    result = replace(result, files=tuple(write(result, experiment.folder)))
    if failures:
        raise failures[0]
    return result


@dataclass(frozen=True)
class _Measured:
    """Data for the comparison of a variant.

    Parameters
    ----------
    polygons
        Keys of the tasks that split the polygons: where they are equal, so are the polygons.
    held_out
        How right it is.
    resampling
        How intervals are found.
    """

    polygons: tuple[str, ...]
    held_out: HeldOut
    resampling: Resampling


def _problems_of(
    variant: Experimental,
) -> tuple[list[tuple[Problem, type[OsoError]]], tuple[Problem, ...]]:
    """Return the errors of a variant, each with its kind, and the warnings."""
    planner = session.planner_of(variant.config)
    try:
        if not planner.tasks(GOAL):
            message = "no polygon of the season is held out, so nothing measures the variant"
            hint = "give labels of the year of the map, and no `learning.model`"
            return [(Problem("E-EXPERIMENT-LABELS", message, None, hint), ConfigError)], ()
        return [], session.checked(planner, Selection(goal=GOAL)).warnings
    except OsoError as error:
        return [(problem, type(error)) for problem in error.problems], ()


def _tasks_of(planner: Planner) -> Iterable[Task]:
    """Yield the tasks of all stages up to the validation."""
    for stage in planner.needed(planner.stage(GOAL)):
        yield from planner.tasks(stage.name)


def _measure(variant: Experimental, planner: Planner) -> _Measured:
    config = variant.config
    polygons = tuple(task.key for task in planner.tasks("reference"))
    found = read_held_out(config.run_dir, counting_variants(config))
    return _Measured(polygons, found, Resampling.of(config))


def _with_cost(row: Row, planner: Planner, times: TaskTimes) -> Row:
    planner.forget()
    done = {stage.name for stage in planner.needed(planner.stage(GOAL))}
    cost = times.cost_of(row.name, _tasks_of(planner))
    try:
        rest = [one for one in planner.needed(planner.stage(MAP)) if one.name not in done]
        expected = session.forecast_of(planner.config).core_seconds(map(planner.plan, rest))
    except InputDataError:
        return replace(row, cost=cost)
    return replace(row, cost=cost, map_core_seconds=expected)


def _compared(row: Row, measured: _Measured | None, first: _Measured | None) -> Row:
    """Return the row of a variant with its accuracy, and the difference to the first variant."""
    if measured is None:
        return row
    row = replace(row, overall=measured.held_out.overall)
    if first is None or measured is first:
        return row
    own, other = (one.held_out.overall["estimate"] for one in (measured, first))
    if own is None or other is None:
        return row
    row = replace(row, difference=own - other)
    if measured.polygons != first.polygons:
        return replace(row, same_polygons=False)
    held_out = measured.held_out, first.held_out
    interval = paired_interval(*held_out, gain_of, first.resampling, "experiment", row.name)
    return replace(row, interval=interval)


def _accuracy_in_words(measured: _Measured | None) -> str:
    if measured is None:
        return "its run has failed"
    estimate = measured.held_out.overall["estimate"]
    return "no accuracy" if estimate is None else f"overall accuracy {estimate:.3f}"
