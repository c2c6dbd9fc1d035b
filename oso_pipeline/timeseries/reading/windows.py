"""Parts of a block, and where they lie in files of 10 m and of 20 m."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from oso_pipeline.core.blocks import Block

Span = tuple[int, int]
"""First row or column, and the one past the last."""


@dataclass(frozen=True)
class Part:
    """A rectangle of 10 m pixels that begins on an even row and column.

    Parameters
    ----------
    rows, columns
        First, and past the last.
    """

    rows: Span
    columns: Span

    def of(self, image: npt.NDArray[Any], factor: int = 1) -> npt.NDArray[Any]:
        """Return the part of an image (last two axes), a view; `factor` 2 for one of 20 m."""
        (top, bottom), (left, right) = self.rows, self.columns
        return image[
            ..., top // factor : -(-bottom // factor), left // factor : -(-right // factor)
        ]

    def moved(self, rows: int, columns: int) -> Part:
        """Return the same rectangle seen from an origin that lies so much farther up and left."""
        (top, bottom), (left, right) = self.rows, self.columns
        return Part((top + rows, bottom + rows), (left + columns, right + columns))

    def block(self, tile: str) -> Block:
        """Return the rectangle, seen from the origin of the tile, as a block."""
        (top, bottom), (left, right) = self.rows, self.columns
        return Block(tile, top, left, bottom - top, right - left)


def whole(block: Block) -> Part:
    """Return the rectangle of a block on the tile."""
    rows = (block.row, block.row + block.height)
    return Part(rows, (block.column, block.column + block.width))


def bounding(flags: npt.NDArray[Any]) -> Part:
    """Return the least rectangle with even origin that holds all pixels that are set.

    Parameters
    ----------
    flags
        Two-dimensional, at least one of them not 0.
    """
    spans = []
    for axis in (1, 0):
        places = np.flatnonzero(flags.any(axis=axis))
        spans.append((int(places[0]) // 2 * 2, int(places[-1]) + 1))
    return Part(spans[0], spans[1])


def window_of(shape: tuple[int, int], part: Part, factor: int) -> Window:
    """Return the window of a file that covers a part of the tile.

    Parameters
    ----------
    shape
        Rows and columns of the file; parts beyond are left out.
    part
        The part wanted, in pixels of 10 m.
    factor
        1 for a file of 10 m, 2 for one of 20 m.
    """
    top, left = part.rows[0] // factor, part.columns[0] // factor
    bottom = min(-(-part.rows[1] // factor), shape[0])
    right = min(-(-part.columns[1] // factor), shape[1])
    return Window(left, top, right - left, bottom - top)


def repeat_pixels(
    coarse: npt.NDArray[Any], shape: tuple[int, int], outside: float
) -> npt.NDArray[Any]:
    """Return 20 m pixels repeated 2 x 2 on a 10 m block whose first row and column are even.

    Pixels of the block that no 20 m pixel covers (a grid of odd size whose half was rounded
    down) become `outside`.
    """
    fine = coarse.repeat(2, axis=0).repeat(2, axis=1)[: shape[0], : shape[1]]
    if fine.shape == shape:
        return fine
    padding = [(0, want - have) for want, have in zip(shape, fine.shape, strict=True)]
    return np.pad(fine, padding, constant_values=outside)
