"""A simulated world, and the demo on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oso_pipeline.cli.console import out
from oso_pipeline.cli.options import Workers
from oso_pipeline.core.commit import writing_into


def simulate(
    folder: Annotated[Path, typer.Argument(help="Folder for products and polygons.")],
    size: Annotated[int, typer.Option(min=64, help="Side of each tile, 10 m pixels, even.")] = 256,
    year: Annotated[int, typer.Option(min=2016, max=2100, help="Year of the images.")] = 2018,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another world.")] = 0,
    tiles: Annotated[
        str, typer.Option(help="Tiles, for example 31TCJ,31TDJ; the upper-left corner of each.")
    ] = "30UYD,31UCU",
    dates: Annotated[
        int, typer.Option(min=10, max=73, help="Images of the year of each tile, about.")
    ] = 34,
) -> None:
    """Write a small simulated world in the formats of real products."""
    from oso_pipeline.core.tiles import Tile
    from oso_pipeline.simulation import WorldSpec
    from oso_pipeline.simulation.demo import ensure_world
    from oso_pipeline.simulation.world.world import require_near

    if size % 2:
        raise typer.BadParameter("the side of a tile must be even", param_hint="--size")
    try:
        names = tuple(Tile.parse(one).name for one in tiles.split(",") if one.strip())
        spec = WorldSpec(names, size_px=size, year=year, seed=seed, dates_per_orbit=dates)
        require_near(spec)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--tiles") from error
    with writing_into(folder):
        made = ensure_world(folder, spec)
    out.print(f"{'wrote' if made else 'up to date:'} {folder}")


def demo(
    folder: Annotated[Path, typer.Argument(help="Folder of the demo.")] = Path("demo"),
    workers: Workers = None,
) -> None:
    """Simulate two years of a small world, and map one with the labels of the other."""
    from oso_pipeline.cli.outcome import print_outcome
    from oso_pipeline.cli.running import load_planner, run_shown
    from oso_pipeline.runtime.reuse import begin_with_preparation
    from oso_pipeline.runtime.runner import Selection
    from oso_pipeline.runtime.session import RunOptions
    from oso_pipeline.simulation.demo import prepare_demo

    configs = prepare_demo(folder, out.print)
    out.print("mapping 2018 with the forest of 2017 as it is, to compare with")
    planner = load_planner(configs.past_forest)
    outcome = run_shown(planner, Selection(until="mosaic"), RunOptions(workers))
    if outcome.exit_code == 0:
        out.print("mapping 2018 with the labels of 2017, adapted; labels and samples are the same")
        past_forest = planner.run_dir
        planner = load_planner(configs.main)
        with writing_into(folder):
            begin_with_preparation(past_forest, planner.run_dir)
        outcome = run_shown(planner, Selection(), RunOptions(workers))
    print_outcome(planner.config, outcome)
    raise typer.Exit(int(outcome.exit_code))
