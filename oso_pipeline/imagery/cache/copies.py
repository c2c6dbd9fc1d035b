"""Which assets have a copy, and where it lies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from oso_pipeline.core.commit import digest, sidecar_of
from oso_pipeline.core.json_files import read_object
from oso_pipeline.imagery.acquisition import Acquisition, Asset
from oso_pipeline.imagery.image_kinds import kind_of
from oso_pipeline.imagery.protocol import Candidate

FOLDER = "cache"
"""Folder of a run, or of a past season in it, that holds the copies."""
STAGES = (FOLDER, f"past_{FOLDER}")
"""Stages that make them."""
BLOCK = 256
"""Rows and columns of the blocks of a copy."""

_LONGEST = 128
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True)
class Copies:
    """The products whose images are copied.

    Parameters
    ----------
    folder
        Folder of the copies of a season.
    candidates
        The products.
    """

    folder: Path = Path()
    candidates: frozenset[Candidate] = frozenset()

    def named(self, item: Acquisition) -> Acquisition:
        """Return an acquisition whose assets name their copies; those in TIFF have none."""
        folder = self.folder / folder_of(item.tile, item.product_id)
        return replace(item, bands=_named(item.bands, folder), quality=_named(item.quality, folder))


def folder_of(tile: str, product_id: str) -> str:
    """Return the folder of the copies of a product, relative to that of all.

    Products of ESA and Theia have it under their names. Identifiers of STAC items may be any text.

    Examples
    --------
    >>> folder_of("31TCJ", "S2A_MSIL2A_20180105"), folder_of("31TCJ", "../a b")
    ('31TCJ/S2A_MSIL2A_20180105', '31TCJ/_.._a_b_c14ab965')
    """
    safe = _UNSAFE.sub("_", product_id)
    if safe != product_id or safe.startswith(".") or len(safe) > _LONGEST:
        safe = f"_{safe[:_LONGEST]}_{digest(product_id)[:8]}"
    return f"{tile}/{safe}"


def block_shape(grid_shape: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the blocks of a copy of that size."""
    return min(BLOCK, grid_shape[0]), min(BLOCK, grid_shape[1])


def is_copy(path: Path) -> bool:
    """Return whether a file is, or was, a committed copy, by its place and its commit record."""
    if path.parts[-4:-3] != (FOLDER,):
        return False
    recipe = read_object(sidecar_of(path)).get("recipe")
    return isinstance(recipe, dict) and recipe.get("stage") in STAGES


def copied_assets(item: Acquisition) -> tuple[Asset, ...]:
    """Return the assets of an acquisition that are read from a copy."""
    return tuple(asset for asset in item.assets if asset.cached is not None)


def _named(assets: Mapping[str, Asset], folder: Path) -> dict[str, Asset]:
    return {
        name: asset
        if kind_of(asset.href) == "tiff"
        else replace(asset, cached=str(folder / f"{name}.tif"))
        for name, asset in assets.items()
    }
