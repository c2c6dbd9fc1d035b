"""Databases as large as real ones, to measure with.

``python -m oso_pipeline.simulation.national.command`` takes
``rpg FOLDER --parcels 1500000 [--form SHP]`` and ``bdtopo FOLDER [--squares 32]``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from oso_pipeline.simulation.national.bdtopo import (
    DepartmentSpec,
    write_department,
    write_land_cover,
)
from oso_pipeline.simulation.national.rpg import RpgSpec, write_rpg


def main(arguments: list[str] | None = None) -> None:
    """Write the requested files and print their paths."""
    parser = argparse.ArgumentParser(prog="python -m oso_pipeline.simulation.national.command")
    commands = parser.add_subparsers(dest="command", required=True)
    rpg = commands.add_parser("rpg", help="an RPG of many parcels")
    rpg.add_argument("folder", type=Path)
    rpg.add_argument("--parcels", type=int, default=100_000)
    rpg.add_argument("--year", type=int, default=2018)
    rpg.add_argument("--form", choices=["GPKG", "SHP"], default="GPKG")
    bdtopo = commands.add_parser("bdtopo", help="a department of BD TOPO v3 and its land cover")
    bdtopo.add_argument("folder", type=Path)
    bdtopo.add_argument("--squares", type=int, default=32, help="of 2.5 km along each side")
    for command in (rpg, bdtopo):
        command.add_argument("--seed", type=int, default=0)
    requested = parser.parse_args(arguments)
    if requested.command == "rpg":
        spec = RpgSpec(requested.parcels, requested.year, requested.seed)
        path = write_rpg(requested.folder, spec, requested.form)
        bounds = " ".join(f"{side:.0f}" for side in spec.bounds)
        sys.stdout.write(f"{path}\nbounds in Lambert-93: {bounds}\n")
    else:
        department = DepartmentSpec(requested.squares, seed=requested.seed)
        counts = write_department(requested.folder, department)
        path = requested.folder / "CLC18_SHP_RGF" / "CLC18_FR.shp"
        counts[path.stem] = write_land_cover(path, department)
        sys.stdout.write("".join(f"{layer}: {count:,}\n" for layer, count in counts.items()))


if __name__ == "__main__":
    main()
