"""What a campaign left: which products are right, wrong, named with a reason, or lost."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from oso_pipeline.imagery.fetch_ledger import read_ledger
from support.portal.door import Store
from support.portal.products import Product


@dataclass
class Evaluated:
    """Names of products.

    Parameters
    ----------
    right
        Published, byte by byte as the provider has them.
    wrong
        Published files that are none of these; by their paths.
    named
        Not published; state and reason that the ledger gives.
    flagged
        Published with a flag.
    lost
        Neither published nor named.
    """

    right: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    flagged: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{len(self.right)} right ({len(self.flagged)} flagged), {len(self.wrong)} wrong, "
            f"{len(self.named)} named, {len(self.lost)} lost"
        )


def evaluate(
    folder: Path,
    products: Iterable[Product],
    store: Store,
    unanswered: Iterable[tuple[str, str, str]] = (),
) -> Evaluated:
    """Return what is in a folder of images.

    Parameters
    ----------
    folder
        Into which was fetched.
    products
        What was wanted; the next version of each counts as well.
    store
        Knows their true content.
    unanswered
        Searches that the campaign says had no answer: family, tile, and why.
    """
    evaluated, wanted = Evaluated(), list(products)
    published = _published(folder)
    history = read_ledger(folder)
    searched = tuple(unanswered)
    states = {name: record for (_, name), record in history.latest.items()}
    known = dict[str, Path]()
    for product in wanted:
        versions = (product, product.again)
        found = [(one, path) for one in versions for path in _paths(one, published)]
        known |= {str(path): path for _, path in found}
        rights = [one for one, path in found if _is_right(one, path, store)]
        evaluated.wrong += [str(path) for one, path in found if one not in rights]
        records = [states[name] for one in versions for name in _names(one) if name in states]
        if rights:
            evaluated.right.append(product.name)
            if any(record.state == "flagged" for record in records):
                evaluated.flagged.append(product.name)
        elif records and any(record.reason for record in records):
            evaluated.named[product.name] = "; ".join(
                f"{one.state}: {one.reason}" for one in records
            )
        elif why := [
            one
            for family, tile, one in searched
            if (family, tile) == (product.family, product.tile)
        ]:
            evaluated.named[product.name] = f"not searched: {why[0]}"
        else:
            evaluated.lost.append(product.name)
    evaluated.wrong += [str(path) for path in published.values() if str(path) not in known]
    return evaluated


def _published(folder: Path) -> dict[str, Path]:
    """Return archives and folders of products by their names, without what is hidden."""
    if not folder.is_dir():
        return {}
    tiles = [one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")]
    inside = [one for tile in tiles for one in tile.iterdir() if not one.name.startswith(".")]
    return {one.name: one for one in inside}


def _paths(product: Product, published: dict[str, Path]) -> list[Path]:
    end = "" if product.family == "stac" else ".zip"
    names = (f"{name}{end}" for name in _names(product))
    return [published[name] for name in names if name in published]


def _names(product: Product) -> tuple[str, ...]:
    """Return the names of a product with all of the providers."""
    if product.family != "stac":
        return product.name, f"{product.name}.SAFE"
    day = f"{product.acquired:%Y%m%d}"
    return (
        f"S2A_{product.tile}_{day}_{product.version - 1}_L2A",
        "_".join(part for part in product.name.split("_") if not part.startswith("N0")),
    )


def _is_right(product: Product, path: Path, store: Store) -> bool:
    if product.family != "stac":
        return hashlib.sha256(path.read_bytes()).hexdigest() == store.sums(product)[2]
    wanted = {store.sums(product, key)[2] for key in product.bands}
    there = {
        hashlib.sha256(one.read_bytes()).hexdigest()
        for one in path.rglob("*")
        if one.is_file() and one.suffix != ".json"
    }
    return wanted == there
