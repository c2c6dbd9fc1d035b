"""The files of a MUSCATE product: which they are, of those that share its stem."""

from __future__ import annotations

import re
from collections.abc import Iterable

from oso_pipeline.imagery.archive import ArchiveError, Contents
from oso_pipeline.imagery.file_names import AllowList
from oso_pipeline.imagery.muscate.metadata import (
    MAX_BYTES,
    Metadata,
    MetadataError,
    parse_metadata,
    parse_xml,
)

NEEDED = AllowList(
    re.compile(
        r"_((FRE|SRE)_B\d{1,2}A?\.tif|(CLM|EDG|SAT|MG2)_R[12]\.tif|MTD_ALL\.xml|JPI_ALL\.xml)$",
        re.IGNORECASE,
    ),
    folders=("MASKS", "DATA"),
)
"""The files of a product that are ever read."""

METADATA = "_MTD_ALL.xml"
"""End of the name of the metadata file."""

# Errors of the system, such as a full disk, are none of the product's: were they caught here,
# dates would go missing from the map without need.
DAMAGE = (ArchiveError, MetadataError)


def read_metadata(contents: Contents) -> Metadata:
    """Return what the metadata file of a product says.

    Raises
    ------
    ArchiveError
        If there is none, or it cannot be read.
    MetadataError
        If it cannot be used.
    """
    name = ending(contents.sizes, METADATA)
    if name is None:
        raise ArchiveError("holds no *_MTD_ALL.xml")
    try:
        return parse_metadata(contents.read_bytes(name, MAX_BYTES))
    except MetadataError as error:
        raise MetadataError(f"{name} {error}") from error


def is_declared_not_valid(contents: Contents) -> bool:
    """Return whether the file of flags says that the scene was not processed."""
    flags = ending(contents.sizes, "_JPI_ALL.xml")
    if flags is None:
        return False
    root = parse_xml(contents.read_bytes(flags, MAX_BYTES))
    return any((node.text or "").strip() == "L2NOTV" for node in root.iter())


def mask_file(contents: Contents, mask: str) -> str | None:
    """Return the file of a mask, None without one."""
    return ending(contents.sizes, f"_{mask}.tif")


def band_file(contents: Contents, reflectance: str, band: str) -> str | None:
    """Return the file of a band, None without one."""
    return ending(contents.sizes, f"_{reflectance}_{band}.tif")


def ending(names: Iterable[str], end: str) -> str | None:
    """Return the first of `names` with this end, whatever its case."""
    return min((n for n in names if n.lower().endswith(end.lower())), default=None)
