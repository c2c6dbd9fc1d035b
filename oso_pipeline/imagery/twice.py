"""Products of two families in one season: an acquisition twice, or composites beside others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from oso_pipeline.core.errors import Problem
from oso_pipeline.core.wording import counted

APART = timedelta(minutes=30)
"""Families name the time of the datatake or that of the granule; a satellite returns after
100 minutes at the earliest."""

_SHOWN = 3
_HINT = (
    "take the products of one family out of imagery.paths, or list one kind in `imagery.readers`"
)


class Seen(Protocol):
    """A product that was found or read."""

    @property
    def product_id(self) -> str:
        """Name of the product."""

    @property
    def family(self) -> str:
        """Kind of its reader."""

    @property
    def tile(self) -> str | None:
        """Name of the tile."""

    @property
    def platform(self) -> str:
        """``S2A``, ``S2B`` ..."""

    @property
    def acquired(self) -> datetime:
        """Date and time of acquisition, UTC."""

    @property
    def path(self) -> Path:
        """Where it lies."""


S = TypeVar("S", bound=Seen)


def in_several_formats(used: Sequence[S], families: Sequence[str]) -> list[tuple[S, S]]:
    """Return the products that others of the same name replace, each with that other.

    A product of ESA has one name in all formats: a SAFE folder, a Zarr store made from it, and an
    item that describes it. Files of a run are named by it, and it holds nothing that the other
    does not.

    Parameters
    ----------
    used
        The products of one tile.
    families
        All families; of products of one name, that of the first of these is kept.
    """
    kept: dict[str, S] = {}
    for item in sorted(used, key=lambda one: families.index(one.family)):
        kept.setdefault(item.product_id, item)
    return [
        (item, other)
        for item in used
        if (other := kept[item.product_id]) is not item and other.family != item.family
    ]


def several_formats(found: Sequence[tuple[Seen, Seen]]) -> list[Problem]:
    """Warn of products that others of the same name replace (``W-IMAGE-FAMILIES``)."""
    if not found:
        return []
    shown = ", ".join(
        f"{one.product_id} ({one.family} and {other.family})" for one, other in found[:_SHOWN]
    )
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return [
        Problem(
            "W-IMAGE-FAMILIES",
            f"{counted(len(found), 'product')} of tile {found[0][0].tile} in several formats: "
            f"{shown}{more}; each is read once, in the format that `imagery.readers` lists first",
            str(found[0][0].path),
            _HINT,
        )
    ]


def twice_seen(used: Sequence[Seen], composites: Collection[str]) -> list[Problem]:
    """Warn of what products of two families show (``W-IMAGE-FAMILIES``).

    Of one acquisition in two families, the reader of blocks takes each pixel from one of them, so
    no date counts twice, but processors differ in their reflectances and masks, and the series
    then holds both. Composites repeat the acquisitions that they are made of, on a date of their
    own, so those count twice.

    Parameters
    ----------
    used
        The products of one tile that are used.
    composites
        Families whose products are made of many acquisitions.
    """
    single = [item for item in used if item.family not in composites]
    mixed = [item for item in used if item.family in composites]
    return [*_same_moment(single), *(_beside(mixed, single) if mixed and single else [])]


def _beside(composites: Sequence[Seen], single: Sequence[Seen]) -> list[Problem]:
    return [
        Problem(
            "W-IMAGE-FAMILIES",
            f"tile {single[0].tile} has {counted(len(composites), 'composite')} of many dates "
            f"({composites[0].product_id}) beside "
            f"{counted(len(single), 'product')} of single dates ({single[0].product_id}); the "
            "same observations count twice, and values at dates between them mix both",
            str(composites[0].path),
            _HINT,
        )
    ]


def _same_moment(used: Sequence[Seen]) -> list[Problem]:
    pairs = [
        (one, other)
        for place, one in enumerate(used)
        for other in used[place + 1 :]
        if one.family != other.family
        and one.platform == other.platform
        and abs(one.acquired - other.acquired) <= APART
    ]
    if not pairs:
        return []
    shown = ", ".join(f"{one.product_id} and {other.product_id}" for one, other in pairs[:_SHOWN])
    more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
    return [
        Problem(
            "W-IMAGE-FAMILIES",
            f"{counted(len(pairs), 'acquisition')} of tile {used[0].tile} in two families: "
            f"{shown}{more}; at each pixel the first clear one of a day is used",
            str(pairs[0][1].path),
            _HINT,
        )
    ]
