"""The attributes of the root of an EOPF product: ``stac_discovery`` and ``other_metadata``.

The former is a STAC item of the product, the latter holds values of the metadata files of a SAFE
product under other names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from oso_pipeline.imagery.damage import damage_as
from oso_pipeline.imagery.metadata_file import MetadataError, parse_date
from oso_pipeline.imagery.sen2cor.candidates import Stated
from oso_pipeline.imagery.sen2cor.names import ProductName, parse_product_name
from oso_pipeline.imagery.zarr.store import SUFFIX

_TILE = re.compile(r"_T(\d{2}[A-Z]{3})(?:_|$)")
_EPSG = re.compile(r"^(?:EPSG:)?(\d{4,6})$")
_CRAFT = re.compile(r"^sentinel-2([a-z])$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Values of the root that the reader needs; None if it does not state them.

    Parameters
    ----------
    name
        The product name of the STAC item.
    level
        Processing level, ``L2A``.
    platform
        ``S2A``, ``S2B`` ...
    sensed
        Start of the datatake, UTC.
    generated
        When the product was made, UTC.
    baseline
        Processing baseline as it stands there.
    tile
        Tile of the granule.
    epsg
        Coordinate system.
    cloud_percent
        Cloud cover, 0-100.
    orbit
        Relative orbit.
    processor, processor_version
        Name of the software, and its version.
    aerosol
        Mean optical depth of aerosols at 550 nm, as the correction used it.
    sun_zenith_deg
        Mean zenith angle of the sun, degrees.
    """

    name: ProductName | None = None
    level: str | None = None
    platform: str | None = None
    sensed: datetime | None = None
    generated: datetime | None = None
    baseline: str | None = None
    tile: str | None = None
    epsg: int | None = None
    cloud_percent: float | None = None
    orbit: int | None = None
    processor: str | None = None
    processor_version: str | None = None
    aerosol: float | None = None
    sun_zenith_deg: float | None = None

    @property
    def stated(self) -> Stated:
        """What names the product as a candidate."""
        return Stated(
            self.name, self.tile, self.platform, self.sensed, self.baseline, self.generated
        )


def parse_metadata(attributes: Mapping[str, Any]) -> Metadata:
    """Return what the attributes of the root say.

    Raises
    ------
    MetadataError
        If they hold no STAC item.
    """
    item = attributes.get("stac_discovery")
    if not isinstance(item, dict):
        raise MetadataError(".zattrs holds no object `stac_discovery`")
    with damage_as(MetadataError, ".zattrs cannot be understood"):
        return _metadata(item, _object(attributes, "other_metadata"))


def _metadata(item: Mapping[str, Any], other: Mapping[str, Any]) -> Metadata:
    said = _object(item, "properties")
    craft = _CRAFT.match(_text(said, "platform") or "")
    tile = _TILE.search(_text(other, "UTM_zone_identification") or "")
    code = said.get("proj:code", said.get("proj:epsg", other.get("horizontal_CRS_code")))
    epsg = _EPSG.match(str(code))
    software = _object(said, "processing:software")
    processor = next(iter(software), "").strip() or None
    return Metadata(
        name=parse_product_name(SUFFIX.sub("", _text(item, "id") or "")),
        level=_text(said, "processing:level"),
        platform=f"S2{craft[1].upper()}" if craft else None,
        sensed=_moment(said, "start_datetime") or _moment(said, "datetime"),
        generated=_moment(said, "created"),
        baseline=_text(said, "eopf:baseline", "processing:baseline"),
        tile=tile[1] if tile else None,
        epsg=int(epsg[1]) if epsg else None,
        cloud_percent=_number(said, "eo:cloud_cover"),
        orbit=_whole(said, "sat:relative_orbit"),
        processor=processor,
        processor_version=_text(software, processor) if processor else None,
        aerosol=_number(other, "mean_value_of_aerosol_optical_thickness"),
        sun_zenith_deg=_number(other, "mean_sun_zenith_angle_in_deg_for_all_bands_all_detectors"),
    )


def _object(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = content.get(key)
    return found if isinstance(found, dict) else {}


def _text(content: Mapping[str, Any], *keys: str) -> str | None:
    """Return the first value that is there, as text; None where all are empty or ``null``."""
    for key in keys:
        found = content.get(key)
        if isinstance(found, str | int | float) and (text := str(found).strip()) not in _EMPTY:
            return text
    return None


def _number(content: Mapping[str, Any], key: str) -> float | None:
    found = content.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if isfinite(found) else None


def _whole(content: Mapping[str, Any], key: str) -> int | None:
    number = _number(content, key)
    return int(number) if number is not None and number.is_integer() else None


def _moment(content: Mapping[str, Any], key: str) -> datetime | None:
    return parse_date(_text(content, key))


_EMPTY = ("", "null")
"""What stands for a value that was not known."""
