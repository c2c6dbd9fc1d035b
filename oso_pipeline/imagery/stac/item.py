"""STAC items as the reader needs them: identity, and assets with what is stated of their pixels.

Fields are found where versions 0.9 to 1.1 put them: ``bands`` or ``raster:bands`` and ``eo:bands``,
``proj:code`` or ``proj:epsg``, at the band, at the asset, or for all assets at the item.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from oso_pipeline.imagery.angles import Angles
from oso_pipeline.imagery.processing import Processing
from oso_pipeline.imagery.sen2cor.names import (
    Baseline,
    ProductName,
    Strip,
    parse_baseline,
    parse_product_name,
)
from oso_pipeline.imagery.stac.angles import stated_in, sun_zenith
from oso_pipeline.imagery.stac.fields import (
    as_epsg,
    as_finite,
    as_mapping,
    as_moment,
    as_numbers,
    as_objects,
    as_text,
    as_tile,
    as_whole,
)

_TILE_IN_ID = re.compile(r"_T?(\d{1,2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V])(?:_|$)")
_PLATFORM = re.compile(r"sentinel-?2([a-z])|s2([a-z])(?:_|$)", re.IGNORECASE)
_LEVEL = re.compile(r"l1c|s2msi1c", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ItemAsset:
    """A file of an item; None for what is not stated.

    Parameters
    ----------
    href
        Where the file is, as the item gives it.
    names
        Names and common names of its bands; one band has a file that is read.
    n_bands
        Number of its bands that are described.
    media_type
        ``image/tiff; ...``, ``image/jp2``.
    scale, offset, nodata
        From the number in the file to the value.
    data_type
        Type of the numbers, ``uint16``.
    epsg, shape, transform
        Grid: coordinate system, rows and columns, six numbers from pixel to coordinates.
    resolution_m
        Side of a pixel.
    size_bytes
        Size of the file.
    checksum
        Multihash of its content, hexadecimal.
    """

    href: str
    names: tuple[str, ...] = ()
    n_bands: int = 0
    media_type: str | None = None
    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None
    data_type: str | None = None
    epsg: int | None = None
    shape: tuple[int, int] | None = None
    transform: tuple[float, ...] | None = None
    resolution_m: float | None = None
    size_bytes: int | None = None
    checksum: str | None = None


@dataclass(frozen=True)
class Item:
    """A STAC item.

    Parameters
    ----------
    id, collection, version
        Its identifier, that of its collection (empty without), and the version of STAC.
    tiles
        Sentinel-2 tiles that it states, the most certain first; more than one contradict.
    platform
        ``S2A``; empty where it is no Sentinel-2 satellite.
    is_level_1
        Whether it says that it is not corrected for the atmosphere.
    name
        Name of the product of ESA that it stands for.
    acquired
        Start of the datatake if the name of the product is known, else time of the item; UTC.
    generated
        When the product was made, UTC.
    baseline_text
        Processing baseline as it stands there.
    strip
        Identifier of the data strip.
    offset_applied
        What ``earthsearch:boa_offset_applied`` says.
    cloud_percent, relative_orbit, sun_zenith_deg
        For the inventory.
    assets
        Its files by their keys.
    angles
        Of sun and sensor; no part of what identifies a product.
    """

    id: str
    collection: str
    version: str
    tiles: tuple[str, ...]
    platform: str
    is_level_1: bool
    name: ProductName | None
    acquired: datetime | None
    generated: datetime | None
    baseline_text: str | None
    strip: str | None
    offset_applied: bool | None
    cloud_percent: float | None
    relative_orbit: int | None
    sun_zenith_deg: float | None
    assets: Mapping[str, ItemAsset]
    angles: Angles | None = None

    @property
    def baseline(self) -> Baseline | None:
        """Processing baseline, of the item or else of the name of the product."""
        if self.baseline_text is not None:
            return parse_baseline(self.baseline_text)
        return self.name.baseline if self.name else None

    @property
    def part(self) -> Strip:
        """The strip of the datatake of which it shows a part."""
        return Strip(self.strip, self.generated)

    @property
    def processing(self) -> Processing:
        """How the product was made."""
        baseline = self.baseline
        return Processing(
            baseline=None if baseline is None else f"{baseline[0]:02d}.{baseline[1]:02d}",
            sun_zenith_deg=self.sun_zenith_deg,
            relative_orbit=self.relative_orbit,
        )

    def facts(self) -> dict[str, Any]:
        """Return all of it as JSON values, without where files lie and how access is signed."""
        content = asdict(self)
        del content["angles"]  # maps do not depend on them
        content["name"] = self.name.text if self.name else None
        for key in ("acquired", "generated"):
            moment = content[key]
            content[key] = None if moment is None else moment.isoformat()
        for asset in content["assets"].values():
            asset["href"] = re.split(r"[?#]", asset["href"])[0].rpartition("/")[2]
        return content


def parse_item(content: Mapping[str, Any]) -> Item | None:
    """Return an item of its JSON object; None where that is no STAC item."""
    properties, identifier = as_mapping(content.get("properties")), as_text(content.get("id"))
    version = as_text(content.get("stac_version"))
    assets = as_mapping(content.get("assets"))
    if content.get("type", "Feature") != "Feature" or not (identifier and version and properties):
        return None
    name = _name_of(identifier, properties)
    collection = as_text(content.get("collection")) or ""
    return Item(
        id=identifier,
        collection=collection,
        version=version,
        tiles=_tiles(identifier, properties, name),
        platform=_platform(identifier, properties, name),
        is_level_1=_is_level_1(collection, properties, name),
        name=name,
        acquired=name.sensed if name else _first_moment(properties, "datetime", "start_datetime"),
        generated=_first_moment(properties, "s2:generation_time", "processing:datetime")
        or (name.made if name else None),
        baseline_text=_baseline(properties),
        strip=_first_text(properties, "s2:datastrip_id", "eopf:datastrip_id"),
        offset_applied=_offset_applied(properties),
        cloud_percent=as_finite(properties.get("eo:cloud_cover")),
        relative_orbit=as_whole(properties.get("sat:relative_orbit")) or _orbit(name),
        sun_zenith_deg=sun_zenith(properties),
        assets={
            str(key): asset
            for key, one in assets.items()
            if (asset := _asset(as_mapping(one), properties)) is not None
        },
        angles=stated_in(properties),
    )


def _name_of(identifier: str, properties: Mapping[str, Any]) -> ProductName | None:
    for text in (properties.get("s2:product_uri"), identifier):
        if name := parse_product_name(as_text(text) or ""):
            return name
    return None


def _tiles(
    identifier: str, properties: Mapping[str, Any], name: ProductName | None
) -> tuple[str, ...]:
    zone = as_whole(properties.get("mgrs:utm_zone"))
    rest = (properties.get(f"mgrs:{part}") for part in ("latitude_band", "grid_square"))
    in_id = _TILE_IN_ID.search(identifier)
    stated = (
        properties.get("grid:code"),
        properties.get("s2:mgrs_tile"),
        None if zone is None else f"{zone}{''.join(as_text(one) or '' for one in rest)}",
        name.tile if name else None,
    )
    found = tuple(dict.fromkeys(tile for one in stated if (tile := as_tile(one))))
    if found or in_id is None:
        return found
    tile = as_tile(in_id[1])
    return (tile,) if tile else ()


def _platform(identifier: str, properties: Mapping[str, Any], name: ProductName | None) -> str:
    stated = as_text(properties.get("platform"))
    match = _PLATFORM.fullmatch(stated) if stated else _PLATFORM.match(identifier)
    if match:
        return f"S2{(match[1] or match[2]).upper()}"
    return name.platform if name and not stated else ""


def _is_level_1(collection: str, properties: Mapping[str, Any], name: ProductName | None) -> bool:
    if name is not None:
        return name.level == "L1C"
    kinds = (properties.get(key) for key in ("s2:product_type", "product:type", "processing:level"))
    return any(_LEVEL.search(as_text(one) or "") for one in (collection, *kinds))


def _baseline(properties: Mapping[str, Any]) -> str | None:
    """Return the processing baseline as it stands there; a number instead of text is none."""
    for key in ("s2:processing_baseline", "processing:version"):
        if properties.get(key) is not None:
            return (
                str(properties[key]).strip()
                if isinstance(properties[key], str)
                else (f"the number {properties[key]}")
            )
    return None


def _offset_applied(properties: Mapping[str, Any]) -> bool | None:
    """Return what the item says, also as text, as tables without a type for it have it."""
    value = properties.get("earthsearch:boa_offset_applied")
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return bool(value) if value in (0, 1) else None


def _orbit(name: ProductName | None) -> int | None:
    match = re.search(r"_R(\d{3})_", name.text) if name else None
    return int(match[1]) if match else None


def _first_text(properties: Mapping[str, Any], *keys: str) -> str | None:
    return next((text for key in keys if (text := as_text(properties.get(key)))), None)


def _first_moment(properties: Mapping[str, Any], *keys: str) -> datetime | None:
    return next((moment for key in keys if (moment := as_moment(properties.get(key)))), None)


def _asset(content: Mapping[str, Any], properties: Mapping[str, Any]) -> ItemAsset | None:
    href = as_text(content.get("href"))
    if href is None:
        return None
    bands = as_objects(content.get("bands")) or as_objects(content.get("eo:bands"))
    raster = as_objects(content.get("raster:bands")) or as_objects(content.get("bands"))
    stated = [*raster[:1], content]

    def first(*keys: str) -> Any:
        """Return a field of the band, or else of the asset."""
        return next((one[k] for one in stated for k in keys if one.get(k) is not None), None)

    def of_grid(key: str) -> Any:
        """Return a field of the asset, or else of the item for all its assets."""
        return content.get(key) if content.get(key) is not None else properties.get(key)

    shape = as_numbers(of_grid("proj:shape"), 2)
    transform = as_numbers(of_grid("proj:transform"), 6)
    return ItemAsset(
        href,
        names=_names(bands),
        n_bands=max(len(bands), len(raster)),
        media_type=as_text(content.get("type")),
        scale=as_finite(first("raster:scale", "scale")),
        offset=as_finite(first("raster:offset", "offset")),
        nodata=as_finite(first("nodata")),
        data_type=as_text(first("data_type")),
        epsg=as_epsg(of_grid("proj:code"), of_grid("proj:epsg")),
        shape=None if shape is None else (int(shape[0]), int(shape[1])),
        transform=None if transform is None else transform[:6],
        resolution_m=abs(transform[0])
        if transform
        else as_finite(first("raster:spatial_resolution", "spatial_resolution", "gsd")),
        size_bytes=as_whole(content.get("file:size")),
        checksum=(as_text(content.get("file:checksum")) or "").lower() or None,
    )


def _names(bands: tuple[Mapping[str, Any], ...]) -> tuple[str, ...]:
    keys = ("name", "eo:common_name", "common_name")
    found = (as_text(band.get(key)) for band in bands for key in keys)
    return tuple(dict.fromkeys(name for name in found if name))
