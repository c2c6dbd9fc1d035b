"""The series of a tile, from the block files of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy.typing as npt

from oso_pipeline.core.blocks import Block
from oso_pipeline.timeseries.series_block_file import read_series_block, read_series_layout
from oso_pipeline.timeseries.series_layout import SeriesLayout


@dataclass(frozen=True)
class BlockFiles:
    """The committed blocks of a tile.

    Parameters
    ----------
    paths
        Their files, at least one.
    """

    paths: tuple[Path, ...]

    @cached_property
    def _found(self) -> tuple[SeriesLayout, dict[Block, Path]]:
        layouts = [(*read_series_layout(path), path) for path in self.paths]
        return layouts[0][0], {block: path for _, block, path in layouts}

    @property
    def layout(self) -> SeriesLayout:
        """Variables and their steps."""
        return self._found[0]

    @property
    def blocks(self) -> Sequence[Block]:
        """The blocks that have a file."""
        return tuple(self._found[1])

    def read(self, block: Block, name: str) -> npt.NDArray[Any]:
        """Return the stored integers of a variable, shape ``(step, row, column)``.

        Raises
        ------
        InputDataError
            If the file cannot be read (``E-SERIES-BLOCK``).
        """
        return read_series_block(self._found[1][block], [name]).values[name]
