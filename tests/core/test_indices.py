"""Sensors and indices: the tables, and that what computes attaches to them."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from oso_pipeline.config.features import Features
from oso_pipeline.config.model import BandName
from oso_pipeline.core.indices import INDICES, Index, index_named, lacking
from oso_pipeline.core.sensors import SENSORS, SENTINEL2, Band, Sensor, sensor_of
from oso_pipeline.timeseries.kernels.chunks import INDEX_NUMBERS, index_plan
from oso_pipeline.timeseries.plain_numpy import index_value

RED_ONLY = Sensor("redonly", (Band("1", "red", 30, 650.0), Band("2", "nir", 30, 850.0)))


def test_bands_have_names_of_their_own_and_a_place_in_the_spectrum() -> None:
    for sensor in SENSORS.values():
        assert len(set(sensor.names)) == len(sensor.bands)
        assert len({band.common_name for band in sensor.bands}) == len(sensor.bands)
        assert all(300 < band.wavelength_nm < 2500 for band in sensor.bands)
    assert SENTINEL2.at(10) == ("B2", "B3", "B4", "B8")
    assert SENTINEL2.resolution_m("B8A") == 20
    assert SENTINEL2.named("nir08") == "B8A"


def test_configuration_and_kernels_know_the_indices_and_bands_of_the_tables() -> None:
    assert Features().indices == tuple(INDICES) == tuple(INDEX_NUMBERS)
    assert get_args(BandName) == SENTINEL2.names


@pytest.mark.parametrize("index", INDICES.values(), ids=lambda index: index.name)
@pytest.mark.parametrize("values", [(700, 3000, 1500), (3000, 700, 900), (1, 1, 32_000)])
def test_a_formula_says_what_is_computed(index: Index, values: tuple[int, int, int]) -> None:
    known = dict(zip(("red", "nir", "swir16"), values, strict=True))
    names = {"sqrt": math.sqrt, "sum": sum, "bands": values, **known}
    exact = eval(index.formula, {"__builtins__": {}}, names)
    bands = {SENTINEL2.named(common): value for common, value in known.items()}
    assert index_value(index.name, bands) == min(math.trunc(exact * index.scale), 32_767)


def test_what_an_index_lacks_is_named() -> None:
    assert lacking(INDICES["NDWI"], ("B4", "B8"), SENTINEL2) == ("B11",)
    assert lacking(INDICES["brightness"], (), SENTINEL2) == ()
    with pytest.raises(ValueError, match="unknown index 'EVI', known are NDVI, NDWI"):
        index_named("EVI")
    with pytest.raises(ValueError, match="NDWI cannot be computed: redonly has no band swir16"):
        lacking(INDICES["NDWI"], RED_ONLY.names, RED_ONLY)
    with pytest.raises(ValueError, match="NDVI needs B4 among the bands"):
        index_plan(("NDVI",), ("B8",), SENTINEL2)


def test_an_unknown_sensor_or_band_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown sensor 'venus', known are sentinel2"):
        sensor_of("venus")
    with pytest.raises(ValueError, match="sentinel2 has no band B99, it has B2"):
        SENTINEL2.resolution_m("B99")
