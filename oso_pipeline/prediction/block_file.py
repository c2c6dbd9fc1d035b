"""The file of a predicted block: bands by name, on the tile's own grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import verified
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.tasks.task import decided, family_of

BLOCKS = "blocks"
"""Folder of the run that takes the blocks."""
BANDS = ("class", "confidence", "validity")
"""Bands that every file has: code, confidence in percent, number of clear dates."""
BYTES_PER_PIXEL = 1
"""Measured size of the three on disk, compressed."""

Bands = Mapping[str, npt.NDArray[np.uint16]]


def file_of(block: Block) -> str:
    """Return where a block lies, relative to the run folder."""
    return f"{BLOCKS}/{block.tile}/{block.name}.tif"


def block_family(recipe: Mapping[str, Any]) -> str:
    """Return the digest of what blocks made in one way have in common.

    That is the recipe without the window of the block. Blocks of one family hold the same
    values whatever their shape, so the map depends on the families alone: it is not outdated
    by another block size, and blocks left behind by an older configuration are distinguished.
    """
    return family_of(recipe, but="block")


def block_of_recipe(tile: str, recipe: Mapping[str, Any]) -> Block:
    """Return the block that a recipe of stage ``predict`` is about."""
    window = decided(recipe, "block")
    return Block(tile, *(int(window[name]) for name in ("row", "column", "height", "width")))


def write_block(path: Path, bands: Bands, grid: GeoBox) -> None:
    """Publish a block, all or nothing, after reading it back whole.

    Parameters
    ----------
    path
        Where to.
    bands
        Bands by name, in the order of the file, uint16, shape ``(rows, columns)`` each.
    grid
        Where the pixels lie; equal layers on equal grids make equal bytes.
    """
    layers = np.stack(list(bands.values()))

    def write(temporary: Path) -> None:
        with rasterio.open(
            temporary,
            "w",
            driver="GTiff",
            dtype="uint16",
            count=len(bands),
            height=grid.shape[0],
            width=grid.shape[1],
            crs=str(grid.crs),
            transform=grid.affine,
            compress="deflate",
            predictor=2,
            interleave="band",
            num_threads=1,
            sparse_ok=True,  # rows without a value take no bytes, and no time to decode
        ) as target:
            target.write(layers)
            target.descriptions = tuple(bands)

    def check(temporary: Path) -> None:
        with rasterio.open(temporary, driver="GTiff") as source:
            if source.transform != grid.affine or not np.array_equal(source.read(), layers):
                raise OSError(f"{path} does not read back as it was written; is the disk sound?")

    verified(write, check, path)


def number_of_band(names: Sequence[str | None], name: str, path: Path) -> int:
    """Return the number of a band of a block file, from 1.

    Parameters
    ----------
    names
        Descriptions of its bands.
    name
        The requested band.
    path
        The file, for the message.

    Raises
    ------
    InputDataError
        If the file does not have it (``E-MAP-BAND``).
    """
    if name not in names:
        raise InputDataError(
            Problem(
                "E-MAP-BAND",
                f"the block has no band {name!r}, found: {', '.join(map(str, names))}",
                str(path),
                "remove the block and run again: it is made with all bands",
            )
        )
    return 1 + list(names).index(name)
