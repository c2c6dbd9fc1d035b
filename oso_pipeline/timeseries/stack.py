"""The features of a tile as one lazy, georeferenced array, named as those of the samples."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import numpy.typing as npt
import rioxarray  # noqa: F401  (registers the accessor `rio`)
import xarray as xr

from oso_pipeline.config import Config
from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.imagery.cache.reading import without_missing_copies
from oso_pipeline.imagery.inventory import Inventory, read_inventory
from oso_pipeline.imagery.inventory_builder import InventoryBuilder
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products
from oso_pipeline.imagery.season_check import period_of
from oso_pipeline.imagery.stage import EXTRACTED, STAGE
from oso_pipeline.tasks.file_digests import FileDigests, RememberedDigests
from oso_pipeline.tasks.stage import Stage
from oso_pipeline.tasks.task import Task
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.kernels.chunks import NODATA
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec

CHUNK_PIXELS = 65_536
"""Chunks have at least this many pixels where the tile is large enough."""


def open_features(config: Config, tile: str) -> xr.DataArray:
    """Return the gap-filled features of a tile without reading a pixel yet.

    Parameters
    ----------
    config
        The configuration.
    tile
        Name of the tile, without the leading T.

    Returns
    -------
    DataArray
        int16 of dimensions ``(feature, y, x)``, -10000 where a pixel has no clear date.

    Raises
    ------
    InputDataError
        If the tile has no usable product; or later, while computing, if an image cannot be read.
    """
    return stack_of(inventory_to_open(config, tile), ReadSpec.of(config), FeatureLayout.of(config))


def open_stack(config: Config | str | Path, tile: str) -> xr.DataArray:
    """Return what ``oso_pipeline.open_stack(config, tile, flat=True)`` returns.

    .. deprecated:: 0.2
       ``oso_pipeline.open_stack`` returns a Dataset with a variable per band and index; its
       option ``flat`` gives the features in one array.
    """
    from oso_pipeline.timeseries.dataset import open_stack as open_any

    message = "timeseries.stack.open_stack: use oso_pipeline.open_stack(config, tile, flat=True)"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return open_any(config, tile, flat=True)


def stack_of(inventory: Inventory, spec: ReadSpec, layout: FeatureLayout) -> xr.DataArray:
    """Return the features of the tile of an inventory, as `open_features` does."""
    grid = inventory.grid
    rows, columns = grid.shape
    height, width = chunk_shape((rows, columns), inventory.block_shape)
    reader = BlockReader(inventory, spec)
    # One copy of what all chunks share keeps the graph small.
    shared = dask.delayed((inventory, spec, layout), traverse=False)
    chunks: dict[int, list[da.Array]] = {}
    for block in blocks_of(inventory.tile, (rows, columns), (height, width)):
        part = da.from_delayed(
            dask.delayed(_chunk, pure=True)(shared, block),
            (layout.size, block.height, block.width),
            dtype=np.int16,
        )
        chunks.setdefault(block.row, []).append(part)
    affine = grid.affine
    stack = xr.DataArray(
        da.block(list(chunks.values())),
        dims=("feature", "y", "x"),
        coords={
            "feature": list(layout.names),
            "y": affine.f + affine.e * (np.arange(rows) + 0.5),
            "x": affine.c + affine.a * (np.arange(columns) + 0.5),
        },
        name="features",
        attrs={
            "long_name": "gap-filled reflectances (1e-4) and indices",
            "tile": inventory.tile,
            "bands": list(layout.series.bands),
            "indices": list(layout.series.indices),
            "dates": [day.isoformat() for day in layout.series.dates or ()],
            "images": len(reader.dates),
        },
    )
    return stack.rio.write_crs(grid.crs.epsg).rio.write_transform(affine).rio.write_nodata(NODATA)


def chunk_shape(grid: tuple[int, int], block: tuple[int, int]) -> tuple[int, int]:
    """Return even rows and columns of a chunk: whole blocks of the files, not too few pixels."""
    height, width = (size + size % 2 for size in block)
    while height * width < CHUNK_PIXELS and (height < grid[0] or width < grid[1]):
        # Strips grow downwards, tiled files towards squares.
        if width >= grid[1] or (height < width and height < grid[0]):
            height += block[0] + block[0] % 2
        else:
            width += block[1] + block[1] % 2
    return height, width


@dataclass(frozen=True)
class _Planning:
    """Task of the stage `inventory`, to check whether its output is up to date."""

    config: Config
    run_dir: Path
    stages: tuple[Stage, ...] = ()

    @property
    def digests(self) -> FileDigests:
        return RememberedDigests(self.run_dir)

    def tasks(self, stage: str) -> tuple[Task, ...]:
        return ()


def inventory_to_open(config: Config, tile: str) -> Inventory:
    """Return the committed inventory of the tile, or make one in memory.

    Raises
    ------
    InputDataError
        If the tile has no usable product.
    """
    # Planning this tile alone spares a look at the products of all others.
    imagery = config.imagery.model_copy(update={"tiles": (tile,)})
    only = config.model_copy(update={"imagery": imagery})
    for task in STAGE.plan(_Planning(only, config.run_dir)):
        if task.name == tile and task.commit_record() is not None:
            return without_missing_copies(read_inventory(task.output()))
    problems = Problems()
    findings = find_products(config.imagery.paths, Readers.of(config.imagery.readers), problems)
    builder = InventoryBuilder(
        Request.of(config, tile),
        period_of(config),
        config.run_dir / EXTRACTED,
        problems,
    )
    inventory = builder.build(
        findings.of_tile(tile), findings.unrecognised_of(tile, is_first=True), may_be_empty=False
    )
    problems.raise_errors(InputDataError)
    return inventory


def _chunk(
    shared: tuple[Inventory, ReadSpec, FeatureLayout], block: Block
) -> npt.NDArray[np.int16]:
    inventory, spec, layout = shared
    series = BlockReader(inventory, spec).read(block)
    features, _ = block_features(series, layout)
    return features.reshape(layout.size, block.height, block.width)
