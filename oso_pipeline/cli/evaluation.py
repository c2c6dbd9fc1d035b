"""Studies above a run: requests of the command line and tables on the terminal."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import get_args

import typer

from oso_pipeline.cli.console import err, out
from oso_pipeline.cli.outcome import print_outcome
from oso_pipeline.cli.running import run_shown, run_silently, warned
from oso_pipeline.config.adaptation import AdaptationMethod
from oso_pipeline.config.experiment import load_experiment
from oso_pipeline.runtime import session
from oso_pipeline.studies.adaptation.description import is_evaluation
from oso_pipeline.studies.adaptation.evaluate import ComparisonRequest, as_markdown
from oso_pipeline.studies.adaptation.study import Years, evaluate_adaptation
from oso_pipeline.studies.experiment.result import as_markdown as experiment_table
from oso_pipeline.studies.experiment.study import check as check_experiment
from oso_pipeline.studies.experiment.study import run as run_experiment
from oso_pipeline.studies.goal_runs import GoalFailed, Surroundings
from oso_pipeline.studies.learners import study as learners
from oso_pipeline.studies.learners.page import as_markdown as learners_table
from oso_pipeline.studies.learners.study import LearnerRequest
from oso_pipeline.studies.learners.table_reader import is_table
from oso_pipeline.studies.season import study as season
from oso_pipeline.studies.season.result import as_markdown as season_table
from oso_pipeline.studies.season.study import SeasonRequest


def evaluate(
    path: Path, overrides: list[str] | None, request: ComparisonRequest, years: Years
) -> None:
    """Compare methods on what a file describes; print the tables and the files written."""
    if overrides and is_evaluation(path):
        raise typer.BadParameter("the description of a table has no overrides", param_hint="--set")
    around = Surroundings(
        lambda planner, selection, _: run_shown(planner, selection),
        lambda text: err.print(text, markup=False),
    )
    try:
        found = evaluate_adaptation(path, overrides, request, years, around)
    except GoalFailed as failed:
        print_outcome(failed.config, failed.outcome)
        raise typer.Exit(int(failed.outcome.exit_code)) from failed
    for summary in found.summaries:
        out.print(as_markdown(summary, request), markup=False)
    for file in found.files:
        out.print(file)


def evaluate_by_day(
    path: Path, overrides: list[str] | None, request: SeasonRequest, workers: int | None
) -> None:
    """Evaluate maps of up to each day; print the table and the files written."""
    config = warned(session.load(path, overrides)).config
    options = session.RunOptions(workers)
    around = Surroundings(
        lambda planner, selection, seen: run_silently(planner, selection, options, seen),
        lambda text: err.print(text, markup=False),
    )
    try:
        summary, files = season.evaluate_season(config, request, around)
    except GoalFailed as failed:
        print_outcome(failed.config, failed.outcome)
        raise typer.Exit(int(failed.outcome.exit_code)) from failed
    out.print(season_table(summary), markup=False)
    for file in files:
        out.print(file)


def compare_variants(path: Path, price: float | None, workers: int | None) -> None:
    """Run the variants of an experiment; print the table and the files written."""
    experiment = load_experiment(path)
    if price is not None:
        experiment = replace(experiment, price=price)
    for warning in check_experiment(experiment):
        err.print(str(warning), markup=False)
    options = session.RunOptions(workers)
    around = Surroundings(
        lambda planner, selection, seen: run_silently(planner, selection, options, seen),
        lambda text: err.print(text, markup=False),
    )
    try:
        result = run_experiment(experiment, around)
    except GoalFailed as failed:
        print_outcome(failed.config, failed.outcome)
        raise typer.Exit(int(failed.outcome.exit_code)) from failed
    out.print(experiment_table(result), markup=False)
    for file in result.files:
        out.print(file)


def compare_learners(path: Path, overrides: list[str] | None, request: LearnerRequest) -> None:
    """Compare learners on the samples of a run or table; print tables and the files written."""
    if overrides and is_table(path):
        raise typer.BadParameter("a table has no overrides", param_hint="--set")
    around = Surroundings(
        lambda planner, selection, _: run_shown(planner, selection),
        lambda text: err.print(text, markup=False),
    )
    try:
        found = learners.evaluate(path, overrides, request, around)
    except GoalFailed as failed:
        print_outcome(failed.config, failed.outcome)
        raise typer.Exit(int(failed.outcome.exit_code)) from failed
    out.print(learners_table(found), markup=False)
    for file in found.files:
        out.print(file)


def days_of(text: str) -> tuple[date, ...]:
    """Return days as the command line lists them.

    Raises
    ------
    typer.BadParameter
        If one is not a day.
    """
    days = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        try:
            days.append(date.fromisoformat(part))
        except ValueError as error:
            message = f"{part} is not a day; write 2018-06-30,2018-09-30"
            raise typer.BadParameter(message, param_hint="--dates") from error
    return tuple(days)


def methods_of(text: str) -> tuple[str, ...]:
    """Return the methods that the command line lists.

    Raises
    ------
    typer.BadParameter
        If a method is unknown.
    """
    names = tuple(dict.fromkeys(filter(None, (name.strip() for name in text.split(",")))))
    known = get_args(AdaptationMethod)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        found = f"no method {', '.join(unknown)}" if unknown else "no method is named"
        raise typer.BadParameter(f"{found}; there are {', '.join(known)}", param_hint="--methods")
    return names


def years_of(text: str) -> tuple[int, ...]:
    """Return years as the command line lists them.

    Raises
    ------
    typer.BadParameter
        If one is not a year.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [part for part in parts if not (part.isdecimal() and len(part) == 4)]
    if wrong:
        raise typer.BadParameter(
            f"{', '.join(wrong)} is not a year; write 2015,2016", param_hint="--source-years"
        )
    return tuple(int(part) for part in dict.fromkeys(parts))
