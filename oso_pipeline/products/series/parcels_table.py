"""The tables of parcels: one of numbers in long form, one of shapes with a row per parcel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from pyproj import CRS

from oso_pipeline.products.series.parcels_statistics import Statistics
from oso_pipeline.timeseries.series_layout import SeriesLayout, Variable
from oso_pipeline.vectors.geometry import Geometries

_WORD = pa.dictionary(pa.int32(), pa.string())

LONG = pa.schema(
    [
        ("parcel_id", pa.string()),
        ("tile", _WORD),
        ("variable", _WORD),
        ("date", pa.date32()),
        ("season", pa.int8()),
        ("mean", pa.float32()),
        ("median", pa.float32()),
        ("std", pa.float32()),
        ("pixels", pa.int32()),
        ("valid", pa.int32()),
        ("clear_share", pa.float32()),
        ("note", _WORD),
    ]
)
"""Columns of the long table: a row per parcel, variable and step."""

CUT = "partly outside the tiles"
SMALL = "smaller than a pixel"
NO_CENTRE = "no pixel centre inside"
NO_CENTRE_ERODED = "no pixel centre inside after erosion"
WITHOUT_PIXEL = (SMALL, NO_CENTRE, NO_CENTRE_ERODED)
"""Notes of parcels without a pixel."""


@dataclass(frozen=True)
class Steps:
    """What the steps of a variable are.

    Parameters
    ----------
    days
        The date of each; none where steps are no dates.
    n_seasons
        Number of seasons, where steps are seasons; else 0.
    """

    days: tuple[date, ...] = ()
    n_seasons: int = 0

    @classmethod
    def of(cls, variable: Variable, layout: SeriesLayout) -> Steps:
        """Return the steps of a variable of a layout."""
        days = {"time": layout.dates, "acquisition": layout.acquisitions, "month": layout.months}
        seasons = layout.n_seasons if variable.axis == "season" else 0
        return cls(days.get(variable.axis, ()), seasons)

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.days) or self.n_seasons or 1


@dataclass(frozen=True)
class Parts:
    """What parcels are called, where they are listed, and how large they are.

    Parameters
    ----------
    ids
        Names.
    tiles
        Tile of each.
    pixels
        Pixels of each, at the resolution of the variable.
    notes
        What is to say of each, '' for nothing.
    """

    ids: npt.NDArray[np.object_]
    tiles: npt.NDArray[np.object_]
    pixels: npt.NDArray[np.int64]
    notes: npt.NDArray[np.object_]


def notes_of(
    pixels: npt.NDArray[np.int64],
    areas_m2: npt.NDArray[np.float64],
    cut: npt.NDArray[np.bool_],
    resolution_m: int,
    erosion_m: float,
) -> npt.NDArray[np.object_]:
    """Return what is to say of parcels at a resolution.

    Examples
    --------
    >>> areas = np.array([90.0, 500.0, 9000.0])
    >>> notes_of(np.array([0, 0, 80]), areas, np.array([False] * 3), 10, 0).tolist()
    ['smaller than a pixel', 'no pixel centre inside', '']
    """
    without = NO_CENTRE_ERODED if erosion_m > 0 else NO_CENTRE
    found = np.where(cut, CUT, "").astype(object)
    found[pixels == 0] = without
    found[(pixels == 0) & (areas_m2 < resolution_m**2)] = SMALL
    return found


def long_table(
    parcels: Parts,
    variable: str,
    steps: Steps,
    statistics: Statistics,
    counts: tuple[npt.NDArray[np.int32], npt.NDArray[np.float32] | None],
) -> pa.Table:
    """Return the rows of parcels, each with its steps one after the other.

    Parameters
    ----------
    parcels
        The parcels.
    variable
        Name of the variable.
    steps
        Its steps.
    statistics
        Shape ``(parcel, step)``.
    counts
        Pixels with a value, and the share of clear ones, both of that shape. Without the latter
        it is the share of pixels with a value.
    """
    n, size = len(parcels.ids), len(steps)
    valid, clear = counts
    if clear is None:
        clear = (valid / np.maximum(parcels.pixels, 1)[:, None]).astype(np.float32)
    clear = np.where(parcels.pixels[:, None] == 0, np.float32(np.nan), clear)
    days: pa.Array = pa.nulls(n * size, pa.date32())
    seasons: pa.Array = pa.nulls(n * size, pa.int8())
    if steps.days:
        numbers = np.array(steps.days, "datetime64[D]").astype(np.int32)
        days = pa.array(np.tile(numbers, n)).cast(pa.date32())
    elif steps.n_seasons:
        seasons = pa.array(np.tile(np.arange(1, size + 1, dtype=np.int8), n))
    columns = [
        pa.array(np.repeat(parcels.ids, size), pa.string()),
        _words(parcels.tiles, size),
        _words(np.full(n, variable, object), size),
        days,
        seasons,
        *(pa.array(one.ravel(), from_pandas=True) for one in _three(statistics)),
        pa.array(np.repeat(parcels.pixels, size).astype(np.int32)),
        pa.array(valid.ravel()),
        pa.array(clear.ravel().astype(np.float32), from_pandas=True),
        _words(parcels.notes, size),
    ]
    return pa.Table.from_arrays(columns, schema=LONG)


def _three(statistics: Statistics) -> tuple[npt.NDArray[np.float32], ...]:
    return statistics.mean, statistics.median, statistics.std


def _words(values: npt.NDArray[np.object_], repeated: int) -> pa.Array:
    coded = pc.dictionary_encode(pa.array(values, pa.string()))
    indices = np.repeat(np.asarray(coded.indices), repeated).astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(indices), coded.dictionary)


def shapes_schema(resolutions_m: Sequence[int], crs: CRS) -> pa.Schema:
    """Return the columns of the table of shapes, as GeoParquet 1.1."""
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["Polygon", "MultiPolygon"],
                "crs": crs.to_json_dict(),
            }
        },
    }
    pixels = [(f"pixels_{size}m", pa.int32()) for size in resolutions_m]
    fields = [("parcel_id", pa.string()), ("tile", pa.string()), ("area_m2", pa.float64())]
    return pa.schema(
        [*fields, *pixels, ("note", pa.string()), ("geometry", pa.binary())],
        {b"geo": json.dumps(geo).encode()},
    )


def as_wkb(shapes: Geometries) -> pa.Array:
    """Return shapes as a column of a table."""
    return pa.array(shapely.to_wkb(shapes), pa.binary())


def harmless(table: pa.Table) -> pa.Table:
    """Return a table for spreadsheets: no text is taken for a formula, words are plain text.

    As in `core.csv_tables`: names come from files of others.
    """
    names = table["parcel_id"]
    formula = pc.match_substring_regex(names, r"^[=+\-@\t\r]")
    number = pc.match_substring_regex(names, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    unsafe = pc.and_(formula, pc.invert(number))
    marked = pc.binary_join_element_wise(pa.scalar("'"), names, pa.scalar(""))
    first = pc.if_else(unsafe, marked, names)
    rest = (
        column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
        for column in table.columns[1:]
    )
    return pa.Table.from_arrays([first, *rest], names=table.schema.names)
