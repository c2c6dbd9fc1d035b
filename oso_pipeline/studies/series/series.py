"""Series of samples by date and band, from named columns or from arrays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from oso_pipeline.core.dates import days_since_epoch
from oso_pipeline.studies.series.faults import listed, refuse, refuse_name

Array = npt.NDArray[Any]
EPOCH = date(1970, 1, 1)

_NAME = re.compile(r"(?P<band>.+)_(?P<when>\d{8}|d-?\d+)")
_ALMOST = re.compile(r"(?P<band>.+)_d?-?\d+([.,]\d+)?")
_DATES_HINT = "give whole days or dates in ascending order, with the series in the same order"
_LONGEST_DAYS = 1000
"""Days of a season lie below; greater numbers are years or dates written as one number."""


@dataclass(frozen=True, eq=False)
class Series:
    """Series of samples.

    Parameters
    ----------
    values
        Floating or whole numbers, shape ``(sample, date, band)``; NaN where nothing was observed.
    days
        Ascending int32, shape ``(date,)``: days since 1970-01-01, or days of the season.
    bands
        Names of the bands.
    dated
        Whether the days are those of a calendar.
    """

    values: Array
    days: npt.NDArray[np.int32]
    bands: tuple[str, ...]
    dated: bool

    def __len__(self) -> int:
        return len(self.values)

    @property
    def clear(self) -> npt.NDArray[np.bool_]:
        """Whether all bands were observed, shape ``(sample, date)``."""
        return np.asarray(np.isfinite(self.values).all(axis=2), np.bool_)

    @property
    def validity(self) -> npt.NDArray[np.uint16]:
        """Number of clear dates, shape ``(sample,)``."""
        return self.clear.sum(axis=1).astype(np.uint16)


def column_name(band: str, day: int, dated: bool) -> str:
    """Return the name of a column: ``B4_20180115``, or ``NDVI_d15`` for day 15 of the season."""
    return f"{band}_{date_of(day):%Y%m%d}" if dated else f"{band}_d{day}"


def date_of(day: int) -> date:
    """Return the date of a day since 1970-01-01."""
    return EPOCH + timedelta(days=int(day))


def is_series_name(name: object) -> bool:
    """Tell whether a column is named as a band on a date."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def has_series(frame: pd.DataFrame) -> bool:
    """Tell whether some column is named as a band on a date."""
    return any(map(is_series_name, frame.columns))


def series_of_frame(
    frame: pd.DataFrame, bands: Sequence[str] | None, computed: Sequence[str] = ()
) -> Series:
    """Return the series of a table whose columns are named as in `column_name`.

    Columns may stand in any order. Others are left aside, as labels and places are.

    Parameters
    ----------
    frame
        A row for each sample.
    bands
        Bands to take; all by default, in their order.
    computed
        Indices that are computed from the bands: columns of that name are left aside.

    Raises
    ------
    UnknownName
        If a band is not there (``E-SERIES-BANDS``).
    InputDataError
        If a column names no date (``E-SERIES-DATES``), bands differ in their dates
        (``E-SERIES-BAND-DATES``), or a column holds other than numbers (``E-SERIES-VALUES``).
    """
    found, dated = _columns(frame.columns)
    names = tuple(bands) if bands is not None else tuple(b for b in found if b not in computed)
    if missing := [name for name in names if name not in found]:
        refuse_name(
            "E-SERIES-BANDS",
            f"bands {listed(missing)} are not in the table, it has {listed(found)}",
            "name bands of the table in `bands`; columns are named as B4_20180115",
        )
    if not names:
        refuse(
            "E-SERIES-BANDS",
            f"the table has no band beside {listed(computed)}, which are computed",
            "give the bands from which indices are computed, or leave `indices` empty",
        )
    days = sorted(found[names[0]])
    for name in names[1:]:
        if odd := sorted(set(days) ^ set(found[name])):
            shown = listed(date_of(day) if dated else day for day in odd)
            refuse(
                "E-SERIES-BAND-DATES",
                f"bands {names[0]} and {name} differ in their dates: {shown}",
                "give every band on every date; leave cells empty where nothing was observed",
            )
    chosen = [found[name][day] for day in days for name in names]
    values = _numbers(frame.iloc[:, chosen]).reshape(len(frame), len(days), len(names))
    return Series(values, np.array(days, np.int32), names, dated)


def series_of_array(
    table: Array, days: npt.NDArray[np.int32], bands: tuple[str, ...], dated: bool
) -> Series:
    """Return the series of an array of shape ``(sample, date * band)``, all bands date by date."""
    return Series(table.reshape(len(table), len(days), len(bands)), days, bands, dated)


def flat(array: Array, n_dates: int | None, n_bands: int | None) -> Array:
    """Return an array of series with a row for each sample, whose sides are as promised.

    Parameters
    ----------
    array
        Shape ``(sample, date * band)`` or ``(sample, date, band)``.
    n_dates, n_bands
        How many there must be; None where nobody said so.

    Raises
    ------
    InputDataError
        If it is of another shape, or transposed (``E-SERIES-SHAPE``).
    """
    if array.ndim == 3:
        if n_dates is None or n_bands is None:
            refuse(
                "E-SERIES-SHAPE",
                f"found an array of shape {array.shape} without `dates` and `bands`",
                "name the dates and the bands of the array: which side is which cannot be seen",
            )
        if array.shape[1:] != (n_dates, n_bands):
            turned = {n_dates, n_bands} <= set(array.shape)
            _refuse_shape(array.shape, f"(sample, {n_dates}, {n_bands})", turned)
        return array.reshape(len(array), -1)
    if array.ndim == 2 and n_dates is not None:
        expected = n_dates * (n_bands or 1)
        if array.shape[1] != expected:
            _refuse_shape(array.shape, f"(sample, {expected})", array.shape[0] == expected)
    return array


