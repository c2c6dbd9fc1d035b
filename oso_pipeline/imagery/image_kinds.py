"""Kinds of image sources: which GDAL driver opens each, and whether blocks are read from it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Literal

Kind = Literal["tiff", "jp2", "zarr", "remote"]
"""GeoTIFF; JPEG 2000; an array of a Zarr store, as GDAL names it; a URL."""

DRIVERS: dict[Kind, str] = {"tiff": "GTiff", "jp2": "JP2OpenJPEG", "zarr": "Zarr"}
"""The one GDAL driver of each kind that is opened; no other is tried."""

IN_PLACE: frozenset[Kind] = frozenset({"tiff", "jp2"})
"""Kinds from which blocks can be read; the others are copied first."""

_URLS = ("https://", "http://", "s3://")


def kind_of(source: Path | str) -> Kind:
    """Return the kind of a source, by its name.

    Examples
    --------
    >>> kind_of("B2.tif"), kind_of("T31TCJ_20180105T105435_B02_10m.jp2")
    ('tiff', 'jp2')
    >>> kind_of('ZARR:"/data/x.zarr":/measurements/reflectance/r10m/b02')
    'zarr'
    >>> kind_of("https://example.org/B02.tif")
    'remote'
    """
    name = str(source)
    if name.startswith("ZARR:"):
        return "zarr"
    if name.startswith(_URLS):
        return "remote"
    return "jp2" if PurePosixPath(name).suffix.lower() == ".jp2" else "tiff"
