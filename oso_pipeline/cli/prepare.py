"""Before a run: write a configuration, look at it, make keys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oso_pipeline.cli.console import err, out
from oso_pipeline.cli.options import ConfigPath, Overrides
from oso_pipeline.core.commit import writing_into
from oso_pipeline.core.errors import ConfigError, OsoError, Problem

if TYPE_CHECKING:
    from oso_pipeline.runtime.planner import Planner, StagePlan


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to write oso.yaml into.")],
    full: Annotated[
        bool, typer.Option("--full", help="With every key, its meaning and its default.")
    ] = False,
) -> None:
    """Write a configuration to start from: the keys that are needed."""
    from oso_pipeline.config.template import short_template, template
    from oso_pipeline.core.commit import publish_bytes

    path = folder / "oso.yaml"
    if path.exists():
        raise ConfigError(
            Problem(
                "E-CONFIG-EXISTS", "the file is there already", str(path), "choose another folder"
            )
        )
    with writing_into(folder):
        folder.mkdir(parents=True, exist_ok=True)
        publish_bytes(path, (template() if full else short_template()).encode())
    out.print(f"wrote {path}\nedit it, then: oso check {path}")


def check(config: ConfigPath, set_: Overrides = None) -> None:
    """Check the configuration and its input without reading the input completely."""
    from oso_pipeline.cli.running import warned
    from oso_pipeline.config.experiment import is_experiment
    from oso_pipeline.runtime import session

    if is_experiment(config):
        check_experiment(config, set_)
        return
    loaded = warned(session.load(config, set_, with_retrieval=True))
    for note in shortened(loaded.notes):
        out.print(note, markup=False)
    out.print(f"{config}: ok; the run folder is {loaded.config.run_dir}")


def check_experiment(path: Path, overrides: Sequence[str] | None) -> None:
    """Check the file of an experiment and the input of its variants."""
    from oso_pipeline.config.experiment import load_experiment
    from oso_pipeline.studies.experiment.study import check as check_variants

    if overrides:
        message = "an experiment has no overrides; write them into its variants"
        raise typer.BadParameter(message, param_hint="--set")
    experiment = load_experiment(path)
    for warning in check_variants(experiment):
        err.print(str(warning), markup=False)
    names = ", ".join(variant.name for variant in experiment.variants)
    out.print(f"{path}: ok; variants {names}; results go to {experiment.folder}", markup=False)


def shortened(notes: Sequence[str], most: int = 12) -> list[str]:
    """Return the first of some lines, and how many more there are."""
    if len(notes) <= most:
        return list(notes)
    return [*notes[: most - 1], f"and {len(notes) - most + 1} more lines like these"]


def plan(
    config: ConfigPath,
    set_: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure this machine first (half a minute).")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Estimate the time with this number of workers.")
    ] = None,
    price: Annotated[
        float | None,
        typer.Option("--price-per-core-hour", min=0, help="Estimate the price of the run."),
    ] = None,
) -> None:
    """Show what a run would do, why, and how long it takes, without doing anything."""
    from oso_pipeline.cli import terminal_tables
    from oso_pipeline.cli.running import warned
    from oso_pipeline.imagery.passes_check import NOTE
    from oso_pipeline.runtime import calibration, session
    from oso_pipeline.runtime.checks.disk import disk_space

    planner = session.planner_of(session.read(config, set_))
    try:
        notes = warned(session.checked(planner)).notes
    except OsoError as error:
        if not as_json and any(problem.code == "E-RUN-MEMORY" for problem in error.problems):
            # So that one sees beside the others which stage is too large.
            shown = session.forecast_of(planner.config, None)
            out.print(terminal_tables.plan_table(plannable(planner), shown))
        raise
    if calibrate:
        calibration.remember(calibration.measure())
    plans = plannable(planner)
    forecast = session.forecast_of(planner.config, workers)
    if as_json:
        out.print_json(json.dumps([stage.to_json() for stage in plans]))
    else:
        out.print(terminal_tables.plan_table(plans, forecast))
        for line in terminal_tables.time_and_cost(plans, forecast, price):
            out.print(line, highlight=False)
        out.print(str(disk_space(planner, planner.stages)))
        for note in (one for one in notes if NOTE in one):
            out.print(note, markup=False, highlight=False)
        for stage in plans:
            for why, count in stage.reasons.most_common(3):
                out.print(f"{stage.name}: {count} of {len(stage.tasks)}: {why}")


def plannable(planner: Planner) -> list[StagePlan]:
    """Return the plans of the stages that have tasks, but of those that cannot be planned."""
    plans = []
    for stage in planner.stages:
        with suppress(OsoError):
            plans.append(planner.plan(stage))
    return [plan for plan in plans if plan.tasks]


def cluster_keys(
    folder: Annotated[Path, typer.Argument(help="Folder that all machines see; gets the keys.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long they are valid.")] = 365,
) -> None:
    """Make the keys with which a run and its workers talk on a network (TLS)."""
    from oso_pipeline.runtime.executors.tls import make_keys

    for path in make_keys(folder, days):
        out.print(path)
    out.print(f"only you may read them, for {days} days; in the config: runtime.cluster.tls")
