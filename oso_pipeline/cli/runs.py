"""Do the work: here, on a cluster, or the reference polygons alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from oso_pipeline.cli.console import out
from oso_pipeline.cli.options import (
    ConfigPath,
    Overrides,
    Workers,
    cluster_override,
    shard_of,
    tiles_of,
)


def run(
    config: ConfigPath,
    until: Annotated[str | None, typer.Option(help="Last stage to run, one of:")] = None,
    stage: Annotated[str | None, typer.Option(help="The one stage to run, one of:")] = None,
    tiles: Annotated[str, typer.Option(help="Only these tiles, for example 31TCJ,30TYP.")] = "",
    set_: Overrides = None,
    cluster: Annotated[
        str,
        typer.Option(
            metavar="WHO", help="local, serial, pilot, or tls://HOST:PORT of a scheduler."
        ),
    ] = "",
    workers: Workers = None,
    json_log: Annotated[bool, typer.Option("--json-log", help="JSON lines on stdout.")] = False,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Run only this part of each stage, for example 3/20.")
    ] = "",
    wait_lock: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait for another run to end.")
    ] = 0,
    break_lock: Annotated[
        bool,
        typer.Option("--break-lock", help="Take over the folder, even if another run holds it."),
    ] = False,
) -> None:
    """Run what is missing or outdated; run it again after any interruption."""
    from oso_pipeline.cli.outcome import print_outcome
    from oso_pipeline.cli.running import checked_planner, run_as_json, run_shown
    from oso_pipeline.runtime import session
    from oso_pipeline.runtime.runner import Selection
    from oso_pipeline.runtime.session import RunOptions
    from oso_pipeline.runtime.stages import stages_of

    if until is not None and stage is not None:
        raise typer.BadParameter("--until and --stage exclude each other; give one of them")
    settings = session.read(config, [*(set_ or ()), *cluster_override(cluster)])
    for name in (until, stage):
        if name is not None and name not in (known := [one.name for one in stages_of(settings)]):
            raise typer.BadParameter(f"no stage {name!r}; the stages are {', '.join(known)}")
    selection = Selection(until, stage, tiles=tiles_of(tiles, settings), shard=shard_of(shard))
    planner, warned = checked_planner(settings, selection)
    options = RunOptions(workers, wait_lock_s=wait_lock, break_lock=break_lock)
    if json_log:
        outcome = run_as_json(planner, selection, options)
    else:
        outcome = run_shown(planner, selection, options, warned)
        print_outcome(planner.config, outcome)
    raise typer.Exit(int(outcome.exit_code))


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
    from oso_pipeline.cli.running import warned
    from oso_pipeline.config.site import load_site
    from oso_pipeline.runtime import session

    where = load_site(site)
    jobs, loaded = session.submission_of(session.read(config, set_), where, attempt=attempt)
    warned(loaded)
    if print_script:
        sys.stdout.write(jobs.text())
        return
    raise typer.Exit(jobs.carry_out(out.print))


def reference(
    config: ConfigPath,
    explain: Annotated[
        str | None,
        typer.Option(metavar="ID", help="A polygon_id, or an identifier of a source."),
    ] = None,
    set_: Overrides = None,
    workers: Workers = None,
) -> None:
    """Prepare the reference polygons alone, and show what became of them."""
    from oso_pipeline.cli.outcome import print_outcome
    from oso_pipeline.cli.running import checked_planner, run_shown
    from oso_pipeline.cli.terminal_tables import books_table, reference_table
    from oso_pipeline.core.nomenclature import load_nomenclature
    from oso_pipeline.reference.polygons.explain import biographies
    from oso_pipeline.runtime import session
    from oso_pipeline.runtime.runner import Selection
    from oso_pipeline.runtime.session import RunOptions

    goal, settings = Selection(goal="reference"), session.read(config, set_)
    if settings.learning.model is not None:
        raise typer.BadParameter("with learning.model no polygon is read; leave it out")
    planner, warned = checked_planner(settings, goal)
    outcome = run_shown(planner, goal, RunOptions(workers), warned)
    if outcome.failures:
        print_outcome(planner.config, outcome)
        raise typer.Exit(int(outcome.exit_code))
    if explain is not None:
        nomenclature = load_nomenclature(planner.config.nomenclature)
        for one in biographies(planner.config.run_dir, explain):
            out.print("\n".join(one.lines(nomenclature)), markup=False)
        return
    found = planner.stage("reference").gather(planner.tasks("reference"))
    out.print(reference_table(found.summary))
    out.print(books_table(found.summary))
    out.print(planner.config.run_dir / "reference.parquet")
