"""Stage ``samples``: pixels of the reference polygons with their features, tile by tile."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.imagery.tile_grid import TileLayout
from oso_pipeline.reference.split.variants import split_columns, variants
from oso_pipeline.sampling.area_parts import Unlabelled, area_draw
from oso_pipeline.sampling.collect import Collector, Limits, Pixels, write_samples
from oso_pipeline.sampling.job import SampleJob
from oso_pipeline.sampling.polygons import (
    CandidateFinder,
    Candidates,
    Polygons,
    count_outside,
    draw_numbers,
    read_polygons,
)
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Summary, Task, tile_of
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.reading.blocking import (
    block_cost,
    block_shape,
    most_pixels,
    tiles_to_read,
)
from oso_pipeline.timeseries.reading.memory import CHUNK_PIXELS, WorkerMemory
from oso_pipeline.timeseries.reading.pieces import PieceReader
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.reading.windows import Part
from oso_pipeline.timeseries.series import BlockSeries

_LABELLED = 0.1
"""Share of the pixels of a tile that is taken for labelled where nobody has looked yet."""
_BYTES_PER_VALUE = 1.7
"""Of a feature in the file, compressed, as measured."""


class SamplesStage(StageBase):
    """Plans one task per tile."""

    name = "samples"
    makes = Makes("samples")
    reusable = ("samples/**/*",)
    in_array = True
    plans_from = ("inventory",)

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the tiles that have images; none with given models, which nothing trains."""
        if context.config.learning.model is not None:
            return []
        inventories = context.tasks("inventory")
        layouts, ownership = tiles_to_read(context)
        return [_task(context, task, layouts[tile_of(task)], ownership) for task in inventories]

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
            **{name: _by_code(counts) for name, counts in totals.items()},
            "outside_images": {str(code): n for code, n in outside.items()},
            "blocks_read": sum(summary["blocks_read"] for summary in done),
        }
        pixels = totals["pixels"]
        classes = counted(len(pixels), "class", "classes")
        headline = f"{counted(sum(pixels.values()), 'pixel')} of {classes}"
        return Gathered(summary, tuple(map(str, problems.warnings)), headline)


STAGE = SamplesStage()


def sample(job: SampleJob, task: Task) -> Summary:
    """Draw the samples of a tile and publish them, reading each block of images once.

    Where past seasons are to be adapted, unlabelled pixels are drawn from the same blocks.
    """
    grid = job.ownership.grids[job.tile]
    reference = task.path_of(job.reference)
    polygons = read_polygons(reference, grid, job.ownership.epsg, job.columns)
    finder = CandidateFinder(job.tile, job.ownership, polygons)
    collector = Collector(polygons, Limits(job.variants, job.max_train, job.max_validation))
    reader = BlockReader(read_inventory(task.path_of(job.inventory)), job.read)
    pieces = PieceReader(reader, job.memory_bytes)
    codes = np.asarray(polygons.table["code"])
    by_area = area_draw(job, finder, polygons)
    seen, not_clear = np.zeros(len(polygons), np.int64), np.zeros(len(polygons), np.int64)

    def usable(take: Callable[[Pixels], None]) -> Callable[[Pixels], None]:
        return lambda pixels: take(pixels.take(np.flatnonzero(pixels.validity >= job.min_validity)))

    collect, blocks_read = usable(collector.add), 0

    def add(pixels: Pixels) -> None:
        cloudy = pixels.validity < job.min_validity
        np.add.at(seen, pixels.place.polygon, 1)
        np.add.at(not_clear, pixels.place.polygon[cloudy], 1)
        collect(pixels)

    for block in blocks_of(job.tile, grid.shape, job.block_shape):
        candidates = finder.find(block)
        draw = draw_numbers(
            _draw_seed(job.seed, job.tile),
            np.asarray(polygons.table["polygon_id"])[candidates.polygon],
            candidates.row,
            candidates.column,
        )
        asked = [Asked(candidates, draw, add)]
        if by_area is not None:
            asked.append(Asked(*by_area.find(block), usable(by_area.add)))
        asked = [one for one in asked if len(one.place)]
        if not asked:
            continue
        blocks_read += 1
        _featured(pieces, block, asked, job.layout)
        if by_area is not None:
            by_area.close_block()
    table = write_samples(task.output(), collector.result(), polygons, job.layout, job.season)
    unlabelled = None
    if by_area is not None:
        unlabelled = by_area.write(task.output(1), job.season, job.layout)
    return {
        "tile": job.tile,
        "polygons": _by_code(_count(codes, np.ones(len(codes), np.int64))),
        "pixels": _by_code(Counter(str(code) for code in table["code"].to_pylist())),
        "candidates": _by_code(_count(codes, seen)),
        "not_clear": _by_code(_count(codes, not_clear)),
        "without_pixel": _without_pixel(polygons, finder, seen),
        "blocks_read": blocks_read,
        "unlabelled": 0 if unlabelled is None else len(unlabelled),
    }


@dataclass(frozen=True, eq=False)
class Asked:
    """Pixels of a block whose features are wanted, and what takes them."""

    place: Candidates
    draw: npt.NDArray[np.uint64]
    add: Callable[[Pixels], None]


