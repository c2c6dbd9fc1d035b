"""Meaning of the columns of a sample table as series, and shifts of series in time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation.options import AdaptationOptions
from oso_pipeline.adaptation.series_kernels import Moves, move_bands, write_indices
from oso_pipeline.core.families import FAMILIES
from oso_pipeline.core.indices import Index, index_named, lacking
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.kernels.chunks import Recipe, index_plan, recipe

Table = npt.NDArray[Any]
_LOWEST_SHARE = 0.02
_ROWS_OF_QUANTILE = 20_000


@dataclass(frozen=True)
class SeriesSpace:
    """The dates, bands, indices and derived features behind the columns of a table.

    Columns are in the order of
    :class:`~oso_pipeline.timeseries.feature_layout.FeatureLayout`: for each date all bands, then
    each index for all dates, then derived features. Seasons of different years share a space when
    their dates fall on the same days of the season; day 0 is the first date.

    Parameters
    ----------
    days
        Days of the dates, ascending; any epoch, only differences count.
    bands
        Names of the bands.
    indices
        Names of the indices, recomputed from the bands whenever these change.
    derived
        Families of derived features, likewise recomputed.
    defined
        Those of the indices that are defined by a formula.

    Raises
    ------
    ValueError
        If there is no date or band, days do not ascend, or a band that an index needs is missing.
    """

    days: tuple[int, ...]
    bands: tuple[str, ...]
    indices: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    defined: tuple[Index, ...] = ()

    def __post_init__(self) -> None:
        if not self.days or not self.bands:
            raise ValueError("a space of series needs at least one day and one band")
        if any(b <= a for a, b in zip(self.days, self.days[1:], strict=False)):
            raise ValueError("the days of a space of series must ascend")
        for name in self.indices:
            index = index_named(name, self.defined)
            if missing := lacking(index, self.bands, SENTINEL2):
                raise ValueError(f"{name} needs {', '.join(missing)} among the bands")

    @classmethod
    def of(cls, layout: FeatureLayout) -> SeriesSpace:
        """Return the space of the features of a configuration, int16 values."""
        group = layout.series
        days = [int(day) for day in group.days]
        since = tuple(day - days[0] for day in days)
        return cls(since, group.bands, group.indices, group.derived, group.defined)

    @classmethod
    def plain(cls, days: tuple[int, ...], n_bands: int = 1) -> SeriesSpace:
        """Return a space of bands alone, for any table of series by date and band."""
        return cls(tuple(int(day) for day in days), tuple(f"band{n}" for n in range(n_bands)))

    @property
    def size(self) -> int:
        """Number of columns."""
        n_channels, n_dates = len(self.bands) + len(self.indices), len(self.days)
        return n_channels * (n_dates + sum(FAMILIES[name].rows(n_dates) for name in self.derived))

    @property
    def is_plain(self) -> bool:
        """Whether bands are all there is; anything else is computed from int16 values of them."""
        return not (self.indices or self.derived)

    @property
    def n_series(self) -> int:
        """Number of columns that are bands."""
        return len(self.days) * len(self.bands)

    def by_band(self, table: Table) -> Table:
        """Return a view of the bands, shape ``(sample, date, band)``; ValueError if none fits."""
        self._require(table)
        return table[:, : self.n_series].reshape(len(table), len(self.days), len(self.bands))

    def shift(self, table: Table, days: float | npt.NDArray[np.floating]) -> Table:
        """Delay series: ``X'(t) = X(t - days)``, linear between dates, the ends held.

        Indices and derived features are computed again from the moved bands.

        Parameters
        ----------
        table
            int16, or floating if the space is plain, shape ``(sample, feature)``.
        days
            One delay for all samples, or one each, shape ``(sample,)``.

        Returns
        -------
        moved
            A new table of the same type.

        Raises
        ------
        ValueError
            If the table does not have the columns of this space.
        """
        n_bands = len(self.bands)
        same = np.ones((1, n_bands), np.float32), np.zeros((1, n_bands), np.float32)
        delays = np.atleast_1d(np.asarray(days, np.float32))
        return self._moved(table, Moves(delays, *same, np.zeros(n_bands, np.float32)))

    def jitter(
        self,
        table: Table,
        rng: np.random.Generator,
        options: AdaptationOptions,
        levels: Levels | None = None,
        days: npt.NDArray[np.floating] | float = 0.0,
    ) -> Table:
        """Return the series after small random moves, one of each kind per sample.

        The delay is normal with ``time_jitter_days`` about `days`. Each band is stretched about
        its floor by ``exp(N(0, gain_jitter))`` and raised by ``N(0, offset_jitter)`` of its
        standard deviation.

        Parameters
        ----------
        table
            As for :meth:`shift`.
        rng
            Where chance comes from.
        options
            Sizes of the moves.
        levels
            Floor and spread of the bands; those of `table` by default.
        days
            Mean delay of all samples or of each.
        """
        levels = levels or self.levels(table)
        shape = (len(table), len(self.bands))
        delays = days + rng.normal(0, options.time_jitter_days, len(table))
        gain = np.exp(rng.normal(0, options.gain_jitter, shape))
        offset = rng.normal(0, options.offset_jitter, shape) * levels.spread
        single = (array.astype(np.float32) for array in (delays, gain, offset, levels.floor))
        return self._moved(table, Moves(*single))

    def levels(self, table: Table) -> Levels:
        """Return the level of each band over all dates of at most 20,000 samples, evenly taken."""
        step = -(-len(table) // _ROWS_OF_QUANTILE)
        values = self.by_band(table[::step]).reshape(-1, len(self.bands))
        floor = np.quantile(values, _LOWEST_SHARE, axis=0)
        return Levels(floor, values.std(axis=0, dtype=np.float64))

    def _moved(self, table: Table, moves: Moves) -> Table:
        self._require(table)
        rounded = np.issubdtype(table.dtype, np.integer)
        if (rounded or not self.is_plain) and table.dtype != np.int16:
            raise ValueError(f"whole numbers and indices must be int16, got {table.dtype}")
        out = np.empty_like(table, order="C")
        days = np.array(self.days, np.float32)
        move_bands(table, days, len(self.bands), moves, rounded, out)
        if not self.is_plain:
            write_indices(self._plan, len(self.bands), out)
        return out

    def _require(self, table: Table) -> None:
        if table.ndim != 2 or table.shape[1] != self.size:
            turned = table.ndim == 2 and table.shape[0] == self.size
            raise ValueError(
                f"the table has shape {table.shape}, the space of series {self.size} columns"
                f"{'; it is transposed' if turned else ''}"
            )

    @cached_property
    def _plan(self) -> Recipe:
        days = np.array(self.days, np.int32)
        plan = index_plan(self.indices, self.bands, SENTINEL2, self.defined)
        return recipe(days, days, plan, self.derived)


@dataclass(frozen=True, eq=False)
class Levels:
    """Floor (2 % quantile) and standard deviation of each band, shape ``(band,)``."""

    floor: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
