"""The metadata file ``*_MTD_ALL.xml`` of a MUSCATE product.

Real files hold white space and line breaks within values, dates with or without fraction
and ``Z``, elements in any order and several ``PRODUCT_ID``; only that of
``Product_Characteristics`` counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from xml.etree import ElementTree

from oso_pipeline.imagery.damage import damage_as
from oso_pipeline.imagery.muscate.names import ProductName, parse_product_name

MAX_BYTES = 20 * 1024 * 1024
"""Real files have 0.6 MB; anything above this is refused."""

_DATE = re.compile(
    r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?)?\s*(?:Z|\+00:?00)?$"
)


class MetadataError(ValueError):
    """A metadata file that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Group:
    """The grid of the files of one resolution: outer corner in metres, pixel size, size."""

    ulx: float
    uly: float
    xdim: float
    ydim: float
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """Values of a metadata file that the reader needs; None if the file does not state them.

    Parameters
    ----------
    name
        The product name of ``PRODUCT_ID``.
    acquired
        Date and time of acquisition, UTC.
    epsg
        Coordinate system of the rasters.
    scale
        ``REFLECTANCE_QUANTIFICATION_VALUE``: stored value of reflectance 1.
    nodata
        The special value of reflectances, as text, because some writers state NaN.
    cloud_percent
        ``CloudPercent``, 0-100.
    groups
        Grids by resolution, ``R1`` and ``R2``.
    images
        Number of image files listed; none where the scene was not processed.
    """

    name: ProductName | None
    acquired: datetime | None
    epsg: int | None
    scale: float | None
    nodata: str | None
    cloud_percent: float | None
    groups: Mapping[str, Group]
    images: int


def parse_metadata(content: bytes) -> Metadata:
    """Return what a metadata file says.

    Raises
    ------
    MetadataError
        If the file is too large, declares a document type, is not XML, or states a grid that is
        none.
    """
    root = parse_xml(content)
    with damage_as(MetadataError, "cannot be understood"):
        return _metadata(root)


def _metadata(root: ElementTree.Element) -> Metadata:
    characteristics = root.find(".//Product_Characteristics")
    known = characteristics if characteristics is not None else root
    return Metadata(
        name=parse_product_name(_text(known, "PRODUCT_ID") or ""),
        acquired=parse_date(_text(known, "ACQUISITION_DATE")),
        epsg=_integer(_text(root, ".//Horizontal_Coordinate_System/HORIZONTAL_CS_CODE")),
        scale=_number(_text(root, ".//REFLECTANCE_QUANTIFICATION_VALUE")),
        nodata=_text(root, ".//SPECIAL_VALUE[@name='nodata']"),
        cloud_percent=_number(_text(root, ".//QUALITY_INDEX[@name='CloudPercent']")),
        groups=_groups(root),
        images=len(root.findall(".//Image_List//IMAGE_FILE")),
    )


def parse_xml(content: bytes) -> ElementTree.Element:
    """Return the root of an XML file that comes from elsewhere.

    Raises
    ------
    MetadataError
        If it is too large, declares a document type (the way of entity bombs), or is not XML.
    """
    if len(content) > MAX_BYTES:
        raise MetadataError(f"has {len(content)} bytes, at most {MAX_BYTES} are accepted")
    parser = ElementTree.XMLParser(target=_WithoutDoctype())
    with damage_as(MetadataError, "is not usable XML"):
        parser.feed(content)
        root: ElementTree.Element = parser.close()
    return root


def parse_date(text: str | None) -> datetime | None:
    """Return the moment of an ISO date with or without time, fraction and ``Z``, as UTC."""
    match = _DATE.match((text or "").strip())
    if match is None:
        return None
    day, hours, minutes, seconds = match[1], *(int(part or 0) for part in match.groups()[1:4])
    fraction = (match[5] or "")[:6].ljust(6, "0")
    try:
        start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
        return start.replace(hour=hours, minute=minutes, second=seconds, microsecond=int(fraction))
    except ValueError:
        return None


class _WithoutDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse a document type; the parser calls this before it reads any entity."""
        raise ValueError("it declares a DOCTYPE, which is refused")


def _groups(root: ElementTree.Element) -> dict[str, Group]:
    groups = {}
    for node in root.iter("Group_Geopositioning"):
        numbers = [
            _number(_text(node, key)) for key in ("ULX", "ULY", "XDIM", "YDIM", "NROWS", "NCOLS")
        ]
        name = (node.get("group_id") or "").strip()
        if name and all(number is not None for number in numbers):
            ulx, uly, xdim, ydim, rows, columns = (float(n) for n in numbers if n is not None)
            if not all(isfinite(number) for number in (ulx, uly, xdim, ydim, rows, columns)):
                raise MetadataError(
                    f"states a grid of {rows:g} rows and {columns:g} columns for "
                    f"{name}, corner {ulx:g}, {uly:g}, pixels of {xdim:g} x {ydim:g}"
                )
            groups[name] = Group(ulx, uly, xdim, ydim, int(rows), int(columns))
    return groups


def _text(node: ElementTree.Element, path: str) -> str | None:
    found = node.find(path)
    text = "" if found is None else (found.text or "").strip()
    return text or None


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _integer(text: str | None) -> int | None:
    number = _number(text)
    return int(number) if number is not None and number.is_integer() else None
