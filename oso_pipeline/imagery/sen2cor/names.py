"""Names, baselines and strips of Sentinel-2 products of ESA, in whatever format they come."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_PRODUCT = re.compile(
    r"^(?P<platform>S2[A-Z])_MSI(?P<level>L1C|L2A)_(?P<sensed>\d{8}T\d{6})"
    r"(?:_N(?P<baseline>\d{4}))?_R\d{3}_T(?P<tile>\d{2}[A-Z]{3})_(?P<made>\d{8}T\d{6})$"
)

Baseline = tuple[int, int]
"""Processing baseline: ``05.11`` is (5, 11)."""

WITH_OFFSET: Baseline = (4, 0)
"""First baseline whose numbers are shifted, by -1000 in all products so far."""

MADE_TOGETHER = timedelta(minutes=15)
"""Halves of a tile are made within this time of each other; what is made later is a version."""


@dataclass(frozen=True, slots=True)
class ProductName:
    """Parts of the name of a product.

    Parameters
    ----------
    text
        The whole name, without ``.SAFE``.
    platform
        ``S2A``, ``S2B`` ...
    level
        ``L2A`` or ``L1C``.
    sensed
        Start of the datatake, UTC.
    baseline
        Processing baseline; None in names of archives that leave it out.
    tile
        Sentinel-2 tile, ``31TCJ``.
    made
        The last part, UTC: when the product was made, or in old ones the start of its strip.
    """

    text: str
    platform: str
    level: str
    sensed: datetime
    baseline: Baseline | None
    tile: str
    made: datetime


def parse_product_name(text: str) -> ProductName | None:
    """Return what a product name says, or None if `text` is no such name.

    Examples
    --------
    >>> text = "S2A_MSIL2A_20230625T234621_N0509_R073_T01WCP_20230626T022157.SAFE"
    >>> name = parse_product_name(text)
    >>> name.platform, name.tile, name.baseline
    ('S2A', '01WCP', (5, 9))
    """
    bare = re.sub(r"\.SAFE$", "", text.strip(), flags=re.IGNORECASE)
    match = _PRODUCT.match(bare)
    sensed, made = (parse_moment(match[part]) if match else None for part in ("sensed", "made"))
    if match is None or sensed is None or made is None:
        return None
    number = match["baseline"]
    baseline = None if number is None else (int(number[:2]), int(number[2:]))
    return ProductName(
        bare, match["platform"], match["level"], sensed, baseline, match["tile"], made
    )


def parse_baseline(text: str | None) -> Baseline | None:
    """Return a processing baseline as two numbers; None where the text is none.

    Examples
    --------
    >>> parse_baseline("05.11"), parse_baseline("five")
    ((5, 11), None)
    """
    match = re.fullmatch(r"(\d{1,2})\.(\d{1,2})", (text or "").strip())
    return (int(match[1]), int(match[2])) if match else None


@dataclass(frozen=True, slots=True)
class Strip:
    """Of which strip of a datatake a product shows a part, and when it was made.

    Parameters
    ----------
    identifier
        Identifier of the data strip; None where the product does not state it.
    generated
        When the product was made, UTC.
    """

    identifier: str | None
    generated: datetime | None

    def completes(self, other: Strip) -> bool:
        """Return whether products of two strips show two parts of the tile.

        A tile that two strips of a datatake share comes in two products with different strips.
        Either the strips begin at different times, or both were made at about the same time: a
        strip that is processed again has the same begin.
        """
        if not self.identifier or not other.identifier or self.identifier == other.identifier:
            return False
        if _begin(self.identifier) != _begin(other.identifier):
            return True
        if self.generated is None or other.generated is None:
            return False
        return abs(self.generated - other.generated) <= MADE_TOGETHER


def observation_of(platform: str, tile: str | None, sensed: datetime) -> tuple[str, str, str]:
    """Return what all versions of one acquisition share, for a candidate."""
    return platform, tile or "", sensed.replace(microsecond=0).isoformat()


def as_seconds(moment: datetime) -> int:
    """Return a moment as a number that is greater for later ones, for the rank of a candidate."""
    return int(f"{moment:%Y%m%d%H%M%S}")


def parse_moment(text: str) -> datetime | None:
    """Return the moment of ``20230625T234621``, UTC; None where the text is none."""
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _begin(strip: str) -> str:
    """Return from when a strip was sensed: ``S20230625T234624`` in its identifier."""
    return next(
        (part for part in strip.split("_")[::-1] if part.startswith("S2") and "T" in part), ""
    )
