"""Seasons of a table of series, from Parquet or a NumPy archive."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.studies.adaptation.description import Evaluation, NpzTable, ParquetTable
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.setting import Rule
from oso_pipeline.studies.adaptation.table_seasons import check_seasons
from oso_pipeline.timeseries.gapfill import gapfill

_LOWEST, _HIGHEST = -9999, 32767
_SHOWN = 20


@dataclass(frozen=True, eq=False)
class Samples:
    """The columns of a table, as they are.

    Parameters
    ----------
    series
        Shape ``(sample, date, band)``, NaN where nothing was observed.
    days
        Day of the season of each date.
    columns
        Every other column that is asked for, by name.
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


def read_seasons(evaluation: Evaluation) -> tuple[dict[int, Domain], Rule]:
    """Return the seasons of a table by year, and their classes.

    Gaps are filled linearly in days by the kernel of the pipeline. Samples without a class,
    without any observation, or outside ``table.where`` are left out.

    Raises
    ------
    InputDataError
        With every problem found: the file cannot be read or lacks columns (``E-INPUT-041``),
        no class fits the labels (``E-ADAPT-LABELS``), values beyond int16
        (``E-ADAPT-VALUES``), a year without samples (``E-ADAPT-YEAR``), seasons of different
        sensors (``E-ADAPT-BANDS``) or without common dates (``E-ADAPT-DATES``).
    """
    problems = Problems()
    samples = _read(evaluation, problems)
    problems.raise_errors(InputDataError)
    if samples is None:
        raise InputDataError(*problems)
    table = evaluation.table
    names = _class_names(samples.columns[table.label], evaluation.classes)
    classes = dict(enumerate(sorted({name for name in names if name is not None}), start=1))
    code = {name: number for number, name in classes.items()}
    labels = np.array([code.get(name or "", 0) for name in names], np.int32)
    usable = (labels > 0) & samples.clear.any(axis=1)
    for column, wanted in table.where.items():
        usable &= np.isin(samples.columns[column].astype(str), [str(value) for value in wanted])
    years = _years(samples.columns[table.season])
    wanted_years = (*evaluation.sources, evaluation.target)
    rows = {year: (labels > 0) & (years == year) for year in wanted_years}
    seen = {
        year: np.isfinite(samples.series[of_year]).any(axis=0)
        for year, of_year in rows.items()
        if of_year.any()
    }
    check_seasons(evaluation, seen, samples.days, problems)
    problems.raise_errors(InputDataError)
    _check(evaluation, samples, (names, years, usable), problems)
    problems.raise_errors(InputDataError)
    polygons = _polygons(samples, table.polygon)
    features = _filled(samples, table.scale)
    everything = Domain(
        "all",
        SeriesSpace.plain(tuple(int(day) for day in samples.days), samples.series.shape[2]),
        features,
        labels,
        polygons,
        samples.outlines,
    )
    seasons = {year: everything.take(usable & (years == year), str(year)) for year in wanted_years}
    perennial = tuple(number for number, name in classes.items() if name in evaluation.perennial)
    return seasons, Rule(classes, perennial, evaluation.min_samples)


def _read(evaluation: Evaluation, problems: Problems) -> Samples | None:
    table = evaluation.table
    wanted = [table.label, table.season, *table.where]
    wanted += [table.polygon] if table.polygon else []
    try:
        if isinstance(table, ParquetTable):
            return _read_parquet(table, wanted, problems)
        return _read_npz(table, wanted, problems)
    except (OSError, pa.ArrowException, ValueError) as error:
        problems.error(
            "E-INPUT-058",
            f"table.path: the file cannot be read as {table.kind}: {str(error).splitlines()[0]}",
            table.path,
            "name a readable file, and its kind in table.kind",
        )
    return None


def _read_parquet(table: ParquetTable, wanted: list[str], problems: Problems) -> Samples | None:
    schema = pq.read_schema(table.path)
    by_band = {band: _days_of(pattern, schema.names) for band, pattern in table.bands.items()}
    _missing([name for name in wanted if name not in schema.names], schema.names, table, problems)
    common = sorted(set.intersection(*(set(found) for found in by_band.values())))
    if len(common) < 2:
        found = ", ".join(f"{band} {len(days)} dates" for band, days in by_band.items())
        problems.error(
            "E-ADAPT-DATES",
            f"table.bands: {len(common)} dates are common to all bands ({found}), expected 2",
            table.path,
            "correct the patterns of the columns; {day} stands for the day of the season",
        )
    if problems.errors:
        return None
    columns = [found[day] for day in common for found in by_band.values()]
    has_geometry = b"geo" in (schema.metadata or {})
    frame: pd.DataFrame
    if has_geometry:
        frame = gpd.read_parquet(table.path)
    else:
        frame = pd.read_parquet(table.path, columns=[*dict.fromkeys([*wanted, *columns])])
    values = frame[columns].to_numpy(np.float64, na_value=np.nan)
    if table.nodata is not None:
        values[values == table.nodata] = np.nan
    return Samples(
        values.reshape(len(frame), len(common), len(by_band)),
        np.array(common, np.int32),
        {name: frame[name].to_numpy(object) for name in wanted},
        np.asarray(frame.geometry, dtype=object) if has_geometry else None,
    )


