"""One image of one tile, used or skipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from oso_pipeline.imagery.clear import ClearRule
from oso_pipeline.imagery.processing import UNSTATED, Processing

Reason = Literal[
    "not_recognised",
    "packed",
    "not_supported",
    "not_valid",
    "incomplete",
    "contradictory",
    "unreadable",
    "older_version",
    "outside_season",
    "acquired_later",
    "not_fetched",
]
"""Why a product is skipped: see the texts of `REASONS`."""

REASONS: dict[Reason, str] = {
    "not_recognised": "neither name nor metadata of a known product",
    "packed": "still packed: unpack it",
    "not_supported": "a product of another sensor or level",
    "not_valid": "metadata only: the scene was too cloudy to be processed",
    "incomplete": "a band that is needed is missing or damaged",
    "contradictory": "files, metadata and tile contradict each other",
    "unreadable": "metadata or archive cannot be read",
    "older_version": "another product of the same acquisition is better",
    "outside_season": "outside the season and its margin",
    "acquired_later": "acquired after imagery.as_of",
    "not_fetched": "known to the ledger of `oso fetch`, and not there",
}


class StatedPlace(NamedTuple):
    """Grid of an image that is not read yet: EPSG code, upper-left corner in metres, size."""

    epsg: int
    x: float
    y: float
    rows: int
    columns: int


@dataclass(frozen=True)
class Asset:
    """An image of an acquisition: a band, or a quality layer.

    Reflectance is ``scale * number + offset``; a number equal to `nodata` is no data, which is
    tested before scale and offset apply.

    Parameters
    ----------
    href
        Where the image is: the path of a GeoTIFF or JPEG 2000 file that holds one band, or, of
        what is copied before it is read, the name by which GDAL opens an array of a Zarr store, or
        a URL.
    resolution_m
        Side of a pixel, metres.
    scale, offset
        From the number in the file to reflectance; of bands only, which need a scale.
    nodata
        The number that stands for no data; of bands only.
    saturated
        The number that stands for a saturated detector, which is no observation either; of bands
        only, None where saturation stands in a quality layer.
    grid
        Of a file that cannot be opened where it is: as the metadata state it.
    size_bytes
        Size of the source.
    checksum
        Of its content, with the name of the method, ``sha256:...``, where it is known.
    cached
        The copy that is read instead, a TIFF with the same numbers on the same grid in the cache
        of the run; None where the source is read. Readers leave it out.
    """

    href: str
    resolution_m: int
    scale: float | None = None
    offset: float = 0.0
    nodata: float | None = None
    size_bytes: int = 0
    checksum: str | None = None
    saturated: float | None = None
    grid: StatedPlace | None = None
    cached: str | None = None

    @cached_property
    def path(self) -> Path:
        """The file that is read: the copy where there is one."""
        return Path(self.cached or self.href)


@dataclass(frozen=True)
class Acquisition:
    """A product that is used.

    Parameters
    ----------
    product_id
        Name of the product as its metadata give it.
    tile
        Sentinel-2 tile, ``31TCJ``.
    acquired
        Date and time, UTC.
    platform
        ``S2A``, ``S2B`` ...
    family
        Family of the product format, that is, which reader made this.
    version
        Version of the product, ``2.2``.
    bands
        The bands, by their names in the table of the sensor (``B2``, ``B8A``).
    quality
        The quality layers, by names of the family's own.
    rules
        Which of their bits or values hide a pixel, those that hide most first.
    cloud_percent
        Cloud cover of the scene, 0-100, if the metadata state it.
    path
        The folder or archive that was found.
    processing
        How it was made, as far as its metadata tell.
    """

    product_id: str
    tile: str
    acquired: datetime
    platform: str
    family: str
    version: str
    bands: Mapping[str, Asset]
    quality: Mapping[str, Asset]
    rules: tuple[ClearRule, ...]
    cloud_percent: float | None = None
    path: Path = Path()
    processing: Processing = UNSTATED

    @property
    def assets(self) -> tuple[Asset, ...]:
        """All bands and quality layers."""
        return (*self.bands.values(), *self.quality.values())

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(asset.size_bytes for asset in self.assets)

    def to_row(self) -> dict[str, Any]:
        """Return the acquisition as a row of the inventory."""
        return {
            **_EMPTY,
            "status": "used",
            "product_id": self.product_id,
            "tile": self.tile,
            "acquired": self.acquired,
            "platform": self.platform,
            "family": self.family,
            "version": self.version,
            "cloud_percent": self.cloud_percent,
            "size_bytes": self.size_bytes,
            "path": str(self.path),
            **self.processing.to_row(),
            "bands": _assets_to_json(self.bands),
            "quality": _assets_to_json(self.quality),
            "rules": json.dumps([rule.to_json() for rule in self.rules]),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Acquisition:
        """Return the acquisition that :meth:`to_row` wrote."""
        return cls(
            product_id=row["product_id"],
            tile=row["tile"],
            acquired=_as_utc(row["acquired"]),
            platform=row["platform"],
            family=row["family"],
            version=row["version"],
            bands=_assets_from_json(row["bands"]),
            quality=_assets_from_json(row["quality"]),
            rules=tuple(ClearRule.from_json(rule) for rule in json.loads(row["rules"])),
            cloud_percent=row["cloud_percent"],
            path=Path(row["path"]),
            processing=Processing.from_row(row),
        )


@dataclass(frozen=True)
class Skipped:
    """A product that was found and is not used.

    Parameters
    ----------
    product_id
        Name of the product, or of the folder where it has none.
    tile
        The tile whose inventory lists it.
    reason
        One of `REASONS`.
    detail
        Details of the finding.
    path
        The folder or archive.
    acquired
        Date and time, UTC, where known.
    platform
        ``S2A``, ``S2B`` ..., where known.
    """

    product_id: str
    tile: str
    reason: Reason
    detail: str
    path: Path
    acquired: datetime | None = None
    platform: str | None = None

    def to_row(self) -> dict[str, Any]:
        """Return the product as a row of the inventory."""
        return {
            **_EMPTY,
            "status": "skipped",
            "product_id": self.product_id,
            "tile": self.tile,
            "acquired": self.acquired,
            "platform": self.platform,
            "reason": self.reason,
            "detail": self.detail,
            "path": str(self.path),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Skipped:
        """Return the product that :meth:`to_row` wrote."""
        acquired = None if row["acquired"] is None else _as_utc(row["acquired"])
        return cls(
            row["product_id"],
            row["tile"],
            row["reason"],
            row["detail"],
            Path(row["path"]),
            acquired,
            row["platform"],
        )


_EMPTY: dict[str, Any] = {
    "product_id": "",
    "tile": "",
    "acquired": None,
    "status": "",
    "reason": None,
    "detail": None,
    "platform": None,
    "family": None,
    "version": None,
    "cloud_percent": None,
    "size_bytes": None,
    "path": "",
    **UNSTATED.to_row(),
    "bands": None,
    "quality": None,
    "rules": None,
}


def _assets_to_json(assets: Mapping[str, Asset]) -> str:
    return json.dumps({name: _said(asset) for name, asset in assets.items()}, sort_keys=True)


def _said(asset: Asset) -> dict[str, Any]:
    """Return the values of an asset that differ from the defaults."""
    return {f.name: getattr(asset, f.name) for f in fields(asset) if _differs(asset, f)}


def _differs(asset: Asset, field: Field[Any]) -> bool:
    return field.default is MISSING or getattr(asset, field.name) != field.default


def _assets_from_json(text: str) -> dict[str, Asset]:
    return {name: _asset_from_json(content) for name, content in json.loads(text).items()}


def _asset_from_json(content: dict[str, Any]) -> Asset:
    grid = content.pop("grid", None)
    return Asset(**content, grid=None if grid is None else StatedPlace(*grid))


def _as_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
