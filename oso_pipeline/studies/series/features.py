"""From series to the features of the map: the same gap-filling and indices, the same int16."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.seasons import moved
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.families import FAMILIES
from oso_pipeline.core.index_catalogue import catalogue_index, catalogue_names
from oso_pipeline.core.indices import INDICES, Index
from oso_pipeline.studies.series.faults import listed, refuse, refuse_name
from oso_pipeline.studies.series.series import Array, Series, column_name, date_of
from oso_pipeline.timeseries.feature_layout import FeatureGroup, FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.series import BlockSeries

LOWEST, HIGHEST = -9_999, 32_767
"""Range of an observation as int16; -10000 marks no data."""
_HALF_RANGE = 20_000
"""Learnt values span twice as much, which leaves space on both sides for new ones."""
_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Computed:
    """What is computed from the bands: indices, and families of derived features, by name.

    Those of the indices that are defined by a formula stand in `defined` as well.
    """

    indices: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    defined: tuple[Index, ...] = ()

    @classmethod
    def of(cls, indices: Sequence[str | Index], derived: Sequence[str]) -> Computed:
        """Return what is wanted by name, of the chain or the catalogue, or by definition."""
        defined = [
            catalogue_index(one) if isinstance(one, str) else one
            for one in indices
            if isinstance(one, Index) or (one not in INDICES and one in catalogue_names())
        ]
        names = [one.name if isinstance(one, Index) else one for one in indices]
        return cls(tuple(names), tuple(derived), tuple(defined))


def indices_of(group: FeatureGroup) -> tuple[str | Index, ...]:
    """Return the indices of a group as :meth:`Computed.of` takes them: by name, or as defined."""
    return tuple(name if name in INDICES else group.index(name) for name in group.indices)


@dataclass(frozen=True, eq=False)
class BandScale:
    """How values become int16: a line for each band, the same on all dates.

    Parameters
    ----------
    factor, offset
        ``rint(x * factor + offset)``, float64, shape ``(band,)``.
    exact
        Whether the result is the value itself in 1e-4 units, not a number that was chosen to
        span int16.
    """

    factor: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]
    exact: bool

    @classmethod
    def of(cls, series: Series, scale: float | None) -> BandScale:
        """Return the scale that is given, or one that fits the observations of a table.

        Whole numbers within int16 stay what they are. Others, if no scale is given, are spread
        band by band over most of int16.

        Raises
        ------
        InputDataError
            If values times a given scale do not fit int16 (``E-SERIES-SCALE``).
        """
        n_bands = len(series.bands)
        seen = np.asarray(series.values[series.clear], np.float64)
        plain = cls(np.ones(n_bands), np.zeros(n_bands), True)
        if scale is not None:
            if not isinstance(scale, int | float | np.number) or not 0 < scale < np.inf:
                refuse(
                    "E-SERIES-SCALE",
                    f"scale: found {scale!r}, expected a number above 0",
                    "choose `scale` so that values become 1e-4 units",
                )
            given = cls(np.full(n_bands, float(scale)), np.zeros(n_bands), True)
            given.refuse_values(seen, f"times scale {scale:g}")
            return given
        if plain.fits(seen) and (seen == np.rint(seen)).all():
            return plain
        low, high = seen.min(axis=0), seen.max(axis=0)
        factor = 2 * _HALF_RANGE / np.where(high > low, high - low, 1)
        return cls(factor, -_HALF_RANGE - low * factor, False)

    def apply(self, values: Array, clear: npt.NDArray[np.bool_]) -> npt.NDArray[np.int16]:
        """Return values as int16, 0 where nothing was observed; learnt scales end at the ends.

        Raises
        ------
        InputDataError
            If values of an exact scale do not fit (``E-SERIES-SCALE``).
        """
        numbers = np.where(clear[..., np.newaxis], values, 0) * self.factor + self.offset
        if self.exact:
            _refuse_beyond(numbers, "times `scale`")
        return np.rint(numbers).clip(LOWEST, HIGHEST).astype(np.int16)

    def fits(self, seen: npt.NDArray[np.float64]) -> bool:
        """Tell whether observations stay within the range of int16."""
        numbers = seen * self.factor + self.offset
        return bool(((numbers >= LOWEST) & (numbers <= HIGHEST)).all())

    def refuse_values(self, seen: npt.NDArray[np.float64], what: str) -> None:
        """Raise InputDataError where observations do not fit."""
        _refuse_beyond(seen * self.factor + self.offset, what)


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """Meaning of the features of a classifier.

    Parameters
    ----------
    layout
        Bands, dates, indices and derived features; days of the season count from 1970-01-01.
    dated
        Whether the dates are those of a calendar.
    scale
        How values become int16.
    """

    layout: FeatureLayout
    dated: bool
    scale: BandScale

    @classmethod
    def of(
        cls,
        series: Series,
        grid: DateGrid | None,
        wanted: Computed,
        scale: float | None,
    ) -> FeatureSpace:
        """Return the features on a grid, or on the dates of the table where none is given.

        Raises
        ------
        InputDataError
            If a grid of dates is given for days of the season, an index cannot be computed from
            such values, or values do not fit.
        UnknownName
            If an index or family is unknown, or a band is not there (``E-SERIES-BANDS``).
        """
        if grid is not None and not series.dated:
            refuse(
                "E-SERIES-SEASON",
                "a grid of dates is given, the series have days of the season",
                "leave `grid` out, or give the series on dates",
            )
        found = BandScale.of(series, scale)
        if wanted.indices and not found.exact:
            refuse(
                "E-SERIES-SCALE",
                f"{wanted.indices[0]} is computed from reflectances in 1e-4 units, the table holds "
                "other numbers",
                "set `scale`: 10000 for reflectances from 0 to 1",
            )
        days = tuple(date_of(day) for day in series.days) if grid is None else grid.dates
        try:
            layout = FeatureLayout.optical(
                series.bands, days, wanted.indices, wanted.derived, wanted.defined
            )
        except ValueError as error:
            refuse_name(
                "E-SERIES-BANDS",
                f"{error}; the table has {listed(series.bands)}",
                "name the bands as Sentinel-2 does: B2, B3, B4, B5, B6, B7, B8, B8A, B11, B12",
            )
        return cls(layout, series.dated, found)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, those of the map where they have dates."""
        if self.dated:
            return self.layout.names
        group = self.layout.series
        days = [int(day) for day in group.days]
        bands = tuple(column_name(band, day, False) for day in days for band in group.bands)
        indices = tuple(column_name(i, day, False) for i in group.indices for day in days)
        stamps = tuple(f"d{day}" for day in days)
        families = (FAMILIES[name] for name in group.derived)
        derived = (one.columns(name, stamps) for one in families for name in group.channels)
        return (*bands, *indices, *chain.from_iterable(derived))

    def features(self, series: Series) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
        """Return the features of samples by the kernels of the map, and their clear dates.

        Features of dates lie on the days of the season of the table: the grid is moved by whole
        years to where the table is.

        Returns
        -------
        features
            int16, shape ``(feature, sample)``; -10000 for samples without a clear date.
        validity
            uint16, shape ``(sample,)``.

        Raises
        ------
        InputDataError
            If days are of another kind, no date lies within the season (``E-SERIES-SEASON``), or
            values do not fit (``E-SERIES-SCALE``).
        UnknownName
            If bands differ (``E-SERIES-BANDS``).
        """
        layout = self._layout_for(series)
        features = np.empty((layout.size, len(series)), np.int16)
        validity = np.empty(len(series), np.uint16)
        for start in range(0, len(series), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            values = series.values[rows]
            clear = np.asarray(np.isfinite(values).all(axis=2), np.bool_)
            whole = self.scale.apply(values, clear)
            block = BlockSeries.of(
                np.ascontiguousarray(whole.transpose(1, 2, 0)),
                np.ascontiguousarray(clear.T),
                series.days,
            )
            features[:, rows], validity[rows] = block_features(block, layout)
        return features, validity

    def _layout_for(self, series: Series) -> FeatureLayout:
        """Return the layout in the season of a table."""
        group = self.layout.series
        if series.bands != group.bands:
            refuse_name(
                "E-SERIES-BANDS",
                f"the classifier expects bands {listed(group.bands)}, the table has "
                f"{listed(series.bands)}",
                "give the bands that the classifier was trained with",
            )
        if series.dated != self.dated:
            kinds = {True: "dates", False: "days of the season"}
            refuse(
                "E-SERIES-SEASON",
                f"the classifier was trained with {kinds[self.dated]}, the table has "
                f"{kinds[series.dated]}",
                "name the columns as those that the classifier was trained with",
            )
        if not self.dated:
            return self.layout
        dates = in_season(group.dates or (), series.days)
        _refuse_other_season(dates, series.days)
        return self.layout.on(dates)


def in_season(dates: tuple[date, ...], days: npt.NDArray[np.int32]) -> tuple[date, ...]:
    """Return dates moved by whole years to the season of a table.

    The middle of the season comes as near to that of the table as whole years allow. Days count
    from the first date, as in past seasons of the map.

    Examples
    --------
    >>> grid = DateGrid(date(2017, 1, 1), date(2017, 12, 31), 30)
    >>> in_season(grid.dates, np.array([17_540, 17_890], np.int32))[0]  # 2018-01-09 to 2018-12-25
    datetime.date(2018, 1, 1)
    """
    middle = date_of((int(days[0]) + int(days[-1])) // 2)
    half = (dates[-1] - dates[0]) // 2
    years = round((middle - (dates[0] + half)) / timedelta(days=365.25))
    start = moved(dates[0], years)
    return tuple(start + (day - dates[0]) for day in dates)


def _refuse_other_season(dates: tuple[date, ...], days: npt.NDArray[np.int32]) -> None:
    first, last = date_of(days[0]), date_of(days[-1])
    if last < dates[0] or first > dates[-1]:
        refuse(
            "E-SERIES-SEASON",
            f"the series run from {first} to {last}, the features from {dates[0]} to {dates[-1]}: "
            "no date lies in the season",
            "give series of the season that the classifier was trained with, of any year",
        )


def _refuse_beyond(numbers: npt.NDArray[np.float64], what: str) -> None:
    beyond = (numbers < LOWEST) | (numbers > HIGHEST)
    if beyond.any():
        refuse(
            "E-SERIES-SCALE",
            f"{int(beyond.sum())} values {what} lie outside {LOWEST} to {HIGHEST}; they run from "
            f"{numbers.min():g} to {numbers.max():g}",
            "choose `scale` so that values become 1e-4 units, and write NaN where nothing was "
            "observed",
        )
