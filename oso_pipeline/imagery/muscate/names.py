"""Names of MUSCATE products."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_PRODUCT = re.compile(
    r"^(?P<platform>SENTINEL2[ABCDX]|LANDSAT\d-[A-Z]+-XS|VENUS(?:VM05)?(?:-XS)?)"
    r"_(?P<date>\d{8})-(?P<time>\d{6})-(?P<ms>\d{3})"
    r"_(?P<level>L[123][ABC])_(?P<zone>[A-Z0-9-]+)_(?P<profile>[CHD])"
    r"_V(?P<major>\d+)-(?P<minor>\d+)$"
)
_TILE = re.compile(r"^T(\d{2}[A-Z]{3})$")
_PROFILE_RANK = {"C": 2, "H": 1, "D": 0}


@dataclass(frozen=True, slots=True)
class ProductName:
    """Parts of the name of a product.

    Parameters
    ----------
    text
        The whole name, without a file extension.
    platform
        As in the name, for example ``SENTINEL2A`` or ``VENUS-XS``.
    acquired
        Date and time of acquisition, UTC.
    level
        Processing level, for example ``L2A``.
    zone
        ``T31TCJ`` for tiles, path and row or a site name for others.
    profile
        C (complete), H (hybrid) or D (distributed).
    version
        Major and minor version of the product.
    """

    text: str
    platform: str
    acquired: datetime
    level: str
    zone: str
    profile: str
    version: tuple[int, int]

    @property
    def tile(self) -> str | None:
        """Name of the Sentinel-2 tile without the leading T, None for other zones."""
        match = _TILE.match(self.zone)
        return match.group(1) if match else None

    @property
    def is_synthesis(self) -> bool:
        """Whether it is a monthly synthesis of Sentinel-2, the weighted mean of many dates."""
        return self.level == "L3A" and self.platform.startswith("SENTINEL2")

    @property
    def satellite(self) -> str:
        """Short name of the platform: ``S2A`` for ``SENTINEL2A``."""
        return self.platform.replace("SENTINEL2", "S2")

    @property
    def rank(self) -> tuple[int, int, int]:
        """Greater for the better of two products of one acquisition.

        The higher version counts first, then the more complete profile: C, H, D.
        """
        return (*self.version, _PROFILE_RANK[self.profile])

    @property
    def observation(self) -> tuple[str, str, datetime]:
        """Key shared by versions and profiles of one acquisition: platform, zone and second."""
        return self.platform, self.zone, self.acquired.replace(microsecond=0)


def parse_product_name(text: str) -> ProductName | None:
    """Return what a product name says, or None if `text` is no such name.

    Examples
    --------
    >>> name = parse_product_name("SENTINEL2A_20160114-110938-000_L2A_T31TCJ_D_V1-4")
    >>> name.satellite, name.tile, name.version
    ('S2A', '31TCJ', (1, 4))
    """
    match = _PRODUCT.match(text)
    if match is None:
        return None
    try:
        acquired = datetime.strptime(
            f"{match['date']}{match['time']}{match['ms']}000", "%Y%m%d%H%M%S%f"
        ).replace(tzinfo=UTC)
    except ValueError:
        return None
    return ProductName(
        text=text,
        platform=match["platform"],
        acquired=acquired,
        level=match["level"],
        zone=match["zone"],
        profile=match["profile"],
        version=(int(match["major"]), int(match["minor"])),
    )
