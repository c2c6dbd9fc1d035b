"""Which images there were when a model was trained, tile by tile, and which there are now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.json_files import ODD_VALUES


@dataclass(frozen=True)
class Vintage:
    """The images of a tile.

    Parameters
    ----------
    products
        How many are used.
    last
        Day of the newest, as YYYY-MM-DD; None without any.
    key
        Of the inventory that lists them.
    """

    products: int
    last: str | None
    key: str

    def since(self, before: Vintage | None) -> str:
        """Return what came since an earlier state, as text."""
        if before is None:
            return "not known"
        if self.key == before.key:
            return "the same images"
        more = self.products - before.products
        return f"{more:+d} products" if more else "other products"


def vintages(run_dir: Path, inventories: Iterable[str]) -> dict[str, Vintage]:
    """Return the images of each tile, from the commits of its inventory in a run folder."""
    found: dict[str, Vintage] = {}
    for path in inventories:
        record = read_sidecar(run_dir / path) or {}
        summary = record.get("summary") or {}
        if "tile" in summary:
            one = {"products": summary.get("used"), "last": summary.get("last")}
            found |= _read({summary["tile"]: {**one, "key": record.get("key")}})
    return found


def written(of_tiles: Mapping[str, Vintage]) -> dict[str, dict[str, Any]]:
    """Return the images of tiles as JSON values, for the summary of a training."""
    return {tile: asdict(one) for tile, one in of_tiles.items()}


def of_training(summary: Mapping[str, Any]) -> dict[str, Vintage]:
    """Return the images in the summary of a training; empty for models of earlier versions."""
    images = summary.get("images")
    return _read(images) if isinstance(images, dict) else {}


def _read(content: Mapping[str, Any]) -> dict[str, Vintage]:
    try:
        return {
            tile: Vintage(int(one["products"]), one["last"], str(one["key"]))
            for tile, one in content.items()
        }
    except ODD_VALUES:
        return {}
