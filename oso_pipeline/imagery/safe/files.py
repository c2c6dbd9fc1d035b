"""The files of a SAFE product: which they are, in a whole product or in what was cut from one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from oso_pipeline.imagery.angles import Angles
from oso_pipeline.imagery.archive import ArchiveError, Contents
from oso_pipeline.imagery.file_names import AllowList
from oso_pipeline.imagery.metadata_file import MAX_BYTES, MetadataError
from oso_pipeline.imagery.safe.metadata import (
    Metadata,
    TileMetadata,
    parse_metadata,
    parse_tile_metadata,
)
from oso_pipeline.imagery.sen2cor.angles import parse_granule_angles

METADATA = re.compile(r"^MTD_MSIL2A\.xml$", re.IGNORECASE)
"""Name of the metadata file; one archive writes ``MTD_MSIL2a.xml``."""

OF_LEVEL_1 = re.compile(r"^MTD_MSIL1C\.xml$", re.IGNORECASE)
"""Name of the metadata file of a product that is not corrected for the atmosphere."""

_TILE_METADATA = re.compile(r"^MTD_TL\.xml$", re.IGNORECASE)
_IMAGE = r"_(?:{name})_{resolution}m\.(?:jp2|tiff?)$"
_IMAGES = _IMAGE.format(name=r"B\d[\dA]|SCL", resolution="[12]0")

NEEDED = AllowList(
    re.compile(rf"{_IMAGES}|^MTD_MSIL(?:1C|2A)\.xml$|^MTD_TL\.xml$", re.IGNORECASE),
    folders=(
        "GRANULE/*",
        "GRANULE/*/IMG_DATA/R10m",
        "GRANULE/*/IMG_DATA/R20m",
        "IMG_DATA/R10m",
        "IMG_DATA/R20m",
        "R10m",
        "R20m",
    ),
)
"""The files of a product that are ever read; the last folders are those of a granule alone."""

DAMAGE = (ArchiveError, MetadataError)
"""What is a fault of the product; errors of the system, such as a full disk, are not."""


def read_metadata(contents: Contents) -> Metadata:
    """Return what the metadata file of a product says.

    Raises
    ------
    ArchiveError
        If there is none, or it cannot be read.
    MetadataError
        If it cannot be used.
    """
    name = _first(contents.sizes, METADATA)
    if name is None:
        raise ArchiveError(
            "holds no MTD_MSIL2A.xml, so scale and offset of its reflectances are unknown"
        )
    try:
        return parse_metadata(contents.read_bytes(name, MAX_BYTES))
    except MetadataError as error:
        raise MetadataError(f"{name} {error}") from error


def read_tile_metadata(contents: Contents) -> TileMetadata | None:
    """Return what the metadata file of the granule says; None without one.

    Raises
    ------
    ArchiveError
        If it cannot be read.
    MetadataError
        If it cannot be used.
    """
    name = _first(contents.sizes, _TILE_METADATA)
    if name is None:
        return None
    try:
        return parse_tile_metadata(contents.read_bytes(name, MAX_BYTES))
    except MetadataError as error:
        raise MetadataError(f"{name} {error}") from error


def read_angles(contents: Contents) -> Angles | None:
    """Return the angles in the metadata file of the granule; None where there are none.

    Raises
    ------
    ArchiveError
        If it cannot be read.
    MetadataError
        If it cannot be used.
    """
    name = _first(contents.sizes, _TILE_METADATA)
    return None if name is None else parse_granule_angles(contents.read_bytes(name, MAX_BYTES))


def image_file(contents: Contents, name: str, resolution_m: int) -> str | None:
    """Return the file of a band, by its name in the table of the sensor, or of ``SCL``.

    None without one at this resolution; products hold most bands at several.
    """
    code = f"B0{name[1:]}" if re.fullmatch(r"B\d", name) else name
    pattern = re.compile(_IMAGE.format(name=code, resolution=resolution_m), re.IGNORECASE)
    return _first(contents.sizes, pattern)


def _first(names: Iterable[str], pattern: re.Pattern[str]) -> str | None:
    return min((name for name in names if pattern.search(name)), default=None)
