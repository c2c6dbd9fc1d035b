"""Mean angles of a scene in the metadata file of a MUSCATE product."""

from __future__ import annotations

from xml.etree import ElementTree

from oso_pipeline.imagery.angles import BANDS_OF_NETWORKS, Angles, Direction, angles_of
from oso_pipeline.imagery.archive import Contents
from oso_pipeline.imagery.metadata_file import MAX_BYTES, as_number, parse_xml
from oso_pipeline.imagery.muscate.files import METADATA, ending


def read_angles(contents: Contents) -> Angles | None:
    """Return the angles of a product; None where its metadata state none.

    Raises
    ------
    ArchiveError
        If the metadata file cannot be read.
    MetadataError
        If it is not XML.
    """
    name = ending(contents.sizes, METADATA)
    return None if name is None else parse_angles(contents.read_bytes(name, MAX_BYTES))


def parse_angles(content: bytes) -> Angles | None:
    """Return the angles of ``Mean_Value_List``; None where it states none.

    Raises
    ------
    MetadataError
        If the file is not XML.
    """
    root = parse_xml(content)
    sun = root.find(".//Mean_Value_List/Sun_Angles")
    views = root.iterfind(".//Mean_Value_List//Mean_Viewing_Incidence_Angle[@band_id]")
    if sun is None:
        return None
    ours = [one for one in views if (one.get("band_id") or "").strip() in BANDS_OF_NETWORKS]
    return angles_of(_direction(sun), map(_direction, ours))


def _direction(node: ElementTree.Element) -> Direction:
    return as_number(node.findtext("ZENITH_ANGLE")), as_number(node.findtext("AZIMUTH_ANGLE"))
