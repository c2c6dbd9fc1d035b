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
from rasterio.windows import Window

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.core.regular_files import read_regular
from oso_pipeline.prediction.block_file import block_family, block_of_recipe, number_of_band
from oso_pipeline.products.pixel_kernels import picked

CACHE_BYTES = 96 * 2**20
"""Most memory for blocks of three bands that neighbouring windows may need again."""
_BLOCK_NAME = re.compile(r"r(\d{5,})c(\d{5,})")


@dataclass(frozen=True, slots=True)
class CommittedBlock:
    """A block file and the SHA-256 it was committed with."""

    block: Block
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class TileWindow:
    """A part of a tile, in its 10 m pixels.

    Parameters
    ----------
    rows, columns
        Slices with start and stop.
    """

    rows: slice
    columns: slice

    def cut(self, block: Block) -> Block | None:
        """Return the part of a block in the window; None where there is none."""
        top, left = max(block.row, self.rows.start), max(block.column, self.columns.start)
        bottom = min(block.row + block.height, self.rows.stop)
        right = min(block.column + block.width, self.columns.stop)
        if top >= bottom or left >= right:
            return None
        return Block(block.tile, top, left, bottom - top, right - left)

    def may_hold(self, path: Path, block_shape: tuple[int, int]) -> bool:
        """Return, by its name, whether a block of at most `block_shape` may reach into the window.

        So may what has another name.
        """
        named = _BLOCK_NAME.fullmatch(path.stem)
        if named is None:
            return True
        row, column = (int(number) for number in named.groups())
        return self.cut(Block("", row, column, *block_shape)) is not None


def committed_blocks(
    folder: Path,
    tile: str,
    families: Collection[str],
    named: Callable[[Path], bool] = lambda path: True,
) -> tuple[CommittedBlock, ...]:
    """List the blocks below `folder` that were made by one of `families`, sorted by window.

    A block without a trustworthy commit record is left out, and so is one that is not `named`
    as it should be.
    """
    found = []
    for path in filter(named, sorted(folder.glob("*.tif"))):
        record = read_sidecar(path)
        if record is None or "recipe" not in record:
            continue
        if block_family(record["recipe"]) in families:
            block = block_of_recipe(tile, record["recipe"])
            found.append(CommittedBlock(block, path, str(record["sha256"])))
    return tuple(sorted(found, key=lambda item: item.block))


class BlockCache:
    """The decoded blocks that were used last, of all tiles together.

    Parameters
    ----------
    n_bands
        Bands of a block; memory goes with them.
    """

    def __init__(self, n_bands: int = 3) -> None:
        self._n_bands = n_bands
        self._kept: OrderedDict[Path, npt.NDArray[np.uint16]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        """Return how many blocks are kept."""
        return len(self._kept)

    def get(self, path: Path) -> npt.NDArray[np.uint16] | None:
        """Return a block, None where it is not kept."""
        if path in self._kept:
            self._kept.move_to_end(path)
        return self._kept.get(path)

    def keep(self, path: Path, content: npt.NDArray[np.uint16]) -> None:
        """Keep a block, and let go of those that were not used for longest."""
        self._kept[path] = content
        self._bytes += content.nbytes
        while self._bytes > CACHE_BYTES * self._n_bands / 3 and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes


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
    window
        The requested part of the tile; no more of a block is kept in memory.
    cache
        Cache shared by the tiles.
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
        window: TileWindow,
        cache: BlockCache,
        more: Callable[[], Collection[CommittedBlock]] | None = None,
    ) -> None:
        self.grid = grid
        self.damaged: dict[Path, str] = {}
        self._blocks = tuple(blocks)
        self._bands = tuple(bands)
        self._window = window
        self._more = more
        self._cache = cache

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
        requested = TileWindow(slice(top, top + shape[0]), slice(left, left + shape[1]))
        values = np.zeros((len(self._bands), *shape), np.uint16)
        covered = np.zeros(shape, np.bool_)
        for item in self._blocks:
            held = self._window.cut(item.block)
            part = None if held is None else requested.cut(held)
            if held is None or part is None:
                continue
            content = self._read(item, held)
            if content is not None:
                target = _within(part, top, left)
                values[:, *target] = content[:, *_within(part, held.row, held.column)]
                covered[target] = True
        found, known = picked(values, covered, (top, left), rows, columns)
        if self._more is not None and not known.all():
            more, self._more = self._more, None
            self._blocks = tuple(more())
            return self.gather(rows, columns)
        return found, known

    def _read(self, item: CommittedBlock, held: Block) -> npt.NDArray[np.uint16] | None:
        if item.path in self.damaged:
            return None
        kept = self._cache.get(item.path)
        if kept is not None:
            return kept
        try:
            content = self._decode(item, held)
        except InputDataError:
            raise  # the block is sound, it was made without that band
        except (OSError, ValueError, RasterioError) as error:
            self.damaged[item.path] = str(error)
            return None
        self._cache.keep(item.path, content)
        return content

    def _decode(self, item: CommittedBlock, held: Block) -> npt.NDArray[np.uint16]:
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
            rows, columns = _within(held, block.row, block.column)
            window = Window.from_slices(rows, columns)
            content: npt.NDArray[np.uint16] = source.read(numbers, window=window)
        return content


def _within(block: Block, top: int, left: int) -> tuple[slice, slice]:
    """Return rows and columns of a block in an array that begins at a pixel of its tile."""
    row, column = block.row - top, block.column - left
    return slice(row, row + block.height), slice(column, column + block.width)
