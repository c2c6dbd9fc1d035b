"""Stage ``samples``: the samples of each tile, put together from what was read of its blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from oso_pipeline.config.model import Config
from oso_pipeline.core.commit import read_sidecar, set_aside
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.wording import counted
from oso_pipeline.sampling.chosen import Choice
from oso_pipeline.sampling.draw_stage import by_code, count
from oso_pipeline.sampling.draws import by_area_beside, draws_of, read_drawn
from oso_pipeline.sampling.jobs import SampleJob
from oso_pipeline.sampling.parts import PartReader, part_files
from oso_pipeline.sampling.planning import FEWER_PIXELS, TilePlan, tile_plans
from oso_pipeline.sampling.polygons import CandidateFinder, count_outside, read_polygons
from oso_pipeline.sampling.sample_files import write_labelled, write_unlabelled
from oso_pipeline.sampling.second_round import read_more
from oso_pipeline.tasks.job import Input, Inputs
from oso_pipeline.tasks.part_task import require_parts
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Summary, Task, tile_of


class SamplesStage(StageBase):
    """Plans one task per tile."""

    name = "samples"
    makes = Makes("samples")
    reusable = ("samples/**/*",)
    memory_hint = FEWER_PIXELS
    plans_from = ("inventory",)

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the tiles that have images; none with given models, which nothing trains."""
        plans = tile_plans(context)
        if not plans:
            return []
        draws = {tile_of(task): task for task in context.tasks("draw")}
        read: dict[str, list[Task]] = {tile: [] for tile in draws}
        for task in context.tasks("pixels"):
            read[tile_of(task)].append(task)
        return [_with_parts(one, draws[one.job.tile], read[one.job.tile]) for one in plans]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return pixels per class, and polygons that gave none because no image shows them."""
        done = summaries(tasks)
        totals: dict[str, Counter[str]] = {}
        for name in ("pixels", "candidates", "not_clear", "without_pixel"):
            totals[name] = Counter()
            for summary in done:
                totals[name].update(summary[name])
        outside: dict[int, int] = {}
        if tasks and len(done) == len(tasks):
            jobs = [task.job for task in tasks if isinstance(task.job, SampleJob)]
            reference = tasks[0].path_of(jobs[0].reference)
            if reference.exists():
                grids = [job.grid for job in jobs]
                outside = count_outside(reference, grids, jobs[0].ownership.epsg)
        problems = _lost(outside, totals["without_pixel"])
        summary = {
            **{name: by_code(counts) for name, counts in totals.items()},
            "outside_images": {str(code): n for code, n in outside.items()},
            "second_round": sum(summary.get("second_round", 0) for summary in done),
        }
        pixels = totals["pixels"]
        classes = counted(len(pixels), "class", "classes")
        headline = f"{counted(sum(pixels.values()), 'pixel')} of {classes}"
        return Gathered(summary, tuple(map(str, problems.warnings)), headline)


STAGE = SamplesStage()


def sample(job: SampleJob, task: Task) -> Summary:
    """Choose the samples of a tile among the pixels that proved clear, and publish them.

    Images are only read where the margin of the draw held too few clear pixels.
    """
    require_parts(task, job.draws)
    require_parts(task, job.parts)
    grid = job.ownership.grids[job.tile]
    reference = task.path_of(job.reference)
    polygons = read_polygons(reference, grid, job.ownership.epsg, job.columns)
    finder = CandidateFinder(job.tile, job.ownership, polygons)
    choices = [
        Choice(draw, read_drawn(_drawn(job, task, number)), _parts(job, task, number))
        for number, draw in enumerate(draws_of(job, finder, polygons))
    ]
    labelled = choices[0]
    unclear = labelled.drawn.polygon[~labelled.usable]
    with ExitStack() as files:
        outputs = [task.output(number) for number in range(len(choices))]
        aside = [files.enter_context(set_aside(output)) for output in outputs]
        read_more(job, task, choices, aside)
        chosen = [choice.chosen() for choice in choices]
        writers = (write_labelled, write_unlabelled)
        for write, output, pixels in zip(writers, outputs, chosen, strict=False):
            write(output, pixels, polygons, job)
    codes = np.asarray(polygons.table["code"])
    taken, lost = (
        by_code(count(codes, np.bincount(polygon, minlength=len(polygons))))
        for polygon in (chosen[0].pixels.polygon, unclear)
    )
    found = (read_sidecar(_drawn(job, task, 0)) or {}).get("summary", {})
    return {
        "tile": job.tile,
        "polygons": found.get("polygons", {}),
        "pixels": taken,
        "candidates": found.get("candidates", {}),
        "not_clear": lost,
        "without_pixel": found.get("without_pixel", {}),
        "unlabelled": len(chosen[1].pixels) if len(chosen) > 1 else 0,
        "second_round": sum(choice.n_more for choice in choices),
    }


def _with_parts(tile: TilePlan, draw: Task, read: Sequence[Task]) -> Task:
    """Return the task of a tile with what it reads besides what is in its key."""
    job = replace(tile.job, draws=Inputs.of([draw]), parts=Inputs.of(read))
    return replace(tile.after(draw).sample, job=job)


def _drawn(job: SampleJob, task: Task, number: int) -> Path:
    """Return the file of a draw: the labelled one, or that by area."""
    (path,) = job.draws.paths
    return task.path_of(Input(job.draws.key, (path, by_area_beside(path))[number]))


def _parts(job: SampleJob, task: Task, number: int) -> PartReader:
    """Return what was read of the blocks for a draw: the labelled one, or that by area."""
    paths = (part_files(path)[number] for path in job.parts.paths)
    sound = tuple(task.path_of(Input(job.parts.key, path)) for path in paths)
    return PartReader(sound, job.layout.size)


def _lost(outside: Mapping[int, int], without_pixel: Mapping[str, int]) -> Problems:
    """Warn of polygons that gave no sample because no image, or no pixel centre, shows them."""
    problems = Problems()
    for counts, why in (
        ({str(code): n for code, n in outside.items()}, "lie outside the images of all tiles"),
        (without_pixel, "hold no pixel centre"),
    ):
        if counts:
            listed = ", ".join(f"{code}: {n}" for code, n in by_code(counts).items())
            problems.warn(
                "W-POLYGON-UNUSED",
                f"{sum(counts.values())} polygons {why} and are not used (class: number {listed})",
                "reference.parquet",
                "map more tiles, give larger polygons or a smaller reference.erosion_m, or "
                "take them out of the sources",
            )
    return problems
