"""Rows of a table by the object they belong to, without a hash table of a nation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

AT_ONCE = 1_000_000
"""Rows that are worked on together."""
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class ByObject:
    """The rows of each object.

    Parameters
    ----------
    rows
        All rows, object after object by ascending key, those of one object in their own order;
        shape ``(rows,)``.
    starts
        Where each object begins in `rows`, shape ``(objects,)``.
    """

    rows: Rows
    starts: Rows

    @classmethod
    def of(cls, *keys: npt.NDArray[Any]) -> ByObject:
        """Group rows by one key or several, of which the first counts most; shape ``(rows,)``."""
        rows = np.lexsort(keys[::-1]) if len(keys) > 1 else np.argsort(keys[0], kind="stable")
        first = np.zeros(len(rows), bool)
        first[:1] = True
        for key in keys:
            ordered = key[rows]
            first[1:] |= ordered[1:] != ordered[:-1]
        return cls(rows, np.flatnonzero(first))

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def first(self) -> Rows:
        """The first row of each object, shape ``(objects,)``."""
        return self.rows[self.starts]

    @property
    def sizes(self) -> Rows:
        """The number of rows of each object, shape ``(objects,)``."""
        return np.diff(self.starts, append=len(self.rows))

    def to_rows(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Give each row the value of its object; from shape ``(objects,)`` to ``(rows,)``."""
        result = np.empty(len(self.rows), values.dtype)
        result[self.rows] = np.repeat(values, self.sizes)
        return result

    def number_within(self) -> npt.NDArray[np.int32]:
        """Return the number of each row among those of its object, from 0; shape ``(rows,)``."""
        result = np.empty(len(self.rows), np.int32)
        result[self.rows] = np.arange(len(self.rows)) - np.repeat(self.starts, self.sizes)
        return result

    def chunks(self) -> Iterator[Rows]:
        """Yield the rows of whole objects, about `AT_ONCE` at a time, in order of the objects."""
        ends = np.arange(AT_ONCE, len(self.rows), AT_ONCE)
        # Back to where the object begins that is under way there.
        borders = np.unique(self.starts[np.searchsorted(self.starts, ends) - 1])
        cuts = [0, *borders[borders > 0].tolist(), len(self.rows)]
        for start, end in pairwise(cuts):
            yield self.rows[start:end]


def among(values: npt.NDArray[Any], known: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which numbers are among the ascending `known`, a part at a time."""
    found = np.zeros(len(values), bool)
    if len(known):
        for start in range(0, len(values), AT_ONCE):
            some = values[start : start + AT_ONCE]
            place = np.searchsorted(known, some).clip(max=len(known) - 1)
            found[start : start + AT_ONCE] = known[place] == some
    return found