def days_of(dates: Iterable[Any]) -> tuple[npt.NDArray[np.int32], bool]:
    """Return days as whole numbers, and whether they are those of a calendar.

    Parameters
    ----------
    dates
        Dates, texts as ``2018-01-15`` or ``20180115``, or whole days of the season.

    Raises
    ------
    InputDataError
        If they are fractional, no dates, or do not ascend (``E-SERIES-DATES``).
    """
    given = list(dates)
    if not given:
        refuse("E-SERIES-DATES", "dates: found an empty list", _DATES_HINT)
    parts = [_day(value) for value in given]
    kinds = {dated for _, dated in parts}
    if len(kinds) > 1:
        refuse("E-SERIES-DATES", "dates: days of the season stand beside dates", _DATES_HINT)
    days = np.array([day for day, _ in parts], np.int64)
    if (np.diff(days) <= 0).any():
        at = int(np.argmax(np.diff(days) <= 0))
        refuse(
            "E-SERIES-DATES",
            f"dates: {given[at]} comes before {given[at + 1]}: they must ascend, each once",
            _DATES_HINT,
        )
    return days.astype(np.int32), kinds.pop()


def _day(value: Any) -> tuple[int, bool]:
    """Return a day since 1970-01-01 and True, or a day of the season and False."""
    plain = value.item() if isinstance(value, np.generic) and value.dtype.kind in "iuf" else value
    if isinstance(plain, float) and not plain.is_integer():
        refuse("E-SERIES-DATES", f"dates: {plain} is not a whole day", _DATES_HINT)
    if isinstance(plain, int | float) and not isinstance(plain, bool):
        if abs(plain) > _LONGEST_DAYS:
            refuse(
                "E-SERIES-DATES",
                f"dates: {plain:.0f} is not a day of a season",
                "write dates as text, '20180115', or as dates",
            )
        return int(plain), False
    if isinstance(plain, date) and not isinstance(plain, datetime):
        return int(days_since_epoch([plain])[0]), True
    try:
        moment = pd.Timestamp(plain)
    except (TypeError, ValueError):
        moment = None
    if moment is None or pd.isna(moment):
        refuse("E-SERIES-DATES", f"dates: {plain!r} is not a date", _DATES_HINT)
    if moment != moment.normalize():
        refuse("E-SERIES-DATES", f"dates: {plain} is not a whole day", _DATES_HINT)
    return int(days_since_epoch([moment.date()])[0]), True


def _columns(names: Iterable[Any]) -> tuple[dict[str, dict[int, int]], bool]:
    """Return the place of the column of each band and day, and whether days are dates."""
    found: dict[str, dict[int, int]] = {}
    almost: dict[str, str] = {}
    kinds = set[bool]()
    for place, name in enumerate(names):
        if not isinstance(name, str):
            continue
        if (match := _NAME.fullmatch(name)) is None:
            if other := _ALMOST.fullmatch(name):
                almost[name] = other["band"]
            continue
        when = match["when"]
        day, dated = _day(int(when[1:]) if when.startswith("d") else when)
        kinds.add(dated)
        if found.setdefault(match["band"], {}).setdefault(day, place) != place:
            refuse("E-SERIES-DATES", f"two columns are named {name}", "keep one of the two")
    if odd := [name for name, band in almost.items() if band in found]:
        refuse(
            "E-SERIES-DATES",
            f"columns {listed(odd)} name no whole day",
            "name columns as B4_20180115, or B4_d15 for day 15 of the season",
        )
    if len(kinds) > 1:
        message = "some columns are of dates, others of days of the season"
        refuse("E-SERIES-DATES", message, "name all columns in one way")
    return found, kinds == {True}


def _numbers(frame: pd.DataFrame) -> Array:
    kinds = {column.kind for column in frame.dtypes if isinstance(column, np.dtype)}
    if kinds <= set("iuf") and all(isinstance(column, np.dtype) for column in frame.dtypes):
        values = frame.to_numpy()
    else:
        columns = [_number_column(str(name), frame.iloc[:, n]) for n, name in enumerate(frame)]
        values = np.column_stack(columns)
    if np.isinf(values).any():
        message = "X contains infinity or a value too large"
        refuse("E-SERIES-VALUES", message, "leave cells empty where nothing was observed")
    return values


def _number_column(name: str, column: pd.Series) -> npt.NDArray[np.float64]:
    numbers = pd.to_numeric(column, errors="coerce")
    odd = column[numbers.isna() & column.notna()]
    if len(odd):
        refuse(
            "E-SERIES-VALUES",
            f"column {name} holds {odd.iloc[0]!r}, which is not a number, in {len(odd)} of "
            f"{len(column)} rows",
            "write numbers with a point, and leave cells empty where nothing was observed",
        )
    return numbers.to_numpy(np.float64, na_value=np.nan)


def _refuse_shape(found: tuple[int, ...], expected: str, turned: bool) -> None:
    refuse(
        "E-SERIES-SHAPE",
        f"found an array of shape {found}, expected {expected}"
        f"{'; it is transposed' if turned else ''}",
        "give a row for each sample, then dates, then bands",
    )
