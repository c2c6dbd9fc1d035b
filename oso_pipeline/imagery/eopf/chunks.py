"""Whether the chunks of an EOPF product are there, or rightly left out.

The format allows to leave out a chunk without data, and some writers do so beside the swath. The
scene classification shows whether there are data: where it is 0, a chunk may be missing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from oso_pipeline.imagery.archive import ArchiveError
from oso_pipeline.imagery.damage import UnreadableRaster, damage_as
from oso_pipeline.imagery.header import ZARR
from oso_pipeline.imagery.sen2cor.classes import SCL
from oso_pipeline.imagery.zarr.array import (
    ArrayInfo,
    check_sizes,
    gdal_name,
    missing_chunks,
    require_chunks,
)
from oso_pipeline.imagery.zarr.store import Store

_NO_DATA = 0


def check_chunks(store: Store, arrays: Mapping[str, ArrayInfo]) -> None:
    """Check the chunks of all arrays that are read.

    Parameters
    ----------
    store
        The store.
    arrays
        The bands and ``SCL``, by name. The classification has to be complete.

    Raises
    ------
    UnreadableRaster
        Naming each array with a chunk that is missing although there are data, or is damaged.
    """
    classes, damaged = arrays[SCL], []
    for name, info in arrays.items():
        try:
            sizes = store.sizes(info.name)
            missing = missing_chunks(info, sizes)
            if missing and name != SCL:
                missing = _with_data(store, info, missing, classes)
            require_chunks(info, missing)
            check_sizes(store, info, sizes)
            store.verify(info.name)
        except (ArchiveError, UnreadableRaster) as error:
            damaged.append(f"{info.name}: {error}")
    if damaged:
        raise UnreadableRaster("; ".join(damaged))


def _with_data(
    store: Store, info: ArrayInfo, missing: Sequence[str], classes: ArrayInfo
) -> list[str]:
    """Return which of the missing chunks lie where the classification has data."""
    zoom = info.shape[0] // classes.shape[0]
    if missing_chunks(classes, store.sizes(classes.name)) or info.shape != (
        zoom * classes.shape[0],
        zoom * classes.shape[1],
    ):
        return list(missing)  # nothing is known about them
    name = gdal_name(store, classes.name)
    try:
        return [one for one in missing if _window(name, info, one, zoom).any()]
    except UnreadableRaster:
        return list(missing)


def _window(name: str, info: ArrayInfo, chunk: str, zoom: int) -> npt.NDArray[np.bool_]:
    """Return where the classification has data within a chunk of an array."""
    ranges = tuple((p.start // zoom, -(-p.stop // zoom)) for p in info.pixels_of(chunk))
    with (
        damage_as(UnreadableRaster, "the classification cannot be read"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(name, driver=ZARR) as source:
            seen: npt.NDArray[np.bool_] = source.read(1, window=ranges) != _NO_DATA
    return seen
