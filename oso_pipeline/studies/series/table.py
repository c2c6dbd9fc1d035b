"""Tables of series from Parquet, CSV, NumPy archives and DataFrames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import pyarrow as pa

from oso_pipeline.core.errors import InputDataError, OsoError, Problems
from oso_pipeline.studies.adaptation.table_days import years_of
from oso_pipeline.studies.series.faults import listed, refuse, refuse_name
from oso_pipeline.studies.series.labels import Labels
from oso_pipeline.studies.series.series import Array, column_name, days_of, flat
from oso_pipeline.studies.series.table_columns import (
    CsvTable,
    FrameTable,
    ParquetTable,
    as_mapping,
    column_values,
    require_names,
    series_columns,
)

_PARQUET = (".parquet", ".geoparquet", ".pq")
_UNREADABLE = (OSError, pa.ArrowException, ValueError, EOFError, BadZipFile)


class SeriesTable(NamedTuple):
    """A table of series: ``model.fit(*table)``, ``cross_validate(model, *table)``.

    Parameters
    ----------
    X
        A row for each sample, a column for each band and date, named as ``B4_20180115``, or
        ``NDVI_d15`` for day 15 of the season.
    y
        Label of each sample; None where the table has none.
    groups
        Polygon of each sample; None where the table names none.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> table = oso.read_series(oso.simulate_series(30), label="crop", group="field")
    >>> len(table.X) == len(table.y) == len(table.groups)
    True
    """

    X: pd.DataFrame
    y: Labels | None
    groups: Labels | None

    def take(self, rows: Array) -> SeriesTable:
        """Return some of the samples, by number or as a mask."""
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        y, groups = (None if one is None else one[chosen] for one in (self.y, self.groups))
        return SeriesTable(self.X.iloc[chosen].reset_index(drop=True), y, groups)


def read_series(
    source: pd.DataFrame | str | Path,
    *,
    bands: Mapping[str, str] | Sequence[str] | None = None,
    label: str | None = None,
    group: str | None = None,
    where: Mapping[str, Sequence[Any]] | None = None,
    nodata: float | None = None,
    series: str = "X",
    dates: str = "dates",
) -> SeriesTable:
    """Return a table of series with labels and polygons.

    Parameters
    ----------
    source
        A DataFrame, or the path of a Parquet, CSV (UTF-8 with a header) or npz file.
    bands
        How the table names each band. Of columns a pattern with ``{date}`` (20180115 or
        2018-01-15) or ``{day}`` (a day of the season): ``{"NDVI": "doy{day}"}``. Of an npz the
        name in its array ``bands``: ``{"B2": "B02"}``. Names alone: these of the bands whose
        columns are named as ``B4_20180115``. None: all of them.
    label, group
        Column (array) with the label and with the polygon of each sample.
    where
        Only samples with one of these values in a column (array).
    nodata
        Value that stands for no observation, beside NaN and empty cells.
    series, dates
        Of an npz: the array of all series, shape ``(sample, date, band)``, and that of the dates.

    Raises
    ------
    InputDataError
        If the file cannot be read (``E-TABLE-READ``), dates or shapes do not fit
        (``E-SERIES-DATES``, ``E-SERIES-SHAPE``). It is a ValueError too.
    UnknownName
        If a column, an array or a band is not there (``E-SERIES-COLUMNS``, ``E-SERIES-BANDS``).
        It is a KeyError too.

    Examples
    --------
    >>> from oso_pipeline import read_series, simulate_series
    >>> X, y, groups = read_series(simulate_series(70), label="crop", group="field")
    >>> X.shape, y[0], len(set(groups))
    ((210, 240), 'rapeseed', 70)
    """
    request = _Request(bands, label, group, where or {}, nodata, series, dates)
    return request.read(source)[0]


def read_seasons(
    source: pd.DataFrame | str | Path, season: str, **how: Any
) -> dict[int, SeriesTable]:
    """Return the table of each season, by year.

    Parameters
    ----------
    source
        As of :func:`read_series`.
    season
        Column (array) with the year of each sample: numbers as 2018, or dates.
    **how
        The keywords of :func:`read_series`.

    Raises
    ------
    InputDataError, UnknownName
        As :func:`read_series`; also if a value is not a year.

    Examples
    --------
    >>> import pandas as pd
    >>> from oso_pipeline import read_seasons
    >>> fields = pd.DataFrame({"doy1": [0.2, 0.3], "doy17": [0.4, None], "year": [2017, 2018]})
    >>> seasons = read_seasons(fields, "year", bands={"NDVI": "doy{day}"})
    >>> list(seasons), seasons[2017].X.columns.to_list()
    ([2017, 2018], ['NDVI_d1', 'NDVI_d17'])
    """
    table, others = _Request(**how).read(source, [season])
    problems = Problems()
    years = years_of(others[season], f"season: {season}", _path(source), problems)
    problems.raise_errors(InputDataError)
    return {int(year): table.take(years == year) for year in np.unique(years[years >= 0])}


@dataclass(frozen=True)
class _Request:
    """Parts to read of a table, see `read_series`."""

    bands: Mapping[str, str] | Sequence[str] | None = None
    label: str | None = None
    group: str | None = None
    where: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    nodata: float | None = None
    series: str = "X"
    dates: str = "dates"

    def read(
        self, source: pd.DataFrame | str | Path, more: Sequence[str] = ()
    ) -> tuple[SeriesTable, dict[str, Labels]]:
        """Return the table, and the requested columns, by name."""
        names = [name for name in (self.label, self.group, *self.where, *more) if name is not None]
        X, columns = self._content(source, [*dict.fromkeys(names)])
        if self.nodata is not None:
            X = X.mask(X.eq(self.nodata))
        kept = np.ones(len(X), np.bool_)
        for name, wanted in self.where.items():
            kept &= np.isin(columns[name].astype(str), [str(value) for value in wanted])
        y, groups = (None if n is None else columns[n] for n in (self.label, self.group))
        others = {name: values[kept] for name, values in columns.items()}
        return SeriesTable(X, y, groups).take(kept), others

    def _content(
        self, source: pd.DataFrame | str | Path, names: list[str]
    ) -> tuple[pd.DataFrame, dict[str, Labels]]:
        if isinstance(source, pd.DataFrame):
            return self._of_columns(FrameTable(source), names)
        path = Path(source)
        kind = path.suffix.lower()
        if kind not in (*_PARQUET, ".csv", ".npz"):
            refuse(
                "E-TABLE-READ",
                f"found a file {kind or 'without extension'}, expected {listed(_PARQUET)}, .csv "
                "or .npz",
                "convert the table to one of these",
                path,
            )
        try:
            if kind == ".npz":
                return self._of_archive(path, names)
            return self._of_columns(CsvTable(path) if kind == ".csv" else ParquetTable(path), names)
        except OsoError:
            raise
        except _UNREADABLE as error:
            reason = (str(error).splitlines() or ["it is cut or damaged"])[0]
            refuse(
                "E-TABLE-READ", f"the file cannot be read: {reason}", "name a readable file", path
            )

    def _of_columns(
        self, table: FrameTable | ParquetTable | CsvTable, names: list[str]
    ) -> tuple[pd.DataFrame, dict[str, Labels]]:
        require_names(names, table.names, table.path)
        columns = series_columns(table.names, self.bands, table.path)
        frame = table.frame([*dict.fromkeys([*names, *columns])], names)
        X = frame[[*columns]].set_axis([*columns.values()], axis=1)
        return X, {name: column_values(frame[name]) for name in names}

    def _of_archive(self, path: Path, names: list[str]) -> tuple[pd.DataFrame, dict[str, Labels]]:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array, not an archive of named ones")
            require_names([*names, self.series, self.dates, "bands"], sorted(file), path)
            arrays = {name: file[name] for name in [*names, self.series, self.dates, "bands"]}
        in_file = [str(name) for name in arrays["bands"]]
        bands = as_mapping(self.bands or in_file, "{}")
        if missing := [name for name in bands.values() if name not in in_file]:
            refuse_name(
                "E-SERIES-BANDS",
                f"bands {listed(missing)} are not in the file, it has {listed(in_file)}",
                "name bands of the array `bands` in `bands`",
                path,
            )
        days, dated = days_of(arrays[self.dates])
        values = arrays[self.series]
        values = flat(values, len(days), len(in_file)).reshape(-1, len(days), len(in_file))
        values = values[..., [in_file.index(name) for name in bands.values()]]
        columns = [column_name(band, int(day), dated) for day in days for band in bands]
        X = pd.DataFrame(values.reshape(len(values), -1), columns=columns)
        for name in names:
            if arrays[name].shape != (len(X),):
                refuse(
                    "E-SERIES-LENGTH",
                    f"array {name} has shape {arrays[name].shape}, expected ({len(X)},)",
                    "give one value for each sample",
                    path,
                )
        return X, {name: arrays[name] for name in names}


def _path(source: pd.DataFrame | str | Path) -> Path | None:
    return None if isinstance(source, pd.DataFrame) else Path(source)
