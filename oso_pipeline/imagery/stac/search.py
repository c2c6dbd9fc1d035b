"""Which items of Sentinel-2 L2A stand in a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.acquisition import Reason
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.sen2cor.names import as_seconds, observation_of
from oso_pipeline.imagery.stac.documents import DocumentError, Found, item_in, items_at
from oso_pipeline.imagery.stac.item import Item
from oso_pipeline.imagery.stac.places import place_of

FAMILY = "stac"


def products_at(path: Path) -> tuple[Candidate, ...]:
    """Return the products of the items of a file; none where it cannot be read."""
    try:
        found = items_at(path)
    except (DocumentError, OSError):
        return ()
    return tuple(one for file, item in found.items if (one := candidate_of(file, item)))


def candidate_of(path: Path, item: Item) -> Candidate | None:
    """Return an item as a candidate; None where it is none of Sentinel-2, or of no time."""
    if not item.platform or item.acquired is None:
        return None
    tile = item.tiles[0] if item.tiles else None
    return Candidate(
        path,
        FAMILY,
        item.id,
        tile,
        item.acquired,
        observation=observation_of(item.platform, tile, item.acquired),
        rank=(*(item.baseline or (0, 0)), as_seconds(item.generated) if item.generated else 0),
        stem=item.id,
        platform=item.platform,
    )


def item_of(candidate: Candidate) -> Item:
    """Return the item of a candidate.

    Raises
    ------
    DocumentError
        If its file cannot be read, or holds it no longer.
    OSError
        If its file cannot be opened.
    """
    item = item_in(candidate.path, candidate.stem)
    if item is None:
        raise DocumentError(f"holds no item {candidate.stem} any more")
    return item


def faults_of_file(path: Path) -> tuple[tuple[Reason, str], ...]:
    """Return what of a file of items is not used, and why; nothing of a file that is none."""
    try:
        found = items_at(path)
    except DocumentError as error:
        return (("unreadable", f"the file of STAC items {error}"),)
    except OSError as error:
        return (("unreadable", f"the file cannot be opened: {error.strerror}"),)
    return (*((("unreadable", fault)) for fault in found.faults), *_of_others(found))


def images_of_file(path: Path) -> Iterator[Path]:
    """Yield the files on this machine that the items of a file name, whatever is in them."""
    try:
        found = items_at(path)
    except (DocumentError, OSError):
        return
    for file, item in found.items:
        for asset in item.assets.values():
            if (image := place_of(asset.href, file.parent).path) is not None:
                yield image


def _of_others(found: Found) -> tuple[tuple[Reason, str], ...]:
    """Return what items are not of Sentinel-2, or belong to no tile or time."""
    unused: Counter[tuple[Reason, str]] = Counter()
    for path, item in found.items:
        if not item.platform:
            what = f"of the collection {item.collection or 'without a name'}"
            unused["not_supported", f"{what}; Sentinel-2 L2A is read"] += 1
        elif (one := candidate_of(path, item)) is None:
            unused["unreadable", "without a time (`datetime`)"] += 1
        elif one.tile is None:
            text = "that name no Sentinel-2 tile (`grid:code`, `s2:mgrs_tile`, `mgrs:...`)"
            unused["unreadable", text] += 1
    return tuple(
        (reason, f"{counted(number, 'STAC item')} {text}")
        for (reason, text), number in unused.items()
    )
