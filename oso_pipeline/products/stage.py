"""Stage ``mosaic``: one raster per layer of the map, from the cells, with names and colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from odc.geo.geobox import GeoBox

from oso_pipeline import __version__
from oso_pipeline.config.model import Config
from oso_pipeline.core.commit import digest, publish_bytes, read_sidecar, staged
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.core.wording import counted
from oso_pipeline.products.assembly import Part, assemble
from oso_pipeline.products.cell_job import CellJob
from oso_pipeline.products.cells import Cell
from oso_pipeline.products.layers import CLASS, PixelType, map_path
from oso_pipeline.products.map_files import MapFile, map_files
from oso_pipeline.products.raster import RasterSpec
from oso_pipeline.products.style import attribute_table, percent_style, qgis_style
from oso_pipeline.tasks.job import Input, Inputs, Job, decides, place, reads
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries, warnings_of
from oso_pipeline.tasks.task import Cost, Summary, Task

# Measured: blocks are hashed, copied, compared and hashed again; a sixteenth of the rows and
# columns is decoded for the small overviews.
_BYTES_PER_SECOND = 350e6
_SECONDS = 0.05
_BYTES_PER_PIXEL = {"class": 0.22, "confidence": 0.9, "validity": 0.25}
_MORE_BYTES = 0.4
_MEMORY_BYTES = 360 * 2**20
_MEMORY_PER_PIXEL = 0.012


@dataclass(frozen=True, kw_only=True)
class MosaicJob(Job):
    """Put one file of the map together.

    Parameters
    ----------
    layer
        Its name, that of the first band where it has several.
    grid
        Grid of the map.
    pixels
        Pixel type.
    description
        Of its band, or of the first.
    more_bands
        Descriptions of the bands after the first; None where there is one.
    greatest
        Greatest value of a band in percent, for its style; None for other layers.
    tags
        Metadata of the file.
    nomenclature
        The classes, for their map; None for other layers.
    cells
        The files of the layer, one of each cell; band by band.
    places
        Where each cell lies.
    levels
        How many overviews lie inside the cells.
    """

    layer: str
    grid: GeoBox
    pixels: PixelType
    description: str
    tags: Mapping[str, str]
    nomenclature: Nomenclature | None = decides(if_set=True, default=None)
    more_bands: tuple[str, ...] | None = decides(if_set=True, default=None)
    greatest: int | None = decides(if_set=True, default=None)
    cells: Inputs = reads()
    places: tuple[Cell, ...] = place()
    levels: int = place()


class MosaicStage(StageBase):
    """Plans one task per file of the map and sums up what they committed."""

    name = "mosaic"
    makes = Makes("maps", is_result=True)
    plans_from = ()

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the tasks: class, confidence, validity, and a file of each kind of bands requested.

        A changed name, colour or tag outdates these files and not the cells: blocks are copied.
        """
        cells = context.tasks("cells")
        return [_task(context, file, cells) for file in map_files(context.config)] if cells else []

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return the summary of each committed layer by its name."""
        done = summaries(tasks)
        size = next((f", {one['shape'][1]} x {one['shape'][0]} pixels" for one in done), "")
        headline = f"{counted(len(done), 'layer')}{size}"
        return Gathered({one["layer"]: one for one in done}, warnings_of(done), headline)


STAGE = MosaicStage()


@dataclass(frozen=True)
class Found:
    """Content of the cells of the map.

    Parameters
    ----------
    missing_blocks, missing_pixels
        Number of blocks that were not there, and of pixels without value for that.
    valued_pixels
        Pixels of the layer with a value.
    pixels
        Number of pixels of each class.
    """

    missing_blocks: int
    missing_pixels: int
    valued_pixels: int
    pixels: Mapping[int, int]


def make_layer(job: MosaicJob, task: Task) -> Summary:
    """Put one layer of the map together and, for the classes, its style files.

    Raises
    ------
    InputDataError
        If the file of a cell has changed since it was committed.
    """
    bands = _parts(job, task)
    found = _found(job, bands[0])
    tags = dict(job.tags)
    if found.missing_pixels:
        blocks = counted(found.missing_blocks, "block")
        pixels = counted(found.missing_pixels, "pixel")
        tags["OSO_PARTIAL"] = f"{blocks} missing, {pixels} without value"
    nomenclature = job.nomenclature
    colours = None if nomenclature is None else nomenclature.colour_table()
    more = job.more_bands or ()
    spec = RasterSpec(job.grid, job.pixels, job.description, tags, colours, more)
    with staged(task.output()) as temporary:
        assemble(temporary, spec, bands, job.levels)
    if nomenclature is not None:
        publish_bytes(task.output(1), qgis_style(nomenclature))
        publish_bytes(task.output(2), attribute_table(nomenclature, found.pixels))
    elif job.greatest is not None:
        publish_bytes(task.output(1), percent_style(job.greatest))
    return _summary(job, found)


def _parts(job: MosaicJob, task: Task) -> list[list[Part]]:
    """Return the files of the cells, band by band, each as it was committed."""
    problems, parts = Problems(), []
    number = 1 + len(job.more_bands or ())
    for cell, path in zip(job.places * number, job.cells.paths, strict=True):
        try:
            parts.append(Part(cell, task.path_of(Input(job.cells.key, path))))
        except InputDataError as error:
            problems.extend(error.problems)
    problems.raise_errors(InputDataError)
    return [
        parts[start : start + len(job.places)] for start in range(0, len(parts), len(job.places))
    ]


def _found(job: MosaicJob, parts: list[Part]) -> Found:
    """Sum the summaries of the cells."""
    blocks: set[str] = set()
    missing = valued = 0
    pixels: Counter[int] = Counter()
    for part in parts:
        summary = (read_sidecar(part.path) or {})["summary"]
        blocks |= set(summary["missing_blocks"])
        missing += summary["missing_pixels"]
        valued += summary["valued_pixels"][job.layer]
        own = summary["pixels"] if job.layer == CLASS.name else summary.get("counts", {})
        own = own if job.layer == CLASS.name else own.get(job.layer, {})
        pixels.update({int(code): number for code, number in own.items()})
    return Found(len(blocks), missing, valued, pixels)


def _task(context: PlanContext[Config], file: MapFile, cells: tuple[Task, ...]) -> Task:
    config = context.config
    job = _job(config, file, cells)
    path = map_path(config.year, file.layers[0])
    style: tuple[str, ...] = ()
    if file.nomenclature is not None:
        style = (path.removesuffix(".tif") + ".qml", path + ".aux.xml")
    elif file.greatest is not None:
        style = (path.removesuffix(".tif") + ".qml",)
    pixels = sum(task.cost.pixels for task in cells)
    size = _BYTES_PER_PIXEL.get(file.name, _MORE_BYTES) * pixels * len(file.layers)
    rows, columns = job.grid.shape
    return Task(
        stage=MosaicStage.name,
        name=file.name,
        function=f"{__name__}:make_layer",
        run_dir=context.run_dir,
        outputs=(path, *style),
        job=job,
        cost=Cost(
            pixels=pixels,
            memory_bytes=_MEMORY_BYTES + int(_MEMORY_PER_PIXEL * int(rows) * int(columns)),
            core_seconds=_SECONDS + size / _BYTES_PER_SECOND,
            bytes_written=int(size),
        ),
    )


def _job(config: Config, file: MapFile, cells: tuple[Task, ...]) -> MosaicJob:
    jobs = [cell_job(task) for task in cells]
    first, layer = jobs[0], file.layers[0]
    numbers = [list(first.layers).index(one.name) for one in file.layers]
    description = file.description(config)
    tiles = sorted({tile for job in jobs for tile in job.families})
    return MosaicJob(
        layer=layer.name,
        grid=first.map_grid,
        pixels=first.layers[layer.name],
        description=description,
        tags={
            **_tags(config),
            "OSO_TILES": " ".join(tiles),
            "OSO_LAYER": file.name,
            "OSO_NOMENCLATURE": load_nomenclature(config.nomenclature).name,
            "TIFFTAG_IMAGEDESCRIPTION": description,
        },
        nomenclature=file.nomenclature,
        more_bands=tuple(one.description for one in file.layers[1:]) or None,
        greatest=file.greatest,
        cells=Inputs(
            digest([task.key for task in cells]),
            tuple(task.outputs[number] for number in numbers for task in cells),
        ),
        places=tuple(job.cell for job in jobs),
        levels=first.levels,
    )


def cell_job(task: Task) -> CellJob:
    """Return the job of a task of stage ``cells``."""
    if not isinstance(task.job, CellJob):
        raise TypeError(f"task {task.stage} {task.name} makes no cell of the map")
    return task.job


def _tags(config: Config) -> dict[str, str]:
    years = sorted({config.season.start.year, config.season.end.year})
    attribution = f"Contains modified Copernicus Sentinel data {'-'.join(map(str, years))}"
    return {
        "TIFFTAG_SOFTWARE": f"oso_pipeline {__version__}",
        "TIFFTAG_COPYRIGHT": attribution,
        "OSO_RUN_ID": config.run_id,
        "OSO_YEAR": str(config.year),
        "OSO_SEASON": f"{config.season.start}/{config.season.end}",
        "OSO_ATTRIBUTION": attribution,
        **({} if config.imagery.as_of is None else {"OSO_AS_OF": str(config.imagery.as_of)}),
    }


def _summary(job: MosaicJob, found: Found) -> Summary:
    rows, columns = (int(side) for side in job.grid.shape)
    summary: Summary = {
        "layer": job.layer,
        "shape": [rows, columns],
        "nodata_pixels": rows * columns - found.valued_pixels,
        "missing_blocks": found.missing_blocks,
        "missing_pixels": found.missing_pixels,
    }
    if job.nomenclature is not None:
        area = abs(job.grid.resolution.x * job.grid.resolution.y) / 10_000
        counts = dict(sorted(found.pixels.items()))
        summary["pixels"] = {str(code): number for code, number in counts.items()}
        summary["hectares"] = {str(code): number * area for code, number in counts.items()}
    return summary
