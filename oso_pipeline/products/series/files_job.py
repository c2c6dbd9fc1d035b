"""Write the series of a tile in one form and one resolution; the job and what does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from odc.geo.geobox import GeoBox

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import require_sound
from oso_pipeline.core.file_lists import LIST_SUFFIX
from oso_pipeline.products.series.chunking import Chunks
from oso_pipeline.products.series.cog_files import cog_files, write_cog
from oso_pipeline.products.series.discovery import About
from oso_pipeline.products.series.netcdf_file import write_netcdf
from oso_pipeline.products.series.tile_series import TileSeries
from oso_pipeline.products.series.zarr_store import write_zarr
from oso_pipeline.tasks.job import Inputs, Job, decides, place, reads
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.timeseries.series_block_file import read_series_layout
from oso_pipeline.timeseries.series_layout import SeriesLayout

Form = Literal["netcdf", "zarr", "cog"]

FOLDER = "series"
"""Folder of the run that takes the files."""


@dataclass(frozen=True, kw_only=True)
class SeriesFilesJob(Job):
    """Write the files of a tile.

    Parameters
    ----------
    tile, grid
        The tile and its 10 m grid.
    form
        ``netcdf``, ``zarr`` or ``cog``.
    resolution_m
        Side of the pixels, 10 or 20; the blocks say which variables have it.
    chunks
        Whether a chunk is a map or a series; None for COG.
    about
        Origin of the files.
    blocks
        The block files of the tile.
    places
        Where each block lies.
    """

    tile: str
    grid: GeoBox
    form: Form
    resolution_m: int
    chunks: Chunks | None = decides(if_set=True, default=None)
    about: About
    blocks: Inputs = reads()
    places: tuple[Block, ...] = place()


def outputs_of(form: Form, tile: str, layout: SeriesLayout) -> tuple[str, ...]:
    """Return what a task of a form commits, relative to the run folder.

    For Zarr that is the list of the files of the store; see `zarr_store`.

    Parameters
    ----------
    form
        The form.
    tile
        The tile.
    layout
        Variables of one resolution.
    """
    name = f"{FOLDER}/{tile}_{layout.variables[0].resolution_m}m"
    if form == "netcdf":
        return (f"{name}.nc",)
    if form == "zarr":
        return (f"{name}.zarr{LIST_SUFFIX}",)
    return tuple(f"{FOLDER}/cog/{tile}/{file.name}" for file in cog_files(layout))


def write_files(job: SeriesFilesJob, task: Task) -> Summary:
    """Write the files of a tile in one form.

    Raises
    ------
    InputDataError
        If a block has changed since it was committed (``E-FILE-CHANGED``) or cannot be read, or
        if something else lies where a store goes (``E-SERIES-EXISTS``).
    EnvironmentFailure
        If the system refuses to write.
    """
    paths = [task.run_dir / path for path in job.blocks.paths]
    for path in paths:
        require_sound(path)
    layout = read_series_layout(paths[0])[0].of_resolution(job.resolution_m)
    series = TileSeries(job.grid, layout, tuple(zip(job.places, paths, strict=True)))
    size = _write(job, task, series)
    return {
        "tile": job.tile,
        "form": job.form,
        "resolution_m": job.resolution_m,
        "variables": list(layout.names),
        "bytes": size,
    }


def _write(job: SeriesFilesJob, task: Task, series: TileSeries) -> int:
    """Write; return bytes."""
    path, resolution_m = task.output(), job.resolution_m
    if job.form == "cog":
        files = cog_files(series.layout)
        return sum(
            write_cog(task.output(number), series, file, job.about)
            for number, file in enumerate(files)
        )
    if job.chunks is None:
        raise TypeError(f"a job of form {job.form} needs chunks")
    if job.form == "zarr":
        return write_zarr(path, series, resolution_m, job.chunks, job.about)
    write_netcdf(path, series, resolution_m, job.chunks, job.about)
    return path.stat().st_size
