"""Mean angles of a scene in an EOPF product: the sun in the attributes, the sensor in an array."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from oso_pipeline.imagery.angles import Angles, angles_of
from oso_pipeline.imagery.damage import UnreadableRaster, damage_as
from oso_pipeline.imagery.header import ZARR
from oso_pipeline.imagery.zarr.array import Documents, check_sizes, gdal_folder, missing_chunks
from oso_pipeline.imagery.zarr.store import ARRAY

VIEWS = "conditions/geometry/mean_viewing_incidence_angles"
"""Array of 13 bands x (zenith, azimuth), degrees. The names of the bands are text, which GDAL does
not read from such a store, so all bands are averaged; they differ by some tenths of a degree."""

_SUN = "mean_sun_{}_angle_in_deg_for_all_bands_all_detectors"


def read_angles(documents: Documents) -> Angles | None:
    """Return the angles of a product; None where it states none.

    Raises
    ------
    ArchiveError, MetadataError, UnreadableRaster
        If its metadata or the array are damaged.
    """
    other = documents.attributes().get("other_metadata")
    stated: Mapping[str, Any] = other if isinstance(other, dict) else {}
    zenith, azimuth = (_number(stated.get(_SUN.format(name))) for name in ("zenith", "azimuth"))
    views = _views(documents)
    return None if views is None else angles_of((zenith, azimuth), map(tuple, views.tolist()))


def _views(documents: Documents) -> npt.NDArray[np.float64] | None:
    """Return the array, shape ``(band, 2)``; None where it is not there."""
    info, store = documents.array(VIEWS), documents.store
    if info is None or info.shape[1] != 2 or not store.holds(f"{VIEWS}/{ARRAY}"):
        return None
    sizes = store.sizes(VIEWS)
    if missing_chunks(info, sizes):
        return None
    check_sizes(store, info, sizes)
    with damage_as(UnreadableRaster, "it cannot be read"), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        folder = gdal_folder(store, VIEWS)
        with rasterio.open(folder, driver=ZARR) as source:
            return np.asarray(source.read(1), dtype=np.float64)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
