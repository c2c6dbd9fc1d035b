"""Columns of few different texts as small numbers, without a Python string for each row."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int16]
ABSENT = -1
"""Number of a row without text."""


@dataclass
class CodedTexts:
    """Numbers the texts of columns that come in parts, in the order in which they are met.

    Parameters
    ----------
    known
        Number of each text so far.
    """

    known: dict[str, int] = field(default_factory=dict)

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts, by number."""
        return tuple(self.known)

    def codes(self, column: pa.ChunkedArray | pa.Array) -> Codes:
        """Return the number of the text of each row, int16, shape ``(rows,)``, or `ABSENT`."""
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        return np.concatenate([np.empty(0, np.int16), *map(self._of_chunk, chunks)])

    def categories(self, codes: Codes) -> pd.Categorical:
        """Return numbers that `codes` gave as texts of a table of pandas, sorted."""
        ordered = sorted(self.known)
        place = np.empty(len(ordered) + 1, np.int16)
        place[ABSENT] = ABSENT
        place[[self.known[text] for text in ordered]] = np.arange(len(ordered))
        return pd.Categorical.from_codes(place[codes], categories=pd.Index(ordered, dtype="str"))

    def _of_chunk(self, chunk: pa.Array) -> Codes:
        if not pa.types.is_dictionary(chunk.type):
            chunk = pc.dictionary_encode(chunk)
        if not len(chunk):
            return np.empty(0, np.int16)
        texts = [*map(str, chunk.dictionary.to_pylist())]
        numbers = [self.known.setdefault(text, len(self.known)) for text in texts]
        table = np.array([*numbers, ABSENT], np.int16)  # the last stands for rows without text
        return table[pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False)]
