"""What the name of a product says, by the naming functions of the readers.

So a catalogue and the search of folders agree on which products are versions of one acquisition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from oso_pipeline.imagery.delivery import NOWHERE
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.stac.item import Item, parse_item
from oso_pipeline.imagery.stac.search import candidate_of as candidate_of_item
from oso_pipeline.retrieval.families import deliveries, delivery_of
from oso_pipeline.retrieval.offers import Need

_ENDS = (".zip", ".safe", ".zarr")


@dataclass(frozen=True, slots=True)
class Named:
    """What a name says.

    Parameters
    ----------
    product_id
        The name as its family writes it, without the end of a file.
    tile
        Sentinel-2 tile, ``31TCJ``.
    acquired
        Date and time of acquisition, UTC.
    observation, rank
        As of `imagery.protocol.Candidate`.
    platform
        ``S2A``; empty for a synthesis.
    """

    product_id: str
    tile: str
    acquired: datetime
    observation: tuple[str, ...]
    rank: tuple[int, ...]
    platform: str


def named(family: str, name: str) -> Named | None:
    """Return what the name of a product says; None where its family does not read such products.

    Parameters
    ----------
    family
        Kind of the reader.
    name
        Name of a product, folder or archive: ``.zip``, ``.SAFE`` and ``.zarr`` do not matter.

    Examples
    --------
    >>> name = "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126.SAFE"
    >>> found = named("safe", name)
    >>> found.tile, found.rank
    ('33XWJ', (4, 0, 20220414082126))
    """
    delivery = delivery_of(family)
    found = None if delivery is None else delivery.named(bare_name(name))
    return None if found is None else _named(found)


def is_known(family: str) -> bool:
    """Return whether a reader knows the names of a family, so that they tell its tiles."""
    return delivery_of(family) is not None


def named_elsewhere(
    need: Need, name: str | None, moment: datetime | None, platform: str | None = None
) -> Named | None:
    """Return what is known of a product of a family that another package reads.

    Such products were searched for in the box of the tile, so they belong to it. Versions are known
    where the name has a form that one of the readers knows.

    Parameters
    ----------
    need
        What was searched for.
    name, moment, platform
        As the catalogue states them.
    """
    if name is None:
        return None
    bare = bare_name(name)
    for delivery in deliveries():
        if found := delivery.described(bare):
            known = (found.acquired, found.observation, found.rank, found.platform)
            return Named(bare, need.tile, *known)
    if not bare or moment is None:
        return None
    return Named(bare, need.tile, moment, (need.family, bare), (), platform or "")


def named_item(document: Mapping[str, Any]) -> tuple[Named, Item] | None:
    """Return what a STAC item says of its product, and the item; None where it is no L2A.

    Parameters
    ----------
    document
        The item as JSON object.
    """
    item = parse_item(document)
    if item is None or item.is_level_1:
        return None
    candidate = candidate_of_item(NOWHERE, item)
    found = None if candidate is None else _named(candidate)
    return None if found is None else (found, item)


def bare_name(name: str) -> str:
    """Return a name without the ends of files and folders.

    Examples
    --------
    >>> bare_name("S2A_X.SAFE.zip"), bare_name("S2A_X/")
    ('S2A_X', 'S2A_X')
    """
    name = name.strip().rstrip("/").rpartition("/")[2]
    while name.lower().endswith(_ENDS):
        name = name[: name.rindex(".")]
    return name


def _named(found: Candidate) -> Named | None:
    if found.tile is None:
        return None
    return Named(
        found.product_id,
        found.tile,
        found.acquired,
        found.observation,
        found.rank,
        found.platform,
    )
