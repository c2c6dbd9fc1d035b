"""Stage ``series``: the series of the pixels of every tile, block by block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from oso_pipeline.config.model import Config
from oso_pipeline.config.series import Series
from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.errors import ConfigError, Problem, Problems
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.angles_stage import read_angles
from oso_pipeline.imagery.cache.reading import inventory_of
from oso_pipeline.imagery.cache.stage import copies_of_tiles
from oso_pipeline.imagery.stage import tile_layout
from oso_pipeline.products.series.check import check_series
from oso_pipeline.products.series.cost import SeriesMemory
from oso_pipeline.tasks.job import Input, ReadingJob, decides, file_part, follows, reads
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Summary, Task, tile_of
from oso_pipeline.timeseries.reading.blocking import block_shape
from oso_pipeline.timeseries.reading.pieces import PieceReader
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.reading.windows import Part, repeat_pixels
from oso_pipeline.timeseries.series import BlockSeries
from oso_pipeline.timeseries.series_block_file import series_file_of, write_series_block
from oso_pipeline.timeseries.series_layout import SeriesBlock
from oso_pipeline.timeseries.series_of_block import SeriesRecipe, empty_series, write_series
from oso_pipeline.timeseries.series_variables import series_layout
from oso_pipeline.vectors.area_of_interest import AreaOfTask

_VERSION = 1
_OF_FILES = ("formats", "chunks", "parcels")
"""Keys of the section that say what is made of the blocks, not what they hold."""


def of_blocks(series: Series) -> dict[str, Any]:
    """Return what of the section decides the blocks, as JSON values."""
    left_out = {*_OF_FILES}
    if not series.biophysical_variables:
        left_out.add("biophysical")
    if series.dates == "raw":
        left_out.add("smoothing")
    return series.model_dump(mode="json", exclude=left_out)


@dataclass(frozen=True, kw_only=True)
class SeriesJob(ReadingJob):
    """The series of a block.

    Parameters
    ----------
    tile, grid
        The tile and its 10 m grid.
    block
        The part of it.
    read
        Bands and quality layers to read from the images.
    series
        Which series.
    dates
        The dates of the season.
    area
        The area of interest; None for whole tiles.
    inventory
        The images of the tile.
    angles
        Their angles; None where no network runs.
    copies
        Folder of the copies of the images; None where there are none.
    """

    tile: str
    grid: GeoBox
    block: Block
    read: ReadSpec
    series: Series = decides(part=of_blocks)
    dates: DateGrid
    area: AreaOfTask | None = file_part(if_set=True)
    inventory: Input = reads()
    angles: Input | None = reads(default=None)
    copies: Input | None = follows(default=None)


class SeriesStage(StageBase):
    """Plans one task per block with a pixel of the area, where there is a section ``series``."""

    name = "series"
    makes = Makes("series", is_result=True)
    optional = True
    plans_from = ("inventory",)
    reusable = ("series/blocks/**/*",)
    section = "oso_pipeline.products.series.section:series_section"
    in_array = True
    disk_hint = "name fewer `series.variables`, or draw a smaller `map.area`"
    memory_hint = "raise runtime.memory_per_worker_gb, or name fewer `series.variables`"

    def check(self, config: Config) -> Problems:
        """Find bands that are missing, a season that is too short, an area that lies outside."""
        return Problems() if config.series is None else check_series(config, config.series)

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the blocks of all tiles that have images.

        Raises
        ------
        ConfigError
            If the area of interest holds no pixel at all (``E-AREA-EMPTY``).
        InputDataError
            If its file cannot be used.
        """
        series, area = context.config.series, context.config.map.area
        if series is None:
            return []
        inventories, copies = context.tasks("inventory"), copies_of_tiles(context)
        context.tasks("cache_check")  # so that `oso series` does it too
        angles = _angles_of(context, series)
        tasks = [
            task
            for inventory in inventories
            for task in _tasks_of(
                context,
                series,
                inventory,
                (angles.get(inventory.name), copies.get(inventory.name)),
            )
        ]
        if inventories and not tasks and area is not None:
            tiles = ", ".join(sorted(inventory.name for inventory in inventories))
            raise ConfigError(
                Problem(
                    "E-AREA-EMPTY",
                    f"the area of interest holds no pixel centre of the images of {tiles}",
                    str(area.path),
                    "draw a larger area, or choose the tiles that it lies in",
                )
            )
        return tasks

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return numbers of blocks, pixels and bytes, and the mean number of clear dates."""
        done = summaries(tasks)
        pixels, without, dates, size = (
            sum(one[name] for one in done)
            for name in ("pixels", "without_date", "clear_dates", "bytes")
        )
        summary = {
            "blocks": len(done),
            "pixels": pixels,
            "without_date": without,
            "mean_clear_dates": round(dates / pixels, 2) if pixels else None,
            "bytes": size,
            "variables": done[0]["variables"] if done else [],
            "dates": max((one["dates"] for one in done), default=0),
        }
        headline = (
            f"{counted(pixels, 'pixel')} in {counted(len(done), 'block')}, {size / 1e9:.2f} GB"
        )
        return Gathered(summary, headline=headline)


STAGE = SeriesStage()


def make_series(job: SeriesJob, task: Task) -> Summary:
    """Make the series of a block and publish its file.

    Returns
    -------
    dict
        ``pixels`` of the area, ``without_date``: those without a clear date, ``clear_dates``: of
        all of them, ``bytes`` of the file, ``variables``, ``dates``.

    Raises
    ------
    InputDataError
        If an image cannot be read, or the angles of one are not known.
    """
    block = job.block
    wanted = np.ones((block.height, block.width), np.bool_)
    if job.area is not None:
        wanted = job.area.mask(job.grid).block(block)
    reader = BlockReader(inventory_of(task, job.inventory, job.copies), job.read)
    layout = series_layout(job.series, job.dates.dates, reader.dates)
    made = SeriesRecipe(job.series, job.read.bands, layout)
    angles = None if job.angles is None else task.path_of(job.angles)
    result = empty_series(layout, block)
    counts = [0, 0]

    def use(part: Part, images: BlockSeries) -> None:
        target = {
            one.name: part.of(result[one.name], one.resolution_m // 10) for one in layout.variables
        }
        of_images = () if angles is None else read_angles(angles, images.products)
        write_series(images, made, of_images, target)
        dates = images.clear.sum(axis=0, dtype=np.int64)[part.of(wanted).ravel()]
        counts[0] += int(np.count_nonzero(dates == 0))
        counts[1] += int(dates.sum())

    PieceReader(reader, job.memory_bytes).read(block, _whole_halves(wanted), use)
    if not wanted.all():
        for one in layout.of_resolution(10).variables:
            np.copyto(result[one.name], one.fill or 0, where=~wanted)
    write_series_block(task.output(), SeriesBlock(result), layout, block)
    return {
        "pixels": int(wanted.sum()),
        "without_date": counts[0],
        "clear_dates": counts[1],
        "bytes": task.output().stat().st_size,
        "variables": list(layout.names),
        "dates": layout.steps("time" if job.series.dates == "grid" else "acquisition"),
    }


def _whole_halves(wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return all pixels of 10 m in a pixel of 20 m that holds a wanted one.

    So a pixel of 20 m is seen whole, wherever the area or a piece ends.
    """
    if wanted.all():
        return wanted
    rows, columns = (-(-size // 2) * 2 for size in wanted.shape)
    whole = np.zeros((rows, columns), np.bool_)
    whole[: wanted.shape[0], : wanted.shape[1]] = wanted
    halves = np.asarray(whole.reshape(rows // 2, 2, columns // 2, 2).any(axis=(1, 3)))
    return repeat_pixels(halves, (wanted.shape[0], wanted.shape[1]), outside=False)


def _tasks_of(
    context: PlanContext[Config],
    series: Series,
    inventory: Task,
    beside: tuple[Input | None, Input | None],
) -> list[Task]:
    """Return the tasks of a tile; `beside` are its angles and the copies of its images."""
    config, tile = context.config, tile_of(inventory)
    place = tile_layout(context, tile)
    grid, dates = place.grid, config.season.grid
    n_products = len(inventory.inputs)
    # The days of the images are known once the inventory is made; there are no more than images.
    layout = series_layout(series, dates.dates, dates.dates[:1] * n_products)
    memory = SeriesMemory.of(config, n_products, layout, place.block_shape)
    grid_shape = (int(grid.shape[0]), int(grid.shape[1]))
    limit = memory.most_pixels(config.runtime.block_pixels)
    area = AreaOfTask.of(config.map.area)
    shape = block_shape(grid_shape, place.block_shape, limit)
    blocks = _blocks_of_area(tile, grid, shape, area)
    if not blocks:
        return []
    first = SeriesJob(
        tile=tile,
        grid=grid,
        block=blocks[0],
        read=ReadSpec.of(config),
        series=series,
        dates=dates,
        area=area,
        inventory=Input.of(inventory),
        angles=beside[0],
        copies=beside[1],
        memory_bytes=memory.for_reading,
    )
    return [
        Task(
            stage=SeriesStage.name,
            name=f"{tile}/{block.name}",
            function="oso_pipeline.products.series.stage:make_series",
            run_dir=context.run_dir,
            outputs=(series_file_of(block),),
            version=_VERSION,
            job=replace(first, block=block),
            cost=memory.cost(block),
        )
        for block in blocks
    ]


@lru_cache(maxsize=256)
def _blocks_of_area(
    tile: str, grid: GeoBox, shape: tuple[int, int], area: AreaOfTask | None
) -> tuple[Block, ...]:
    """Return the blocks with a pixel of the area; kept, since plans are made again and again."""
    blocks = blocks_of(tile, (int(grid.shape[0]), int(grid.shape[1])), shape)
    if area is None:
        return tuple(blocks)
    mask = area.mask(grid)
    return tuple(block for block in blocks if mask.block(block).any())


def _angles_of(context: PlanContext[Config], series: Series) -> dict[str, Input]:
    """Return the angles of the images of each tile, where a network runs."""
    if not series.biophysical_variables:
        return {}
    return {tile_of(task): Input.of(task) for task in context.tasks("angles")}
