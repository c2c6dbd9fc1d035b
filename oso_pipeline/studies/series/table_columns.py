"""The columns of tables of series in Parquet, CSV and DataFrames."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from oso_pipeline.studies.series.faults import listed, refuse, refuse_name
from oso_pipeline.studies.series.labels import Labels
from oso_pipeline.studies.series.series import column_name, days_of, is_series_name

_PATTERNS = {"{date}": r"(\d{4}-?\d{2}-?\d{2})", "{day}": r"(-?\d+(?:[.,]\d+)?)"}


def series_columns(
    names: Sequence[str], bands: Mapping[str, str] | Sequence[str] | None, path: Path | None = None
) -> dict[str, str]:
    """Return the columns of series, in their order, and what they are called as of `column_name`.

    Raises
    ------
    InputDataError
        If a pattern lacks ``{date}`` and ``{day}``, or names a day that is not whole
        (``E-SERIES-PATTERN``).
    UnknownName
        If no column fits a band (``E-SERIES-BANDS``).
    """
    if bands is None:
        found = [name for name in names if is_series_name(name)]
        if not found:
            refuse_name(
                "E-SERIES-BANDS",
                f"no column is named as B4_20180115; columns are {listed(names)}",
                "say in `bands` how the columns of each band are named: {'NDVI': 'doy{day}'}",
                path,
            )
        return {name: name for name in found}
    columns: dict[str, str] = {}
    for band, pattern in as_mapping(bands, "{}_{{date}}").items():
        expression = _expression(pattern)
        found_here = {
            name: match[1] for name in names if (match := expression.fullmatch(str(name)))
        }
        if not found_here:
            refuse_name(
                "E-SERIES-BANDS",
                f"bands: {band}: no column fits {pattern!r}; columns are {listed(names)}",
                "correct the pattern: {date} stands for 20180115, {day} for a day of the season",
                path,
            )
        for name, text in found_here.items():
            number = float(text.replace(",", ".")) if "{day}" in pattern else text
            (day,), dated = days_of([number])
            columns[name] = column_name(band, int(day), dated)
    if len(set(columns.values())) < len(columns):
        twice = [name for name, count in Counter(columns.values()).items() if count > 1]
        refuse(
            "E-SERIES-DATES",
            f"several columns are of the same band and day: {listed(twice)}",
            "keep one of them, or correct the patterns in `bands`",
            path,
        )
    return columns


def as_mapping(bands: Mapping[str, str] | Sequence[str], pattern: str) -> Mapping[str, str]:
    """Return how a table names bands; of names alone by a pattern."""
    if isinstance(bands, Mapping):
        return bands
    return {name: pattern.format(name) for name in ([bands] if isinstance(bands, str) else bands)}


def _expression(pattern: str) -> re.Pattern[str]:
    for sign, expression in _PATTERNS.items():
        if pattern.count(sign) == 1:
            before, after = map(re.escape, pattern.split(sign))
            return re.compile(before + expression + after)
    return refuse(
        "E-SERIES-PATTERN",
        f"bands: {pattern!r} holds neither {{date}} nor {{day}} once",
        "write where the date stands in the names of the columns: 'NDVI_{date}'",
    )


@dataclass(frozen=True)
class FrameTable:
    """A table in memory."""

    content: pd.DataFrame
    path: Path | None = None

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self.content.columns]

    def frame(self, names: list[str], as_they_are: Sequence[str]) -> pd.DataFrame:
        """Return some columns; those named `as_they_are` are texts where the file has texts."""
        return self.content[names]


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file."""

    path: Path

    @cached_property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(pq.read_schema(self.path).names)

    def frame(self, names: list[str], as_they_are: Sequence[str]) -> pd.DataFrame:
        """Return some columns; those named `as_they_are` are texts where the file has texts."""
        return pq.read_table(self.path, columns=names).to_pandas()


@dataclass(frozen=True)
class CsvTable:
    """A CSV file in UTF-8; commas, semicolons or tabs between the columns."""

    path: Path

    @cached_property
    def _header(self) -> str:
        with self.path.open(encoding="utf-8-sig", newline="") as stream:
            return stream.readline()

    @cached_property
    def _separator(self) -> str:
        return max(",;\t", key=self._header.count)

    @cached_property
    def names(self) -> list[str]:
        """Names of the columns."""
        found = next(csv.reader([self._header], delimiter=self._separator), [])
        if twice := sorted(name for name, count in Counter(found).items() if count > 1):
            message = f"columns {listed(twice)} stand twice in the header"
            refuse("E-SERIES-COLUMNS", message, "give each column its own name", self.path)
        return found

    def frame(self, names: list[str], as_they_are: Sequence[str]) -> pd.DataFrame:
        """Return some columns; those named `as_they_are` are texts where the file has texts."""
        # A class 01 stays 01.
        texts = dict.fromkeys(as_they_are, str)
        how: dict[str, Any] = {"sep": self._separator, "encoding": "utf-8-sig"}
        return pd.read_csv(self.path, usecols=names, dtype=texts, index_col=False, **how)


def require_names(names: Sequence[str], there: Sequence[str], path: Path | None) -> None:
    """Raise UnknownName (``E-SERIES-COLUMNS``) for columns that are not there."""
    if missing := [name for name in names if name not in there]:
        refuse_name(
            "E-SERIES-COLUMNS",
            f"the table has no {listed(missing)}; it has {listed(there)}",
            "name columns (arrays) of the table",
            path,
        )


def column_values(column: pd.Series) -> Labels:
    """Return a column as NumPy holds it: texts as objects, bytes (geometries) as hexadecimal."""
    if isinstance(column.dtype, np.dtype) and column.dtype != object:
        return column.to_numpy()
    found = column.to_numpy(object)
    return np.array([one.hex() if isinstance(one, bytes) else one for one in found], object)