def _read_npz(table: NpzTable, wanted: list[str], problems: Problems) -> Samples | None:
    with np.load(table.path, allow_pickle=False) as file:
        needed = [*wanted, table.series, table.days]
        _missing([name for name in needed if name not in file], sorted(file), table, problems)
        if problems.errors:
            return None
        values = file[table.series].astype(np.float64)
        days, columns = file[table.days], {name: file[name] for name in wanted}
    if days.dtype.kind == "M":
        days = (days - days[0]).astype("timedelta64[D]").astype(np.int64)
    lengths = {len(column) for column in columns.values()} | {len(values)}
    if values.ndim != 3 or values.shape[1:2] != days.shape or len(lengths) != 1:
        problems.error(
            "E-ADAPT-VALUES",
            f"table.series: shape {values.shape} with {days.shape} days and columns of "
            f"{sorted(lengths)} samples, expected (sample, date, band)",
            table.path,
            "store the series as one array of that shape",
        )
        return None
    if table.nodata is not None:
        values[values == table.nodata] = np.nan
    return Samples(values, days.astype(np.int32), columns)


def _missing(
    names: list[str], known: list[str], table: ParquetTable | NpzTable, problems: Problems
) -> None:
    if names:
        shown = ", ".join(known[:_SHOWN]) + (" ..." if len(known) > _SHOWN else "")
        problems.error(
            "E-INPUT-041",
            f"table: there is no column {', '.join(names)}; the file has {shown}",
            table.path,
            "correct the names in the section table",
        )


def _check(
    evaluation: Evaluation,
    samples: Samples,
    found: tuple[list[str | None], npt.NDArray[np.int64], npt.NDArray[np.bool_]],
    problems: Problems,
) -> None:
    names, years, usable = found
    table = evaluation.table
    missing = sorted(set(evaluation.perennial) - set(filter(None, names)))
    if missing or len(set(filter(None, names))) < 2:
        labels = sorted({str(label) for label in samples.columns[table.label]})[:_SHOWN]
        problems.error(
            "E-ADAPT-LABELS",
            f"classes: {', '.join(missing) or 'fewer than two classes'} in no label of "
            f"{table.label}; its labels are {', '.join(labels)}",
            table.path,
            "classes maps labels of the table to classes; use one nomenclature in all seasons",
        )
    for year in (*evaluation.sources, evaluation.target):
        if not (usable & (years == year)).any():
            known = sorted({int(one) for one in np.unique(years[usable])})
            problems.error(
                "E-ADAPT-YEAR",
                f"no usable sample of {year}; there are samples of {known}",
                table.path,
                "choose other years, or see to classes and table.where",
            )
    scaled = samples.series[usable] * table.scale
    beyond = ((scaled < _LOWEST) | (scaled > _HIGHEST)).sum()
    if beyond:
        problems.error(
            "E-ADAPT-VALUES",
            f"table.scale: {beyond} values times {table.scale:g} lie outside {_LOWEST} to "
            f"{_HIGHEST}; they run from {np.nanmin(scaled):g} to {np.nanmax(scaled):g}",
            table.path,
            "choose table.scale so that all values fit, and name the value of no observation in "
            "table.nodata",
        )


def _days_of(pattern: str, columns: list[str]) -> dict[int, str]:
    """Return the column of each day that a pattern finds."""
    before, _, after = pattern.partition("{day}")
    expression = re.compile(re.escape(before) + r"(-?\d+)" + re.escape(after))
    return {int(m[1]): name for name in columns if (m := expression.fullmatch(name))}


def _class_names(labels: npt.NDArray[Any], classes: Mapping[str, str] | None) -> list[str | None]:
    """Return the class of each label, None where it has none."""
    table: dict[str, str | None] = {}
    for label in {str(one) for one in labels}:
        empty = label in ("", "None", "nan", "<NA>")
        if classes is None:
            table[label] = None if empty else label
            continue
        fitting = (name for sign, name in classes.items() if fnmatch.fnmatchcase(label, sign))
        table[label] = next(fitting, None)
    return [table[str(label)] for label in labels]


def _years(column: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return years as numbers, -1 where there is none: from numbers, texts or dates."""
    texts = pd.Series(column.astype(str)).str.extract(r"^(\d{4})", expand=False)
    return pd.to_numeric(texts).fillna(-1).to_numpy(np.int64)


def _polygons(samples: Samples, column: str | None) -> npt.NDArray[np.int64]:
    if column is not None:
        names = samples.columns[column].astype(str)
    elif samples.outlines is not None:
        names = gpd.GeoSeries(samples.outlines).to_wkb(hex=True).to_numpy(str)
    else:
        return np.arange(len(samples.series), dtype=np.int64)
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _filled(samples: Samples, scale: float) -> npt.NDArray[np.int16]:
    """Return all series without gaps, int16, bands by date."""
    clear = samples.clear
    scaled = np.where(clear[..., None], samples.series, 0) * scale
    whole = np.rint(scaled).clip(_LOWEST, _HIGHEST).astype(np.int16)
    filled, _ = gapfill(whole.transpose(1, 2, 0), clear.T, samples.days, samples.days)
    return np.ascontiguousarray(filled.transpose(2, 0, 1).reshape(len(clear), -1))
