"""Attributes of CF and ACDD: a function of what series are, nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS
from support.series_blocks import ABOUT, FLAGS, GRID, LAYOUT

from oso_pipeline.core.errors import InputDataError
from oso_pipeline.products.series.cf import (
    grid_mapping_attributes,
    step_coordinates,
    variable_attributes,
)
from oso_pipeline.products.series.discovery import global_attributes
from oso_pipeline.products.series.tile_series import windows


def test_numbers_about_values_have_the_type_of_the_values() -> None:
    for variable in LAYOUT.variables:
        found = variable_attributes(variable, LAYOUT.names)
        for name in ("_FillValue", "valid_range", "flag_masks"):
            if name in found:
                assert found[name].dtype == variable.dtype


def test_flags_have_meanings_and_no_units() -> None:
    found = variable_attributes(LAYOUT["LAI_flags"], LAYOUT.names)
    assert found["flag_masks"].tolist() == [1, 2, 4]
    assert found["flag_meanings"].split() == list(FLAGS)
    assert "units" not in found


def test_quality_of_another_file_is_not_named() -> None:
    found = variable_attributes(LAYOUT["NDVI"], ["NDVI", "clear_dates"])
    assert found["ancillary_variables"] == "clear_dates"
    assert "ancillary_variables" not in variable_attributes(LAYOUT["NDVI"], ["NDVI"])


def test_a_number_of_days_is_not_taken_for_a_time_span() -> None:
    assert variable_attributes(LAYOUT["nearest_clear_days"], ())["units"] == "day"


def test_pyproj_and_gdal_read_the_coordinate_system_back() -> None:
    found = grid_mapping_attributes(GRID)
    assert CRS.from_cf({"crs_wkt": found["crs_wkt"]}).to_epsg() == 32631
    assert CRS.from_wkt(found["spatial_ref"]).to_epsg() == 32631
    plain = {k: v for k, v in found.items() if k not in ("crs_wkt", "spatial_ref")}
    assert CRS.from_cf(plain).to_dict()["zone"] == 31  # the parameters of CF alone
    assert Affine.from_gdal(*map(float, found["GeoTransform"].split())) == GRID.affine


@pytest.mark.parametrize("axis", ["dates", "acquisitions", "months"])
@pytest.mark.parametrize("days", [(date(2018, 2, 1), date(2018, 1, 1)), (date(2018, 1, 1),) * 2])
def test_days_that_do_not_ascend_are_refused(axis: str, days: tuple[date, ...]) -> None:
    name = {"dates": "time", "acquisitions": "acquisition", "months": "month"}[axis]
    variable = replace(LAYOUT["NDVI"], axis=name)
    with pytest.raises(InputDataError, match="E-SERIES-TIME"):
        step_coordinates(replace(LAYOUT, variables=(variable,), **{axis: days}))


def test_months_have_bounds_and_days_of_images_are_the_time_of_raw_series() -> None:
    month = step_coordinates(LAYOUT)["month"]
    edges = month.bounds.astype("datetime64[D]").astype(str).tolist()
    assert edges == [["2018-01-01", "2018-02-01"], ["2018-12-01", "2019-01-01"]]
    raw = replace(
        LAYOUT,
        variables=(replace(LAYOUT["NDVI"], axis="acquisition"),),
        acquisitions=(date(2018, 1, 3),),
    )
    assert step_coordinates(raw)["acquisition"].name == "time"


def test_bounds_in_degrees_hold_every_corner() -> None:
    found = global_attributes(ABOUT, "31TCJ", GRID, LAYOUT)
    corners = str(found["geospatial_bounds"]).removeprefix("POLYGON ((").rstrip(")").split(", ")
    degrees = np.array([corner.split() for corner in corners], float)
    south, west = found["geospatial_lat_min"], found["geospatial_lon_min"]
    north, east = found["geospatial_lat_max"], found["geospatial_lon_max"]
    assert (degrees >= np.array([south, west]) - 1e-6).all()
    assert (degrees <= np.array([north, east]) + 1e-6).all()
    assert found["time_coverage_resolution"] == "P10D"


@pytest.mark.parametrize("shape", [(5, 61, 70), (1, 3, 3), (37, 300, 20)])
@pytest.mark.parametrize("chunk", [(1, 16, 16), (37, 8, 8)])
def test_windows_hold_each_value_once_and_whole_chunks(
    shape: tuple[int, int, int], chunk: tuple[int, int, int]
) -> None:
    seen = np.zeros(shape, int)
    for one in windows(shape, chunk, 2, 4096):
        seen[one.of] += 1
        assert all(part.start % size == 0 for part, size in zip(one.of, chunk, strict=True))
        assert np.prod(one.shape) * 2 <= max(4096, np.prod(chunk) * 2)
    assert (seen == 1).all()
