"""Refuse copies that are missing, or were made from other images than the inventory lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from oso_pipeline.core.commit import digest, read_sidecar
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.imagery.acquisition import Acquisition
from oso_pipeline.imagery.cache.copies import copied_assets
from oso_pipeline.imagery.image_kinds import IN_PLACE, kind_of
from oso_pipeline.imagery.inventory import Inventory, read_inventory
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Task

_REMEDY = "`oso verify RUN --repair`, then `oso run`: it is made again"


def inventory_of(task: Task, inventory: Input, copies: Input | None) -> Inventory:
    """Return the images that a task reads.

    Parameters
    ----------
    task
        The task.
    inventory
        The inventory of its tile.
    copies
        The copies of the tile, as they were planned; None where there are none. The key of the task
        does not follow theirs, so that it has to be compared.

    Raises
    ------
    InputDataError
        If the inventory cannot be read, or a copy is not there or was made for another plan
        (``E-CACHE-GONE``).
    """
    listed = read_inventory(task.path_of(inventory))
    if copies is not None:
        refuse_others(listed.acquisitions, copies)
    return listed


def missing_copy(path: Path) -> Problem:
    """Return the finding that the copy of an image is not there."""
    message = "the copy of an image is missing"
    return Problem("E-CACHE-GONE", message, str(path), _REMEDY)


def without_copy(path: Path) -> Problem:
    """Return the finding that an image which cannot be read in blocks has no copy."""
    message = "this image can only be read from a copy, and there is none"
    hint = "`oso run CONFIG --until cache` makes the copies"
    return Problem("E-CACHE-GONE", message, str(path), hint)


def without_missing_copies(listed: Inventory) -> Inventory:
    """Return images of which those without copies are read where they are, if that is possible.

    For looking at a run whose copies are not made yet, or were removed.
    """
    return replace(listed, acquisitions=tuple(map(_where_it_is, listed.acquisitions)))


def _where_it_is(item: Acquisition) -> Acquisition:
    missing = [asset for asset in copied_assets(item) if not asset.path.is_file()]
    if not missing or any(kind_of(asset.href) not in IN_PLACE for asset in missing):
        return item
    bands, quality = (
        {name: replace(asset, cached=None) for name, asset in assets.items()}
        for assets in (item.bands, item.quality)
    )
    return replace(item, bands=bands, quality=quality)


def key_of(keys: Sequence[str | None]) -> str:
    """Return the key of some copies from those of their tasks, in the order of the images."""
    return digest(list(keys))


def refuse_others(items: Sequence[Acquisition], copies: Input) -> None:
    """Refuse copies of images that are not there, or were made for another plan.

    Raises
    ------
    InputDataError
        ``E-CACHE-GONE``, for all that are missing at once.
    """
    first = [assets[0].path for item in items if (assets := copied_assets(item))]
    keys = [(read_sidecar(path) or {}).get("key") for path in first]
    if key_of(keys) == copies.key:
        return
    lost = [path for path, key in zip(first, keys, strict=True) if key is None]
    if lost:
        raise InputDataError(*map(missing_copy, lost))
    message = "the copies of images are outdated, as their tasks have failed"
    where = str(first[0].parents[1]) if first else copies.path
    hint = "see why they failed, then run again"
    raise InputDataError(Problem("E-CACHE-GONE", message, where, hint))
