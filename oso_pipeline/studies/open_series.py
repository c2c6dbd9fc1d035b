"""The series of a tile in Python: from what a run has committed, or straight from products."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from oso_pipeline.config import Config
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.series import BIOPHYSICAL, Series
from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.errors import InputDataError, Problem, UnknownName
from oso_pipeline.core.indices import INDICES
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.angles import Angles, stated_angles
from oso_pipeline.imagery.inventory import Inventory
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.products.series.check import check_series
from oso_pipeline.products.series.dataset import dataset_of
from oso_pipeline.products.series.files_stage import block_job
from oso_pipeline.products.series.tile_series import TileSeries
from oso_pipeline.runtime import session
from oso_pipeline.studies.opened_run import Run, opened
from oso_pipeline.tasks.task import tile_of
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.series_block_file import read_series_layout
from oso_pipeline.timeseries.series_layout import SeriesBlock
from oso_pipeline.timeseries.series_of_block import SeriesRecipe, series_of_block
from oso_pipeline.timeseries.series_variables import series_layout
from oso_pipeline.timeseries.stack import chunk_shape, inventory_to_open
from oso_pipeline.vectors.area_of_interest import AreaOfTask

PathLike = str | os.PathLike[str]


def open_series(
    run_or_config: Run | Config | PathLike,
    tile: str | None = None,
    variables: Iterable[str] | None = None,
) -> xr.Dataset:
    """Open the series of a tile as physical values; no pixel is read yet.

    If the run has committed all blocks of the tile with these variables, their files are read, a
    chunk per block. Otherwise blocks are computed from the products as `oso series` computes them,
    as the section ``series`` says; without one, `variables` are gap-filled on the dates of
    ``season``. As `open_stack`, this extracts files from archives into the run folder where it has
    to. To compute one pixel computes its chunk. Works with any dask scheduler whose workers see
    the files.

    Parameters
    ----------
    run_or_config
        A run, its folder, a configuration, or the path of its YAML file.
    tile
        The tile, with or without the leading T; may be left out where there is one only.
    variables
        Names of variables, for example ``["NDVI", "LAI"]``; all by default.

    Returns
    -------
    Dataset
        A variable each, of dimensions ``(time, y, x)``, or with ``month`` or ``season`` in place of
        ``time``, or ``(y, x)``. Physical values are float32 with NaN where there is none; flags
        and counts stay integers. ``time`` holds dates, ``x`` and ``y`` centres of pixels in
        metres, ``series.rio.crs`` is the coordinate system. Variables of 20 m that are opened
        beside those of 10 m are repeated on the grid of 10 m; opened alone they keep their own.

    Raises
    ------
    ConfigError
        If the configuration cannot be used.
    InputDataError
        If the tile has no usable product; or later, while computing, if a file cannot be read.
    UnknownName
        If there is no such tile or variable (``E-NAME-TILE``, ``E-NAME-VARIABLE``).

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> series = oso.open_series("demo/one_year.yaml", "31UCU", ["NDVI"])
    >>> series.NDVI.dims, series.NDVI.dtype
    (('time', 'y', 'x'), dtype('float32'))
    >>> series.rio.crs.to_epsg(), str(series.time.dtype)[:10]
    (32631, 'datetime64')
    >>> bool(series.NDVI.isel(y=60, x=60).max() <= 1)
    True
    """
    config = _config(run_or_config)
    name = _tile(config, tile)
    wanted = None if variables is None else tuple(variables)
    config = _with_section(config, wanted)
    assert config.series is not None
    check_series(config, config.series).raise_errors(InputDataError)
    committed = _committed(config, name)
    if committed is not None:
        return dataset_of(committed, wanted)
    source = _Products.of(config, name)
    blocks = tuple((block, Path()) for block in source.blocks(config))
    if not blocks:
        message = f"the area of interest holds no pixel centre of tile {name}"
        raise InputDataError(Problem("E-AREA-EMPTY", message, hint="open another tile"))
    series = TileSeries(source.inventory.grid, source.made.layout, blocks)
    return dataset_of(series, wanted, source.compute)


@dataclass(frozen=True)
class _Products:
    """The images of a tile, and what is made of them."""

    inventory: Inventory
    read: ReadSpec
    made: SeriesRecipe
    angles: dict[str, Angles]
    area: AreaOfTask | None

    @classmethod
    def of(cls, config: Config, tile: str) -> _Products:
        series = config.series
        assert series is not None
        inventory, read = inventory_to_open(config, tile), ReadSpec.of(config)
        days = BlockReader(inventory, read).dates
        layout = series_layout(series, config.season.grid.dates, days)
        angles = _angles(config, inventory) if series.biophysical_variables else {}
        made = SeriesRecipe(series, read.bands, layout)
        return cls(inventory, read, made, angles, AreaOfTask.of(config.map.area))

    def blocks(self, config: Config) -> list[Block]:
        """List small blocks with a pixel of the area."""
        grid = self.inventory.grid
        shape = (int(grid.shape[0]), int(grid.shape[1]))
        blocks = blocks_of(
            self.inventory.tile, shape, chunk_shape(shape, self.inventory.block_shape)
        )
        if self.area is None:
            return blocks
        mask = self.area.mask(grid)
        return [block for block in blocks if mask.block(block).any()]

    def compute(self, block: Block) -> SeriesBlock:
        """Return the series of a block."""
        images = BlockReader(self.inventory, self.read).read(block)
        angles = [self.angles[name] for name in images.products] if self.angles else []
        return series_of_block(images, self.made, angles)


def _angles(config: Config, inventory: Inventory) -> dict[str, Angles]:
    """Return the angles of each product, all of which must state them."""
    readers = Readers.of(config.imagery.readers)
    found: dict[str, Angles] = {}
    for item in inventory.acquisitions:
        stated = stated_angles(readers[item.family], item)
        if stated is None or not stated.is_possible:
            raise InputDataError(
                Problem(
                    "E-SERIES-ANGLES",
                    f"the metadata of {item.product_id} state no angles of sun and sensor, which "
                    f"{', '.join(BIOPHYSICAL)} need",
                    hint="open other variables, or take the product out of the folders",
                )
            )
        found[item.product_id] = stated
    return found


def _committed(config: Config, tile: str) -> TileSeries | None:
    """Return the blocks of the tile if the run has committed all of them, as configured now."""
    tasks = [task for task in session.planner_of(config).tasks("series") if tile_of(task) == tile]
    if not tasks or any(task.commit_record() is None for task in tasks):
        return None
    blocks = tuple((block_job(task).block, task.output()) for task in tasks)
    layout, _ = read_series_layout(blocks[0][1])
    return TileSeries(block_job(tasks[0]).grid, layout, blocks)


def _config(given: Run | Config | PathLike) -> Config:
    if isinstance(given, Run):
        return given.config
    if isinstance(given, Config):
        return given
    path = Path(given)
    return opened(path).config if path.is_dir() else load_config(path)


def _with_section(config: Config, wanted: tuple[str, ...] | None) -> Config:
    """Return a configuration whose section ``series`` holds the variables that are wanted."""
    section = config.series
    known = series_layout(section, config.season.grid.dates, ()).names if section else ()
    if section is not None and (wanted is None or set(wanted) <= set(known)):
        return config
    plain = (*SENTINEL2.names, *INDICES, *BIOPHYSICAL)
    if unknown := [name for name in wanted or () if name not in plain and name not in known]:
        raise UnknownName(
            Problem(
                "E-NAME-VARIABLE",
                f"found variable {unknown[0]!r}, expected some of {', '.join((*known, *plain))}",
                hint="set `series.variables` in the configuration for derived variables",
            )
        )
    section = Series() if wanted is None else Series(variables=[n for n in wanted if n in plain])
    return config.model_copy(update={"series": section})


def _tile(config: Config, tile: str | None) -> str:
    tiles = config.imagery.tiles
    if tile is None and len(tiles) != 1:
        message = f"found no tile, expected one of {', '.join(tiles)}"
        raise UnknownName(Problem("E-NAME-TILE", message))
    try:
        return Tile.parse(tile or tiles[0]).name
    except ValueError as error:
        raise UnknownName(Problem("E-NAME-TILE", str(error))) from error
