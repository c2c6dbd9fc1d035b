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
class PixelRequest:
    """Pixels whose features are requested, and the function that takes them.

    Parameters
    ----------
    row, column
        Position in the grid of the tile, inside the block that is read.
    take
        Called with some of the pixels at a time, each once: their indices, their numbers of clear
        dates, and their features of shape ``(pixels, features)``.
    """

    row: npt.NDArray[np.integer]
    column: npt.NDArray[np.integer]
    take: Callable[[npt.NDArray[np.intp], Validity, Features], None]


def read_features(
    pieces: PieceReader, block: Block, requests: Sequence[PixelRequest], layout: FeatureLayout
) -> None:
    """Read the features of the requested pixels of a block, some at a time."""
    wanted = np.zeros((block.height, block.width), bool)
    for one in requests:
        wanted[one.row - block.row, one.column - block.column] = True
    if not wanted.any():
        return

    def use(part: Part, series: BlockSeries) -> None:
        for one in requests:
            give(one, part, series)

    def give(one: PixelRequest, part: Part, series: BlockSeries) -> None:
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
