"""The ``oso`` command: parse, call, print."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from oso_pipeline.core.errors import (
    ConfigError,
    EnvironmentFailure,
    ExitCode,
    OsoError,
    Problem,
)
from oso_pipeline.runtime.terminal import err, out

if TYPE_CHECKING:
    from oso_pipeline.config import Config
    from oso_pipeline.runtime.shard import Shard

EPILOG = (
    "Exit codes: 0 ok, 1 bug, 2 usage, 3 config, 4 bad or missing input, 5 some tasks failed, "
    "6 environment (disk, memory, lock), 75 stopped in time with some left, 130 interrupted, "
    "143 terminated."
)
app = typer.Typer(
    help="Land-cover maps from time series of Sentinel-2 images.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file of the run.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, or its YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=V", help="Override a key of the config; repeatable."),
]
Hidden = Literal["annual", "all"]


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Folder to write oso.yaml into.")]) -> None:
    """Write a commented configuration to start from."""
    from oso_pipeline.config.template import template

    path = folder / "oso.yaml"
    if path.exists():
        raise ConfigError(
            Problem(
                "E-CONFIG-EXISTS", "the file is there already", str(path), "choose another folder"
            )
        )
    with _writing_into(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(template(), encoding="utf-8")
    out.print(f"wrote {path}\nedit it, then: oso check {path}")


@app.command()
def check(config: ConfigPath, set_: Overrides = None) -> None:
    """Check the configuration and that the files it names are there."""
    from oso_pipeline.runtime import session

    loaded = session.load(config, set_)
    out.print(f"{config}: ok; the run folder is {loaded.run_dir}")


@app.command()
def plan(
    config: ConfigPath,
    set_: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure this machine first (half a minute).")
    ] = False,
) -> None:
    """Show what a run would do, why, and how long it takes, without doing anything."""
    from oso_pipeline.runtime import calibration, limits, room, session, tables

    planner = session.planner_of(session.load(config, set_))
    limits.refuse_memory(planner, planner.stages)
    if calibrate:
        calibration.remember(calibration.measure())
    plans = [plan for stage in planner.stages if (plan := planner.plan(stage)).tasks]
    forecast = session.forecast_of(planner.config, None)
    if as_json:
        out.print_json(json.dumps([stage.as_json() for stage in plans]))
    else:
        out.print(tables.plan_table(plans, forecast))
        wall = tables.duration(forecast.wall_seconds(plans))
        out.print(
            f"about {wall} with {forecast.workers} workers as fast as {forecast.speed.machine}"
        )
        out.print(str(room.room_for(planner, planner.stages)))
        for stage in plans:
            for why, count in stage.reasons.most_common(3):
                out.print(f"{stage.name}: {count} of {len(stage.tasks)}: {why}")


@app.command()
def run(
    config: ConfigPath,
    until: Annotated[str | None, typer.Option(help="Last stage to run.")] = None,
    stage: Annotated[str | None, typer.Option(help="The one stage to run.")] = None,
    tiles: Annotated[str, typer.Option(help="Only these tiles, as 31TCJ,30TYP.")] = "",
    set_: Overrides = None,
    cluster: Annotated[
        str,
        typer.Option(
            metavar="WHO", help="local, serial, pilot, or tls://HOST:PORT of a scheduler."
        ),
    ] = "",
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes.")] = None,
    json_log: Annotated[bool, typer.Option("--json-log", help="JSON lines on stdout.")] = False,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Do only this share of each stage, as 3/20.")
    ] = "",
    wait_lock: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait for another run to end.")
    ] = 0,
    break_lock: Annotated[
        bool, typer.Option("--break-lock", help="Take the folder away from whoever holds it.")
    ] = False,
) -> None:
    """Run what is missing or outdated; run it again after any interruption."""
    from oso_pipeline.runtime import session
    from oso_pipeline.runtime.runner import Selection

    if until is not None and stage is not None:
        raise typer.BadParameter("--until and --stage exclude each other; give one of them")
    overrides = [*(set_ or ()), *_cluster(cluster)]
    planner = session.planner_of(session.load(config, overrides))
    for name in (until, stage):
        if name is not None and name not in [known.name for known in planner.stages]:
            known = ", ".join(known.name for known in planner.stages)
            raise typer.BadParameter(f"no stage {name!r}; the stages are {known}")
    outcome = session.run(
        planner,
        Selection(until, stage, tiles=_tiles(tiles, planner.config), shard=_shard(shard)),
        session.Manner(workers, json_log, wait_lock_s=wait_lock, break_lock=break_lock),
    )
    if not json_log:
        session.print_outcome(planner.config, outcome)
    raise typer.Exit(int(outcome.exit_code))


@app.command()
def submit(
    config: ConfigPath,
    site: Annotated[Path, typer.Option(metavar="SITE", help="YAML file of the computing site.")],
    set_: Overrides = None,
    print_script: Annotated[
        bool, typer.Option("--print-script", help="Show the scripts; write and submit nothing.")
    ] = False,
    attempt: Annotated[int, typer.Option(min=0, hidden=True)] = 0,
) -> None:
    """Write the batch scripts of a run into its folder and submit them (Slurm, PBS)."""
    from oso_pipeline.config.site import load_site
    from oso_pipeline.runtime import batch, session

    where = load_site(site)
    loaded = session.load(config, set_)
    jobs = batch.Submission.of(loaded, where, session.planner_of(loaded).stages, attempt)
    if print_script:
        sys.stdout.write(jobs.text())
        return
    raise typer.Exit(jobs.carry_out(out.print))


@app.command()
def status(
    run_folder: RunPath,
    why: Annotated[bool, typer.Option("--why", help="Say why tasks have to run.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Again and again, until the run is complete.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.5, metavar="SECONDS", help="With --watch: how often.")
    ] = 10,
) -> None:
    """Show how far a run is, who works on it, and what failed; from any host that sees it."""
    from oso_pipeline.runtime import session, status_text
    from oso_pipeline.runtime.status import Watch

    look = Watch(session.planner_of(session.load(session.config_of(run_folder), None)))
    if watch:
        status_text.watch(look, why, every, out)
        return
    for line in status_text.lines(look.look(), why):
        out.print(line, markup=False)


@app.command()
def verify(
    run_folder: RunPath,
    repair: Annotated[
        bool, typer.Option("--repair", help="Let the next run make damaged files again.")
    ] = False,
) -> None:
    """Read every file of a run folder and compare it with the checksum it was committed with."""
    from oso_pipeline.runtime import session, verification

    found = session.verify(run_folder, repair)
    out.print("\n".join(verification.lines(found)), markup=False)
    if found.condemned:
        if not repair:
            raise typer.Exit(int(ExitCode.INPUT))
        out.print("their commits are withdrawn: the next `oso run` makes these files again")


@app.command()
def report(run_folder: RunPath) -> None:
    """Write the report of a run anew where it is missing or outdated, and name it."""
    from oso_pipeline.runtime import session
    from oso_pipeline.runtime.runner import Selection

    planner = session.planner_of(session.load(session.config_of(run_folder), None))
    outcome = session.run(planner, Selection(only="report"), session.Manner(serial=True))
    if outcome.failures:
        session.print_outcome(planner.config, outcome)
        raise typer.Exit(int(outcome.exit_code))
    out.print(planner.config.run_dir / "report.html")


@app.command()
def reference(
    config: ConfigPath,
    explain: Annotated[
        str | None,
        typer.Option(metavar="ID", help="A polygon_id, or an identifier of a source."),
    ] = None,
    set_: Overrides = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes.")] = None,
) -> None:
    """Prepare the reference polygons alone, and show what became of them."""
    from oso_pipeline.core.nomenclature import load_nomenclature
    from oso_pipeline.reference.explain import biographies
    from oso_pipeline.runtime import session, tables
    from oso_pipeline.runtime.runner import Selection

    planner = session.planner_of(session.load(config, set_))
    outcome = session.run(planner, Selection(goal="reference"), session.Manner(workers))
    if outcome.failures:
        session.print_outcome(planner.config, outcome)
        raise typer.Exit(int(outcome.exit_code))
    if explain is not None:
        nomenclature = load_nomenclature(planner.config.nomenclature)
        for one in biographies(planner.config.run_dir, explain):
            out.print("\n".join(one.lines(nomenclature)), markup=False)
        return
    summary = planner.stage("reference").gather(planner.tasks("reference"))
    out.print(tables.reference_table(summary))
    for text in summary["warnings"]:
        err.print(text, markup=False)
    out.print(planner.config.run_dir / "reference.parquet")


@app.command("evaluate-adaptation")
def evaluate_adaptation(
    config: ConfigPath,
    methods: Annotated[
        str, typer.Option(help="Methods to compare with the past years' forest.")
    ] = "jitter,aligned,student,cropmix,cropmix+classifmix",
    seeds: Annotated[int, typer.Option(min=1, max=50, help="Repetitions.")] = 5,
    hide: Annotated[Hidden, typer.Option(help="Labels of the target year to hide.")] = "annual",
    placebo: Annotated[
        bool, typer.Option("--placebo", help="Cut the target year in two: nothing to adapt to.")
    ] = False,
    source_years: Annotated[str, typer.Option(help="Past years, as 2015,2016.")] = "",
    target_year: Annotated[int | None, typer.Option(help="Year whose labels are hidden.")] = None,
    set_: Overrides = None,
) -> None:
    """Hide the labels of a past year, map it from other years, and say what adapting gains."""
    from oso_pipeline.runtime import evaluation

    wish = evaluation.wish_of(methods, seeds, hide, placebo)
    years = evaluation.years_of(source_years), target_year
    for path in evaluation.evaluate_adaptation(config, set_, wish, years):
        out.print(path)


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Folder for products and polygons.")],
    size: Annotated[int, typer.Option(min=64, help="Side of each tile, 10 m pixels, even.")] = 256,
    year: Annotated[int, typer.Option(min=2016, max=2100, help="Year of the images.")] = 2018,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another world.")] = 0,
) -> None:
    """Write a small simulated world in the formats of real products."""
    from oso_pipeline.simulation import WorldSpec
    from oso_pipeline.simulation.demo import ensure_world

    if size % 2:
        raise typer.BadParameter("the side of a tile must be even", param_hint="--size")
    with _writing_into(folder):
        made = ensure_world(folder, WorldSpec(size_px=size, year=year, seed=seed))
    out.print(f"{'wrote' if made else 'up to date:'} {folder}")


@app.command("cluster-keys")
def cluster_keys(
    folder: Annotated[Path, typer.Argument(help="Folder that all machines see; gets the keys.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long they are valid.")] = 365,
) -> None:
    """Make the keys with which a run and its workers talk on a network (TLS)."""
    from oso_pipeline.runtime.executors.tls import make_keys

    for path in make_keys(folder, days):
        out.print(path)
    out.print(f"only you may read them, for {days} days; in the config: runtime.cluster.tls")


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Folder of the demo.")] = Path("demo"),
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes.")] = None,
) -> None:
    """Simulate two years of a small world, and map one with the labels of the other."""
    from oso_pipeline.runtime import session
    from oso_pipeline.runtime.reuse import begin_with_preparation
    from oso_pipeline.runtime.runner import Selection
    from oso_pipeline.simulation.demo import prepare_demo

    with _writing_into(folder):
        configs = prepare_demo(folder, out.print)
    out.print("mapping 2018 with the forest of 2017 as it is, to compare with")
    planner = session.planner_of(session.load(configs.past_forest, None))
    outcome = session.run(planner, Selection(until="mosaic"), session.Manner(workers))
    if outcome.exit_code == 0:
        out.print("mapping 2018 with the labels of 2017, adapted; labels and samples are the same")
        past_forest = planner.run_dir
        planner = session.planner_of(session.load(configs.main, None))
        with _writing_into(folder):
            begin_with_preparation(past_forest, planner.run_dir)
        outcome = session.run(planner, Selection(), session.Manner(workers))
    session.print_outcome(planner.config, outcome)
    raise typer.Exit(int(outcome.exit_code))


def main() -> None:
    """Run the command; turn errors into messages and exit codes."""
    try:
        app(standalone_mode=True)
    except OsoError as error:
        err.print(str(error), markup=False)
        sys.exit(int(error.exit_code))
    except OSError as error:  # what the system refuses is no bug: a full disk, too many files
        err.print(f"error[E-SYSTEM] {error}", markup=False)
        sys.exit(int(ExitCode.ENVIRONMENT))


@contextmanager
def _writing_into(folder: Path) -> Iterator[None]:
    """Turn what the system refuses while `folder` is filled into a message."""
    try:
        yield
    except OsoError:
        raise
    except OSError as error:
        problem = f"the folder cannot be written: {error.strerror or error}"
        raise EnvironmentFailure(
            Problem("E-FOLDER", problem, str(folder), "name a folder that you may write")
        ) from error


def _cluster(who: str) -> list[str]:
    """Return the override of the configuration that `--cluster` stands for."""
    if not who:
        return []
    content = {"kind": "existing", "address": who} if "://" in who else {"kind": who}
    return [f"runtime.cluster={json.dumps(content)}"]


def _shard(text: str) -> Shard | None:
    from oso_pipeline.runtime.shard import Shard

    try:
        return Shard.parse(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shard") from error


def _tiles(text: str, config: Config) -> tuple[str, ...]:
    from oso_pipeline.core.tiles import Tile

    names = []
    for part in filter(None, text.split(",")):
        try:
            name = Tile.parse(part).name
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--tiles") from error
        if name not in config.imagery.tiles:
            known = ", ".join(config.imagery.tiles)
            raise typer.BadParameter(f"{name} is not among the tiles of the config: {known}")
        names.append(name)
    return tuple(names)


if __name__ == "__main__":
    main()
