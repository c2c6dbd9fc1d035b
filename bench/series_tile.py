"""Series of a tile against the map of it: reading, features, series, writing, and whole stages.

``python -m bench.series_tile --rows 1024`` writes products as wide as a tile, reads them block by
block, in turn as predict and as the stage of series cut and read them, and takes the CPU time of
each part; then it runs ``oso series`` and watches the memory of its worker. A whole tile takes
about 40 GB, which are deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely

from bench import RESULTS, WORK
from bench.figures import RoundStatistics, ratio
from bench.full_tile import fits_cache, run_oso, stage_of
from bench.machine import describe
from oso_pipeline.imagery.angles_stage import read_angles
from oso_pipeline.imagery.cache.reading import inventory_of
from oso_pipeline.prediction.stage import PredictJob
from oso_pipeline.products.series.stage import SeriesJob
from oso_pipeline.runtime import session
from oso_pipeline.simulation.writers.full_tile import FullTile, FullTileSpec, write_full_tile
from oso_pipeline.tasks.task import Task
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.reading.pieces import PieceReader, Use
from oso_pipeline.timeseries.reading.reader import BlockReader
from oso_pipeline.timeseries.reading.windows import Part
from oso_pipeline.timeseries.series import BlockSeries
from oso_pipeline.timeseries.series_block_file import write_series_block
from oso_pipeline.timeseries.series_layout import SeriesBlock
from oso_pipeline.timeseries.series_of_block import SeriesRecipe, empty_series, write_series
from oso_pipeline.timeseries.series_variables import series_layout

RESULT = RESULTS / "series_tile.json"
PARTS = ("reading", "features", "reading for series", "series", "writing")
_CHUNK = 16_384
_PATCH_ROWS = 36
_FORMS = ("netcdf", "zarr", "cog")
_PARCEL_M = (70.0, 250.0)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """What is written.

    Parameters
    ----------
    rows, columns
        Size in pixels of 10 m.
    dates
        Acquisitions.
    parcels
        Squares of 70 to 250 m, anywhere on the tile.
    rounds
        How often all blocks are read, as predict and as series do.
    """

    rows: int = 10_980
    columns: int = 10_980
    dates: int = 40
    parcels: int = 20_000
    rounds: int = 1


@dataclass
class Clock:
    """Adds up CPU seconds by part."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))

    def read(self, name: str, task: Task, use: Use) -> None:
        """Read the block of a task; what the process takes outside `use` is reading.

        Images are read in a thread of their own, `use` computes in this one.
        """
        job: PredictJob | SeriesJob = task.job
        reader = BlockReader(inventory_of(task, job.inventory, job.copies), job.read)
        used = 0.0

        def timed(part: Part, images: BlockSeries) -> None:
            nonlocal used
            before = time.thread_time()
            use(part, images)
            used += time.thread_time() - before

        everywhere = np.ones((job.block.height, job.block.width), np.bool_)
        before = time.process_time()
        PieceReader(reader, job.memory_bytes).read(job.block, everywhere, timed)
        self.seconds[name] += time.process_time() - before - used

    def add(self, name: str, work: Callable[[], object]) -> None:
        """Do something in this thread and add its time."""
        before = time.thread_time()
        work()
        self.seconds[name] += time.thread_time() - before


def features_of(task: Task, clock: Clock) -> None:
    """Read a block as predict does and compute the features of all pixels."""
    job: PredictJob = task.job

    def use(part: Part, images: BlockSeries) -> None:
        places = np.arange(images.clear.shape[1])
        for first in range(0, len(places), _CHUNK):
            chosen = places[first : first + _CHUNK]
            clock.add("features", lambda chosen=chosen: block_features(images, job.layout, chosen))

    clock.read("reading", task, use)


