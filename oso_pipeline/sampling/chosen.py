"""Which of the drawn pixels are taken, now that it is known which are clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.lowest_draws import lowest
from oso_pipeline.sampling.drawn import HIGHEST, Drawn, Role, with_margin
from oso_pipeline.sampling.draws import Draw
from oso_pipeline.sampling.parts import PartReader
from oso_pipeline.sampling.pixel_features import Features, Validity


@dataclass(frozen=True, eq=False)
class Rest(Role):
    """Takes pixels beyond those that were drawn at first, of the groups that lack clear ones.

    Parameters
    ----------
    beyond
        The highest number that was drawn, per group; 2^64 - 1 for groups that lack none.
    """

    beyond: npt.NDArray[np.uint64]

    def groups(self, pixels: Drawn) -> npt.NDArray[np.int64]:
        """Return the group of each pixel, -1 where the role may not take it."""
        group = super().groups(pixels)
        return np.where(pixels.draw > self.beyond[group], group, -1)


def rest_of(draw: Draw, drawn: Drawn, usable: npt.NDArray[np.bool_]) -> tuple[Rest, ...]:
    """Return who needs more pixels than were drawn: a margin held too few usable ones.

    Parameters
    ----------
    draw
        Population of the draw.
    drawn
        The pixels drawn.
    usable
        Which of them are clear often enough.
    """
    found = []
    for role in draw.roles:
        most = with_margin(role.limit)
        if role.limit is None or most is None:
            continue
        group = role.groups(drawn)
        first = lowest(drawn.draw, group, most)
        n_first = np.bincount(group[first], minlength=draw.n_groups)
        n_usable = np.bincount(group[first & usable], minlength=draw.n_groups)
        short = (n_first >= most) & (n_usable < role.limit)
        if short.any():
            last = np.zeros(draw.n_groups, np.uint64)
            np.maximum.at(last, group[first], drawn.draw[first])
            found.append(Rest(role.may, role.limit, np.where(short, last, HIGHEST)))
    return tuple(found)


def taken_by(roles: Sequence[Role], pixels: Drawn) -> npt.NDArray[np.bool_]:
    """Return which pixels some role takes."""
    taken = np.zeros(len(pixels), bool)
    for role in roles:
        taken |= lowest(pixels.draw, role.groups(pixels), role.limit)
    return taken


@dataclass(frozen=True, eq=False)
class Chosen:
    """Pixels that become samples, by row and column, and where their features are.

    Parameters
    ----------
    pixels, validity
        The pixels, and their numbers of clear dates.
    part, row
        Number of the part, and the row in it.
    parts
        Files with the pixels read.
    """

    pixels: Drawn
    validity: Validity
    part: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    parts: PartReader

    def features(self, first: int, last: int) -> Features:
        """Return the features of a range of the pixels, shape ``(pixels, features)``."""
        return self.parts.features(self.part[first:last], self.row[first:last])


@dataclass
class Choice:
    """The choice among the pixels of one draw.

    Parameters
    ----------
    draw
        Population of the draw.
    drawn
        The pixels drawn.
    parts
        Files with the usable pixels of each block.
    """

    draw: Draw
    drawn: Drawn
    parts: PartReader
    n_more: int = 0
    """Pixels read in the second round."""

    def __post_init__(self) -> None:
        self.usable = np.zeros(len(self.drawn), bool)
        self.usable[self.parts.places()[0]] = True
        self.rest = rest_of(self.draw, self.drawn, self.usable)

    def add(self, more: Drawn, part: Path) -> None:
        """Add pixels of the second round, whose numbers in `part` follow those of the drawn."""
        self.drawn = Drawn.concatenated([self.drawn, more])
        self.parts = self.parts.and_part(part)

    def chosen(self) -> Chosen:
        """Return the pixels that become samples."""
        number, validity, part, row = self.parts.places()
        pixels = self.drawn.take(number)
        taken = np.flatnonzero(taken_by(self.draw.roles, pixels))
        taken = taken[pixels.take(taken).order()]
        clear = validity[taken].astype(np.uint16)
        return Chosen(pixels.take(taken), clear, part[taken], row[taken], self.parts)
