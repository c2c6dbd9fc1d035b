"""Which features of a layout are series, and which stand beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.timeseries.feature_layout import FeatureGroup, FeatureLayout

Indices = npt.NDArray[np.int64]

_SLOWEST = 1000.0
"""Of the positional encoding, as in Vaswani et al. 2017 with the base of Garnot and Landrieu."""


@dataclass(frozen=True, eq=False)
class Series:
    """The series of one group of features.

    Parameters
    ----------
    rows
        Feature of each date and channel, shape ``(date, channel)``.
    days
        Days of the dates since 1 January of the year of the first, shape ``(date,)``.
    """

    rows: Indices
    days: npt.NDArray[np.int64]

    def position(self, width: int) -> npt.NDArray[np.float32]:
        """Return the encoding of the days by sines and cosines, shape ``(date, width)``."""
        number = np.arange(width)
        angle = self.days[:, None] / _SLOWEST ** (2 * (number // 2) / width)
        return np.where(number % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Places:
    """Where the numbers are that a network takes.

    Parameters
    ----------
    series
        The series of each group with dates.
    static
        Features that are of no date.
    """

    series: tuple[Series, ...]
    static: Indices

    @classmethod
    def of(cls, layout: FeatureLayout) -> Places:
        """Return the places of a layout: bands and indices are channels of their group.

        Raises
        ------
        ValueError
            If no feature has a date.
        """
        series, static, first = [], list[int](), 0
        for group in layout.groups:
            names = len(group.names)
            if group.dates is None:
                static += range(first, first + names)
            else:
                one = _series(group, first)
                series.append(one)
                static += sorted(set(range(first, first + names)) - set(one.rows.ravel().tolist()))
            first += names
        if not series:
            raise ValueError("attention over dates needs features with dates")
        return cls(tuple(series), np.array(static, np.int64))


def _series(group: FeatureGroup, first: int) -> Series:
    assert group.dates is not None
    n_dates, n_bands = len(group.dates), len(group.bands)
    bands = np.arange(n_dates * n_bands).reshape(n_dates, n_bands)
    indices = np.arange(len(group.indices) * n_dates).reshape(-1, n_dates).T + bands.size
    start = group.dates[0].replace(month=1, day=1)
    days = np.array([(day - start).days for day in group.dates], np.int64)
    return Series(first + np.hstack([bands, indices]), days)
