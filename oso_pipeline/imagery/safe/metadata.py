"""The metadata files ``MTD_MSIL2A.xml`` and ``MTD_TL.xml`` of a SAFE product.

The namespace changes from baseline to baseline, and so did names in 2017
(``L2A_BOA_QUANTIFICATION_VALUE``, ``PRODUCT_URI_2A``, ``TILE_ID_2A``), so elements are found by
their local names, wherever they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree

from oso_pipeline.imagery.damage import damage_as
from oso_pipeline.imagery.metadata_file import (
    MetadataError,
    as_integer,
    as_number,
    parse_date,
    parse_xml,
)
from oso_pipeline.imagery.placement import StatedGrid
from oso_pipeline.imagery.sen2cor.candidates import Stated
from oso_pipeline.imagery.sen2cor.names import ProductName, parse_product_name

_TILE = re.compile(r"_T(\d{2}[A-Z]{3})(?:_|$)")


@dataclass(frozen=True, slots=True)
class Metadata:
    """Values of ``MTD_MSIL2A.xml`` that the reader needs; None if the file does not state them.

    Parameters
    ----------
    name
        The product name of ``PRODUCT_URI``.
    level
        ``Level-2A``.
    platform
        ``S2A``, ``S2B`` ...
    sensed
        Start of the datatake, UTC.
    generated
        When the product was made, UTC.
    baseline
        ``PROCESSING_BASELINE`` as it stands there.
    tiles
        Tiles of the granules.
    strip
        Identifier of the data strip; it ends with the time from which that was sensed.
    quantification
        Number of stored units of reflectance 1, as text.
    offsets
        ``BOA_ADD_OFFSET`` as text, by the identifier of the band, also text.
    specials
        Special values as text, by name: ``NODATA``, ``SATURATED``.
    cloud_percent
        Cloud cover, 0-100.
    orbit
        Relative orbit.
    aerosol
        Mean optical depth of aerosols at 550 nm.
    """

    name: ProductName | None
    level: str | None
    platform: str | None
    sensed: datetime | None
    generated: datetime | None
    baseline: str | None
    tiles: tuple[str, ...]
    strip: str | None
    quantification: str | None
    offsets: Mapping[str, str]
    specials: Mapping[str, str]
    cloud_percent: float | None
    orbit: int | None = None
    aerosol: float | None = None

    @property
    def stated(self) -> Stated:
        """What names the product as a candidate."""
        tile = self.tiles[0] if len(self.tiles) == 1 else None
        return Stated(self.name, tile, self.platform, self.sensed, self.baseline, self.generated)


@dataclass(frozen=True, slots=True)
class TileMetadata:
    """Values of ``MTD_TL.xml``: the tile, its grid, and the mean zenith angle of the sun."""

    tile: str | None
    grid: StatedGrid
    sun_zenith_deg: float | None = None


def parse_metadata(content: bytes) -> Metadata:
    """Return what ``MTD_MSIL2A.xml`` says.

    Raises
    ------
    MetadataError
        If the file is too large, declares a document type, or is not XML.
    """
    root = parse_xml(content)
    with damage_as(MetadataError, "cannot be understood"):
        return _metadata(root)


def _metadata(root: ElementTree.Element) -> Metadata:
    granules = [*_all(root, "Granule"), *_all(root, "Granules")]
    identifiers = [granule.get("granuleIdentifier") or "" for granule in granules]
    tiles = [match[1] for text in identifiers if (match := _TILE.search(text))]
    craft = _text(root, "SPACECRAFT_NAME") or ""
    return Metadata(
        name=parse_product_name(_text(root, "PRODUCT_URI", "PRODUCT_URI_2A") or ""),
        level=_text(root, "PROCESSING_LEVEL"),
        platform=f"S2{craft[-1]}" if re.fullmatch(r"Sentinel-2[A-Z]", craft) else None,
        sensed=parse_date(_text(root, "DATATAKE_SENSING_START", "PRODUCT_START_TIME")),
        generated=parse_date(_text(root, "GENERATION_TIME")),
        baseline=_text(root, "PROCESSING_BASELINE"),
        tiles=tuple(dict.fromkeys(tiles)),
        strip=next((strip for one in granules if (strip := one.get("datastripIdentifier"))), None),
        quantification=_text(root, "BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE"),
        offsets={
            (one.get("band_id") or "").strip(): (one.text or "").strip()
            for one in _all(root, "BOA_ADD_OFFSET")
        },
        specials={
            _text(one, "SPECIAL_VALUE_TEXT") or "": _text(one, "SPECIAL_VALUE_INDEX") or ""
            for one in _all(root, "Special_Values")
        },
        cloud_percent=as_number(
            _text(root, "Cloud_Coverage_Assessment", "CLOUDY_PIXEL_OVER_LAND_PERCENTAGE")
        ),
        orbit=as_integer(_text(root, "SENSING_ORBIT_NUMBER")),
        aerosol=as_number(_text(root, "GRANULE_MEAN_AOT")),
    )


def parse_tile_metadata(content: bytes) -> TileMetadata:
    """Return what ``MTD_TL.xml`` says about tile and grid.

    Raises
    ------
    MetadataError
        If the file is too large, declares a document type, or is not XML.
    """
    root = parse_xml(content)
    with damage_as(MetadataError, "cannot be understood"):
        match = _TILE.search(_text(root, "TILE_ID", "TILE_ID_2A") or "")
        sun = next(_all(root, "Mean_Sun_Angle"), None)
        zenith = None if sun is None else as_number(_text(sun, "ZENITH_ANGLE"))
        return TileMetadata(match[1] if match else None, _grid(root), zenith)


def _grid(root: ElementTree.Element) -> StatedGrid:
    code = _text(root, "HORIZONTAL_CS_CODE") or ""
    rows, columns = (_at_10m(root, "Size", key) for key in ("NROWS", "NCOLS"))
    x, y = (_at_10m(root, "Geoposition", key) for key in ("ULX", "ULY"))
    return StatedGrid(
        as_integer(code.upper().removeprefix("EPSG:")),
        None if rows is None or columns is None else (int(rows), int(columns)),
        None if x is None or y is None else (x, y),
    )


def _at_10m(root: ElementTree.Element, part: str, key: str) -> float | None:
    """Return a number of the element `part` whose resolution is 10 m."""
    for one in _all(root, part):
        if one.get("resolution") == "10":
            return as_number(_text(one, key))
    return None


def _all(root: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """Return the elements of a name, whatever their namespace."""
    return (one for one in root.iter() if one.tag.rpartition("}")[2] == name)


def _text(root: ElementTree.Element, *names: str) -> str | None:
    """Return the text of the first element with one of the names, tried in this order."""
    for name in names:
        for one in _all(root, name):
            if text := (one.text or "").strip():
                return text
    return None
