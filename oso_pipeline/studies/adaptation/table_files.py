"""The columns of a table of series, from Parquet, CSV or a NumPy archive."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oso_pipeline.core.errors import Problems
from oso_pipeline.studies.adaptation.description import (
    ColumnTable,
    CsvTable,
    Evaluation,
    NpzTable,
)
from oso_pipeline.studies.adaptation.table_days import days_of, whole_days

_SHOWN = 20
_UNREADABLE = (OSError, pa.ArrowException, ValueError, EOFError, BadZipFile, KeyError)


@dataclass(frozen=True, eq=False)
class Samples:
    """The columns of a table, as they are.

    Parameters
    ----------
    series
        Shape ``(sample, date, band)``, NaN where nothing was observed.
    days
        Day of the season of each date, ascending.
    columns
        Every other requested column, by name.
    outlines
        Polygons, where the file has a geometry.
    """

    series: npt.NDArray[np.float64]
    days: npt.NDArray[np.int32]
    columns: Mapping[str, npt.NDArray[Any]]
    outlines: npt.NDArray[np.object_] | None = None

    @property
    def clear(self) -> npt.NDArray[np.bool_]:
        """Whether all bands were observed, shape ``(sample, date)``."""
        return np.asarray(np.isfinite(self.series).all(axis=2), np.bool_)


def read_samples(evaluation: Evaluation, problems: Problems) -> Samples | None:
    """Return what a table holds; None after problems.

    Problems found: the file cannot be read (``E-TABLE-READ``), lacks columns (``E-TABLE-COLUMN``)
    or
    has wrong days (``E-ADAPT-DATES``) or values (``E-ADAPT-VALUES``).
    """
    table = evaluation.table
    wanted = [table.label, table.season, *table.where]
    wanted += [table.polygon] if table.polygon else []
    try:
        if isinstance(table, NpzTable):
            return _read_npz(table, wanted, problems)
        return _read_columns(table, wanted, problems)
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or ["it is cut or damaged"])[0]
        problems.error(
            "E-TABLE-READ",
            f"table.path: the file cannot be read as {table.kind}: {reason}",
            table.path,
            "name a readable file, and its kind in table.kind",
        )
    return None


def _read_columns(table: ColumnTable, wanted: list[str], problems: Problems) -> Samples | None:
    source = _Csv(table) if isinstance(table, CsvTable) else _Parquet(table)
    names = source.names(problems)
    by_band = {
        band: days_of(pattern, names, table.path, problems) for band, pattern in table.bands.items()
    }
    _missing([name for name in wanted if name not in names], names, table, problems)
    common = sorted(set.intersection(*(set(found) for found in by_band.values())))
    if len(common) < 2:
        found = ", ".join(f"{band} {len(days)} dates" for band, days in by_band.items())
        problems.error(
            "E-ADAPT-DATES",
            f"table.bands: {len(common)} dates are common to all bands ({found}), expected 2",
            table.path,
            "correct the patterns of the columns; {day} stands for the day of the season",
        )
    days = whole_days(np.array(common, np.int64), "table.bands", table.path, problems)
    if problems.errors or days is None:
        return None
    columns = [found[day] for day in common for found in by_band.values()]
    frame = source.frame(list(dict.fromkeys([*wanted, *columns])))
    values = np.column_stack([_numbers(frame[name], name, table, problems) for name in columns])
    if problems.errors:
        return None
    if table.nodata is not None:
        values[values == table.nodata] = np.nan
    has_geometry = isinstance(frame, gpd.GeoDataFrame)
    return Samples(
        values.reshape(len(frame), len(common), len(by_band)),
        days,
        {name: frame[name].to_numpy(object) for name in wanted},
        np.asarray(frame.geometry, dtype=object) if has_geometry else None,
    )


class _Parquet:
    def __init__(self, table: ColumnTable) -> None:
        self._path = table.path
        self._schema = pq.read_schema(table.path)

    def names(self, problems: Problems) -> list[str]:
        return list(self._schema.names)

    def frame(self, names: list[str]) -> pd.DataFrame:
        if b"geo" in (self._schema.metadata or {}):
            return gpd.read_parquet(self._path)
        return pd.read_parquet(self._path, columns=names)


class _Csv:
    def __init__(self, table: ColumnTable) -> None:
        self._table = table
        with table.path.open(encoding="utf-8-sig", newline="") as stream:
            header = stream.readline()
        self._separator = max(",;\t", key=header.count)
        self._names = next(csv.reader([header], delimiter=self._separator), [])

    def names(self, problems: Problems) -> list[str]:
        doubles = sorted({name for name in self._names if self._names.count(name) > 1})
        if doubles:
            message = f"table: columns {', '.join(doubles[:_SHOWN])} stand twice in the header"
            problems.error(
                "E-TABLE-COLUMN-TWICE", message, self._table.path, "give each its own name"
            )
        return self._names

    def frame(self, names: list[str]) -> pd.DataFrame:
        # As text: a class 01 stays 01, and what is not a number can be named.
        how: dict[str, Any] = {"sep": self._separator, "encoding": "utf-8-sig"}
        return pd.read_csv(self._table.path, usecols=names, dtype=str, index_col=False, **how)


def _numbers(
    column: pd.Series, name: str, table: ColumnTable, problems: Problems
) -> npt.NDArray[np.float64]:
    """Return a column as numbers, NaN where it is empty."""
    numbers = pd.to_numeric(column, errors="coerce")
    odd = column[numbers.isna() & column.notna()]
    if len(odd):
        problems.error(
            "E-ADAPT-VALUES",
            f"table.bands: column {name} holds {odd.iloc[0]!r}, which is not a number, in "
            f"{len(odd)} of {len(column)} rows, first in row {odd.index[0] + 1}",
            table.path,
            "write numbers with a point, and leave the cell empty where nothing was observed",
        )
    return numbers.to_numpy(np.float64, na_value=np.nan)


def _read_npz(table: NpzTable, wanted: list[str], problems: Problems) -> Samples | None:
    with np.load(table.path, allow_pickle=False) as file:
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array, not an archive of named ones")
        needed = [*wanted, table.series, table.days]
        _missing([name for name in needed if name not in file], sorted(file), table, problems)
        if problems.errors:
            return None
        arrays = dict(_arrays(file, needed, table, problems))
    if problems.errors:
        return None
    values = _numeric(arrays[table.series], table, problems)
    days = whole_days(arrays[table.days], f"table.days: {table.days}", table.path, problems)
    if values is None or days is None:
        return None
    columns = {name: arrays[name] for name in wanted}
    odd = [name for name, array in columns.items() if array.shape != values.shape[:1]]
    if values.ndim != 3 or values.shape[1:2] != days.shape or odd:
        found = "".join(f", {name} {columns[name].shape}" for name in odd)
        problems.error(
            "E-ADAPT-VALUES",
            f"table.series: shape {values.shape} with {len(days)} days{found}, expected "
            "(sample, date, band) and a value of each column for each sample",
            table.path,
            "store the series as one array of that shape",
        )
        return None
    if table.nodata is not None:
        values[values == table.nodata] = np.nan
    return Samples(values, days, columns)


def _arrays(
    file: Mapping[str, npt.NDArray[Any]], names: Iterable[str], table: NpzTable, problems: Problems
) -> Iterable[tuple[str, npt.NDArray[Any]]]:
    """Yield the arrays that can be read without executing code of the file."""
    for name in dict.fromkeys(names):
        try:
            yield name, file[name]
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            problems.error(
                "E-ADAPT-VALUES",
                f"table: array {name} holds Python objects, which are not read",
                table.path,
                f"store text as text: np.savez(..., {name}={name}.astype(str))",
            )


def _numeric(
    values: npt.NDArray[Any], table: NpzTable, problems: Problems
) -> npt.NDArray[np.float64] | None:
    if values.dtype.kind in "fiu":
        return values.astype(np.float64)
    message = f"table.series: array {table.series} is of type {values.dtype}, expected numbers"
    problems.error("E-ADAPT-VALUES", message, table.path, "store the series as numbers")
    return None


def _missing(
    names: list[str], known: list[str], table: ColumnTable | NpzTable, problems: Problems
) -> None:
    if names:
        shown = ", ".join(known[:_SHOWN]) + (" ..." if len(known) > _SHOWN else "")
        problems.error(
            "E-TABLE-COLUMN",
            f"table: there is no column {', '.join(names)}; the file has {shown}",
            table.path,
            "correct the names in the section table",
        )
