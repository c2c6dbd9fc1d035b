"""Unlabelled pixels drawn by area: how the season went, whatever grows there.

Of each stratum the pixels with the lowest numbers are taken that no polygon holds which evaluates
the map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.blocks import Block
from oso_pipeline.reference.split.variants import validation_rows
from oso_pipeline.sampling.drawn import Drawn, Role
from oso_pipeline.sampling.polygons import CandidateFinder, Polygons, draw_numbers

StrataOf = Callable[[Block], npt.NDArray[np.int32]]
"""Returns the index of the stratum at each pixel of a block, negative outside."""


@dataclass(frozen=True)
class AreaLimits:
    """Settings of the draw.

    Parameters
    ----------
    variants
        Train variants; each has polygons of its own that are held out, and a draw of its own.
    strata
        Names of the strata, ascending.
    size
        Pixels drawn per stratum.
    seed
        Seed of the draw in the tile, 64 bits.
    """

    variants: tuple[str, ...]
    strata: tuple[str, ...]
    size: int
    seed: int


@dataclass
class AreaDraw:
    """Population of the unlabelled pixels of a tile: all pixels that it owns.

    Parameters
    ----------
    finder
        Finds the pixels that the tile owns, and their polygons.
    polygons
        Polygons of the season of the map.
    strata_of
        Strata of the pixels.
    limits
        Settings of the draw.
    """

    finder: CandidateFinder
    polygons: Polygons
    strata_of: StrataOf
    limits: AreaLimits
    roles: tuple[Role, ...] = field(init=False)

    def __post_init__(self) -> None:
        held_out = [validation_rows(self.polygons.table, v) for v in self.limits.variants]
        self.roles = tuple(Role(np.append(~rows, True), self.limits.size) for rows in held_out)

    @property
    def n_groups(self) -> int:
        """Number of strata."""
        return len(self.limits.strata)

    def find(self, block: Block) -> Drawn:
        """Return the pixels of `block` that may be drawn; no image is opened for that."""
        labels = self.strata_of(block)
        found = self.finder.all_owned(block, labels >= 0)
        stratum = labels[found.row - block.row, found.column - block.column]
        nobody = np.zeros(len(found), np.int64)
        draw = draw_numbers(self.limits.seed, nobody, found.row, found.column)
        return Drawn.of(found.row, found.column, found.polygon, stratum, draw)
