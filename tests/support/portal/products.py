"""Small products of the real families, whose bytes follow from a seed."""

from __future__ import annotations

import hashlib
import io
import random
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Literal

from rasterio.warp import transform_bounds

from oso_pipeline.core.tiles import Tile

Family = Literal["muscate", "l3a", "safe", "stac"]

BANDS_10M = ("B2", "B3", "B4", "B8")
BANDS_20M = ("B5", "B6", "B7", "B8A", "B11", "B12")
ASSETS = {
    "blue": "B02", "green": "B03", "red": "B04", "nir": "B08", "rededge1": "B05",
    "rededge2": "B06", "rededge3": "B07", "nir08": "B8A", "swir16": "B11", "swir22": "B12",
    "scl": "SCL",
}  # fmt: skip
"""Keys of earth-search, and names of the files."""

_FIXED = (2018, 1, 1, 0, 0, 0)
_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
_LAND = {"muscate": "FRE", "l3a": "FRC"}
_MASKS = {"muscate": ("CLM", "EDG", "SAT", "MG2"), "l3a": ("FLG", "DTS", "WGT")}


@dataclass(frozen=True)
class Product:
    """A product that the portal has.

    Parameters
    ----------
    family, tile
        Kind of its reader, and ``31TCJ``.
    acquired
        Date and time of acquisition, UTC.
    size_bytes
        About; not less than what the names of its members need.
    version
        1, or more for one that was published again.
    half
        "" for a whole tile, else ``N`` or ``S``: two products of one day show half a tile each.
    seed
        Of its content.
    bands
        Assets of a product of family ``stac``.
    given
        Content of its archive, where real images are needed.
    """

    family: Family
    tile: str
    acquired: datetime
    size_bytes: int = 20_000
    version: int = 1
    half: str = ""
    seed: int = 0
    bands: tuple[str, ...] = tuple(ASSETS)
    given: bytes | None = field(default=None, repr=False)

    @cached_property
    def name(self) -> str:
        """Name as its family names it, without ``.SAFE``."""
        moment = self.acquired + timedelta(seconds=12 if self.half == "S" else 0)
        if self.family == "l3a":
            return f"SENTINEL2X_{moment:%Y%m}15-000000-000_L3A_T{self.tile}_C_V1-{self.version}"
        if self.family == "muscate":
            stamp = f"{moment:%Y%m%d-%H%M%S}-{moment.microsecond // 1000:03d}"
            return f"SENTINEL2A_{stamp}_L2A_T{self.tile}_C_V2-{self.version}"
        made = moment + timedelta(hours=3, days=30 * (self.version - 1))
        return (
            f"S2A_MSIL2A_{moment:%Y%m%dT%H%M%S}_N05{self.version + 9:02d}_R051_T{self.tile}"
            f"_{made:%Y%m%dT%H%M%S}"
        )

    @property
    def archive(self) -> str:
        """Name of the archive."""
        return f"{self.name}.SAFE.zip" if self.family == "safe" else f"{self.name}.zip"

    @property
    def key(self) -> str:
        """What stands for it in catalogues that have numbers: the same for the same product."""
        return hashlib.md5(f"{self.name}/{self.seed}".encode()).hexdigest()

    @property
    def again(self) -> Product:
        """The same acquisition, published again."""
        return replace(self, version=self.version + 1, given=None)

    def content(self) -> bytes:
        """Return its archive."""
        if self.given is not None:
            return self.given
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, content in self._members():
                archive.writestr(zipfile.ZipInfo(name, _FIXED), content)
        return stream.getvalue()

    def file(self, key: str) -> bytes:
        """Return the file of an asset of a product of family ``stac``."""
        return _tiff(self._noise(key, self.size_bytes // len(self.bands) - _TIFF_BYTES))

    def files(self) -> Mapping[str, bytes]:
        """Return the files of a product of family ``stac`` by the keys of its assets."""
        return {key: self.file(key) for key in self.bands}

    def _members(self) -> Iterator[tuple[str, bytes]]:
        texts, images = self._safe() if self.family == "safe" else self._muscate()
        least = len(_JP2) if self.family == "safe" else _TIFF_BYTES
        names = sum(2 * len(name) + 80 for name in (*texts, *images))
        left = self.size_bytes - names - sum(map(len, texts.values()))
        share = left // len(images) - least
        for name, text in texts.items():
            yield name, text
        for name in images:
            noise = self._noise(name, share)
            yield name, _JP2 + noise if self.family == "safe" else _tiff(noise)

    def _muscate(self) -> tuple[dict[str, bytes], list[str]]:
        top = self.name
        land, masks = _LAND[self.family], _MASKS[self.family]
        images = [f"{top}/{top}_{land}_{band}.tif" for band in (*BANDS_10M, *BANDS_20M)]
        images += [f"{top}/MASKS/{top}_{mask}_{r}.tif" for mask in masks for r in ("R1", "R2")]
        xml = f"<?xml version='1.0'?><Muscate_Metadata_Document><PRODUCT_ID>{top}</PRODUCT_ID>"
        text = f"{xml}</Muscate_Metadata_Document>".encode()
        return {f"{top}/{top}_MTD_ALL.xml": text}, images

    def _safe(self) -> tuple[dict[str, bytes], list[str]]:
        top = f"{self.name}.SAFE"
        granule = f"{top}/GRANULE/L2A_T{self.tile}_A013276_{self.acquired:%Y%m%dT%H%M%S}"
        stem = f"T{self.tile}_{self.acquired:%Y%m%dT%H%M%S}"
        images = [
            f"{granule}/IMG_DATA/R{r}/{stem}_{band}_{r}.jp2"
            for r, bands in (
                ("10m", ("B02", "B03", "B04", "B08")),
                ("20m", ("B05", "B06", "B07", "B8A", "B11", "B12", "SCL")),
            )
            for band in bands
        ]
        texts = {
            f"{top}/MTD_MSIL2A.xml": b"<?xml version='1.0'?><Level-2A_User_Product/>",
            f"{top}/manifest.safe": b"<?xml version='1.0'?><xfdu/>",
            f"{granule}/MTD_TL.xml": b"<?xml version='1.0'?><Level-2A_Tile_ID/>",
        }
        return texts, images

    def _noise(self, name: str, size: int) -> bytes:
        return random.Random(f"{self.seed}/{self.name}/{name}").randbytes(max(size, 1))


_TAGS = (256, 257, 258, 259, 262, 273, 277, 278, 279)
_TIFF_BYTES = 8 + 2 + 12 * len(_TAGS) + 4


def _tiff(pixels: bytes) -> bytes:
    """Return an image of one row, in one strip; its directory stands behind the pixels."""
    size = len(pixels)
    values = (size, 1, 8, 1, 1, 8, 1, 1, size)
    entries = (
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in zip(_TAGS, values, strict=True)
    )
    head = struct.pack("<2sHI", b"II", 42, 8 + size)
    return b"".join((head, pixels, struct.pack("<H", len(_TAGS)), *entries, bytes(4)))


def season(
    family: Family = "muscate",
    tile: str = "31TCJ",
    number: int = 3,
    size_bytes: int = 20_000,
    year: int = 2018,
    seed: int = 0,
) -> list[Product]:
    """Return so many products of a year, at even distances; of one day at most 4."""
    first = datetime(year, 1, 2, 10, 54, 35, 457_000, tzinfo=UTC)
    step = timedelta(days=360) / max(number, 1)
    if family == "l3a":
        step = timedelta(days=30)
    return [Product(family, tile, first + step * n, size_bytes, seed=seed) for n in range(number)]


def flipped(content: bytes) -> bytes:
    """Return content with one bit flipped, in an archive in the data of its largest member."""
    place = len(content) // 2
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            largest = max(archive.infolist(), key=lambda one: one.compress_size)
        place = largest.header_offset + 30 + len(largest.filename) + largest.compress_size // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@cache
def bounds(tile: str) -> tuple[float, float, float, float]:
    """Return west, south, east and north of a tile, degrees."""
    box = Tile(tile).geobox(10_980)
    west, south, east, north = transform_bounds(
        f"EPSG:{box.crs.to_epsg()}", "EPSG:4326", *box.boundingbox.bbox
    )
    return round(west, 4), round(south, 4), round(east, 4), round(north, 4)


def ring(tile: str) -> list[list[float]]:
    """Return the corners of a tile, closed."""
    west, south, east, north = bounds(tile)
    return [[west, north], [west, south], [east, south], [east, north], [west, north]]
