"""Pixels that are drawn: those with the lowest numbers of their group, before any image is read.

A `Role` takes pixels, for example the training of a variant. Numbers look random and depend on
the pixel alone, so the drawn pixels do not depend on blocks, workers or their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.lowest_draws import lowest

LEAST_MARGIN, MARGIN_SHARE = 100, 0.25
"""Pixels drawn beyond a limit, at least, and as a share of it."""

_FIRST_TRIM = 50_000
HIGHEST = np.uint64(2**64 - 1)

Draws = npt.NDArray[np.uint64]


def with_margin(limit: int | None) -> int | None:
    """Return how many pixels of a group are drawn where `limit` of them are to be taken.

    Some will prove never clear. Where more do than the margin holds, more pixels are read
    (`sampling.second_round`), so the margin decides about time, not about samples.

    Examples
    --------
    >>> with_margin(10_000), with_margin(30), with_margin(None)
    (12500, 130, None)
    """
    return None if limit is None else limit + max(LEAST_MARGIN, ceil(MARGIN_SHARE * limit))


@dataclass(frozen=True, eq=False)
class Drawn:
    """Pixels of a tile with their numbers; arrays of one length.

    Parameters
    ----------
    row, column
        Place in the grid of the tile, int32.
    polygon
        Row in `Polygons`, int32; `core.rasterise.NONE` outside all.
    group
        Group in which a pixel is drawn, int32: its class and stratum, or its stratum.
    draw
        Its number, uint64.
    """

    row: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]
    polygon: npt.NDArray[np.int32]
    group: npt.NDArray[np.int32]
    draw: Draws

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def of(cls, *arrays: npt.NDArray[Any]) -> Drawn:
        """Return the pixels with these arrays, of any types of whole numbers."""
        row, column, polygon, group = (array.astype(np.int32) for array in arrays[:4])
        return cls(row, column, polygon, group, arrays[4])

    @classmethod
    def none(cls) -> Drawn:
        """Return no pixels."""
        return cls.of(*(np.empty(0, np.int32) for _ in range(4)), np.empty(0, np.uint64))

    @classmethod
    def concatenated(cls, parts: Sequence[Drawn]) -> Drawn:
        """Return the pixels of all `parts`."""
        if not parts:
            return cls.none()
        names = [one.name for one in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, rows: npt.NDArray[np.intp]) -> Drawn:
        """Return some of the pixels."""
        return Drawn(*(getattr(self, one.name)[rows] for one in fields(self)))

    def order(self) -> npt.NDArray[np.intp]:
        """Return the order by row and column."""
        return np.lexsort((self.column, self.row))


@dataclass(frozen=True, eq=False)
class Role:
    """Takes pixels: of each group those with the lowest numbers.

    Parameters
    ----------
    may
        Which polygons it may take from, shape ``(polygons + 1,)``; the last says it of pixels
        outside all (`core.rasterise.NONE` is -1).
    limit
        Most pixels of a group; None takes all.
    """

    may: npt.NDArray[np.bool_]
    limit: int | None

    def groups(self, pixels: Drawn) -> npt.NDArray[np.int64]:
        """Return the group of each pixel, -1 where the role may not take it."""
        return np.where(self.may[pixels.polygon], pixels.group, -1).astype(np.int64)

    def with_margin(self) -> Role:
        """Return the role as it draws, before it is known which pixels are clear."""
        return replace(self, limit=with_margin(self.limit))


@dataclass
class Lowest:
    """Keeps, of all pixels added, those that some role takes, and never many more.

    Parameters
    ----------
    roles
        Role that takes pixels.
    n_groups
        Groups are numbered from 0 to below this.
    """

    roles: Sequence[Role]
    n_groups: int
    _parts: list[Drawn] = field(default_factory=list)
    _held: int = 0
    _trim_at: int = _FIRST_TRIM

    def __post_init__(self) -> None:
        # Of each role and group the highest number that may still be among the lowest.
        self._highest = np.full((len(self.roles), self.n_groups), HIGHEST)

    def add(self, pixels: Drawn) -> npt.NDArray[np.intp]:
        """Add pixels; return the indices of those that some role may take yet."""
        may = np.zeros(len(pixels), bool)
        for role, highest in zip(self.roles, self._highest, strict=True):
            group = role.groups(pixels)
            may |= (group >= 0) & (pixels.draw <= highest[group])
        kept = np.flatnonzero(may)
        if len(kept):
            self._parts.append(pixels.take(kept))
            self._held += len(kept)
        if self._held >= self._trim_at:
            self._trim()
            self._trim_at = max(_FIRST_TRIM, 2 * self._held)
        return kept

    def result(self) -> Drawn:
        """Return the pixels kept, by row and column."""
        self._trim()
        (pixels,) = self._parts
        return pixels.take(pixels.order())

    def _trim(self) -> None:
        pixels = Drawn.concatenated(self._parts)
        keep = np.zeros(len(pixels), bool)
        for role, highest in zip(self.roles, self._highest, strict=True):
            group = role.groups(pixels)
            taken = lowest(pixels.draw, group, role.limit)
            keep |= taken
            if role.limit is not None:
                group, draw = group[taken], pixels.draw[taken]
                last = np.zeros(self.n_groups, np.uint64)
                np.maximum.at(last, group, draw)
                full = np.bincount(group, minlength=self.n_groups) >= role.limit
                highest[full] = last[full]
        self._parts = [pixels.take(np.flatnonzero(keep))]
        self._held = len(self._parts[0])
