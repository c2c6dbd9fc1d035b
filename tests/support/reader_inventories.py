"""The inventory of some folders of images, as the readers of this package make it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from oso_pipeline.config.readers import built_in_readers
from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.acquisition import Acquisition
from oso_pipeline.imagery.inventory import Inventory
from oso_pipeline.imagery.inventory_builder import InventoryBuilder, Period
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products

TILE = "31TCJ"
READERS = built_in_readers()
BANDS = ("B2", "B4", "B8", "B8A", "B11")
YEAR = Period(date(2017, 12, 1), date(2018, 12, 31))


def build(
    *paths: Path, bands: tuple[str, ...] = BANDS, **changes: Any
) -> tuple[Inventory, InventoryBuilder]:
    """Return the inventory of folders or files of a tile, with `changes` of the request."""
    asked = {"incomplete": "skip", "clear": "oso", "readers": READERS, **changes}
    request = Request(TILE, bands, **asked)
    problems = Problems()
    found = find_products(paths, Readers.of(request.readers), problems)
    assert not problems.errors
    builder = InventoryBuilder(request, YEAR, paths[0].parent / "extracted")
    inventory = builder.build(found.of_tile(TILE), found.unrecognised, may_be_empty=True)
    return inventory, builder


def codes(builder: InventoryBuilder) -> list[str]:
    """Return the codes of all problems, sorted."""
    return sorted(problem.code for problem in builder.problems)


def told(builder: InventoryBuilder) -> str:
    """Return the texts of all problems."""
    return "\n".join(map(str, builder.problems))


def only(inventory: Inventory) -> Acquisition:
    """Return the one acquisition of an inventory."""
    (acquisition,) = inventory.acquisitions
    return acquisition
