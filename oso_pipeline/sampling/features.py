"""The features of chosen pixels of a block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.blocks import Block
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.reading.memory import CHUNK_PIXELS
from oso_pipeline.timeseries.reading.pieces import PieceReader
from oso_pipeline.timeseries.reading.windows import Part
from oso_pipeline.timeseries.series import BlockSeries

Validity = npt.NDArray[np.uint16]
Features = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Asked:
    """Pixels whose features are wanted, and what takes them.

    Parameters
    ----------
    row, column
        Place in the grid of the tile, all in the block that is read.
    take
        Called with some of the pixels at a time, each once: which they are, the numbers of their
        clear dates, and their features of shape ``(pixels, features)``.
    """

    row: npt.NDArray[np.integer]
    column: npt.NDArray[np.integer]
    take: Callable[[npt.NDArray[np.intp], Validity, Features], None]


def read_features(
    pieces: PieceReader, block: Block, asked: Sequence[Asked], layout: FeatureLayout
) -> None:
    """Hand pixels of a block with their features to who asked, some at a time."""
    wanted = np.zeros((block.height, block.width), bool)
    for one in asked:
        wanted[one.row - block.row, one.column - block.column] = True
    if not wanted.any():
        return

    def use(part: Part, series: BlockSeries) -> None:
        for one in asked:
            give(one, part, series)

    def give(one: Asked, part: Part, series: BlockSeries) -> None:
        (top, bottom), (left, right) = part.rows, part.columns
        row, column = one.row - block.row, one.column - block.column
        inside = (row >= top) & (row < bottom) & (column >= left) & (column < right)
        numbers = np.flatnonzero(inside)
        for start in range(0, len(numbers), CHUNK_PIXELS):
            some = numbers[start : start + CHUNK_PIXELS]
            places = (row[some] - top) * series.shape[1] + column[some] - left
            features, validity = block_features(series, layout, places)
            one.take(some, validity, np.ascontiguousarray(features.T))

    pieces.read(block, wanted, use)
