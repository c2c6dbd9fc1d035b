"""Sentinel-2 tiles: names, zones and origins of the MGRS tiling."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from affine import Affine
from odc.geo.geobox import GeoBox

TILE_SIZE_M = 109_800
"""Side of a Sentinel-2 tile (Sentinel-2 Products Specification Document)."""

_NAME = re.compile(r"^T?(0[1-9]|[1-5]\d|60)([C-HJ-NP-X])([A-HJ-NP-Z])([A-HJ-NP-V])$")
_BAND_LETTERS = "CDEFGHJKLMNPQRSTUVWX"
_ROW_LETTERS = "ABCDEFGHJKLMNPQRSTUV"
_COLUMN_LETTERS = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")


@dataclass(frozen=True)
class Tile:
    """A Sentinel-2 tile.

    Parameters
    ----------
    name
        Name without the leading ``T``, in capitals: ``31TCJ``. Use :meth:`parse` for the
        spellings that users write.
    """

    name: str

    def __post_init__(self) -> None:
        if not _NAME.match(self.name) or self.name.startswith("T"):
            raise ValueError(f"{self.name!r} is not a Sentinel-2 tile name such as 31TCJ")
        if self._column_letter not in _COLUMN_LETTERS[self.zone % 3]:
            raise ValueError(
                f"tile {self.name!r} does not exist: the column letter in zone {self.zone} "
                f"is one of {_COLUMN_LETTERS[self.zone % 3]}"
            )
        band_height_m = 12 * 111_000 if self.name[2] == "X" else 8 * 111_000
        if self._northing - self._lowest_northing > band_height_m + 200_000:
            raise ValueError(
                f"tile {self.name!r} does not exist: row {self.name[4]!r} does not occur in "
                f"latitude band {self.name[2]!r} of zone {self.zone}"
            )

    @classmethod
    def parse(cls, text: str) -> Tile:
        """Return the tile of ``31TCJ``, ``T31TCJ`` or ``31tcj``.

        Raises
        ------
        ValueError
            If the text is not the name of a Sentinel-2 tile.
        """
        name = text.strip().upper()
        if not _NAME.match(name):
            raise ValueError(f"{text!r} is not a Sentinel-2 tile name such as 31TCJ")
        return cls(name.removeprefix("T"))

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> int:
        """UTM zone, 1 to 60."""
        return int(self.name[:2])

    @property
    def is_north(self) -> bool:
        """Whether the tile lies north of the equator."""
        return self.name[2] >= "N"

    @property
    def epsg(self) -> int:
        """EPSG code of the tile's own WGS 84 / UTM zone."""
        return (32600 if self.is_north else 32700) + self.zone

    @property
    def _column_letter(self) -> str:
        return self.name[3]

    @cached_property
    def origin(self) -> tuple[int, int]:
        """Upper-left corner ``(x, y)`` in metres in the tile's own zone.

        The corner is that of the 100 km square of the same name in the Military Grid
        Reference System (NGA.STND.0037), moved outwards to the 60 m grid. Checked against
        the origins of all tiles of France.
        """
        easting = 100_000 * (_COLUMN_LETTERS[self.zone % 3].index(self._column_letter) + 1)
        top = -(-(self._northing + 100_000) // 60) * 60
        return easting // 60 * 60, top if self.is_north else top + 10_000_000

    @property
    def _lowest_northing(self) -> int:
        """A northing just below the southern edge of the latitude band, metres."""
        return (8 * _BAND_LETTERS.index(self.name[2]) - 80) * 110_600 - 100_000

    @property
    def _northing(self) -> int:
        """Southern edge of the 100 km square, metres from the equator."""
        # Row letters repeat every 2000 km and start at F in even zones; the latitude band
        # decides which repetition is meant.
        row = _ROW_LETTERS.index(self.name[4]) - (5 if self.zone % 2 == 0 else 0)
        northing = 100_000 * row
        return northing + -(-(self._lowest_northing - northing) // 2_000_000) * 2_000_000

    def geobox(self, size_px: int = TILE_SIZE_M // 10, resolution_m: int = 10) -> GeoBox:
        """Return the grid of the tile, or of its `size_px` x `size_px` upper-left corner."""
        x, y = self.origin
        return GeoBox(
            (size_px, size_px),
            Affine(resolution_m, 0, x, 0, -resolution_m, y),
            f"EPSG:{self.epsg}",
        )
