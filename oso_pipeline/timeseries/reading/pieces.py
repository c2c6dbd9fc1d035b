"""A block read piece by piece, the next one while the caller works on this one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.timeseries.reading.blocking import block_shape
from oso_pipeline.timeseries.reading.memory import (
    BLOCK_BYTES,
    SHARE_OF_MEMORY,
    Pieces,
    fixed_bytes,
    pixel_bytes,
    unit_pixels,
)
from oso_pipeline.timeseries.reading.memory import used_bytes as process_bytes
from oso_pipeline.timeseries.reading.reader import BlockReader
from oso_pipeline.timeseries.reading.windows import Part, bounding
from oso_pipeline.timeseries.series import BlockSeries

GAP_PIXELS = 2**16
"""Pixels without a wanted one that are skipped: a further read of the files of 40 dates costs about
as much as decoding so many."""

Use = Callable[[Part, BlockSeries], None]
"""Function called with a part of a block: its position in the block, and its images."""


def cut(block: Block, file_blocks: tuple[int, int], limit: int) -> list[Block]:
    """Cut a block into pieces of at most `limit` pixels that follow the blocks of the files."""
    shape = block_shape((block.height, block.width), file_blocks, limit)
    return [
        Block(block.tile, block.row + p.row, block.column + p.column, p.height, p.width)
        for p in blocks_of(block.tile, (block.height, block.width), shape)
    ]


def without_gaps(piece: Block, requested: npt.NDArray[np.bool_], file_rows: int) -> list[Block]:
    """Leave the rows of file blocks out that hold no wanted pixel, where that spares time.

    Parameters
    ----------
    piece
        Part of the tile.
    requested
        Wanted pixels, shape ``(piece.height, piece.width)``.
    file_rows
        Rows of the blocks of 10 m files; those of 20 m files cover twice as many.

    Returns
    -------
    blocks
        Parts to read, from top to bottom; `piece` itself where there is no such gap.
    """
    unit = 2 * file_rows
    first = piece.row // unit
    units = np.unique((piece.row + np.flatnonzero(requested.any(axis=1))) // unit) - first
    gaps = np.flatnonzero((np.diff(units) - 1) * unit * piece.width >= GAP_PIXELS)
    if not len(gaps):
        return [piece]
    starts, ends = units[np.append(0, gaps + 1)], units[np.append(gaps, len(units) - 1)] + 1
    tops = np.maximum((first + starts) * unit, piece.row).tolist()
    bottoms = np.minimum((first + ends) * unit, piece.row + piece.height).tolist()
    return [
        Block(piece.tile, top, piece.column, bottom - top, piece.width)
        for top, bottom in zip(tops, bottoms, strict=True)
    ]


@dataclass
class PieceReader:
    """Reads blocks in pieces that the memory of the worker allows.

    Memory in use is measured at the start of a block and after each piece: if the estimate was
    too low, later pieces are smaller. Results do not depend on the pieces.

    Parameters
    ----------
    reader
        Reads the images.
    allowed_bytes
        Memory that this process may use.
    """

    reader: BlockReader
    allowed_bytes: float
    _bytes_per_pixel: float = field(init=False)

    def __post_init__(self) -> None:
        self._bytes_per_pixel = pixel_bytes(self.reader.n_products, self.reader.spec.bands)
        # A worker goes from tile to tile, and with the files of all of them open its memory grows.
        self.reader.rasters.hold(self.reader.n_files)

    def read(self, block: Block, wanted: npt.NDArray[np.bool_], use: Use) -> None:
        """Read the parts of a block that hold wanted pixels.

        Parameters
        ----------
        block
            Part of the tile.
        wanted
            Requested pixels, shape ``(block.height, block.width)``.
        use
            Called with one part after the other, each with at least one wanted pixel, and
            every wanted pixel in one of them. Pixels around the outermost wanted pixels of
            a part are not read. It must not keep the series, or memory would not be bounded.

        Raises
        ------
        InputDataError
            As :meth:`~oso_pipeline.timeseries.reading.reader.BlockReader.read`.
        """
        fixed = fixed_bytes(self.reader.n_products, len(self.reader.spec.bands))
        before = max(process_bytes(), fixed) + block.pixels * BLOCK_BYTES
        rest = [block]
        with ThreadPoolExecutor(1, thread_name_prefix="read") as thread:
            pieces = self._fitting(before)
            waiting = self._submit(thread, block, wanted, rest, pieces)
            while waiting is not None:
                part, future = waiting
                series = future.result()
                pieces = self._fitting(before)
                if pieces.ahead:
                    waiting = self._submit(thread, block, wanted, rest, pieces)
                use(part, series)
                held = series.clear.shape[1] * (1 + pieces.ahead)
                self._learn(process_bytes() - before, held)
                del series, future
                if not pieces.ahead:
                    waiting = self._submit(thread, block, wanted, rest, pieces)

    def _fitting(self, before: int) -> Pieces:
        available = SHARE_OF_MEMORY * self.allowed_bytes - before
        file_blocks = self.reader.inventory.block_shape
        return Pieces.fitting(available, self._bytes_per_pixel, unit_pixels(file_blocks))

    def _learn(self, grown_bytes: int, pixels: int) -> None:
        """Take the measured memory of a pixel where it exceeds the estimate."""
        self._bytes_per_pixel = max(self._bytes_per_pixel, grown_bytes / max(pixels, 1))

    def _submit(
        self,
        thread: ThreadPoolExecutor,
        block: Block,
        wanted: npt.NDArray[np.bool_],
        rest: list[Block],
        pieces: Pieces,
    ) -> tuple[Part, Future[BlockSeries]] | None:
        """Start reading the next piece with a wanted pixel; None if there are no more."""
        while rest:
            piece = rest.pop()
            frame = Part(
                (piece.row - block.row, piece.row - block.row + piece.height),
                (piece.column - block.column, piece.column - block.column + piece.width),
            )
            requested = frame.of(wanted)
            if not requested.any():
                continue
            if piece.pixels > pieces.pixels:
                parts = cut(piece, self.reader.inventory.block_shape, pieces.pixels)
                if len(parts) > 1:
                    rest += reversed(parts)
                    continue
            parts = without_gaps(piece, requested, self.reader.inventory.block_shape[0])
            if len(parts) > 1:
                rest += reversed(parts)
                continue
            inner = bounding(requested)
            part = inner.moved(frame.rows[0], frame.columns[0])
            place = part.moved(block.row, block.column).block(block.tile)
            return part, thread.submit(self.reader.read, place, inner.of(requested))
        return None
