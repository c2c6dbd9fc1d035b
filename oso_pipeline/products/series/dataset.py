"""The series of a tile as a lazy dataset of physical values, a chunk per block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import numpy.typing as npt
import rioxarray  # noqa: F401  (registers the accessor `rio`)
import xarray as xr

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import Problem, UnknownName
from oso_pipeline.products.series.cf import (
    Coordinate,
    dimension_of,
    place_coordinates,
    step_coordinates,
    variable_attributes,
)
from oso_pipeline.products.series.tile_series import TileSeries
from oso_pipeline.timeseries.series_block_file import read_series_block
from oso_pipeline.timeseries.series_layout import (
    SeriesBlock,
    SeriesLayout,
    Variable,
    rows_and_columns,
)

_OF_STORED = ("_FillValue", "scale_factor", "add_offset", "valid_range", "coverage_content_type")
"""Attributes about the stored integers, which the physical values have no more."""

Source = Callable[[Block], SeriesBlock]
"""Computes the series of a block."""


@dataclass(frozen=True)
class _Chunks:
    """How blocks make up an array: edges of rows and columns, and the block at each place."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    blocks: Mapping[tuple[int, int], int]

    @classmethod
    def of(cls, blocks: Sequence[Block], window: Block) -> _Chunks:
        rows = sorted({one.row for one in blocks})
        columns = sorted({one.column for one in blocks})
        places = {
            (rows.index(one.row), columns.index(one.column)): number
            for number, one in enumerate(blocks)
        }
        return cls(
            (*rows, window.row + window.height), (*columns, window.column + window.width), places
        )


def dataset_of(
    series: TileSeries, names: Iterable[str] | None = None, source: Source | None = None
) -> xr.Dataset:
    """Return the series of a tile; nothing is read yet.

    Parameters
    ----------
    series
        The blocks.
    names
        Variables; all by default.
    source
        Computes a block, where the files of the blocks are not there.

    Returns
    -------
    Dataset
        A variable each, of dimensions ``(time, y, x)``, ``(season, y, x)`` and so on. Physical
        values are float32 with NaN; flags and counts without fill value stay integers. Variables
        of 20 m beside those of 10 m lie on the grid of 10 m, each pixel repeated, and their
        attribute ``resolution_m`` says 20.

    Raises
    ------
    UnknownName
        If a variable is not there (``E-NAME-VARIABLE``).
    InputDataError
        If days do not ascend (``E-SERIES-TIME``).
    """
    layout = _chosen(series.layout, names)
    finest = layout.resolutions_m[0]
    steps = step_coordinates(layout)
    grid = series.grid(finest)
    chunks = _Chunks.of([block for block, _ in series.blocks], series.window)
    # A block that is computed is computed once for all its variables.
    computed = None if source is None else [dask.delayed(source)(b) for b, _ in series.blocks]
    arrays = {}
    for variable in layout.variables:
        data = _array(series, variable, chunks, finest, computed)
        dimensions: tuple[str, ...] = (dimension_of(layout, variable.axis), "y", "x")
        if not variable.axis:
            data, dimensions = data[0], dimensions[1:]
        arrays[variable.name] = xr.Variable(dimensions, data, _attributes(variable, layout))
    places = [_coordinate(one) for one in (*steps.values(), *place_coordinates(grid))]
    found = xr.Dataset(arrays, dict(places), {"tile": series.window.tile})
    return found.rio.write_crs(int(grid.crs.epsg)).rio.write_transform(grid.affine)


def _chosen(layout: SeriesLayout, names: Iterable[str] | None) -> SeriesLayout:
    wanted = layout.names if names is None else tuple(names)
    if unknown := [name for name in wanted if name not in layout.names]:
        raise UnknownName(
            Problem(
                "E-NAME-VARIABLE",
                f"found variable {unknown[0]!r}, expected some of {', '.join(layout.names)}",
                hint="set `series.variables` in the configuration",
            )
        )
    return layout.only(wanted)


def _array(
    series: TileSeries,
    variable: Variable,
    chunks: _Chunks,
    finest: int,
    computed: Sequence[Any] | None,
) -> da.Array:
    """Return a variable on the finest grid."""
    steps = series.layout.steps(variable.axis)
    dtype = _dtype(variable)
    grid = []
    for row, (top, bottom) in enumerate(zip(chunks.rows, chunks.rows[1:], strict=False)):
        line = []
        for column, (left, right) in enumerate(
            zip(chunks.columns, chunks.columns[1:], strict=False)
        ):
            place = Block("", top, left, bottom - top, right - left)
            shape = (steps, *rows_and_columns(place, finest))
            number = chunks.blocks.get((row, column))
            if number is None:
                empty = np.nan if dtype.kind == "f" else 0
                line.append(da.full(shape, empty, dtype=dtype, chunks=shape))
                continue
            if computed is None:
                part = dask.delayed(_read, pure=True)(series.blocks[number][1], variable, shape)
            else:
                part = dask.delayed(_taken, pure=True)(computed[number], variable, shape)
            line.append(da.from_delayed(part, shape, dtype=dtype))
        grid.append(line)
    array: da.Array = da.block(grid)
    return array


def _read(path: Path, variable: Variable, shape: tuple[int, int, int]) -> npt.NDArray[Any]:
    return _taken(read_series_block(path, [variable.name]), variable, shape)


def _taken(block: SeriesBlock, variable: Variable, shape: tuple[int, int, int]) -> npt.NDArray[Any]:
    """Return a variable of a block as it is shown, coarse pixels repeated up to a shape."""
    stored = block.values[variable.name]
    values: npt.NDArray[Any] = variable.physical(stored) if _is_physical(variable) else stored
    if stored.shape != shape:
        values = values.repeat(2, axis=1).repeat(2, axis=2)[:, : shape[1], : shape[2]]
    return values


def _is_physical(variable: Variable) -> bool:
    """Whether values change: flags and plain counts stay the integers that they are."""
    if variable.flag_values or variable.flag_masks:
        return False
    return variable.fill is not None or variable.scale != 1 or variable.offset != 0


def _dtype(variable: Variable) -> np.dtype[Any]:
    return np.dtype(np.float32 if _is_physical(variable) else variable.dtype)


def _attributes(variable: Variable, layout: SeriesLayout) -> dict[str, Any]:
    found = variable_attributes(variable, layout.names)
    kept = {name: value for name, value in found.items() if name not in _OF_STORED}
    return kept | {"resolution_m": variable.resolution_m}


def _coordinate(one: Coordinate) -> tuple[str, xr.Variable]:
    """Return a coordinate; days become dates."""
    attributes = dict(one.attributes)
    values = one.values
    if attributes.get("standard_name") == "time":
        values = values.astype("datetime64[D]").astype("datetime64[ns]")
        for name in ("units", "calendar", "units_metadata", "bounds"):
            attributes.pop(name, None)
    return one.name, xr.Variable((one.name,), values, attributes)
