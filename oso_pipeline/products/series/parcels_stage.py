"""Stages ``parcels`` and ``parcel_tables``: series per parcel, tile by tile, then on borders."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from odc.geo.geobox import GeoBox

from oso_pipeline.config.model import Config
from oso_pipeline.config.series import Parcels as ParcelsSection
from oso_pipeline.core.errors import InputDataError, Problem, Problems
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.wording import counted
from oso_pipeline.products.series.parcels_check import check_parcels, report_outside
from oso_pipeline.products.series.parcels_combine import Combined
from oso_pipeline.products.series.parcels_extract import TileExtract
from oso_pipeline.products.series.parcels_outputs import BORDER, Outputs, names_of_outputs
from oso_pipeline.products.series.parcels_parts import (
    PartPaths,
    measured,
    names_of_parts,
    write_parts,
)
from oso_pipeline.products.series.parcels_polygons import ParcelFile, Place, read_parcels
from oso_pipeline.products.series.parcels_sources import BlockFiles
from oso_pipeline.tasks.job import Input, Inputs, Job, file_part, place, reads
from oso_pipeline.tasks.stage import (
    Gathered,
    Makes,
    PlanContext,
    StageBase,
    summaries,
    warnings_of,
)
from oso_pipeline.tasks.task import Cost, Summary, Task, tile_of
from oso_pipeline.vectors.whereabouts import Ground

PARTS = "series/parcels_shared"
"""Folder of the run that takes what each tile knows of the parcels on its border."""

# Estimates for one variable on the dates of a year: see bench/series_parcels.py.
_SECONDS_PER_VALUE = 8e-9
_MEMORY_BYTES = 500 * 2**20
_BYTES_PER_VALUE = 2
_BYTES_PER_PIXEL = 0.3
_SHARE_SHARED = 0.02  # of the parcels, those on the border of a tile


@dataclass(frozen=True, kw_only=True)
class ParcelsJob(Job):
    """Statistics of the parcels of a tile.

    Parameters
    ----------
    tile, grid
        The tile and its 10 m grid.
    ownership
        How the tile and its neighbours share the map.
    parcels
        The polygons.
    erosion_m
        Least distance of a pixel from the border of its parcel, metres.
    clear_within_days
        A date of the grid counts as clear where the nearest clear date is so near.
    formats
        Forms of the table.
    blocks
        The series of the tile.
    """

    tile: str
    grid: GeoBox
    ownership: Ownership
    parcels: ParcelFile = file_part()
    erosion_m: float
    clear_within_days: int
    formats: tuple[str, ...]
    blocks: Inputs = reads()


@dataclass(frozen=True, kw_only=True)
class TablesJob(Job):
    """Compute the parcels on the border of tiles.

    Parameters
    ----------
    tiles
        Names of the tiles, sorted.
    formats
        Forms of the table.
    erosion_m
        With which the pixels were chosen.
    parts
        What each tile knows of them, in that order.
    file
        The polygons, for warnings.
    epsg
        Coordinate system of the map, for warnings.
    """

    tiles: tuple[str, ...]
    formats: tuple[str, ...]
    erosion_m: float
    parts: Inputs = reads()
    file: ParcelFile = place()
    epsg: int = place()


class ParcelsStage(StageBase):
    """Plans one task per tile, where there is a section ``series.parcels``."""

    name = "parcels"
    makes = Makes("parcels", is_result=True)
    optional = True
    plans_from = ()

    def check(self, config: Config) -> Problems:
        """Find parcels that cannot be used, and such as lie elsewhere."""
        section = _section(config)
        return Problems() if section is None else check_parcels(config, section)

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the tiles that have blocks of series.

        Raises
        ------
        InputDataError
            If the file of the parcels cannot be read.
        """
        section = _section(context.config)
        by_tile: dict[str, list[Task]] = defaultdict(list)
        for task in context.tasks("series") if section is not None else ():
            by_tile[tile_of(task)].append(task)
        if section is None or not by_tile:
            return []
        grids = {tile: _grid_of(tasks[0]) for tile, tasks in by_tile.items()}
        rule = Ownership(grids, context.config.map.epsg)
        file = ParcelFile.of(section)
        return [
            _task(context, ParcelsJob(
                tile=tile,
                grid=grids[tile],
                ownership=rule.neighbours(tile),
                parcels=file,
                erosion_m=section.erosion_m,
                clear_within_days=context.config.season.step_days // 2,
                formats=section.formats,
                blocks=Inputs.of(tasks),
            ))
            for tile, tasks in sorted(by_tile.items())
        ]  # fmt: skip

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return numbers of parcels and rows."""
        done = summaries(tasks)
        parcels, rows = (sum(one[name] for one in done) for name in ("parcels", "rows"))
        headline = f"{counted(parcels, 'parcel')} inside {counted(len(done), 'tile')}"
        summary = {"tiles": len(done), "parcels": parcels, "rows": rows}
        return Gathered(summary, warnings_of(done), headline)


class ParcelTablesStage(StageBase):
    """Plans the one task that computes the parcels on the border of tiles."""

    name = "parcel_tables"
    makes = Makes("border_parcels", is_result=True)
    optional = True
    plans_from = ()

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the task, where parcels are planned."""
        section, parts = _section(context.config), context.tasks("parcels")
        if section is None or not parts:
            return []
        job = TablesJob(
            tiles=tuple(tile_of(task) for task in parts),
            formats=section.formats,
            erosion_m=section.erosion_m,
            parts=Inputs.of(parts),
            file=ParcelFile.of(section),
            epsg=context.config.map.epsg,
        )
        written = int(_SHARE_SHARED * sum(task.cost.bytes_written for task in parts))
        cost = Cost(
            memory_bytes=_MEMORY_BYTES, core_seconds=1 + written / 50e6, bytes_written=written
        )
        return [
            Task(
                stage=self.name,
                name="all",
                function=f"{__name__}:make_tables",
                run_dir=context.run_dir,
                outputs=names_of_outputs(BORDER, section.formats),
                job=job,
                cost=cost,
            )
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return numbers of parcels and rows, and warnings of those without a pixel."""
        done = summaries(tasks)
        found = done[0] if done else {}
        shared, parcels = found.get("shared", 0), found.get("parcels", 0)
        headline = f"{shared} of {counted(parcels, 'parcel')} on borders" if done else ""
        return Gathered(found, warnings_of(done), headline)


PARCELS = ParcelsStage()
TABLES = ParcelTablesStage()


def extract_parcels(job: ParcelsJob, task: Task) -> Summary:
    """Compute the statistics of the parcels of a tile and publish its files.

    Raises
    ------
    InputDataError
        If the parcels or a block cannot be read.
    """
    problems, here = Problems(), Place(job.tile, job.grid, job.ownership)
    parcels = read_parcels(job.parcels, here, problems)
    problems.raise_errors(InputDataError)
    if parcels is None:
        raise ValueError(f"{job.parcels.vector.path} was refused without a reason")
    paths = tuple(task.path_of(Input(job.blocks.key, path)) for path in job.blocks.paths)
    source = BlockFiles(paths)
    extract = TileExtract(here, parcels, source, job.erosion_m)
    parts = PartPaths.of(task.run_dir / PARTS, job.tile)
    outputs = Outputs.of(task.run_dir, job.tile, job.formats)
    names = measured(source.layout)
    found = write_parts(extract, names, job.clear_within_days, parts, outputs)
    return {**found, "warnings": [str(one) for one in problems.warnings]}


def make_tables(job: TablesJob, task: Task) -> Summary:
    """Write the tables of the parcels on borders; warn of what is found in all tiles.

    Raises
    ------
    InputDataError
        If a file of a tile has changed since it was committed.
    """
    for path in job.parts.paths:
        task.path_of(Input(job.parts.key, path))
    tiles = {tile: PartPaths.of(task.run_dir / PARTS, tile) for tile in job.tiles}
    found = Combined(tiles, job.erosion_m).write(Outputs.of(task.run_dir, BORDER, job.formats))
    problems = Problems(small_parcels(found))
    report_outside(job.file.vector, Ground(job.tiles, job.epsg), found["parcels"], problems)
    return {**found, "warnings": [str(one) for one in problems.warnings]}


def small_parcels(found: dict[str, Any]) -> list[Problem]:
    """Return the warning about parcels without a pixel (``W-SERIES-SMALL``), if there are any."""
    problems = Problems()
    for size, notes in found["notes"].items():
        if number := sum(notes.values()):
            reasons = ", ".join(f"{count} {note}" for note, count in notes.items())
            problems.warn(
                "W-SERIES-SMALL",
                f"{number} of {found['parcels']} parcels have no pixel of {size} m: {reasons}",
                None,
                "they have pixels = 0 and a note; lower series.parcels.erosion_m for more",
            )
    return problems.warnings


def _section(config: Config) -> ParcelsSection | None:
    return None if config.series is None else config.series.parcels


def _grid_of(task: Task) -> GeoBox:
    """Return the grid of the tile of a task of stage ``series``."""
    grid = getattr(task.job, "grid", None)
    if grid is None:
        raise TypeError(f"task {task.stage} {task.name} makes no series")
    return grid


def _task(context: PlanContext[Config], job: ParcelsJob) -> Task:
    config = context.config
    tasks = [task for task in context.tasks("series") if tile_of(task) == job.tile]
    pixels = sum(task.cost.pixels for task in tasks)
    variables = 1 if config.series is None else len(config.series.variables)
    steps = len(config.season.grid.dates)
    largest = max(task.cost.pixels for task in tasks)
    return Task(
        stage=ParcelsStage.name,
        name=job.tile,
        function=f"{__name__}:extract_parcels",
        run_dir=context.run_dir,
        outputs=(
            *(f"{PARTS}/{name}" for name in names_of_parts(job.tile)),
            *names_of_outputs(job.tile, job.formats),
        ),
        job=job,
        cost=Cost(
            pixels=pixels,
            bytes_read=_BYTES_PER_VALUE * pixels * steps * variables,
            memory_bytes=_MEMORY_BYTES + 2 * _BYTES_PER_VALUE * largest * steps,
            core_seconds=_SECONDS_PER_VALUE * pixels * steps * variables,
            bytes_written=int(_BYTES_PER_PIXEL * pixels * variables),
        ),
    )
