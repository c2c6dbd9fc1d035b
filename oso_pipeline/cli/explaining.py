"""Look into a run: why a pixel got its class, and its samples as a training set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from oso_pipeline.cli.console import out
from oso_pipeline.cli.options import RunPath


def explain(
    run_folder: RunPath,
    x: Annotated[
        float | None, typer.Argument(metavar="X", help="In the coordinate system of the map.")
    ] = None,
    y: Annotated[float | None, typer.Argument(metavar="Y", show_default=False)] = None,
    lonlat: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LON LAT", help="Longitude and latitude, in place of X and Y."),
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(metavar="EPSG:N", help="Coordinate system of X and Y, if not of the map."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write a picture, as .png or .svg."),
    ] = None,
) -> None:
    """Show why a pixel got its class: dates, series, votes, reference near by."""
    if lonlat is not None and (x is not None or crs is not None):
        raise typer.BadParameter("--lonlat takes the place of X, Y and --crs; give one of them")
    if lonlat is None and (x is None or y is None):
        raise typer.BadParameter("give X and Y, or --lonlat LON LAT")
    from oso_pipeline.studies.explain.explain import explain_pixel
    from oso_pipeline.studies.explain.picture import refuse_other_formats, save_picture

    if picture is not None:
        refuse_other_formats(picture)
    if lonlat is not None:
        found = explain_pixel(run_folder, *lonlat, crs="EPSG:4326")
    else:
        found = explain_pixel(run_folder, float(x or 0), float(y or 0), crs)
    if picture is not None:
        save_picture(found, picture)
    text = json.dumps(found.to_json()) if as_json else found.to_text()
    out.print(text, markup=False)


def export_dataset(
    run_folder: RunPath,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the set.")],
    form: Annotated[
        str, typer.Option(help="parquet: gap-filled samples; npz: observations per polygon.")
    ] = "parquet",
    tiles: Annotated[str, typer.Option(help="Only these tiles, for example 31TCJ,30TYP.")] = "",
) -> None:
    """Write the samples of a run as a training set that other programs read."""
    from oso_pipeline.cli.options import tiles_of
    from oso_pipeline.studies.dataset.export import FORMS
    from oso_pipeline.studies.dataset.export import export_dataset as export
    from oso_pipeline.studies.opened_run import opened

    if form not in FORMS:
        raise typer.BadParameter(f"no form {form}; there are {', '.join(FORMS)}")
    run = opened(run_folder)
    chosen = tiles_of(tiles, run.config) or None
    out.print(export(run, folder, "npz" if form == "npz" else "parquet", chosen))
