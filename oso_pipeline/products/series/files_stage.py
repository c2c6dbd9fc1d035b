"""Stage ``series_files``: NetCDF, Zarr and COG of each tile, from the blocks of series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.products.series import cog_files, netcdf_file, zarr_store
from oso_pipeline.products.series.chunking import chunk_of
from oso_pipeline.products.series.discovery import About
from oso_pipeline.products.series.extra import missing
from oso_pipeline.products.series.files_job import Form, SeriesFilesJob, outputs_of
from oso_pipeline.products.series.stage import SeriesJob
from oso_pipeline.products.series.tile_series import TileSeries
from oso_pipeline.tasks.job import Inputs
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Cost, Task, tile_of
from oso_pipeline.timeseries.reading.reader import BlockReader
from oso_pipeline.timeseries.series_layout import SeriesLayout
from oso_pipeline.timeseries.series_variables import series_layout

_FIXED_BYTES = 330_000_000
"""Interpreter, libraries and the block cache of GDAL."""
_BLOCK_COPIES = 2
"""A block as it is read, beside the window."""
_BYTES_PER_SECOND: dict[Form, float] = {"netcdf": 28e6, "zarr": 28e6, "cog": 11e6}
"""Measured on a core of a busy machine: integers read, compressed, written and read back."""
_SHARE_WRITTEN = 0.6
"""Of the bytes of the integers, compressed."""


@dataclass(frozen=True)
class _Tile:
    """The blocks of a tile as they were planned."""

    name: str
    series: TileSeries
    inputs: Inputs

    @classmethod
    def of(cls, context: PlanContext[Config], name: str, tasks: Sequence[Task]) -> _Tile:
        jobs = [block_job(task) for task in tasks]
        files = tuple((job.block, task.output()) for job, task in zip(jobs, tasks, strict=True))
        layout = planned_layout(context, name, jobs[0])
        return cls(name, TileSeries(jobs[0].grid, layout, files), Inputs.of(tasks))


class SeriesFilesStage(StageBase):
    """Plans one task per tile, form and resolution."""

    name = "series_files"
    makes = Makes("series", is_result=True)
    optional = True
    plans_from = ("inventory",)
    disk_hint = "name fewer of `series.formats` or `series.variables`"

    def check(self, config: Config) -> Problems:
        """Find forms whose library is not installed."""
        forms = () if config.series is None else config.series.formats
        return Problems(problem for form in forms if (problem := missing(form)) is not None)

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the tasks; none without the section ``series``."""
        settings = context.config.series
        if settings is None:
            return []
        by_tile: dict[str, list[Task]] = {}
        for task in context.tasks("series"):
            by_tile.setdefault(tile_of(task), []).append(task)
        tiles = [_Tile.of(context, tile, tasks) for tile, tasks in by_tile.items()]
        return [
            _task(context, tile, form, resolution_m)
            for tile in tiles
            for form in settings.formats
            for resolution_m in tile.series.layout.resolutions_m
            if outputs_of(form, tile.name, tile.series.layout.of_resolution(resolution_m))
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return the files by tile, form and resolution, with their size."""
        done = summaries(tasks)
        size = sum(one["bytes"] for one in done)
        forms = ", ".join(dict.fromkeys(one["form"] for one in done))
        tiles = counted(len({one["tile"] for one in done}), "tile")
        headline = f"{forms} of {tiles}, {size / 1e6:.1f} MB" if done else ""
        return Gathered({"files": done, "bytes": size}, (), headline)


STAGE = SeriesFilesStage()


def block_job(task: Task) -> SeriesJob:
    """Return the job of a task of stage ``series``."""
    if not isinstance(task.job, SeriesJob):
        raise TypeError(f"task {task.stage} {task.name} makes no block of series")
    return task.job


def planned_layout(context: PlanContext[Config], tile: str, job: SeriesJob) -> SeriesLayout:
    """Return what the blocks of a tile hold, as far as that is known before they are made.

    The days of images are those of the inventory; there are none while it is not made.
    """
    acquisitions: tuple[date, ...] = ()
    for task in context.tasks("inventory"):
        if task.name == tile and job.series.dates == "raw" and task.commit_record() is not None:
            inventory = read_inventory(task.output())
            acquisitions = BlockReader(inventory, job.read).dates
    return series_layout(job.series, job.dates.dates, acquisitions)


def _task(context: PlanContext[Config], tile: _Tile, form: Form, resolution_m: int) -> Task:
    config = context.config
    assert config.series is not None
    layout = tile.series.layout.of_resolution(resolution_m)
    job = SeriesFilesJob(
        tile=tile.name,
        grid=tile.series.tile_grid,
        form=form,
        resolution_m=resolution_m,
        chunks=None if form == "cog" else config.series.chunks,
        about=About.of(config),
        blocks=tile.inputs,
        places=tuple(block for block, _ in tile.series.blocks),
    )
    size = sum(_sizes(tile.series, layout))
    return Task(
        stage=SeriesFilesStage.name,
        name=f"{tile.name}/{form}_{resolution_m}m",
        function="oso_pipeline.products.series.files_job:write_files",
        run_dir=context.run_dir,
        outputs=outputs_of(form, tile.name, layout),
        job=job,
        cost=Cost(
            pixels=tile.series.window.pixels,
            bytes_read=size,
            memory_bytes=_memory(tile.series, layout, job),
            core_seconds=size / _BYTES_PER_SECOND[form],
            bytes_written=int(_SHARE_WRITTEN * size),
        ),
    )


def _sizes(series: TileSeries, layout: SeriesLayout) -> Iterator[int]:
    """Yield the bytes of the stored integers of each variable."""
    for variable in layout.variables:
        yield int(np.prod(series.shape(variable))) * np.dtype(variable.dtype).itemsize


def _memory(series: TileSeries, layout: SeriesLayout, job: SeriesFilesJob) -> int:
    """Return the memory of a task: a window, the copies that libraries make of it, and a block."""
    budgets = {
        "netcdf": netcdf_file.BUDGET_BYTES,
        "zarr": zarr_store.BUDGET_BYTES,
        "cog": cog_files.BUDGET_BYTES,
    }
    window = budgets[job.form]
    largest = max(block.pixels for block, _ in series.blocks)
    steps = 1
    for variable in layout.variables:
        shape = series.shape(variable)
        itemsize = np.dtype(variable.dtype).itemsize
        if job.chunks is not None:
            chunk = chunk_of(shape, job.chunks)
            window = max(window, int(np.prod(chunk)) * itemsize)
            steps = max(steps, chunk[0])
    return _FIXED_BYTES + 3 * window + _BLOCK_COPIES * 2 * largest * steps
