"""The files of a MUSCATE product: which they are, of those that share its stem."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from oso_pipeline.imagery.archive import ArchiveError, Contents
from oso_pipeline.imagery.file_names import AllowList
from oso_pipeline.imagery.metadata_file import MAX_BYTES, MetadataError, parse_xml
from oso_pipeline.imagery.muscate.metadata import Metadata, parse_metadata

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


@dataclass(frozen=True, slots=True)
class Flags:
    """What the file of flags ``*_JPI_ALL.xml`` says.

    Parameters
    ----------
    not_valid
        Whether the scene was not processed.
    cams
        Whether the correction used the aerosol types of CAMS; None where it does not say.
    """

    not_valid: bool = False
    cams: bool | None = None


def read_flags(contents: Contents) -> Flags:
    """Return what the file of flags says; a product may come without one."""
    name = ending(contents.sizes, "_JPI_ALL.xml")
    if name is None:
        return Flags()
    root = parse_xml(contents.read_bytes(name, MAX_BYTES))
    texts = {(node.text or "").strip() for node in root.iter()}
    return Flags("L2NOTV" in texts, _cams(root))


def _cams(root: ElementTree.Element) -> bool | None:
    """Return whether CAMS data were used: ``Activated_NoAvailableData`` means that none were."""
    for flag in root.iter("Processing_Flags_And_Modes"):
        if (flag.findtext("Key") or "").strip() == "CAMS_Processing":
            said = (flag.findtext("Value") or "").strip()
            if said in ("Deactivated", "Activated_NoAvailableData"):
                return False
            return True if said.startswith("Activated_") else None
    return None


def mask_file(contents: Contents, mask: str) -> str | None:
    """Return the file of a mask, None without one."""
    return ending(contents.sizes, f"_{mask}.tif")


def band_file(contents: Contents, reflectance: str, band: str) -> str | None:
    """Return the file of a band, None without one."""
    return ending(contents.sizes, f"_{reflectance}_{band}.tif")


def ending(names: Iterable[str], end: str) -> str | None:
    """Return the first of `names` with this end, whatever its case."""
    return min((n for n in names if n.lower().endswith(end.lower())), default=None)
