"""Tables of any numbers as the int16 values that forests are grown on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation.space import SeriesSpace

_INT16 = np.iinfo(np.int16)
_HALF_RANGE = 20_000  # margin on both sides for jitter and for larger values in new data


@dataclass(frozen=True, eq=False)
class Scale:
    """A line per column, the same for all dates of a band, so that it commutes with shifts.

    Parameters
    ----------
    factor, offset
        ``rint(x * factor + offset)``, float64, shape ``(feature,)``; None for tables that hold
        int16 values already.
    """

    factor: npt.NDArray[np.float64] | None = None
    offset: npt.NDArray[np.float64] | None = None

    @classmethod
    def of(cls, space: SeriesSpace, *tables: npt.NDArray[Any]) -> Scale:
        """Return the scale that spreads the values of each band over most of int16.

        Raises
        ------
        ValueError
            If the space has indices or derived features, which are defined on int16 reflectances,
            and a table holds other values.
        """
        if all(_fits(table) for table in tables):
            return cls()
        if not space.is_plain:
            raise ValueError(
                "indices and derived features are computed from int16 reflectances, the table "
                "holds other values; give int16, or a space of series of bands alone"
            )
        bands = [space.by_band(table) for table in tables if len(table)]
        low = np.min([b.min(axis=(0, 1)) for b in bands], axis=0).astype(np.float64)
        high = np.max([b.max(axis=(0, 1)) for b in bands], axis=0).astype(np.float64)
        factor = 2 * _HALF_RANGE / np.where(high > low, high - low, 1)
        offset = -_HALF_RANGE - low * factor
        return cls(*(np.tile(line, len(space.days)) for line in (factor, offset)))

    def apply(self, table: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
        """Return the table as int16; values beyond are held at the ends."""
        if self.factor is None or self.offset is None:
            if table.dtype == np.int16:
                return table.astype(np.int16, copy=False)
            values = np.asarray(table, np.float64)
        else:
            values = table * self.factor + self.offset
        return np.rint(values).clip(_INT16.min, _INT16.max).astype(np.int16)


def _fits(table: npt.NDArray[Any]) -> bool:
    if table.dtype == np.int16:
        return True
    whole = np.issubdtype(table.dtype, np.integer)
    return whole and bool(
        len(table) == 0 or (table.min() >= _INT16.min and table.max() <= _INT16.max)
    )
