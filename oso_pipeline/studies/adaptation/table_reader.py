"""Seasons of a table of series, from Parquet, CSV or a NumPy archive."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.studies.adaptation.description import Evaluation
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.setting import Rule
from oso_pipeline.studies.adaptation.table_days import years_of
from oso_pipeline.studies.adaptation.table_files import Samples, read_samples
from oso_pipeline.studies.adaptation.table_seasons import check_seasons
from oso_pipeline.timeseries.gapfill import gapfill

_LOWEST, _HIGHEST = -9999, 32767
_SHOWN = 20


def read_seasons(evaluation: Evaluation) -> tuple[dict[int, Domain], Rule]:
    """Return the seasons of a table by year, and their classes.

    Gaps are filled linearly in days by the kernel of the pipeline. Samples without a class,
    without any observation, or outside ``table.where`` are left out.

    Raises
    ------
    InputDataError
        With every problem found: the file cannot be read or lacks columns (``E-TABLE-COLUMN``),
        no class fits the labels (``E-ADAPT-LABELS``), values that are not numbers
        or beyond int16 (``E-ADAPT-VALUES``), days that are not whole or do not ascend
        (``E-ADAPT-DATES``), a year without samples (``E-ADAPT-YEAR``), seasons of different
        sensors (``E-ADAPT-BANDS``) or without common dates (``E-ADAPT-DATES``).
    """
    problems = Problems()
    samples = read_samples(evaluation, problems)
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
    years = years_of(
        samples.columns[table.season], f"table.season: {table.season}", table.path, problems
    )
    problems.raise_errors(InputDataError)
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
            known = sorted({int(one) for one in np.unique(years[usable]) if one > 0})
            problems.error(
                "E-ADAPT-YEAR",
                f"no usable sample of {year}; there are samples of "
                f"{', '.join(map(str, known)) or 'no year'}",
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
