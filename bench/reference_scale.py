"""Measures the preparation of reference polygons: ``python -m bench.reference_scale``.

Writes an RPG of so many parcels in its real layout (the simulation), prepares it in cells with
two workers, and joins, caps and splits it. Time is that of the processors, which does not depend
on what else the machine does; memory is the peak of each process, summed over the workers.
"""

from __future__ import annotations

import argparse
import json
import shutil
import string
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from bench import PROJECT, RESULTS, WORK
from oso_pipeline.config.model import Config
from oso_pipeline.core.tiles import Tile
from oso_pipeline.reference.polygons.cells import Cell, footprint
from oso_pipeline.reference.polygons.stage import STAGE as POLYGONS
from oso_pipeline.reference.polygons.stage import PolygonsJob
from oso_pipeline.reference.split.stage import STAGE as REFERENCE
from oso_pipeline.simulation.national.rpg import RpgSpec, write_rpg
from oso_pipeline.tasks.file_digests import RememberedDigests
from oso_pipeline.tasks.task import Task, TaskResult
from oso_pipeline.tasks.worker import do

PAGE = PROJECT / "docs" / "reference_databases.md"
RESULT = RESULTS / "reference_scale.json"
WORKERS = 2
_BEGIN, _END = "<!-- scale: written by make bench-reference -->", "<!-- end of scale -->"


@dataclass
class Context:
    """What the stages look at while they plan."""

    config: Config
    run_dir: Path

    @property
    def digests(self) -> RememberedDigests:
        """Digests of the files of the user."""
        return RememberedDigests(self.run_dir)

    def tasks(self, stage: str) -> tuple[Task, ...]:
        """Return the tasks of the cells that hold something."""
        bounds = RpgSpec(int(self.config.name.split("-")[1])).bounds
        return tuple(
            task
            for task in POLYGONS.plan(self)
            if isinstance(task.job, PolygonsJob) and _meets(task.job.cell, bounds)
        )


def measure(parcels: int, folder: Path) -> dict[str, Any]:
    """Return time and memory of the preparation of so many parcels."""
    source = folder / f"rpg{parcels}"
    if not source.exists():
        write_rpg(source, RpgSpec(parcels))
    run_dir = folder / f"run{parcels}"
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.mkdir(parents=True)
    config = Config.model_validate(
        {
            "name": f"parcels-{parcels}",
            "year": 2018,
            "run_dir": run_dir,
            "season": {"start": "2018-01-01", "end": "2018-12-31"},
            "imagery": {"paths": [folder], "tiles": tiles_over(RpgSpec(parcels).bounds)},
            "reference": {
                "sources": [{"kind": "rpg", "path": source, "year": 2018}],
                "rare_classes": "drop",
                "unknown_codes": "drop",
            },
        }
    )
    context = Context(config, run_dir)
    cells, (join,) = context.tasks("polygons"), REFERENCE.plan(context)
    started = time.perf_counter()
    spawned = get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=spawned) as pool:
        results = list(pool.map(do, cells))
    # In a process of its own, so that its peak is its own.
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        joined = pool.submit(do, join).result()
    wall = time.perf_counter() - started
    for result in (*results, joined):
        if result.status == "failed":
            raise SystemExit(result.error)
    return {
        "parcels": parcels,
        "kept": joined.summary["polygons"],
        "cells": len(cells),
        "cells_cpu_s": round(sum(one.cpu_seconds for one in results), 1),
        "join_cpu_s": round(joined.cpu_seconds, 1),
        "wall_s": round(wall, 1),
        "cells_peak_gb": round(WORKERS * _peak(results), 2),
        "join_peak_gb": round(_peak([joined]), 2),
    }


def tiles_over(bounds: tuple[float, float, float, float]) -> list[str]:
    """Return the Sentinel-2 tiles that meet a rectangle of the map."""
    land, found = shapely.box(*bounds), []
    for zone, column, row in product((30, 31), string.ascii_uppercase, string.ascii_uppercase):
        with suppress(ValueError):
            name = Tile.parse(f"{zone}T{column}{row}").name
            if footprint(name, 2154).intersects(land):
                found.append(name)
    return found


def exponent(rows: list[dict[str, Any]]) -> float:
    """Return the slope of the logarithm of time over that of the number of parcels."""
    sizes = np.log([row["parcels"] for row in rows])
    seconds = np.log([row["cells_cpu_s"] + row["join_cpu_s"] for row in rows])
    return float(np.polyfit(sizes, seconds, 1)[0])


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [
        "| parcels | kept | cells | CPU time, cells | joining | memory, 2 workers | joining |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['parcels']:,} | {row['kept']:,} | {row['cells']} "
        f"| {row['cells_cpu_s']:.0f} s "
        f"| {row['join_cpu_s']:.0f} s | {row['cells_peak_gb']:.1f} GB "
        f"| {row['join_peak_gb']:.1f} GB |"
        for row in rows
    ]
    if len(rows) > 1:
        lines += [
            "",
            f"Time grows with the number of parcels to the power of {exponent(rows):.2f}.",
        ]
    return "\n".join(lines)


def write(rows: list[dict[str, Any]]) -> None:
    """Put the table between the marks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.write_text(f"{before}{_BEGIN}\n\n{table(rows)}\n\n{_END}{after}", encoding="utf-8")


def main() -> None:
    """Measure the requested sizes, keep the results and write the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.reference_scale")
    parser.add_argument("--parcels", type=int, nargs="+", default=[100_000, 500_000, 1_500_000])
    parser.add_argument("--folder", type=Path, default=WORK / "reference")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for parcels in options.parcels:
        rows.append(measure(parcels, options.folder))
        sys.stdout.write(json.dumps(rows[-1]) + "\n")
        sys.stdout.flush()
        RESULT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        write(rows)


def _peak(results: list[TaskResult]) -> float:
    return max(one.peak_rss_bytes for one in results) / 1e9


def _meets(cell: Cell, bounds: tuple[float, float, float, float]) -> bool:
    left, lower, right, upper = cell.bounds
    return left < bounds[2] and right > bounds[0] and lower < bounds[3] and upper > bounds[1]


if __name__ == "__main__":
    main()
