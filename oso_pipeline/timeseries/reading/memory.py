"""Memory of a worker: estimated before, and limited during its work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psutil

from oso_pipeline.core.sensors import SENTINEL2

if TYPE_CHECKING:
    from oso_pipeline.config.model import Config
    from oso_pipeline.timeseries.feature_layout import FeatureLayout

CHUNK_PIXELS = 16_384
"""Pixels whose features are in memory at once."""

PIECE_PIXELS = 2**19
"""Pixels read at once where memory allows; larger pieces are read no faster."""

FIXED_BYTES = 350_000_000
"""Interpreter, libraries, compiled code and the block cache of GDAL."""

FILE_BYTES = 250_000
"""An open file in strips of one row: GDAL keeps the place of each of its 10980 strips."""

SHARE_OF_MEMORY, SHARE_OF_MODELS = 0.8, 0.1
"""Of the memory of a worker; the rest is for what libraries leave lying about."""

BLOCK_BYTES = 32
"""Per pixel of a block, whatever is read at once: owner, stratum, layers, and these as they are
written and read back."""

_MASK_BYTES = 6
_MASKS = 3
_LEAST_PIXELS = 4096


def pixel_bytes(n_products: int, bands: tuple[str, ...]) -> float:
    """Return the memory of a pixel of a series and of the masks while they are read."""
    n_fine = sum(SENTINEL2.resolution_m(band) == 10 for band in bands)
    return n_products * (2 * n_fine + (len(bands) - n_fine) / 2 + 1) + _MASK_BYTES


def fixed_bytes(n_products: int, n_bands: int) -> int:
    """Return the memory of a worker that holds no image but has all files of a tile open."""
    return FIXED_BYTES + n_products * (n_bands + _MASKS) * FILE_BYTES


@dataclass(frozen=True)
class Pieces:
    """How much of a block is read at once.

    Parameters
    ----------
    pixels
        Most pixels of a piece.
    ahead
        Whether a piece is read while the one before is computed, so that two are held.
    """

    pixels: int
    ahead: bool

    @classmethod
    def fitting(
        cls, available_bytes: float, bytes_per_pixel: float, file_block_pixels: int
    ) -> Pieces:
        """Return the pieces that fit.

        Parameters
        ----------
        available_bytes
            Memory for series.
        bytes_per_pixel
            See :func:`pixel_bytes`.
        file_block_pixels
            Pixels of the least piece with which no file block is decoded twice. It is worth
            more than reading ahead.
        """
        most = max(PIECE_PIXELS, file_block_pixels)
        pixels = int(available_bytes / bytes_per_pixel)
        if pixels // 2 < file_block_pixels <= pixels:
            return cls(file_block_pixels, ahead=False)
        return cls(max(_LEAST_PIXELS, min(most, pixels // 2)), ahead=True)

    @property
    def held(self) -> int:
        """Pixels in memory at once."""
        return 2 * self.pixels if self.ahead else self.pixels


@dataclass(frozen=True)
class WorkerMemory:
    """The memory of a worker that handles blocks of a tile.

    Parameters
    ----------
    allowed_bytes
        Memory limit of a worker.
    n_products
        Images of the tile.
    layout
        Features computed.
    file_block_pixels
        See :meth:`Pieces.fitting`.
    model_bytes
        Memory of models beyond the share reserved for them, see :meth:`with_models`.
    block_bytes
        Memory of a pixel of a block, whatever is read at once.
    """

    allowed_bytes: float
    n_products: int
    layout: FeatureLayout
    file_block_pixels: int = 1
    model_bytes: float = 0.0
    block_bytes: int = BLOCK_BYTES

    @classmethod
    def of(
        cls, config: Config, n_products: int, layout: FeatureLayout, file_blocks: tuple[int, int]
    ) -> WorkerMemory:
        """Return the memory that a configuration allows for a tile."""
        allowed = config.runtime.memory_per_worker_gb * 1e9
        return cls(allowed, n_products, layout, unit_pixels(file_blocks))

    def with_models(self, fixed_bytes: float, pixel_bytes: float) -> WorkerMemory:
        """Return the memory of a worker that classifies blocks.

        Parameters
        ----------
        fixed_bytes
            Memory of the models of a block.
        pixel_bytes
            Memory to classify one pixel of a chunk.
        """
        needed = fixed_bytes + CHUNK_PIXELS * pixel_bytes
        left = SHARE_OF_MODELS * self.allowed_bytes
        return replace(self, model_bytes=max(0.0, needed - left))

    def with_bands(self, block_bytes: int) -> WorkerMemory:
        """Return the memory of a worker whose blocks have bands of so many bytes per pixel more."""
        return replace(self, block_bytes=self.block_bytes + block_bytes)

    def pieces(self, pixels: int) -> Pieces:
        """Return how blocks of that many pixels will be read, as far as is known beforehand."""
        return Pieces.fitting(
            SHARE_OF_MEMORY * self.allowed_bytes - self._fixed - pixels * self.block_bytes,
            pixel_bytes(self.n_products, self.layout.series.bands),
            self.file_block_pixels,
        )

    def needed(self, pixels: int) -> int:
        """Return the peak memory of a worker with blocks of that many pixels, bytes."""
        held = min(pixels, self.pieces(pixels).held)
        series = held * pixel_bytes(self.n_products, self.layout.series.bands)
        return int(self._fixed + series + pixels * self.block_bytes)

    @property
    def most_pixels(self) -> int:
        """Pixels of the largest block that fits, when it is read in the smallest pieces."""
        least = 2 * _LEAST_PIXELS * pixel_bytes(self.n_products, self.layout.series.bands)
        available = SHARE_OF_MEMORY * self.allowed_bytes - self._fixed - least
        return max(_LEAST_PIXELS, int(available / self.block_bytes))

    @property
    def _fixed(self) -> float:
        chunk = self.n_products * (2 * len(self.layout.series.bands) + 1) + 2 * self.layout.size
        files = fixed_bytes(self.n_products, len(self.layout.series.bands))
        return files + CHUNK_PIXELS * chunk + self.model_bytes


def unit_pixels(file_blocks: tuple[int, int]) -> int:
    """Return the pixels of the least piece with which no block of 20 m files is decoded twice."""
    return 4 * file_blocks[0] * file_blocks[1]


def used_bytes() -> int:
    """Return the memory that this process uses now."""
    return int(psutil.Process().memory_info().rss)
