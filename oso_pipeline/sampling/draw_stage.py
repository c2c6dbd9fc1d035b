"""Stage ``draw``: which pixels of a tile are to be read, from polygons and ownership alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.model import Config
from oso_pipeline.core.wording import counted
from oso_pipeline.sampling.drawn import Lowest
from oso_pipeline.sampling.draws import by_area_beside, draws_of, parts_of, write_drawn
from oso_pipeline.sampling.jobs import DrawJob
from oso_pipeline.sampling.planning import FEWER_PIXELS, TilePlan, tile_plans
from oso_pipeline.sampling.polygons import CandidateFinder, Polygons, read_polygons
from oso_pipeline.tasks.part_task import PartTask
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Cost, Summary, Task

_LIBRARIES_BYTES, _BYTES_PER_PIXEL = 600_000_000, 100
_SECONDS_PER_PIXEL, _SECONDS_BY_AREA = 3e-8, 1.5e-7
_BYTES_IN_FILE = 14


class DrawStage(StageBase):
    """Plans one task per tile."""

    name = "draw"
    makes = Makes("pixels")
    memory_hint = FEWER_PIXELS
    plans_from = ("inventory",)

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the tiles that have images; none with given models, which nothing trains."""
        return [_task(tile) for tile in tile_plans(context)]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return how many pixels there are and were drawn."""
        done = [summary for summary in summaries(tasks) if summary]
        found = sum(sum(summary["candidates"].values()) for summary in done)
        drawn = sum(sum(summary["drawn"]) for summary in done)
        headline = f"{counted(drawn, 'pixel')} to read, of {counted(found, 'pixel')} in polygons"
        return Gathered({"candidates": found, "drawn": drawn}, (), headline)


STAGE = DrawStage()


def draw(job: DrawJob, task: Task) -> Summary:
    """Draw the pixels of a tile and publish their places, in order of row and column."""
    grid = job.ownership.grids[job.tile]
    polygons = read_polygons(task.path_of(job.reference), grid, job.ownership.epsg, job.columns)
    finder = CandidateFinder(job.tile, job.ownership, polygons)
    draws = draws_of(job, finder, polygons)
    kept = [Lowest([role.with_margin() for role in one.roles], one.n_groups) for one in draws]
    found = np.zeros(len(polygons), np.int64)
    for part in parts_of(finder):
        for number, (one, lowest) in enumerate(zip(draws, kept, strict=True)):
            pixels = one.find(part)
            lowest.add(pixels)
            if number == 0:
                found += np.bincount(pixels.polygon, minlength=len(polygons))
    drawn = [lowest.result() for lowest in kept]
    for number, pixels in enumerate(drawn):
        write_drawn(task.output(number), pixels)
    codes = np.asarray(polygons.table["code"])
    return {
        "tile": job.tile,
        "polygons": by_code(count(codes, np.ones(len(codes), np.int64))),
        "candidates": by_code(count(codes, found)),
        "without_pixel": _without_pixel(polygons, finder, found),
        "drawn": [len(pixels) for pixels in drawn],
    }


def draw_files(tile: str) -> tuple[str, str]:
    """Return the files of the draw of a tile: labelled pixels, and those drawn by area."""
    path = f"draws/{tile}.parquet"
    return path, by_area_beside(path)


def _task(tile: TilePlan) -> Task:
    sample = tile.job
    by_area = sample.unlabelled is not None
    job = DrawJob(
        tile=sample.tile,
        ownership=sample.ownership,
        columns=sample.columns,
        variants=sample.variants,
        max_train=sample.max_train,
        max_validation=sample.max_validation,
        seed=sample.seed,
        unlabelled=sample.unlabelled,
        unlabelled_regions=sample.unlabelled_regions,
        reference=sample.reference,
    )
    pixels = int(sample.grid.shape[0]) * int(sample.grid.shape[1])
    per_pixel = _SECONDS_PER_PIXEL + by_area * _SECONDS_BY_AREA
    return PartTask(
        stage=DrawStage.name,
        name=sample.tile,
        function="oso_pipeline.sampling.draw_stage:draw",
        run_dir=tile.sample.run_dir,
        outputs=draw_files(sample.tile)[: 1 + by_area],
        job=job,
        cost=Cost(
            pixels=pixels,
            memory_bytes=_LIBRARIES_BYTES + _BYTES_PER_PIXEL * tile.drawn,
            core_seconds=1.0 + per_pixel * pixels,
            bytes_written=_BYTES_IN_FILE * tile.drawn,
        ),
        whole=tile.sample,
    )


def _without_pixel(
    polygons: Polygons, finder: CandidateFinder, found: npt.NDArray[np.int64]
) -> dict[str, int]:
    """Return, per class, the polygons that hold no pixel centre and lie in this tile's part."""
    ids = np.asarray(polygons.table["polygon_id"])
    empty = ~np.isin(ids, ids[found > 0])
    empty[empty] = finder.owns_middle(polygons.geometries[empty])
    first = np.unique(ids[empty], return_index=True)[1]
    codes = np.asarray(polygons.table["code"])[empty][first]
    return by_code(count(codes, np.ones(len(codes), np.int64)))


def count(codes: npt.NDArray[Any], numbers: npt.NDArray[np.int64]) -> Counter[str]:
    """Return the sum of `numbers` per class."""
    values, place = np.unique(codes, return_inverse=True)
    sums = np.bincount(place, weights=numbers, minlength=len(values))
    return Counter({str(code): int(n) for code, n in zip(values, sums, strict=True) if n})


def by_code(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts per class in the order of the codes."""
    return dict(sorted(counts.items(), key=lambda item: int(item[0])))
