"""Stage ``mosaic``: one raster per layer on the grid of the map."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from oso_pipeline import __version__
from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import digest, publish_bytes, staged
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.nomenclature import NODATA_CODE, Nomenclature, load_nomenclature
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.wording import counted
from oso_pipeline.learners.registry import learner_of
from oso_pipeline.prediction.block_file import block_family
from oso_pipeline.prediction.stage import PredictJob
from oso_pipeline.products.committed import (
    TileBlocks,
    committed_blocks,
)
from oso_pipeline.products.grid import cropped, map_grid
from oso_pipeline.products.layers import CLASS, CONFIDENCE, LAYERS, Layer, map_path
from oso_pipeline.products.mosaic import Holes, Mosaic
from oso_pipeline.products.raster import (
    RasterSpec,
    Written,
    add_tags,
    flat_raster,
    verify,
    write_cog,
    write_flat,
)
from oso_pipeline.products.style import attribute_table, qgis_style
from oso_pipeline.tasks.job import Input, Job, decides, file_part, place, reads
from oso_pipeline.tasks.stage import Gathered, PlanContext, StageBase, summaries, warnings_of
from oso_pipeline.tasks.task import Cost, Summary, Task
from oso_pipeline.vectors.area_of_interest import AreaMask, AreaOfTask

# Measured: 0.2 microseconds per pixel and a peak of 250 MB, whatever the size of the map.
_SECONDS_PER_PIXEL = 0.2e-6
_BYTES_PER_PIXEL = 0.3  # on disk, with overviews
_MEMORY_BYTES = 300 * 2**20
_NAMED_BLOCKS = 10
_IMAGE_PIXEL_M = 10.0


@dataclass(frozen=True, kw_only=True)
class MosaicJob(Job):
    """Make one layer of the map.

    Parameters
    ----------
    layer
        Its name.
    ownership
        How the tiles share the map.
    resolution_m
        Side of a pixel of the map, metres.
    nomenclature
        The classes.
    tags
        Metadata of the file.
    confidence
        What confidence is; None where it is what `layers.CONFIDENCE` says.
    area
        The area of interest; None for whole tiles.
    blocks
        The folder of the blocks, with the digest of their families.
    missing_blocks
        Which blocks are missing, where a map with holes is accepted.
    families
        Of each tile the families of blocks that make the map, see `block_family`.
    block_shapes
        Of each tile the rows and columns of its largest block.
    allow_partial
        Accept a map with holes.
    """

    layer: str
    ownership: Ownership
    resolution_m: float
    nomenclature: Nomenclature
    tags: Mapping[str, str]
    confidence: str | None = decides(if_set=True, default=None)
    area: AreaOfTask | None = file_part(if_set=True)
    blocks: Input = reads()
    missing_blocks: Input | None = reads("missing blocks")
    families: Mapping[str, tuple[str, ...]] = place()
    block_shapes: Mapping[str, tuple[int, int]] = place()
    allow_partial: bool = place()


class MosaicStage(StageBase):
    """Plans one task per layer and sums up what they committed."""

    name = "mosaic"

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the tasks: class, confidence, validity.

        A task names its input by one digest: that of the families of the blocks, see
        `committed.family`. Where a map with holes is accepted, the blocks that are missing
        now count too, so that the map is made again when they have come.
        """
        by_tile: dict[str, list[Task]] = defaultdict(list)
        for task in context.tasks("predict"):
            by_tile[block_of_task(task).tile].append(task)
        if not by_tile:
            return []
        return [_task(context, layer, by_tile) for layer in LAYERS.values()]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return the summary of each committed layer by its name."""
        done = summaries(tasks)
        size = next((f", {one['shape'][1]} x {one['shape'][0]} pixels" for one in done), "")
        headline = f"{counted(len(done), 'layer')}{size}"
        return Gathered({one["layer"]: one for one in done}, warnings_of(done), headline)


STAGE = MosaicStage()


def block_of_task(task: Task) -> Block:
    """Return the block of a task of stage ``predict``."""
    return _predict_job(task).block


def _predict_job(task: Task) -> PredictJob:
    if not isinstance(task.job, PredictJob):
        raise TypeError(f"task {task.stage} {task.name} predicts no block")
    return task.job


def make_layer(job: MosaicJob, task: Task) -> Summary:
    """Make one layer of the map and, for the classes, its style files.

    Raises
    ------
    InputDataError
        If blocks are missing and the configuration does not accept a partial map, or if
        blocks hold values that the layer cannot have.
    """
    layer, nomenclature = LAYERS[job.layer], job.nomenclature
    grids = {tile: job.ownership.grids[tile] for tile in job.families}
    blocks = {tile: _open(job, task, tile) for tile in grids}
    areas = {} if job.area is None else {t: job.area.mask(grid) for t, grid in grids.items()}
    grid = _map_grid(job, grids, areas)
    mosaic = Mosaic(grid, job.ownership, blocks, job.block_shapes, areas)
    spec = _spec(job, grid, layer)
    with staged(task.output()) as temporary, flat_raster(temporary) as flat:
        written = write_flat(flat, spec, lambda window: mosaic.read(window, layer))
        _check(job, task, layer, written)
        damaged = {path: why for source in blocks.values() for path, why in source.damaged.items()}
        if mosaic.holes.pixels:
            _refuse_holes(job, task, mosaic.holes, damaged)
            add_tags(flat, {"OSO_PARTIAL": _partial(mosaic.holes)})
        write_cog(flat, temporary, spec)
        verify(temporary, spec, written)
    if layer is CLASS:
        publish_bytes(task.output(1), qgis_style(nomenclature))
        publish_bytes(task.output(2), attribute_table(nomenclature, written.histogram))
    return _summary(layer, spec, written, mosaic.holes)


def _ownership(by_tile: Mapping[str, list[Task]]) -> Ownership:
    """Return how the tiles shared the map when the blocks were planned.

    Neighbours without a block count: what they own has no block elsewhere.
    """
    shares = [_predict_job(tasks[0]).ownership for tasks in by_tile.values()]
    grids = {tile: grid for share in shares for tile, grid in share.grids.items()}
    return Ownership(grids, shares[0].epsg)


def _map_grid(job: MosaicJob, grids: Mapping[str, GeoBox], areas: Mapping[str, AreaMask]) -> GeoBox:
    """Return the grid of the map: the tiles, or what the area covers of them."""
    epsg = job.ownership.epsg
    whole = map_grid(grids, epsg, job.resolution_m)
    bounds = [b for mask in areas.values() if (b := mask.bounds_in(epsg)) is not None]
    if not bounds:
        return whole
    # The centre of a map pixel lies in the image pixel it shows, less than a pixel from the
    # centre that decides about the area.
    low, high = np.min(bounds, axis=0) - _IMAGE_PIXEL_M, np.max(bounds, axis=0) + _IMAGE_PIXEL_M
    return cropped(whole, (low[0], low[1], high[2], high[3]))


def _job(config: Config, layer: Layer, by_tile: Mapping[str, list[Task]]) -> MosaicJob:
    families, shapes = {}, {}
    for tile, tasks in sorted(by_tile.items()):
        blocks = [block_of_task(task) for task in tasks]
        families[tile] = tuple(sorted({block_family(task.recipe) for task in tasks}))
        shapes[tile] = (max(b.height for b in blocks), max(b.width for b in blocks))
    missing: list[str] = []
    if config.map.allow_partial:
        missing = [t.name for ts in by_tile.values() for t in ts if t.committed() is None]
    return MosaicJob(
        layer=layer.name,
        ownership=_ownership(by_tile),
        resolution_m=config.map.resolution_m,
        nomenclature=load_nomenclature(config.nomenclature),
        tags={**_tags(config), "OSO_TILES": " ".join(sorted(by_tile))},
        confidence=_confidence(config) if layer is CONFIDENCE else None,
        area=AreaOfTask.of(config.map.area),
        blocks=Input(digest(families), "blocks"),
        missing_blocks=Input(digest(sorted(missing)), "blocks") if missing else None,
        families=families,
        block_shapes=shapes,
        allow_partial=config.map.allow_partial,
    )


def _task(context: PlanContext[Config], layer: Layer, by_tile: Mapping[str, list[Task]]) -> Task:
    config = context.config
    job = _job(config, layer, by_tile)
    grids = [job.ownership.grids[tile] for tile in job.families]
    path = map_path(config.year, layer)
    style = (path.removesuffix(".tif") + ".qml", path + ".aux.xml") if layer is CLASS else ()
    pixels = sum(grid.shape[0] * grid.shape[1] for grid in grids)
    return Task(
        stage=MosaicStage.name,
        name=layer.name,
        function=f"{__name__}:make_layer",
        run_dir=context.run_dir,
        outputs=(path, *style),
        job=job,
        cost=Cost(
            pixels=pixels,
            bytes_read=3 * pixels,
            memory_bytes=_MEMORY_BYTES,
            core_seconds=_SECONDS_PER_PIXEL * pixels,
            bytes_written=int(_BYTES_PER_PIXEL * pixels),
        ),
    )


def _confidence(config: Config) -> str | None:
    """Return what the learner says that confidence is, where it is not the usual."""
    text = f"confidence: {learner_of(config.learning.kind).classifier.confidence}, percent"
    return None if text == CONFIDENCE.description else text


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
    }


def _open(job: MosaicJob, task: Task, tile: str) -> TileBlocks:
    folder = task.path_of(job.blocks) / tile
    found = committed_blocks(folder, tile, job.families[tile])
    return TileBlocks(job.ownership.grids[tile], found, job.layer)


def _spec(job: MosaicJob, grid: GeoBox, layer: Layer) -> RasterSpec:
    nomenclature = job.nomenclature
    if job.confidence is not None:
        layer = replace(layer, description=job.confidence)
    tags = {
        **job.tags,
        "OSO_LAYER": layer.name,
        "OSO_NOMENCLATURE": nomenclature.name,
        "TIFFTAG_IMAGEDESCRIPTION": layer.description,
    }
    colours = nomenclature.colour_table() if layer is CLASS else None
    return RasterSpec(grid, layer, layer.dtype or nomenclature.raster_dtype, tags, colours)


def _check(job: MosaicJob, task: Task, layer: Layer, written: Written) -> None:
    """Refuse values that would be cut to the type of the raster or have no name."""
    if layer is CLASS:
        allowed: Any = {NODATA_CODE, *job.nomenclature.codes}
    elif layer is CONFIDENCE:
        allowed = range(101)
    else:
        return
    unknown = [value for value in written.histogram if value not in allowed]
    problems = Problems()
    if unknown:
        problems.error(
            "E-MAP-VALUES",
            f"the blocks hold values {unknown[:10]} that a {layer.name} map cannot have",
            task.path_of(job.blocks),
            "remove the folder of the blocks and run again",
        )
    problems.raise_errors(InputDataError)


def _refuse_holes(job: MosaicJob, task: Task, holes: Holes, damaged: Mapping[Any, str]) -> None:
    if job.allow_partial:
        return
    problems = Problems()
    for path, why in sorted(damaged.items()):
        problems.error(
            "E-MAP-BLOCK", f"a block cannot be used: {why}", path, "remove it and run again"
        )
    names = sorted(holes.blocks)
    more = "" if len(names) <= _NAMED_BLOCKS else f" and {len(names) - _NAMED_BLOCKS} more"
    problems.error(
        "E-MAP-HOLES",
        f"the map would have holes: {counted(holes.pixels, 'pixel')} of "
        f"{counted(len(names), 'missing block')} "
        f"({', '.join(names[:_NAMED_BLOCKS])}{more})",
        task.path_of(job.blocks),
        "run again to make the missing blocks, or accept holes with `map.allow_partial: true`",
    )
    problems.raise_errors(InputDataError)


def _partial(holes: Holes) -> str:
    blocks, pixels = counted(len(holes.blocks), "block"), counted(holes.pixels, "pixel")
    return f"{blocks} missing, {pixels} without value"


def _summary(layer: Layer, spec: RasterSpec, written: Written, holes: Holes) -> Summary:
    rows, columns = spec.grid.shape
    counts = written.histogram
    summary: Summary = {
        "layer": layer.name,
        "shape": [rows, columns],
        "nodata_pixels": counts.get(layer.nodata, 0),
        "missing_blocks": len(holes.blocks),
        "missing_pixels": holes.pixels,
    }
    if layer is CLASS:
        area = abs(spec.grid.resolution.x * spec.grid.resolution.y) / 10_000
        found = {code: counts[code] for code in sorted(counts) if code != NODATA_CODE}
        summary["pixels"] = {str(code): number for code, number in found.items()}
        summary["hectares"] = {str(code): number * area for code, number in found.items()}
    return summary
