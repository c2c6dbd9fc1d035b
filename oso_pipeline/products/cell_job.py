"""Make a cell of the map: all its layers at once, each block decoded once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.nomenclature import NODATA_CODE
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.wording import counted
from oso_pipeline.prediction.block_file import BLOCKS
from oso_pipeline.products.cell_layers import CellLayer, strips_of
from oso_pipeline.products.cells import Cell
from oso_pipeline.products.grid import window_in_tile
from oso_pipeline.products.layers import CLASS, CONFIDENCE, PixelType
from oso_pipeline.products.mosaic import Holes, Mosaic
from oso_pipeline.products.tile_blocks import BlockCache, TileBlocks, TileWindow, committed_blocks
from oso_pipeline.tasks.job import Input, Inputs, Job, file_part, place, reads
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.vectors.area_of_interest import AreaOfTask

WINDOW_PX = 1024
"""Columns of the windows in which a cell is made."""

_NAMED_BLOCKS = 10


@dataclass(frozen=True, kw_only=True)
class CellJob(Job):
    """Make all layers of a cell of the map.

    Parameters
    ----------
    grid
        Grid of the cell.
    levels
        How many overviews lie inside.
    layers
        Pixel type of each layer, by name.
    codes
        The codes that a pixel may have.
    ownership
        How the tiles around share the map.
    area
        The area of interest; None for whole tiles.
    blocks
        The files of the blocks that reach into the cell, with the digest of their families.
    missing_blocks
        Which blocks are missing, where a map with holes is accepted.
    map_grid, cell
        Grid of the map, and where the cell lies on it.
    families
        Of each tile around the families of blocks that make the map, see `block_family`.
    block_shapes
        Of each tile the rows and columns of its largest block.
    greatest
        Greatest value of each band that is requested beside these three; None where none is.
    allow_partial
        Accept a map with holes.
    """

    grid: GeoBox
    levels: int
    layers: Mapping[str, PixelType]
    codes: tuple[int, ...]
    ownership: Ownership
    area: AreaOfTask | None = file_part(if_set=True)
    blocks: Inputs = reads()
    missing_blocks: Input | None = reads("missing blocks")
    map_grid: GeoBox = place()
    cell: Cell = place()
    families: Mapping[str, tuple[str, ...]] = place()
    block_shapes: Mapping[str, tuple[int, int]] = place()
    allow_partial: bool = place()
    greatest: Mapping[str, int] | None = place(default=None)


def make_cell(job: CellJob, task: Task) -> Summary:
    """Make all layers of a cell; each block is decoded once.

    Raises
    ------
    InputDataError
        If blocks are missing and the configuration does not accept a partial map, or if
        blocks hold values that a layer cannot have.
    """
    layers, holes, damaged = _filled(job, task)
    for name, layer in layers.items():
        _check(job, task, name, layer)
    if holes.pixels:
        _refuse_holes(job, task, holes, damaged)
    for layer, output in zip(layers.values(), task.outputs, strict=True):
        layer.write(task.run_dir / output)
    counts = {
        name: {str(code): n for code, n in layer.histogram.items() if code != layer.pixels.nodata}
        for name, layer in layers.items()
        if layer.pixels.overviews == Resampling.mode.name and name != CLASS.name
    }
    return {
        "missing_pixels": holes.pixels,
        "missing_blocks": sorted(holes.blocks),
        "valued_pixels": {name: _valued(job, layer) for name, layer in layers.items()},
        "pixels": {str(code): n for code, n in layers[CLASS.name].histogram.items() if code},
        **({"counts": counts} if counts else {}),
    }


def _filled(job: CellJob, task: Task) -> tuple[dict[str, CellLayer], Holes, dict[Path, str]]:
    """Return the layers with all pixels, what is missing, and which blocks cannot be used."""
    grids = {tile: job.ownership.grids[tile] for tile in job.families}
    cache = BlockCache(len(job.layers))
    blocks = {tile: _open(job, task, tile, cache) for tile in grids}
    areas = {} if job.area is None else {t: job.area.mask(grid) for t, grid in grids.items()}
    nodata = [pixels.nodata for pixels in job.layers.values()]
    mosaic = Mosaic(job.grid, job.ownership, nodata, blocks, job.block_shapes, areas)
    layers = {name: CellLayer(job.grid, pixels, job.levels) for name, pixels in job.layers.items()}
    for strip in strips_of(job.grid, WINDOW_PX):
        values = np.concatenate([mosaic.read(window) for window in strip], axis=2)
        for layer, one in zip(layers.values(), values, strict=True):
            layer.add(one)
    damaged = {path: why for source in blocks.values() for path, why in source.damaged.items()}
    return layers, mosaic.holes, damaged


def _valued(job: CellJob, layer: CellLayer) -> int:
    total = int(job.grid.shape[0]) * int(job.grid.shape[1])
    return total - layer.histogram.get(layer.pixels.nodata, 0)


def _open(job: CellJob, task: Task, tile: str, cache: BlockCache) -> TileBlocks:
    grid, families = job.ownership.grids[tile], job.families[tile]
    folder = task.run_dir / BLOCKS / tile
    window = TileWindow(*window_in_tile(job.grid, grid))
    shape = job.block_shapes[tile]
    near = committed_blocks(folder, tile, families, lambda path: window.may_hold(path, shape))
    bands = [pixels.band for pixels in job.layers.values()]
    return TileBlocks(
        grid, near, bands, window, cache, lambda: committed_blocks(folder, tile, families)
    )


def _check(job: CellJob, task: Task, name: str, layer: CellLayer) -> None:
    """Refuse values that would be cut to the type of the raster or have no name."""
    if name == CLASS.name:
        allowed: Any = {NODATA_CODE, *job.codes}
    elif name == CONFIDENCE.name:
        allowed = range(101)
    elif job.greatest and name in job.greatest:
        allowed = {layer.pixels.nodata, *range(job.greatest[name] + 1)}
    else:
        return
    unknown = [value for value in layer.histogram if value not in allowed]
    problems = Problems()
    if unknown:
        problems.error(
            "E-MAP-VALUES",
            f"the blocks hold values {unknown[:10]} that a {name} map cannot have",
            task.run_dir / BLOCKS,
            "remove the folder of the blocks and run again",
        )
    problems.raise_errors(InputDataError)


def _refuse_holes(job: CellJob, task: Task, holes: Holes, damaged: Mapping[Any, str]) -> None:
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
        task.run_dir / BLOCKS,
        "run again to make the missing blocks, or accept holes with `map.allow_partial: true`",
    )
    problems.raise_errors(InputDataError)
