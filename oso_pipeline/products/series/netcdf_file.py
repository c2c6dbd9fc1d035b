"""A NetCDF-4 file of the series of a tile at one resolution (CF 1.11, ACDD 1.3)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from oso_pipeline.core.commit import verified
from oso_pipeline.products.series.cf import (
    GRID_MAPPING,
    Coordinate,
    coordinate_names,
    dimension_of,
    grid_mapping_attributes,
    place_coordinates,
    step_coordinates,
    variable_attributes,
)
from oso_pipeline.products.series.chunking import Chunks, chunk_of
from oso_pipeline.products.series.discovery import About, global_attributes
from oso_pipeline.products.series.extra import netcdf4
from oso_pipeline.products.series.tile_series import TileSeries, Window, windows
from oso_pipeline.timeseries.series_layout import SeriesLayout, Variable

_LEVEL = 1
"""Of zlib, after the shuffle filter: the fastest."""
BUDGET_BYTES = 64 * 2**20
"""Of the window in memory."""


def write_netcdf(
    path: Path, series: TileSeries, resolution_m: int, chunks: Chunks, about: About
) -> None:
    """Publish the variables of one resolution, all or nothing, after reading them back whole.

    Equal blocks make equal bytes with the same versions of the libraries. Memory is bounded by
    `BUDGET_BYTES`, or by one chunk where that is larger, and the index of the file.

    Parameters
    ----------
    path
        Where to.
    series
        The blocks of the tile.
    resolution_m
        10 or 20.
    chunks
        Whether a chunk is a map or a series.
    about
        Origin of the file.

    Raises
    ------
    InputDataError
        If a block cannot be read (``E-SERIES-BLOCK``), or days do not ascend (``E-SERIES-TIME``).
    EnvironmentFailure
        If the system refuses to write (``E-DISK``), or the library is missing
        (``E-SERIES-EXTRA``).
    """
    layout = series.layout.of_resolution(resolution_m)
    steps = step_coordinates(layout)
    grid = series.grid(resolution_m)
    checksums: dict[str, int] = {}

    def write(temporary: Path) -> None:
        with _opened(temporary, "w") as target:
            attributes = global_attributes(about, series.window.tile, grid, layout)
            target.setncatts(attributes | {"coordinates": coordinate_names(steps.values())})
            for coordinate in (*steps.values(), *place_coordinates(grid)):
                _write_coordinate(target, coordinate)
            mapping = target.createVariable(GRID_MAPPING, "i4")
            mapping.setncatts(grid_mapping_attributes(grid))
            mapping[...] = 0
            for variable in layout.variables:
                stored = _created(target, variable, layout, series.shape(variable), chunks)
                checksums[variable.name] = _filled(stored, variable, series, chunks)

    def check(temporary: Path) -> None:
        with _opened(temporary, "r") as source:
            for variable in layout.variables:
                stored = source[variable.name]
                stored.set_auto_maskandscale(False)
                checksum = 0
                for window in _windows(series.shape(variable), variable, chunks):
                    values = np.ascontiguousarray(stored[_index(window, variable)])
                    checksum = zlib.crc32(values.data, checksum)
                if checksum != checksums[variable.name]:
                    raise OSError(f"{variable.name} does not read back as it was written")

    netcdf4()
    verified(write, check, path)


def _created(
    target: Any,
    variable: Variable,
    layout: SeriesLayout,
    shape: tuple[int, int, int],
    chunks: Chunks,
) -> Any:
    """Return a new variable of a file, without values."""
    attributes = variable_attributes(variable, layout.names)
    chunk, skipped = chunk_of(shape, chunks), 0 if variable.axis else 1
    stored = target.createVariable(
        variable.name,
        variable.dtype,
        (dimension_of(layout, variable.axis), "y", "x")[skipped:],
        compression="zlib",
        complevel=_LEVEL,
        shuffle=True,
        chunksizes=chunk[skipped:],
        fill_value=attributes.pop("_FillValue", None),
        chunk_cache=2 * int(np.prod(chunk)) * np.dtype(variable.dtype).itemsize,
    )
    stored.setncatts(attributes)
    stored.set_auto_maskandscale(False)
    return stored


def _filled(stored: Any, variable: Variable, series: TileSeries, chunks: Chunks) -> int:
    """Write the values of a variable; return their CRC-32 in the order of the windows."""
    checksum = 0
    for window in _windows(series.shape(variable), variable, chunks):
        values = series.read(variable, window)
        stored[_index(window, variable)] = values if variable.axis else values[0]
        checksum = zlib.crc32(values.data, checksum)
    return checksum


def _windows(shape: tuple[int, int, int], variable: Variable, chunks: Chunks) -> Iterator[Window]:
    itemsize = np.dtype(variable.dtype).itemsize
    return windows(shape, chunk_of(shape, chunks), itemsize, BUDGET_BYTES)


def _index(window: Window, variable: Variable) -> tuple[slice, ...]:
    """Return a window as an index of a variable, which has no steps if it has one layer."""
    return window.of if variable.axis else window.of[1:]


def _write_coordinate(target: Any, coordinate: Coordinate) -> None:
    name = coordinate.name
    target.createDimension(name, len(coordinate.values))
    stored = target.createVariable(name, coordinate.values.dtype, (name,), fill_value=False)
    stored.setncatts(coordinate.attributes)
    stored[:] = coordinate.values
    if coordinate.bounds is not None:
        if "bnds" not in target.dimensions:
            target.createDimension("bnds", 2)
        dtype = coordinate.bounds.dtype
        edges = target.createVariable(f"{name}_bounds", dtype, (name, "bnds"), fill_value=False)
        edges[:] = coordinate.bounds


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[Any]:
    """Give a dataset; the library's errors are those of the system that caused them."""
    try:
        with netcdf4().Dataset(path, mode, format="NETCDF4") as dataset:
            yield dataset
    except RuntimeError as error:  # "NetCDF: HDF error", also where the disk is full
        raise OSError(f"the NetCDF library failed: {error}") from error
