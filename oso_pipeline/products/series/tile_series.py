"""The committed blocks of a tile as one array per variable, read window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox

from oso_pipeline.core.blocks import Block
from oso_pipeline.timeseries.series_block_file import read_series_block
from oso_pipeline.timeseries.series_layout import SeriesLayout, Variable


@dataclass(frozen=True)
class Window:
    """A part of a variable.

    Parameters
    ----------
    steps, rows, columns
        First and behind the last, as slices without step.
    """

    steps: slice
    rows: slice
    columns: slice

    @property
    def of(self) -> tuple[slice, slice, slice]:
        """As an index of an array ``(step, row, column)``."""
        return self.steps, self.rows, self.columns

    @property
    def shape(self) -> tuple[int, int, int]:
        """Steps, rows and columns."""
        steps, rows, columns = (one.stop - one.start for one in self.of)
        return steps, rows, columns


@dataclass(frozen=True)
class TileSeries:
    """The blocks of a tile.

    Parameters
    ----------
    tile_grid
        The 10 m grid of the whole tile.
    layout
        What each block file holds, at least.
    blocks
        The blocks, each with its file. They do not overlap; where an area of interest leaves
        blocks out, variables have their fill value.
    """

    tile_grid: GeoBox
    layout: SeriesLayout
    blocks: Sequence[tuple[Block, Path]]

    @cached_property
    def window(self) -> Block:
        """The least rectangle that holds all blocks."""
        blocks = [block for block, _ in self.blocks]
        row, column = min(one.row for one in blocks), min(one.column for one in blocks)
        height = max(one.row + one.height for one in blocks) - row
        width = max(one.column + one.width for one in blocks) - column
        return Block(blocks[0].tile, row, column, height, width)

    def grid(self, resolution_m: int) -> GeoBox:
        """Return the grid of the window in pixels of 10 m or 20 m."""
        fine = self.window.crop(self.tile_grid)
        part = resolution_m // 10
        rows, columns = (ceil(int(size) / part) for size in fine.shape)
        return GeoBox((rows, columns), fine.affine @ Affine.scale(part), fine.crs)

    def shape(self, variable: Variable) -> tuple[int, int, int]:
        """Return steps, rows and columns of a variable in the window."""
        rows, columns = self.grid(variable.resolution_m).shape
        return self.layout.steps(variable.axis), int(rows), int(columns)

    def read(self, variable: Variable, window: Window) -> npt.NDArray[Any]:
        """Return a part of a variable as stored integers, shape ``(steps, rows, columns)``.

        Raises
        ------
        InputDataError
            If the file of a block cannot be read (``E-SERIES-BLOCK``).
        """
        found = np.full(window.shape, variable.fill or 0, variable.dtype)
        steps = range(window.steps.start, window.steps.stop)
        for block, path in self.blocks:
            here = self.place(block, variable.resolution_m)
            rows, inner_rows = _overlap(here[0], window.rows)
            columns, inner_columns = _overlap(here[1], window.columns)
            if rows.start < rows.stop and columns.start < columns.stop:
                values = read_series_block(path, [variable.name], steps).values[variable.name]
                found[:, rows, columns] = values[:, inner_rows, inner_columns]
        return found

    def place(self, block: Block, resolution_m: int) -> tuple[slice, slice]:
        """Return the rows and columns of a block in the window, in pixels of a resolution."""
        part = resolution_m // 10
        row, column = block.row - self.window.row, block.column - self.window.column
        return (
            slice(row // part, ceil((row + block.height) / part)),
            slice(column // part, ceil((column + block.width) / part)),
        )


def windows(
    shape: tuple[int, int, int], chunk: tuple[int, int, int], itemsize: int, budget_bytes: int
) -> Iterator[Window]:
    """Cut a variable into windows of whole chunks, none much larger than a memory budget.

    Rows first, so that the blocks of a row are read together; then columns, then steps.

    Parameters
    ----------
    shape
        Steps, rows and columns of the variable.
    chunk
        Those of a chunk.
    itemsize
        Bytes per value.
    budget_bytes
        Of a window; one chunk at least, however large it is.

    Examples
    --------
    >>> [one.shape for one in windows((3, 4, 8), (1, 4, 4), 2, 64)]
    [(1, 4, 8), (1, 4, 8), (1, 4, 8)]
    >>> [one.shape for one in windows((3, 4, 8), (3, 2, 2), 2, 64)]
    [(3, 2, 4), (3, 2, 4), (3, 2, 4), (3, 2, 4)]
    """
    size = [min(one, whole) for one, whole in zip(chunk, shape, strict=True)]
    for axis in (2, 0, 1):
        others = int(np.prod([size[other] for other in range(3) if other != axis]))
        chunks = budget_bytes // max(1, others * itemsize * chunk[axis])
        size[axis] = min(shape[axis], max(1, chunks) * chunk[axis])
    for rows in _slices(shape[1], size[1]):
        for columns in _slices(shape[2], size[2]):
            for steps in _slices(shape[0], size[0]):
                yield Window(steps, rows, columns)


def _slices(length: int, step: int) -> Iterator[slice]:
    for first in range(0, length, step):
        yield slice(first, min(first + step, length))


def _overlap(block: slice, window: slice) -> tuple[slice, slice]:
    """Return what is common to both, counted from the start of the window and of the block."""
    first, last = max(block.start, window.start), min(block.stop, window.stop)
    return (
        slice(first - window.start, last - window.start),
        slice(first - block.start, last - block.start),
    )
