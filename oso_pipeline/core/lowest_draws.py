"""Drawing without a generator: of a group of pixels, those with the lowest hash are taken.

The lowest k of a union are the lowest k among the lowest k of its parts. A draw made in
blocks, tiles or workers of any number and order is therefore the draw from the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
_FIRST_TRIM = 500_000


def lowest(draw: npt.NDArray[np.uint64], group: npt.NDArray[np.int64], limit: int | None) -> Mask:
    """Return which rows have one of the `limit` lowest numbers of their group.

    Parameters
    ----------
    draw
        Hash of each row, uint64, shape ``(rows,)``. Rows with the same hash in one group are
        taken in the order given.
    group
        Group of each row, shape ``(rows,)``; rows with a negative one are never taken.
    limit
        Most rows taken per group; None takes all.

    Examples
    --------
    >>> draw = np.array([5, 1, 3, 9], np.uint64)
    >>> lowest(draw, np.array([0, 0, 0, 1]), 2).tolist()
    [False, True, True, True]
    """
    taken = group >= 0
    if limit is None:
        return taken
    order = np.lexsort((draw, group))
    ordered = group[order]
    first = np.searchsorted(ordered, ordered, side="left")
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - first
    return taken & (rank < limit)


def groups_of(*columns: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Return a number per distinct combination of values of `columns`, shape ``(rows,)``."""
    group = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, index = np.unique(column, return_inverse=True)
        group = group * len(values) + index
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


@dataclass
class LowestOfParts:
    """The rows that `lowest` takes from parts that do not fit in memory together.

    Parameters
    ----------
    limit
        Most rows taken per group; None takes all.
    """

    limit: int | None
    _held: list[tuple[Rows, npt.NDArray[np.uint64], npt.NDArray[np.int64], Rows]] = field(
        default_factory=list
    )
    _parts: int = 0
    _trim_at: int = _FIRST_TRIM

    def add(self, draw: npt.NDArray[np.uint64], group: npt.NDArray[np.int64]) -> None:
        """Add a part; its arrays are those of `lowest`, of groups that are the same in all."""
        rows = np.flatnonzero(lowest(draw, group, self.limit))
        part = np.full(len(rows), self._parts, np.intp)
        self._held.append((rows, draw[rows], group[rows], part))
        self._parts += 1
        if sum(len(one[0]) for one in self._held) > self._trim_at:
            self._trim()
            self._trim_at = max(_FIRST_TRIM, 2 * len(self._held[0][0]))

    def rows(self) -> list[Rows]:
        """Return the rows taken of each part, ascending."""
        if not self._held:
            return []
        self._trim()
        row, _, _, part = self._held[0]
        ends = np.searchsorted(part, np.arange(self._parts + 1))
        return [row[first:last] for first, last in pairwise(ends.tolist())]

    def _trim(self) -> None:
        row, draw, group, part = (
            np.concatenate(arrays) for arrays in zip(*self._held, strict=True)
        )
        taken = lowest(draw, group, self.limit)
        self._held = [(row[taken], draw[taken], group[taken], part[taken])]
