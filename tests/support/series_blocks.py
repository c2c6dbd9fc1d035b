"""Blocks of series made by hand: two rows of two blocks, the last ones smaller."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.products.series.discovery import About
from oso_pipeline.products.series.tile_series import TileSeries
from oso_pipeline.timeseries.series_block_file import series_file_of, write_series_block
from oso_pipeline.timeseries.series_layout import SeriesBlock, SeriesLayout, Variable

TILE = "31TCJ"
FLAGS = ("input_out_of_range", "output_at_minimum", "output_at_maximum")
VARIABLES = (
    Variable(
        "NDVI", "normalised difference vegetation index", "1", "time", "int16", 10,
        scale=1e-3, fill=-10000, standard_name="normalized_difference_vegetation_index",
        valid_range=(-1000, 1000), ancillary=("clear_dates", "nearest_clear_days"),
    ),
    Variable("clear_dates", "number of clear dates", "1", "", "uint16", 10),
    Variable(
        "nearest_clear_days", "days to the nearest clear date", "days", "time", "uint16", 10,
        fill=65535,
    ),
    Variable("NDVI_mean_month", "monthly mean", "1", "month", "int16", 10, scale=1e-3, fill=-10000),
    Variable("SOSV", "NDVI at the start", "1", "season", "uint16", 10, scale=1e-4, fill=32768),
    Variable(
        "LAI", "leaf area index", "1", "time", "int16", 20, scale=1e-3, fill=-10000,
        standard_name="leaf_area_index", ancillary=("LAI_flags",),
    ),
    Variable(
        "LAI_flags", "quality of the leaf area index", "1", "time", "uint8", 20,
        standard_name="quality_flag", flag_masks=(1, 2, 4), flag_meanings=FLAGS,
    ),
)  # fmt: skip
LAYOUT = SeriesLayout(
    VARIABLES,
    dates=tuple(date(2018, 1, 1 + 10 * n) for n in range(4)),
    months=(date(2018, 1, 1), date(2018, 12, 1)),
    n_seasons=2,
)
ABOUT = About("0123456789ab", "demo", "Sentinel-2 surface reflectances", "made by hand")
GRID = GeoBox.from_bbox(
    (300_000, 4_800_000 - 610, 300_000 + 700, 4_800_000), "EPSG:32631", resolution=10
)


def values_of(block: Block, layout: SeriesLayout) -> SeriesBlock:
    draw = np.random.default_rng(block.row * 1000 + block.column)
    found = {}
    for one in layout.variables:
        shape = layout.shape(one, block)
        low, high = (-200, 1000) if one.dtype == "int16" else (0, 8)
        array = draw.integers(low, high, shape).astype(one.dtype)
        if one.fill is not None:
            array[draw.random(shape) < 0.2] = one.fill
        found[one.name] = array
    return SeriesBlock(found)


def series_in(
    folder: Path, layout: SeriesLayout = LAYOUT, skipped: int = 0, side: tuple[int, int] = (61, 70)
) -> TileSeries:
    """Write the blocks of a small tile below a folder, but for the first ones."""
    grid = GRID[: side[0], : side[1]]
    blocks = blocks_of(TILE, side, (32, 40))[skipped:]
    files = []
    for block in blocks:
        path = folder / series_file_of(block)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_series_block(path, values_of(block, layout), layout, block)
        files.append((block, path))
    return TileSeries(grid, layout, tuple(files))


def whole(series: TileSeries, name: str) -> np.ndarray:
    """Return the stored integers of a variable, put together without the code under test."""
    variable = series.layout[name]
    part = variable.resolution_m // 10
    first_row, first_column = series.window.row // part, series.window.column // part
    steps, rows, columns = series.shape(variable)
    found = np.full((steps, rows, columns), variable.fill or 0, variable.dtype)
    for block, _ in series.blocks:
        values = values_of(block, series.layout).values[name]
        top, left = block.row // part - first_row, block.column // part - first_column
        found[:, top : top + values.shape[1], left : left + values.shape[2]] = values
    return found
