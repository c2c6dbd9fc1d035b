"""A Zarr store of the series of a tile at one resolution, as a folder that appears whole.

Zarr 2 with consolidated metadata: xarray with zarr 2 and 3, GDAL and the readers of R and Julia
open it, while consolidated metadata of Zarr 3 are not in its specification yet
(https://zarr-specs.readthedocs.io). Blosc with zstd is the codec of EOPF products, too.

The list of its files, see `core.file_lists`, is what a task commits: a store without a committed
list is not whole.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.commit import (
    publish_bytes,
    publish_folder,
    refused,
    temporary_beside,
    writing_into,
)
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.file_lists import folder_of, list_of
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
from oso_pipeline.products.series.extra import zarr
from oso_pipeline.products.series.tile_series import TileSeries, windows

BUDGET_BYTES = 64 * 2**20
"""Of the window in memory."""


def write_zarr(
    listing: Path, series: TileSeries, resolution_m: int, chunks: Chunks, about: About
) -> int:
    """Publish a store, then the list of its files; return their size in bytes.

    The store is written beside its place, read back whole, and moved there at once. One that this
    run has made is replaced.

    Parameters
    ----------
    listing
        The list; see `core.file_lists`.
    series
        The blocks of the tile.
    resolution_m
        10 or 20.
    chunks
        Whether a chunk is a map or a series.
    about
        Origin of the store.

    Raises
    ------
    InputDataError
        If something else lies where the store goes (``E-SERIES-EXISTS``); if a block cannot be
        read (``E-SERIES-BLOCK``), or days do not ascend (``E-SERIES-TIME``).
    EnvironmentFailure
        If the system refuses to write (``E-DISK``, ``E-FOLDER``), or the library is missing
        (``E-SERIES-EXTRA``).
    """
    store = folder_of(listing)
    identifier = about.identifier(series.window.tile, resolution_m)
    require_own(store, identifier)
    temporary, aside = temporary_beside(store), temporary_beside(store)
    with writing_into(store.parent):
        store.parent.mkdir(parents=True, exist_ok=True)
    try:
        _fill(temporary, series, resolution_m, chunks, about)
        lines = list_of(temporary, store.name)
        listing.unlink(missing_ok=True)
        publish_folder(temporary, store, aside)
    except OSError as error:
        raise refused(store, temporary, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
    publish_bytes(listing, lines.encode())
    return sum(path.stat().st_size for path in store.rglob("*") if path.is_file())


def require_own(store: Path, identifier: str) -> None:
    """Refuse to replace what no task of this run and tile has made.

    Parameters
    ----------
    store
        Where a store goes.
    identifier
        Its ``id``.

    Raises
    ------
    InputDataError
        If something else is there (``E-SERIES-EXISTS``).
    """
    if not os.path.lexists(store):
        return
    try:
        content = json.loads((store / ".zattrs").read_text(encoding="utf-8"))
        found = str(content.get("id"))
    except (OSError, ValueError, AttributeError):
        found = "no store of series"
    if found != identifier:
        raise InputDataError(
            Problem(
                "E-SERIES-EXISTS",
                f"found {found} where store {identifier} is to be written",
                str(store),
                "move it away, or give the run another `run_dir`",
            )
        )


def _fill(
    folder: Path, series: TileSeries, resolution_m: int, chunks: Chunks, about: About
) -> None:
    """Write a store, and compare it with what was written."""
    layout = series.layout.of_resolution(resolution_m)
    steps = step_coordinates(layout)
    grid = series.grid(resolution_m)
    library = zarr()
    root = library.open_group(str(folder), mode="w-", zarr_format=2)
    attributes = global_attributes(about, series.window.tile, grid, layout)
    root.attrs.update(attributes | {"coordinates": coordinate_names(steps.values())})
    for coordinate in (*steps.values(), *place_coordinates(grid)):
        _write_coordinate(root, coordinate)
    mapping = _created(root, GRID_MAPPING, np.zeros((), np.int32), ())
    mapping.attrs.update(grid_mapping_attributes(grid))
    codec = _codec()
    for variable in layout.variables:
        shape = series.shape(variable)
        chunk, skipped = chunk_of(shape, chunks), 0 if variable.axis else 1
        names = (dimension_of(layout, variable.axis), "y", "x")[skipped:]
        attributes = variable_attributes(variable, layout.names, np.float64)
        fill = attributes.pop("_FillValue", None)
        stored = root.create_array(
            variable.name,
            shape=shape[skipped:],
            chunks=chunk[skipped:],
            dtype=variable.dtype,
            compressors=codec,
            fill_value=fill,
            attributes=_as_json(attributes) | {"_ARRAY_DIMENSIONS": list(names)},
            config={"write_empty_chunks": False},
        )
        parts = list(windows(shape, chunk, np.dtype(variable.dtype).itemsize, BUDGET_BYTES))
        written = read = 0
        for part in parts:
            values = series.read(variable, part)
            stored[part.of[skipped:]] = values if variable.axis else values[0]
            written = zlib.crc32(values.data, written)
        for part in parts:
            read = zlib.crc32(np.ascontiguousarray(stored[part.of[skipped:]]).data, read)
        if read != written:
            raise OSError(f"{variable.name} does not read back as it was written")
    library.consolidate_metadata(str(folder), zarr_format=2)


def _codec() -> Any:
    blosc = import_module("numcodecs").Blosc  # comes with zarr
    return blosc(cname="zstd", clevel=3, shuffle=blosc.SHUFFLE)


def _write_coordinate(root: Any, coordinate: Coordinate) -> None:
    stored = _created(root, coordinate.name, coordinate.values, (coordinate.name,))
    stored.attrs.update(coordinate.attributes)
    if coordinate.bounds is not None:
        edges = (coordinate.name, "bnds")
        _created(root, f"{coordinate.name}_bounds", coordinate.bounds, edges)


def _created(root: Any, name: str, values: npt.NDArray[Any], dimensions: tuple[str, ...]) -> Any:
    stored = root.create_array(
        name,
        shape=values.shape,
        chunks=values.shape,
        dtype=values.dtype,
        compressors=_codec() if values.ndim else None,
        fill_value=None,
        attributes={"_ARRAY_DIMENSIONS": list(dimensions)},
    )
    stored[...] = values
    return stored


def _as_json(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes with numbers of Python instead of those of NumPy."""
    return {
        name: value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for name, value in attributes.items()
    }
