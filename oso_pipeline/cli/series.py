"""Series of pixels and parcels: the command, without labels, models or a map."""

from __future__ import annotations

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


def series(
    config: ConfigPath,
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
) -> None:
    """Write the series that the section `series` describes; no label is read, no map is made."""
    from oso_pipeline.cli.outcome import print_outcome
    from oso_pipeline.cli.running import checked_planner, run_as_json, run_shown
    from oso_pipeline.core.errors import ConfigError, Problem
    from oso_pipeline.runtime import session
    from oso_pipeline.runtime.runner import Selection
    from oso_pipeline.runtime.session import RunOptions
    from oso_pipeline.runtime.stages import OF_SERIES, stages_of

    settings = session.read(config, [*(set_ or ()), *cluster_override(cluster)])
    if settings.series is None:
        message = "the configuration has no section `series`, which says what is written"
        hint = "add `series: {variables: [NDVI]}`, or give it by --set"
        raise ConfigError(Problem("E-SERIES-NONE", message, str(config), hint))
    known = [stage.name for stage in stages_of(settings)]
    goal = tuple(name for name in OF_SERIES if name in known)
    chosen = Selection(goal=goal, tiles=tiles_of(tiles, settings), shard=shard_of(shard))
    planner, warned = checked_planner(settings, chosen)
    if json_log:
        outcome = run_as_json(planner, chosen, RunOptions(workers))
    else:
        outcome = run_shown(planner, chosen, RunOptions(workers), warned)
        if not outcome.exit_code:
            out.print(f"series: {planner.config.run_dir / 'series'}", soft_wrap=True)
        else:
            print_outcome(planner.config, outcome)
    raise typer.Exit(int(outcome.exit_code))
