"""One image of one tile, used or skipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

BANDS_10M = ("B2", "B3", "B4", "B8")
"""Sentinel-2 bands of 10 m; the others that are read are of 20 m."""

Reason = Literal[
    "not_recognised",
    "not_supported",
    "not_valid",
    "incomplete",
    "unreadable",
    "older_version",
    "outside_season",
]
"""Why a product is skipped: see the texts of `REASONS`."""

REASONS: dict[Reason, str] = {
    "not_recognised": "neither name nor metadata of a known product",
    "not_supported": "a product of another sensor or level",
    "not_valid": "metadata only: the scene was too cloudy to be processed",
    "incomplete": "a band that is needed is missing or damaged",
    "unreadable": "metadata or archive cannot be read",
    "older_version": "another product of the same acquisition is better",
    "outside_season": "outside the season and its margin",
}


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
    scale
        Stored value of reflectance 1.
    nodata
        Stored value where there is no data.
    bands
        File of each band, by the name of the band (``B2``, ``B8A``).
    masks
        File of each mask, by name and resolution: ``CLM_R1``, ``EDG_R1``, ``SAT_R1`` and
        others that are there.
    cloud_percent
        Cloud cover of the scene, 0-100, where the metadata tell.
    path
        The folder or archive that was found.
    size_bytes
        Size of the files of `bands` and `masks`.
    """

    product_id: str
    tile: str
    acquired: datetime
    platform: str
    family: str
    version: str
    scale: float
    nodata: int
    bands: Mapping[str, Path]
    masks: Mapping[str, Path]
    cloud_percent: float | None = None
    path: Path = Path()
    size_bytes: int = 0

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
            "scale": self.scale,
            "nodata": self.nodata,
            "cloud_percent": self.cloud_percent,
            "size_bytes": self.size_bytes,
            "path": str(self.path),
            "bands": _files_to_json(self.bands),
            "masks": _files_to_json(self.masks),
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
            scale=row["scale"],
            nodata=row["nodata"],
            bands=_files_from_json(row["bands"]),
            masks=_files_from_json(row["masks"]),
            cloud_percent=row["cloud_percent"],
            path=Path(row["path"]),
            size_bytes=row["size_bytes"],
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
        What exactly was found.
    path
        The folder or archive.
    acquired
        Date and time, UTC, where known.
    """

    product_id: str
    tile: str
    reason: Reason
    detail: str
    path: Path
    acquired: datetime | None = None

    def to_row(self) -> dict[str, Any]:
        """Return the product as a row of the inventory."""
        return {
            **_EMPTY,
            "status": "skipped",
            "product_id": self.product_id,
            "tile": self.tile,
            "acquired": self.acquired,
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
    "scale": None,
    "nodata": None,
    "cloud_percent": None,
    "size_bytes": None,
    "path": "",
    "bands": None,
    "masks": None,
}


def _files_to_json(files: Mapping[str, Path]) -> str:
    return json.dumps({name: str(path) for name, path in files.items()}, sort_keys=True)


def _files_from_json(text: str) -> dict[str, Path]:
    return {name: Path(path) for name, path in json.loads(text).items()}


def _as_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
