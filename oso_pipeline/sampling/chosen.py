"""Which of the drawn pixels are taken, now that it is known which are clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.lowest_draws import lowest
from oso_pipeline.sampling.drawn import HIGHEST, Drawn, Role, with_margin
from oso_pipeline.sampling.draws import Draw
from oso_pipeline.sampling.parts import PartReader
from oso_pipeline.sampling.pixel_features import Features, Validity

IN_MEMORY = -1
"""In place of the number of a part: the pixel was read in the second round."""

_FIRST_TRIM = 50_000


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


@dataclass
class More:
    """Usable pixels of the second round; keeps those that some role may take.

    Parameters
    ----------
    roles
        Roles that need more pixels.
    n_features
        Features of a pixel.
    """

    roles: Sequence[Role]
    n_features: int
    read: int = 0
    _parts: list[tuple[Drawn, Validity, Features]] = field(default_factory=list)
    _held: int = 0
    _trim_at: int = _FIRST_TRIM

    def add(self, pixels: Drawn, validity: Validity, features: Features) -> None:
        """Add usable pixels."""
        self._parts.append((pixels, validity, features))
        self._held += len(pixels)
        if self._held >= self._trim_at:
            self._parts = [self.result()]
            self._held = len(self._parts[0][0])
            self._trim_at = max(_FIRST_TRIM, 2 * self._held)

    def result(self) -> tuple[Drawn, Validity, Features]:
        """Return the pixels kept, with numbers of clear dates and features."""
        pixels = Drawn.concatenated([part[0] for part in self._parts])
        validity = np.concatenate([np.empty(0, np.uint16), *(part[1] for part in self._parts)])
        none = np.empty((0, self.n_features), np.int16)
        features = np.concatenate([none, *(part[2] for part in self._parts)])
        keep = np.flatnonzero(taken_by(self.roles, pixels))
        return pixels.take(keep), validity[keep], features[keep]


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
        Number of the part, or `IN_MEMORY`, and the row in it.
    parts
        Files with the pixels read of each block.
    more
        Features of the second round, shape ``(pixels, features)``.
    """

    pixels: Drawn
    validity: Validity
    part: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    parts: PartReader
    more: Features

    def features(self, first: int, last: int) -> Features:
        """Return the features of a range of the pixels, shape ``(pixels, features)``."""
        part, row = self.part[first:last], self.row[first:last]
        values = np.empty((len(part), self.parts.n_features), np.int16)
        in_memory = part == IN_MEMORY
        values[in_memory] = self.more[row[in_memory]]
        values[~in_memory] = self.parts.features(part[~in_memory], row[~in_memory])
        return values


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
    more: More = field(init=False)

    def __post_init__(self) -> None:
        self._places = self.parts.places()
        self.usable = np.zeros(len(self.drawn), bool)
        self.usable[self._places[0]] = True
        rest = rest_of(self.draw, self.drawn, self.usable)
        self.more = More(rest, self.parts.n_features)

    def chosen(self) -> Chosen:
        """Return the pixels that become samples."""
        number, clear, part, row = self._places
        more, more_clear, features = self.more.result()
        pixels = Drawn.concatenated([self.drawn.take(number), more])
        validity = np.concatenate([clear.astype(np.uint16), more_clear])
        part = np.concatenate([part, np.full(len(features), IN_MEMORY)])
        row = np.concatenate([row, np.arange(len(features))])
        taken = np.flatnonzero(taken_by(self.draw.roles, pixels))
        taken = taken[pixels.take(taken).order()]
        return Chosen(
            pixels.take(taken), validity[taken], part[taken], row[taken], self.parts, features
        )