def _featured(
    pieces: PieceReader,
    block: Block,
    asked: Sequence[Asked],
    layout: FeatureLayout,
) -> None:
    """Hand the pixels asked for with their features to who asked, some at a time."""
    wanted = np.zeros((block.height, block.width), bool)
    for one in asked:
        wanted[one.place.row - block.row, one.place.column - block.column] = True

    def use(part: Part, series: BlockSeries) -> None:
        for one in asked:
            give(one, part, series)

    def give(one: Asked, part: Part, series: BlockSeries) -> None:
        (top, bottom), (left, right) = part.rows, part.columns
        row, column = one.place.row - block.row, one.place.column - block.column
        inside = (row >= top) & (row < bottom) & (column >= left) & (column < right)
        numbers = np.flatnonzero(inside)
        for start in range(0, len(numbers), CHUNK_PIXELS):
            some = numbers[start : start + CHUNK_PIXELS]
            places = (row[some] - top) * series.shape[1] + column[some] - left
            features, validity = block_features(series, layout, places)
            found = np.ascontiguousarray(features.T)
            one.add(Pixels(one.place.take(some), one.draw[some], validity, found))

    pieces.read(block, wanted, use)


def _task(
    context: PlanContext[Config], inventory: Task, tile: TileLayout, ownership: Ownership
) -> Task:
    config = context.config
    (reference,) = context.tasks("reference")
    layout = FeatureLayout.of(config)
    name = tile_of(inventory)
    unlabelled = Unlabelled.of(config)
    memory = WorkerMemory.of(config, len(inventory.inputs), layout, tile.block_shape)
    rows, columns = (int(size) for size in tile.grid.shape)
    shape = block_shape((rows, columns), tile.block_shape, most_pixels(config, memory))
    largest = Block(name, 0, 0, min(shape[0], rows), min(shape[1], columns))
    whole = block_cost(Block(name, 0, 0, rows, columns), memory)
    return Task(
        stage=SamplesStage.name,
        name=name,
        function="oso_pipeline.sampling.stage:sample",
        run_dir=context.run_dir,
        outputs=samples_files(name) if unlabelled else samples_files(name)[:1],
        version=2,
        job=SampleJob(
            tile=name,
            grid=tile.grid,
            ownership=ownership.neighbours(name),
            read=ReadSpec.of(config),
            layout=layout,
            columns=tuple(split_columns(config)),
            variants=tuple(variants(config)),
            max_train=config.sampling.max_train_pixels,
            max_validation=config.sampling.max_validation_pixels,
            min_validity=config.sampling.min_validity,
            seed=config.seed,
            season=config.year,
            unlabelled=unlabelled,
            unlabelled_regions=unlabelled.file if unlabelled else None,
            inventory=Input.of(inventory),
            reference=Input.of(reference),
            block_shape=shape,
            memory_bytes=memory.allowed_bytes,
        ),
        cost=replace(
            whole,
            memory_bytes=memory.needed(largest.pixels) + 200_000_000,
            bytes_written=_room(config, rows * columns, layout),
        ),
    )


def samples_files(tile: str) -> tuple[str, str]:
    """Return the files of the samples of a tile: those with a label, and those drawn by area."""
    return f"samples/{tile}.parquet", f"samples/unlabelled/{tile}.parquet"


def _room(config: Config, pixels: int, layout: FeatureLayout) -> int:
    """Return the bytes that the samples of a tile take: as many as are drawn, if it has them."""
    labelled = int(_LABELLED * pixels)
    limits = (config.sampling.max_train_pixels, config.sampling.max_validation_pixels)
    if None not in limits:
        groups = len(load_nomenclature(config.nomenclature).codes) * len(variants(config))
        labelled = min(labelled, groups * sum(limit for limit in limits if limit is not None))
    unlabelled = config.adaptation.target_sample_size if config.adaptation else 0
    return int(_BYTES_PER_VALUE * layout.size * (labelled + unlabelled))


def _draw_seed(seed: int, tile: str) -> int:
    """Return the 64-bit seed of the draw in a tile."""
    text = f"{seed}/samples/{tile}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _without_pixel(
    polygons: Polygons, finder: CandidateFinder, seen: npt.NDArray[np.int64]
) -> dict[str, int]:
    """Return, per class, the polygons that hold no pixel centre and lie in this tile's part."""
    ids = np.asarray(polygons.table["polygon_id"])
    empty = ~np.isin(ids, ids[seen > 0])
    empty[empty] = finder.owns_middle(polygons.geometries[empty])
    first = np.unique(ids[empty], return_index=True)[1]
    codes = np.asarray(polygons.table["code"])[empty][first]
    return _by_code(_count(codes, np.ones(len(codes), np.int64)))


def _count(codes: npt.NDArray[Any], numbers: npt.NDArray[np.int64]) -> Counter[str]:
    """Return the sum of `numbers` per class."""
    values, place = np.unique(codes, return_inverse=True)
    sums = np.bincount(place, weights=numbers, minlength=len(values))
    return Counter({str(code): int(n) for code, n in zip(values, sums, strict=True) if n})


def _by_code(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: int(item[0])))


def _lost(outside: Mapping[int, int], without_pixel: Mapping[str, int]) -> Problems:
    """Warn of polygons that gave no sample because no image, or no pixel centre, shows them."""
    problems = Problems()
    for counts, why in (
        ({str(code): n for code, n in outside.items()}, "lie outside the images of all tiles"),
        (without_pixel, "hold no pixel centre"),
    ):
        if counts:
            listed = ", ".join(f"{code}: {n}" for code, n in _by_code(counts).items())
            problems.warn(
                "W-INPUT-038",
                f"{sum(counts.values())} polygons {why} and are not used (class: number {listed})",
                "reference.parquet",
                "map more tiles, give larger polygons or a smaller reference.erosion_m, or "
                "take them out of the sources",
            )
    return problems
