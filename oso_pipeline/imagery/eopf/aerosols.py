"""Aerosols in an EOPF product: the forecast of CAMS for the scene, by species."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from oso_pipeline.imagery.archive import ArchiveError
from oso_pipeline.imagery.damage import UnreadableRaster, damage_as
from oso_pipeline.imagery.header import ZARR
from oso_pipeline.imagery.metadata_file import MetadataError
from oso_pipeline.imagery.zarr.array import Documents, check_sizes, gdal_folder, missing_chunks
from oso_pipeline.imagery.zarr.store import ARRAY

_GROUP = "conditions/meteorology/cams"
_ARRAYS = {
    "total": "aod550",
    "dust": "duaod550",
    "sea salt": "ssaod550",
    "organic matter": "omaod550",
    "black carbon": "bcaod550",
    "sulphate": "suaod550",
}
"""Optical depths at 550 nm, 9 x 9 values over the tile, by species; those that CAMS names
differently or adds later (nitrate, ammonium) are in the total alone."""


def forecast_of(documents: Documents) -> Mapping[str, float] | None:
    """Return the mean optical depth at 550 nm of each species, None where there is none.

    What is missing or damaged is left out: no pixel of a map depends on it.
    """
    found = {}
    for species, name in _ARRAYS.items():
        try:
            mean = _mean(documents, f"{_GROUP}/{name}")
        except (ArchiveError, MetadataError, UnreadableRaster):
            continue
        if mean is not None:
            found[species] = mean
    return found or None


def _mean(documents: Documents, name: str) -> float | None:
    info, store = documents.array(name), documents.store
    if info is None or not store.holds(f"{name}/{ARRAY}"):
        return None
    sizes = store.sizes(name)
    if missing_chunks(info, sizes):
        return None
    check_sizes(store, info, sizes)
    folder = gdal_folder(store, name)  # GDAL need not read the metadata of the whole store
    with damage_as(UnreadableRaster, "it cannot be read"), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(folder, driver=ZARR) as source:
            values = source.read(1).astype(np.float64)
    known = values[np.isfinite(values)]
    return round(float(known.mean()), 6) if known.size else None
