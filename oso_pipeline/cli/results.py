"""Look at a run: how far it is, whether its files are sound, what it found."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from oso_pipeline.cli.console import out
from oso_pipeline.cli.options import ConfigPath, Overrides, RunPath, Workers
from oso_pipeline.core.errors import ExitCode

Hidden = Literal["annual", "all"]


def status(
    run_folder: RunPath,
    why: Annotated[bool, typer.Option("--why", help="Show why tasks have to run.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Repeat until the run is complete.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.5, metavar="SECONDS", help="With --watch: how often.")
    ] = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; with --watch one line per update.")
    ] = False,
) -> None:
    """Show how far a run is, who works on it, and what failed; from any host that sees it."""
    from oso_pipeline.cli import status_json, status_text
    from oso_pipeline.cli.running import planner_to_look
    from oso_pipeline.runtime.folder.status import Watch

    look = Watch(planner_to_look(run_folder))
    if as_json:
        while True:
            seen = look.look()
            out.print(json.dumps(status_json.content(seen, why)), markup=False)
            if not watch or seen.is_complete:
                return
            time.sleep(every)
    if watch:
        status_text.watch(look, why, every, out)
        return
    for line in status_text.lines(look.look(), why):
        out.print(line, markup=False)


def verify(
    run_folder: RunPath,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Withdraw damaged files, so that the next run makes them again."
        ),
    ] = False,
) -> None:
    """Read every file of a run folder and compare it with the checksum it was committed with."""
    from oso_pipeline.runtime import session
    from oso_pipeline.runtime.folder import verification

    found = session.verify(run_folder, repair)
    out.print("\n".join(verification.lines(found)), markup=False)
    if found.condemned:
        if not repair:
            raise typer.Exit(int(ExitCode.INPUT))
        out.print("their commits are withdrawn: the next `oso run` makes these files again")


def report(run_folder: RunPath) -> None:
    """Write the report of a run again where it is missing or outdated, and name it."""
    from oso_pipeline.cli.outcome import print_outcome
    from oso_pipeline.cli.running import planner_to_look, run_shown
    from oso_pipeline.runtime import session
    from oso_pipeline.runtime.runner import Selection

    planner = planner_to_look(run_folder)
    page = planner.config.run_dir / "report.html"
    if planner.is_done("report"):  # then nothing is written: the run may be another user's
        out.print(page)
        return
    outcome = run_shown(planner, Selection(only="report"), session.RunOptions(serial=True))
    if outcome.failures:
        print_outcome(planner.config, outcome)
        raise typer.Exit(int(outcome.exit_code))
    out.print(page)


def evaluate_adaptation(
    config: ConfigPath,
    methods: Annotated[
        str, typer.Option(help="Methods to compare with the past years' forest.")
    ] = "jitter,aligned,student,cropmix,cropmix+classifmix",
    seeds: Annotated[int, typer.Option(min=1, max=50, help="Repetitions.")] = 5,
    hide: Annotated[Hidden, typer.Option(help="Labels of the target year to hide.")] = "annual",
    placebo: Annotated[
        bool,
        typer.Option("--placebo", help="Control: split the target year in two, without a shift."),
    ] = False,
    source_years: Annotated[str, typer.Option(help="Past years, for example 2015,2016.")] = "",
    target_year: Annotated[int | None, typer.Option(help="Year whose labels are hidden.")] = None,
    set_: Overrides = None,
) -> None:
    """Hide the labels of a past year, map it from other years, and say what adapting gains."""
    from oso_pipeline.cli.evaluation import evaluate, methods_of, years_of
    from oso_pipeline.studies.adaptation.evaluate import ComparisonRequest

    request = ComparisonRequest(methods_of(methods), seeds, hide, placebo)
    evaluate(config, set_, request, (years_of(source_years), target_year))


def experiment(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML file of the experiment.")],
    price: Annotated[
        float | None,
        typer.Option("--price-per-core-hour", min=0, help="Instead of the price in the file."),
    ] = None,
    workers: Workers = None,
) -> None:
    """Train and validate variants of one configuration; compare their accuracy, time and cost."""
    from oso_pipeline.cli.evaluation import compare_variants

    compare_variants(file, price, workers)


def evaluate_season(
    config: ConfigPath,
    dates: Annotated[
        str,
        typer.Option(
            metavar="DAYS", help="For example 2018-06-30,2018-09-30; by default the ends of months."
        ),
    ] = "",
    reach: Annotated[
        float, typer.Option(min=0.01, max=1, help="Fraction of the final accuracy to reach.")
    ] = 0.95,
    set_: Overrides = None,
    workers: Workers = None,
) -> None:
    """Train and evaluate with the images of up to some days; say how early a map is good enough."""
    from oso_pipeline.cli.evaluation import days_of, evaluate_by_day
    from oso_pipeline.studies.season.study import SeasonRequest

    evaluate_by_day(config, set_, SeasonRequest(days_of(dates), reach), workers)


def evaluate_learners(
    source: Annotated[
        Path,
        typer.Argument(metavar="CONFIG|TABLE", help="YAML file of a run, or a training table."),
    ],
    learner: Annotated[
        list[str] | None,
        typer.Option(help="A kind, or 'NAME: {kind: forest, min_samples_leaf: 1}'; repeatable."),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(help="all, bands, NDVI+B8, all+relative, all+xy (coordinates); repeatable."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=50, help="Repetitions.")] = 3,
    folds: Annotated[int, typer.Option(min=2, max=50, help="Folds of whole polygons.")] = 5,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="Leave out stratum, tile, season or quadrant too; repeatable."
        ),
    ] = None,
    max_samples: Annotated[int | None, typer.Option(min=1, help="Most samples of a class.")] = None,
    set_: Overrides = None,
) -> None:
    """Compare learners and features on polygons that they have not seen."""
    from oso_pipeline.cli.evaluation import compare_learners
    from oso_pipeline.studies.learners.methods import learners_of
    from oso_pipeline.studies.learners.study import LearnerRequest

    request = LearnerRequest(
        learners_of(learner or ()),
        tuple(features or ("all",)),
        seeds,
        folds,
        tuple(leave_out or ()),
        max_samples,
    )
    compare_learners(source, set_, request)
