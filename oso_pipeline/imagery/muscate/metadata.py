"""The metadata file ``*_MTD_ALL.xml`` of a MUSCATE product.

Real files hold white space and line breaks within values, dates with or without fraction
and ``Z``, elements in any order and several ``PRODUCT_ID``; only that of
``Product_Characteristics`` counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from xml.etree import ElementTree

from oso_pipeline.imagery.damage import damage_as
from oso_pipeline.imagery.metadata_file import (
    MetadataError,
    as_integer,
    as_number,
    parse_date,
    parse_xml,
)
from oso_pipeline.imagery.muscate.names import ProductName, parse_product_name


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
    sun_zenith_deg
        Mean zenith angle of the sun over the scene.
    orbit
        Absolute number of the orbit.
    """

    name: ProductName | None
    acquired: datetime | None
    epsg: int | None
    scale: float | None
    nodata: str | None
    cloud_percent: float | None
    groups: Mapping[str, Group]
    images: int
    sun_zenith_deg: float | None = None
    orbit: int | None = None


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
        epsg=as_integer(_text(root, ".//Horizontal_Coordinate_System/HORIZONTAL_CS_CODE")),
        scale=as_number(_text(root, ".//REFLECTANCE_QUANTIFICATION_VALUE")),
        nodata=_text(root, ".//SPECIAL_VALUE[@name='nodata']"),
        cloud_percent=as_number(_text(root, ".//QUALITY_INDEX[@name='CloudPercent']")),
        groups=_groups(root),
        images=len(root.findall(".//Image_List//IMAGE_FILE")),
        sun_zenith_deg=_finite(_text(root, ".//Mean_Value_List/Sun_Angles/ZENITH_ANGLE")),
        orbit=as_integer(_text(known, "ORBIT_NUMBER[@type='Orbit']")),
    )


def _groups(root: ElementTree.Element) -> dict[str, Group]:
    groups = {}
    for node in root.iter("Group_Geopositioning"):
        numbers = [
            as_number(_text(node, key)) for key in ("ULX", "ULY", "XDIM", "YDIM", "NROWS", "NCOLS")
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


def _finite(text: str | None) -> float | None:
    number = as_number(text)
    return number if number is not None and isfinite(number) else None
