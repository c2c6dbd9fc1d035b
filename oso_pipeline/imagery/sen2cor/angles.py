"""Mean angles of a scene in the metadata file of a granule, ``MTD_TL.xml``.

Catalogues link to the same file. Its namespace changes from baseline to baseline, so elements are
found by their local names.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from oso_pipeline.imagery.angles import BANDS_OF_NETWORKS, Angles, Direction, angles_of
from oso_pipeline.imagery.metadata_file import as_number, parse_xml

BAND_IDS = {
    "2": "B3", "3": "B4", "4": "B5", "5": "B6", "6": "B7", "8": "B8A", "11": "B11", "12": "B12",
}  # fmt: skip
"""Bands of the biophysical networks by ``bandId``."""


def parse_granule_angles(content: bytes) -> Angles | None:
    """Return the angles that the metadata of a granule state; None where they state none.

    Raises
    ------
    MetadataError
        If the file is too large, declares a document type, or is not XML.
    """
    root = parse_xml(content)
    sun = next(_named(root, "Mean_Sun_Angle"), None)
    if sun is None:
        return None
    views = [
        _direction(one)
        for one in _named(root, "Mean_Viewing_Incidence_Angle")
        if BAND_IDS.get((one.get("bandId") or "").strip()) in BANDS_OF_NETWORKS
    ]
    return angles_of(_direction(sun), views)


def _direction(node: ElementTree.Element) -> Direction:
    zenith, azimuth = (
        next((one.text for one in _named(node, name)), None)
        for name in ("ZENITH_ANGLE", "AZIMUTH_ANGLE")
    )
    return as_number(zenith), as_number(azimuth)


def _named(node: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (one for one in node.iter() if one.tag.rpartition("}")[2] == name)
