"""The committed blocks of a tile, read as if they were one raster."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.core.regular_files import read_regular
from oso_pipeline.prediction.block_file import block_family, block_of_recipe, number_of_band
from oso_pipeline.products.pixel_kernels import picked

CACHE_BYTES = 96 * 2**20
"""Most memory for blocks that neighbouring windows may need again, per tile."""
_BLOCK_NAME = re.compile(r"r(\d{5,})c(\d{5,})")


@dataclass(frozen=True, slots=True)
class CommittedBlock:
    """A block file and the SHA-256 it was committed with."""

    block: Block
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Near:
    """Which blocks of a tile may hold a pixel of a window, by their names alone.

    Parameters
    ----------
    rows, columns
        First and last of the window, in pixels of the tile.
    block_shape
        Rows and columns of the largest block.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    block_shape: tuple[int, int]

    def may_hold(self, path: Path) -> bool:
        """Tell whether a block may reach into the window; so may what has another name."""
        named = _BLOCK_NAME.fullmatch(path.stem)
        if named is None:
            return True
        row, column = (int(number) for number in named.groups())
        height, width = self.block_shape
        return (
            row <= self.rows[1]
            and row + height > self.rows[0]
            and column <= self.columns[1]
            and column + width > self.columns[0]
        )


def committed_blocks(
    folder: Path, tile: str, families: Collection[str], near: Near | None = None
) -> tuple[CommittedBlock, ...]:
    """List the blocks below `folder` that were made by one of `families`, sorted by window.

    A block without a trustworthy commit record is left out, and so is one that is not `near`.
    """
    found = []
    for path in sorted(folder.glob("*.tif")):
        if near is not None and not near.may_hold(path):
            continue
        record = read_sidecar(path)
        if record is None or "recipe" not in record:
            continue
        if block_family(record["recipe"]) in families:
            block = block_of_recipe(tile, record["recipe"])
            found.append(CommittedBlock(block, path, str(record["sha256"])))
    return tuple(sorted(found, key=lambda item: item.block))


class TileBlocks:
    """Reads bands of the committed blocks of a tile.

    A block whose content differs from what was committed is not used: its pixels count as
    missing and its path stands in `damaged`.

    Parameters
    ----------
    grid
        10 m grid of the tile.
    blocks
        The blocks to use.
    bands
        Names of the bands.
    more
        Lists all blocks of the tile, where those to use do not hold a pixel: a larger one that
        was left behind by another configuration of the same values may do so.

    Raises
    ------
    InputDataError
        While it reads, if a sound block does not have these bands.
    """

    def __init__(
        self,
        grid: GeoBox,
        blocks: Collection[CommittedBlock],
        bands: Sequence[str],
        more: Callable[[], Collection[CommittedBlock]] | None = None,
    ) -> None:
        self.grid = grid
        self.damaged: dict[Path, str] = {}
        self._blocks = tuple(blocks)
        self._bands = tuple(bands)
        self._more = more
        self._cache: OrderedDict[Path, npt.NDArray[np.uint16]] = OrderedDict()
        self._cached_bytes = 0

    def gather(
        self, rows: npt.NDArray[np.int32], columns: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.bool_]]:
        """Return the values of pixels of the tile, and which of them a block holds.

        Parameters
        ----------
        rows, columns
            Pixels of the tile, shape ``(n,)`` and not empty. They should lie close together:
            memory goes with the rectangle around them.

        Returns
        -------
        values, covered
            Of shapes ``(bands, n)`` and ``(n,)``.
        """
        top, left = int(rows.min()), int(columns.min())
        shape = (int(rows.max()) - top + 1, int(columns.max()) - left + 1)
        values = np.zeros((len(self._bands), *shape), np.uint16)
        covered = np.zeros(shape, np.bool_)
        for item in self._blocks:
            block = item.block
            row = slice(max(block.row, top), min(block.row + block.height, top + shape[0]))
            column = slice(
                max(block.column, left), min(block.column + block.width, left + shape[1])
            )
            if row.start >= row.stop or column.start >= column.stop:
                continue
            content = self._read(item)
            if content is None:
                continue
            target = (_moved(row, top), _moved(column, left))
            source = (_moved(row, block.row), _moved(column, block.column))
            values[:, *target] = content[:, *source]
            covered[target] = True
        found, known = picked(values, covered, (top, left), rows, columns)
        if self._more is not None and not known.all():
            more, self._more = self._more, None
            self._blocks = tuple(more())
            return self.gather(rows, columns)
        return found, known

    def _read(self, item: CommittedBlock) -> npt.NDArray[np.uint16] | None:
        if item.path in self.damaged:
            return None
        if item.path in self._cache:
            self._cache.move_to_end(item.path)
            return self._cache[item.path]
        try:
            content = self._decode(item)
        except InputDataError:
            raise  # the block is sound, it was made without that band
        except (OSError, ValueError, RasterioError) as error:
            self.damaged[item.path] = str(error)
            return None
        self._cache[item.path] = content
        self._cached_bytes += content.nbytes
        while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
            self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return content

    def _decode(self, item: CommittedBlock) -> npt.NDArray[np.uint16]:
        # GDAL reads many kinds of damage without a word, hence the digest. The file is read
        # once; GDAL then decodes it in memory.
        raw = read_regular(item.path)
        if hashlib.sha256(raw).hexdigest() != item.sha256:
            raise ValueError("the content differs from what was committed")
        block, expected = item.block, item.block.crop(self.grid)
        with MemoryFile(raw) as memory, memory.open(driver="GTiff") as source:
            if source.shape != (block.height, block.width):
                raise ValueError(f"the file holds {source.shape} pixels")
            if source.transform != expected.affine or source.crs.to_epsg() != expected.crs.epsg:
                raise ValueError("the file does not lie on the grid of the tile")
            names = source.descriptions
            numbers = [number_of_band(names, band, item.path) for band in self._bands]
            content: npt.NDArray[np.uint16] = source.read(numbers)
        return content


def _moved(extent: slice, origin: int) -> slice:
    return slice(extent.start - origin, extent.stop - origin)
