"""Attributes of the CF and ACDD conventions, from what series are.

CF 1.11: https://cfconventions.org/cf-conventions/cf-conventions.html, sections 3.5 (flags), 4.4
(time), 5.6 (grid mappings) and 8.1 (packed data). ACDD 1.3:
https://wiki.esipfed.org/Attribute_Convention_for_Data_Discovery_1-3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from pyproj import CRS

from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.timeseries.series_layout import SeriesLayout, Variable

CONVENTIONS = "CF-1.11, ACDD-1.3"
GRID_MAPPING = "spatial_ref"
"""Name of the variable with the coordinate system; rioxarray looks for this one."""
EPOCH = date(1970, 1, 1)
_DAYS = "days since 1970-01-01"
_UNITS = {"days": "day"}
"""Units by another of their names: xarray turns numbers of ``days`` into ``timedelta64``."""

Attributes = dict[str, Any]


@dataclass(frozen=True)
class Coordinate:
    """A coordinate variable of one dimension.

    Parameters
    ----------
    name
        Of the variable and of its dimension.
    values
        Shape ``(steps,)``.
    attributes
        Of the variable.
    bounds
        First and last edge of each step, shape ``(steps, 2)``, where a step is not one day or one
        pixel centre.
    """

    name: str
    values: npt.NDArray[Any]
    attributes: Attributes = field(default_factory=dict)
    bounds: npt.NDArray[Any] | None = None


def variable_attributes(
    variable: Variable, present: Iterable[str], scale_type: type[np.floating[Any]] = np.float32
) -> Attributes:
    """Return the attributes of a variable, those about its values in its own type.

    Parameters
    ----------
    variable
        The variable.
    present
        Names of the variables of the same file: a quality variable elsewhere is not named.
    scale_type
        Type of ``scale_factor``, which is that of the physical values.

    Returns
    -------
    dict
        With ``_FillValue`` where the variable has a fill value.

    Examples
    --------
    >>> ndvi = Variable("NDVI", "NDVI", "1", "time", "int16", 10, scale=1e-3, fill=-10000)
    >>> found = variable_attributes(ndvi, ["NDVI"])
    >>> found["_FillValue"].dtype, found["scale_factor"].dtype, found["grid_mapping"]
    (dtype('int16'), dtype('float32'), 'spatial_ref')
    """
    stored = np.dtype(variable.dtype).type
    is_flag = bool(variable.flag_values or variable.flag_masks)
    found: Attributes = {"long_name": variable.long_name}
    if variable.standard_name:
        found["standard_name"] = variable.standard_name
    if not is_flag:
        found["units"] = _UNITS.get(variable.units, variable.units)
    if variable.fill is not None:
        found["_FillValue"] = stored(variable.fill)
    if variable.scale != 1 or variable.offset != 0:
        found["scale_factor"] = scale_type(variable.scale)
        found["add_offset"] = scale_type(variable.offset)
    if variable.valid_range is not None:
        found["valid_range"] = np.array(variable.valid_range, stored)
    for name in ("flag_masks", "flag_values"):
        if getattr(variable, name):
            found[name] = np.array(getattr(variable, name), stored)
    if is_flag:
        found["flag_meanings"] = " ".join(variable.flag_meanings)
    if beside := [name for name in variable.ancillary if name in set(present)]:
        found["ancillary_variables"] = " ".join(beside)
    found["coverage_content_type"] = "qualityInformation" if is_flag else "physicalMeasurement"
    return found | {"grid_mapping": GRID_MAPPING}


def grid_mapping_attributes(grid: GeoBox) -> Attributes:
    """Return the attributes of the variable `GRID_MAPPING` of a grid.

    The parameters of CF, ``crs_wkt`` (WKT 2), and for GDAL ``spatial_ref`` (WKT 1) and
    ``GeoTransform``: the six numbers of GDAL, upper left corner and steps.
    """
    crs = CRS.from_user_input(str(grid.crs))
    affine = grid.affine
    steps = (affine.c, affine.a, affine.b, affine.f, affine.d, affine.e)
    return {
        **crs.to_cf(),
        "spatial_ref": crs.to_wkt("WKT1_GDAL"),
        "GeoTransform": " ".join(f"{step:.17g}" for step in steps),
    }


def place_coordinates(grid: GeoBox) -> tuple[Coordinate, Coordinate]:
    """Return the centres of the rows and of the columns of a grid, metres, float64."""
    affine, (rows, columns) = grid.affine, grid.shape
    return (
        _projection("y", affine.f + affine.e * (np.arange(rows) + 0.5)),
        _projection("x", affine.c + affine.a * (np.arange(columns) + 0.5)),
    )


def dimension_of(layout: SeriesLayout, axis: str) -> str:
    """Return the name of the dimension of an axis; empty where there is one layer.

    Days of images are called ``time`` in files without a date grid, as readers expect.
    """
    if axis == "acquisition" and all(one.axis != "time" for one in layout.variables):
        return "time"
    return axis


def coordinate_names(steps: Iterable[Coordinate]) -> str:
    """Return the attribute ``coordinates`` of a file, as xarray writes it.

    By it xarray opens the coordinate system and bounds as coordinates, beside the variables.
    """
    bounds = (f"{one.name}_bounds" for one in steps if one.bounds is not None)
    return " ".join([GRID_MAPPING, *bounds])


def step_coordinates(layout: SeriesLayout) -> dict[str, Coordinate]:
    """Return the coordinate of each axis that a variable of a layout has, by axis.

    Raises
    ------
    InputDataError
        If days do not ascend (``E-SERIES-TIME``).
    """
    found = {}
    for axis in ("time", "acquisition", "month", "season"):
        if any(one.axis == axis for one in layout.variables):
            found[axis] = _steps(layout, axis)
    return found


def days_since_epoch(days: Iterable[date]) -> npt.NDArray[np.int32]:
    """Return days since 1970-01-01, int32, shape ``(day,)``."""
    return np.array([(day - EPOCH).days for day in days], np.int32)


def _steps(layout: SeriesLayout, axis: str) -> Coordinate:
    name = dimension_of(layout, axis)
    if axis == "season":
        attributes = {"long_name": "growing season of the year, in order", "units": "1"}
        return Coordinate(name, np.arange(1, layout.n_seasons + 1, dtype=np.int8), attributes)
    said = {
        "time": ("date of the grid of the season", layout.dates),
        "acquisition": ("day of the image", layout.acquisitions),
        "month": ("first day of the month", layout.months),
    }
    long_name, days = said[axis]
    _require_ascending(days, axis)
    values = days_since_epoch(days)
    attributes = {"standard_name": "time", "long_name": long_name, "axis": "T"}
    attributes |= {"units": _DAYS, "calendar": "standard", "units_metadata": "leap_seconds: none"}
    if axis != "month":
        return Coordinate(name, values, attributes)
    ends = days_since_epoch(_next_month(day) for day in days)
    bounds = np.stack([values, ends], axis=1)
    return Coordinate(name, values, attributes | {"bounds": f"{name}_bounds"}, bounds)


def _require_ascending(days: tuple[date, ...], axis: str) -> None:
    for before, after in pairwise(days):
        if after <= before:
            raise InputDataError(
                Problem(
                    "E-SERIES-TIME",
                    f"axis {axis}: found {after} after {before}, expected days that ascend",
                    hint="give each day once, the earliest first",
                )
            )


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _projection(name: str, values: npt.NDArray[np.float64]) -> Coordinate:
    attributes = {
        "standard_name": f"projection_{name}_coordinate",
        "long_name": f"{name} of the centre of the pixel",
        "units": "m",
        "axis": name.upper(),
    }
    return Coordinate(name, values, attributes)
