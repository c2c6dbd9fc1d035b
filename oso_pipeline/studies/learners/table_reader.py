"""Labelled samples of a run, or of the training table that ``oso export-dataset`` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oso_pipeline.core.errors import InputDataError, OsoError, Problem, Problems
from oso_pipeline.core.families import FAMILIES
from oso_pipeline.core.regular_files import read_regular
from oso_pipeline.studies.dataset.description import METADATA
from oso_pipeline.studies.dataset.samples_table import parts_of
from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.studies.opened_run import Run
from oso_pipeline.studies.series.series import days_of, is_series_name
from oso_pipeline.timeseries.feature_layout import FeatureLayout

LABEL, GROUP = "code", "polygon_id"
_PLACE = ("longitude", "latitude")
_TEXTS = ("stratum", "tile", "season", "region", "year")
"""Columns that samples may be left out by; texts or whole numbers."""
_LOWEST, _HIGHEST = -32768, 32767
_EPOCH = date(1970, 1, 1)
_SHOWN = 6
_HINT = "write it with `oso export-dataset`, or with columns code, polygon_id and B4_20180101 ..."


def is_table(path: Path) -> bool:
    """Return whether a file is a training table rather than a configuration."""
    return path.suffix.lower() in (".parquet", ".pq", ".geoparquet")


def read_table(path: Path) -> LabelledSamples:
    """Return the samples of a training table.

    The classes are named by column ``label``, the indices by ``metadata.json`` beside the table.

    Raises
    ------
    InputDataError
        With everything that is wrong: it cannot be read (``E-TABLE-READ``), lacks a column
        (``E-TABLE-COLUMN``), dates of bands differ (``E-SERIES-DATES``), a class, polygon or
        feature is not a whole number that fits (``E-LEARNERS-VALUES``).
    """
    try:
        frame = pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowException, ValueError) as error:
        reason = (str(error).splitlines() or ["it is cut or damaged"])[0]
        message = f"the table cannot be read as Parquet: {reason}"
        raise InputDataError(Problem("E-TABLE-READ", message, str(path), _HINT)) from None
    return samples_of(frame, path, _indices_beside(path))


def read_run(run: Run) -> LabelledSamples:
    """Return the labelled samples of the season of the map, of all tiles.

    Raises
    ------
    InputDataError
        If a tile has no samples yet (``E-RUN-MISSING``), or as :func:`read_table`.
    """
    layout = FeatureLayout.of(run.config)
    tiles = run.config.imagery.tiles
    parts = [part for tile in tiles for part in parts_of(run, tile, layout.names)]
    if not parts:
        message = f"there is no labelled sample of {run.config.year}"
        raise InputDataError(Problem("E-LEARNERS-CLASSES", message, str(run.folder)))
    frame = pd.concat(parts, ignore_index=True)
    problems = Problems()
    _check_columns(frame, run.folder, problems)
    problems.raise_errors(InputDataError)
    return _samples(frame, layout, run.config.name)


def samples_of(frame: pd.DataFrame, path: Path, indices: tuple[str, ...]) -> LabelledSamples:
    """Return the samples of a table in memory; see :func:`read_table` for errors.

    Parameters
    ----------
    frame
        The table.
    path
        Its file, for messages; its folder or name names the samples.
    indices
        Series that are indices of the others.
    """
    problems = Problems()
    _check_columns(frame, path, problems)
    layout = _layout(frame, path, indices, problems)
    if layout is not None:
        _check_features(frame, layout, path, problems)
    problems.raise_errors(InputDataError)
    assert layout is not None
    name = path.parent.name if path.stem == "samples" else path.stem
    return _samples(frame, layout, name or path.stem)


def _samples(frame: pd.DataFrame, layout: FeatureLayout, name: str) -> LabelledSamples:
    codes = frame[LABEL].to_numpy(np.int32)
    has_names = "label" in frame
    names = dict(zip(codes.tolist(), frame["label"], strict=True)) if has_names else {}
    _, polygons = np.unique(frame[GROUP].to_numpy(), return_inverse=True)
    there = all(axis in frame for axis in _PLACE)
    return LabelledSamples(
        name,
        layout,
        frame[list(layout.names)].to_numpy(np.int16),
        codes,
        polygons.astype(np.int64),
        {code: str(names.get(code) or code) for code in sorted(set(codes.tolist()))},
        {one: frame[one].astype(str).to_numpy(np.str_) for one in _TEXTS if one in frame},
        frame[list(_PLACE)].to_numpy(np.float64) if there else None,
    )


def _check_columns(frame: pd.DataFrame, path: Path, problems: Problems) -> None:
    for column, what in ((LABEL, "class"), (GROUP, "polygon")):
        if column not in frame:
            problems.error(
                "E-TABLE-COLUMN",
                f"the table has no column {column}, the {what} of each sample",
                path,
                _HINT,
            )
    if GROUP in frame and frame[GROUP].isna().any():
        message = f"{int(frame[GROUP].isna().sum())} samples have no {GROUP}"
        problems.error("E-LEARNERS-VALUES", message, path, "give each sample its polygon")
    if LABEL in frame and (wrong := _wrong_codes(frame[LABEL])):
        problems.error(
            "E-LEARNERS-VALUES",
            f"column {LABEL}: {wrong} samples have a class that is not a whole number from 1 to "
            "65535",
            path,
            "number the classes from 1; leave samples without a class out",
        )
    for axis in _PLACE:
        if axis in frame and not np.isfinite(pd.to_numeric(frame[axis], errors="coerce")).all():
            problems.error(
                "E-LEARNERS-VALUES",
                f"column {axis} holds values that are not finite numbers",
                path,
                "give each sample its place, or take both columns out",
            )


def _wrong_codes(column: pd.Series) -> int:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    fits = np.isfinite(numbers) & (numbers >= 1) & (numbers <= 65535)
    return int((~(fits & (np.floor(numbers) == numbers))).sum())


def _layout(
    frame: pd.DataFrame, path: Path, indices: tuple[str, ...], problems: Problems
) -> FeatureLayout | None:
    """Return the features of a table by the names of its columns; None after an error."""
    names = [str(name) for name in frame.columns if is_series_name(name)]
    names = [name for name in names if name.partition("_")[0] not in FAMILIES]  # computed again
    if not names:
        message = "the table has no series: no column is named as B4_20180101"
        problems.error("E-TABLE-COLUMN", message, path, _HINT)
        return None
    found: dict[str, list[str]] = {}
    for name in names:
        band, _, when = name.rpartition("_")
        found.setdefault(band, []).append(when)
    whens = sorted({when for own in found.values() for when in own}, key=_day)
    odd = [band for band, own in found.items() if sorted(own, key=_day) != whens]
    if odd:
        problems.error(
            "E-SERIES-DATES",
            f"bands {', '.join(odd[:_SHOWN])} do not have all of the {len(whens)} dates",
            path,
            "give every band and index a column for each date",
        )
        return None
    dates = tuple(_EPOCH + timedelta(days=_day(when)) for when in whens)
    bands = tuple(band for band in found if band not in indices)
    own_indices = tuple(band for band in found if band in indices)
    try:
        layout = FeatureLayout.optical(bands, dates, own_indices)
    except ValueError:  # an index without its bands is a series like any other
        layout = FeatureLayout.optical(tuple(found), dates)
    if all(when.startswith("d") for when in whens):
        _rename_days(frame, whens, dates)
    return layout


def _rename_days(frame: pd.DataFrame, whens: list[str], dates: tuple[date, ...]) -> None:
    """Name columns of days of a season by the dates that stand for them."""
    stamps = {when: f"{day:%Y%m%d}" for when, day in zip(whens, dates, strict=True)}

    def named(name: object) -> object:
        band, _, when = str(name).rpartition("_")
        return f"{band}_{stamps[when]}" if when in stamps else name

    frame.columns = pd.Index([named(name) for name in frame.columns])


def _day(when: str) -> int:
    (day,), _ = days_of([int(when[1:]) if when.startswith("d") else when])
    return int(day)


def _check_features(
    frame: pd.DataFrame, layout: FeatureLayout, path: Path, problems: Problems
) -> None:
    faults: dict[str, list[str]] = {}
    for name in layout.names:
        if fault := _fault(frame[name].to_numpy()):
            faults.setdefault(fault, []).append(name)
    for fault, names in faults.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        problems.error(
            "E-LEARNERS-VALUES",
            f"features {', '.join(names[:_SHOWN])}{more}: {fault}",
            path,
            "fill gaps before; store reflectance times 10000 and indices times 1000 as int16",
        )


def _fault(values: npt.NDArray[np.generic]) -> str | None:
    if values.dtype == np.int16:
        return None
    if values.dtype.kind not in "iuf":
        return f"values of type {values.dtype}, expected whole numbers"
    numbers = values.astype(np.float64)
    if np.isnan(numbers).any():
        return "values are missing (NaN)"
    if np.isinf(numbers).any():
        return "values are infinite"
    if (np.floor(numbers) != numbers).any():
        return "values are not whole numbers"
    if numbers.min() < _LOWEST or numbers.max() > _HIGHEST:
        return f"values lie outside {_LOWEST} to {_HIGHEST}"
    return None


def _indices_beside(path: Path) -> tuple[str, ...]:
    """Return the indices that the description beside a table names; none without one."""
    try:
        content = json.loads(read_regular(path.parent / METADATA))
    except (OSError, ValueError, OsoError):
        return ()
    names = content.get("indices", ()) if isinstance(content, Mapping) else ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()