def series_of(task: Task, clock: Clock) -> None:
    """Read a block as the stage of series does, make its series and write them."""
    job: SeriesJob = task.job
    assert job.angles is not None
    angles = task.path_of(job.angles)
    days = BlockReader(inventory_of(task, job.inventory, job.copies), job.read).dates
    layout = series_layout(job.series, job.dates.dates, days)
    made = SeriesRecipe(job.series, job.read.bands, layout)
    result = empty_series(layout, job.block)

    def use(part: Part, images: BlockSeries) -> None:
        target = {
            one.name: part.of(result[one.name], one.resolution_m // 10) for one in layout.variables
        }
        of_images = read_angles(angles, images.products)
        clock.add("series", lambda: write_series(images, made, of_images, target))

    clock.read("reading for series", task, use)
    path = WORK / "series_tile" / "block.arrow"
    block = SeriesBlock(result)
    clock.add("writing", lambda: write_series_block(path, block, layout, job.block))


def measure(size: Size, say: Say) -> dict[str, Any]:
    """Write a tile and return what its series take; it is deleted afterwards."""
    folder = WORK / "series_tile"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        # Few rows are painted: what they show does not matter here.
        spec = FullTileSpec(
            rows=size.rows, columns=size.columns, dates=size.dates, patch_rows=_PATCH_ROWS
        )
        tile = write_full_tile(folder, spec)
        say(f"{tile.bytes_written / 1e9:.1f} GB written")
        _add_series(tile, spec, size.parcels)
        stages = {"series": _stage(tile, "series", {"formats": "[]"}, say)}
        rounds, pixels = _in_turn(tile, size.rounds, say)
        for form in _FORMS:
            stages[form] = _stage(tile, "series_files", {"formats": f"[{form}]"}, say)
        parcels = {
            "formats": "[]", "parcels.path": str(folder / "parcels.gpkg"), "parcels.id_field": "ID",
            "parcels.formats": "[parquet, csv]",
        }  # fmt: skip
        stages["parcels"] = _stage(tile, "parcels", parcels, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    cost = {
        part: RoundStatistics.of([1e6 * one[part] / pixels for one in rounds]).median
        for part in PARTS
    }
    maps = [one["reading"] + one["features"] for one in rounds]
    series = [one["reading for series"] + one["series"] for one in rounds]
    return {
        **asdict(size),
        "bytes_on_disk": tile.bytes_written,
        "fits_page_cache": fits_cache(tile.bytes_written),
        "us_per_pixel": {part: round(one, 3) for part, one in cost.items()},
        "ratio": ratio(maps, series).to_json(),
        "stages": stages,
    }


def _in_turn(tile: FullTile, rounds: int, say: Say) -> tuple[list[dict[str, float]], int]:
    """Walk over the blocks of predict and those of series, in turn from north to south.

    Returns
    -------
    rounds
        Seconds of each part, a dict per round.
    pixels
        Of the tile.
    """
    planner = session.planner_of(session.read(tile.config))
    maps, series = planner.tasks("predict"), planner.tasks("series")
    pixels = sum(task.job.block.pixels for task in maps)
    say(
        f"{len(maps)} blocks of predict, {len(series)} of series, {pixels / 1e6:.1f} million pixels"
    )
    features_of(maps[-1], Clock())
    series_of(series[-1], Clock())  # kernels are compiled, files open
    works = [(n / len(maps), features_of, task) for n, task in enumerate(maps)]
    works += [(n / len(series), series_of, task) for n, task in enumerate(series)]
    clocks = []
    for _ in range(rounds):
        clock = Clock()
        for _, work, task in sorted(works, key=itemgetter(0)):
            work(task, clock)
        costs = (f"{name} {1e6 * one / pixels:.2f} us/px" for name, one in clock.seconds.items())
        say(", ".join(costs))
        clocks.append(clock.seconds)
    return clocks, pixels


def _add_series(tile: FullTile, spec: FullTileSpec, parcels: int) -> None:
    """Add the section to the configuration, and write parcels: squares anywhere on the tile."""
    text = tile.config.read_text(encoding="utf-8")
    tile.config.write_text(f"{text}series: {{variables: [NDVI, LAI]}}\n", encoding="utf-8")
    rng = np.random.default_rng(0)
    left, bottom, right, top = spec.grid.boundingbox.bbox
    half = rng.uniform(*_PARCEL_M, parcels) / 2
    x, y = rng.uniform(left, right, parcels), rng.uniform(bottom, top, parcels)
    squares = shapely.box(x - half, y - half, x + half, y + half)
    frame = geopandas.GeoDataFrame(
        {"ID": np.arange(parcels)}, geometry=squares, crs=str(spec.grid.crs)
    )
    frame.to_file(tile.config.parent / "parcels.gpkg")


def _stage(tile: FullTile, stage: str, settings: dict[str, str], say: Say) -> dict[str, Any]:
    """Run ``oso series`` with one worker; return what a stage took, and the peak of the worker."""
    given = [word for key, value in settings.items() for word in ("--set", f"series.{key}={value}")]
    cores = sorted(os.sched_getaffinity(0))[:1]
    folder = tile.config.parent / "run"
    before = _bytes_of(folder / "series")
    wall, watch = run_oso(tile, "series", *given, "--workers", "1", cores=cores)
    begun, ended, tasks = stage_of(folder / "log.jsonl", stage)
    figures = {
        "wall_s": round((ended - begun).total_seconds(), 1),
        "task_core_s": round(sum(task["cpu_seconds"] for task in tasks), 1),
        "command_wall_s": round(wall, 1),
        "tasks": len(tasks),
        "peak_worker_memory_mb": round(watch.peak_of_children / 1e6),
        "bytes": _bytes_of(folder / "series") - before,
    }
    say(f"{stage} {settings['formats']}: {figures}")
    return figures


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.series_tile", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_980)
    parser.add_argument("--columns", type=int, default=10_980)
    parser.add_argument("--dates", type=int, default=40)
    parser.add_argument("--parcels", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=1)
    size = Size(**vars(parser.parse_args()))
    WORK.mkdir(parents=True, exist_ok=True)
    machine = describe()
    result = {"machine": machine, **measure(size, lambda text: print(text, flush=True))}
    print(json.dumps(result, indent=1))
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
