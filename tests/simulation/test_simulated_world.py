"""The simulated land: fields, classes, how they look through the year."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import Transformer

from oso_pipeline.core.nomenclature import oso23_to_oso17
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.simulation import CLASS_CODES, WorldSpec
from oso_pipeline.simulation.world.land_covers import KINDS, NUMBER, OSO17, drawn_kinds
from oso_pipeline.simulation.world.phenology import Phenology
from oso_pipeline.simulation.world.reference_polygons import parcels
from oso_pipeline.simulation.world.world import World, smooth_noise

OSO17_CODES = {11, 12, 31, 32, 34, 36, 41, 42, 43, 44, 45, 46, 51, 53, 211, 221, 222}


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldSpec())


@pytest.fixture(scope="module")
def ndvi(world: World) -> dict[int, np.ndarray]:
    """Median NDVI of each class every five days of the year."""
    series = ndvi_of_fields(world)
    return {code: np.median(series[:, world.codes == code], axis=1) for code in CLASS_CODES}


@pytest.fixture(scope="module")
def ndvi_of_kind(world: World) -> dict[str, np.ndarray]:
    """Median NDVI of each annual crop every five days of the year."""
    series = ndvi_of_fields(world)
    return {
        kind.name: np.median(series[:, world.kinds == number], axis=1)
        for number, kind in enumerate(KINDS)
        if kind.crop
    }


def ndvi_of_fields(world: World) -> np.ndarray:
    phenology = Phenology(world)
    red, infrared = SENTINEL2.names.index("B4"), SENTINEL2.names.index("B8")
    tables = [phenology.reflectance(day) for day in range(1, 366, 5)]
    return np.stack([(t[:, infrared] - t[:, red]) / (t[:, infrared] + t[:, red]) for t in tables])


def peak_month(series: np.ndarray) -> int:
    day = np.datetime64("2018-01-01") + 5 * int(series.argmax())
    return int(str(day)[5:7])


@pytest.mark.parametrize("spec", [WorldSpec(), WorldSpec.tiny(), WorldSpec.tiny(seed=5)])
def test_every_class_has_six_parcels_or_more(spec: WorldSpec) -> None:
    frame = parcels(World(spec))
    counts = frame["code"].value_counts()
    assert set(counts.index) == OSO17_CODES
    assert counts.min() >= 6
    assert frame["parcel_id"].is_unique
    assert frame.crs.to_epsg() == 2154


def test_parcels_are_as_large_as_fields_and_do_not_overlap(world: World) -> None:
    frame = parcels(world)
    assert frame.area.between(4_000, 40_000).all()
    assert shapely.area(shapely.union_all(frame.geometry)) == pytest.approx(frame.area.sum())


def test_parcels_hold_the_class_of_the_raster(world: World) -> None:
    frame = parcels(world)
    for tile in world.spec.tiles:
        x, y = (axis.ravel() for axis in world.map_coordinates(tile))
        points = gpd.GeoDataFrame(
            {"truth": world.class_at(x, y)}, geometry=gpd.points_from_xy(x, y), crs=2154
        )
        inside = points.sjoin(frame, predicate="within")
        assert len(inside) > 10_000
        assert (inside["truth"] == inside["code"]).all()


def test_fields_are_the_nearest_centres_by_exhaustive_search(world: World) -> None:
    rng = np.random.default_rng(1)
    x0, y0, x1, y1 = world.bounds
    x, y = rng.uniform(x0, x1, 500), rng.uniform(y0, y1, 500)
    inside = shapely.contains_xy(world.outline_of_fields()[world.field_at(x, y)], x, y)
    assert inside.all()


def test_tiles_of_two_zones_see_the_same_land(world: World) -> None:
    west, east = (world.grids[tile] for tile in world.spec.tiles)
    assert west.crs != east.crs
    x, y = world.map_coordinates("30UYD")
    to_east = Transformer.from_crs(2154, east.crs.to_epsg(), always_xy=True)
    column, row = ~east.affine @ to_east.transform(x, y)
    shared = (column >= 0) & (row >= 0) & (column < 256) & (row < 256)
    assert shared.mean() > 0.5
    others = world.class_at(*world.map_coordinates("31UCU"))
    seen = others[row[shared].astype(int), column[shared].astype(int)]
    # Pixel centres of the two grids differ by up to 7 m, so borders of fields may differ.
    assert (seen == world.class_at(x, y)[shared]).mean() > 0.93


def test_noise_depends_on_coordinates_only() -> None:
    x = np.linspace(0, 5000, 40)
    whole = smooth_noise(x, x[::-1], 700.0, 3)
    parts = [smooth_noise(x[i : i + 1], x[::-1][i : i + 1], 700.0, 3)[0] for i in range(40)]
    np.testing.assert_array_equal(whole, parts)
    assert 0 <= whole.min() < whole.max() <= 1


def test_crops_peak_in_their_season(ndvi: dict[int, np.ndarray]) -> None:
    assert peak_month(ndvi[11]) in (6, 7, 8)
    assert peak_month(ndvi[12]) in (4, 5)
    assert ndvi[11].max() > 0.7 > 0.35 > ndvi[11][:20].max()
    assert ndvi[12][44:50].max() < 0.35  # stubble in August


def day_of(series: np.ndarray, level: float) -> tuple[int, int]:
    """Return the first and the last day on which a series of every five days is above a level."""
    above = np.flatnonzero(series > level)
    return 1 + 5 * int(above[0]), 1 + 5 * int(above[-1])


def test_crops_follow_their_calendar(ndvi_of_kind: dict[str, np.ndarray]) -> None:
    ripe = {name: day_of(series[:56], 0.5)[1] for name, series in ndvi_of_kind.items()}
    assert ripe["winter barley"] + 10 <= ripe["wheat"] <= ripe["winter barley"] + 20
    assert ripe["sunflower"] + 20 <= ripe["maize"] <= ripe["sunflower"] + 40
    assert 150 < ripe["rapeseed"] < ripe["wheat"] < 200
    green = {name: day_of(series[:56], 0.55)[0] for name, series in ndvi_of_kind.items()}
    assert green["wheat"] < green["spring barley"] < green["sunflower"] < green["maize"]
    assert abs(green["spring barley"] - green["peas"]) <= 10
    # In winter rapeseed covers more of the ground than cereals; its petals hide its leaves.
    assert ndvi_of_kind["rapeseed"][2] > ndvi_of_kind["wheat"][2] + 0.05
    april, may, june = (ndvi_of_kind["rapeseed"][day // 5] for day in (98, 118, 142))
    assert may < min(april, june) - 0.05


def test_kinds_of_a_class_have_their_shares() -> None:
    kinds = drawn_kinds(
        np.repeat(np.array([11, 12, 31], np.int16), 20_000), np.random.default_rng(1)
    )
    assert set(OSO17[kinds[:20_000]]) == {11}
    for name in ("wheat", "maize", "peas"):
        kind = KINDS[NUMBER[name]]
        assert kind.crop is not None
        total = sum(one.crop.percent for one in KINDS if one.crop and one.oso17 == kind.oso17)
        found = (kinds == NUMBER[name]).sum() / 20_000
        assert found == pytest.approx(kind.crop.percent / total, abs=0.02)
    assert (kinds[40_000:] == NUMBER["broadleaves"]).all()
    assert {kind.oso17 for kind in KINDS} == OSO17_CODES
    assert all(oso23_to_oso17()[kind.oso23] == kind.oso17 for kind in KINDS)


def test_water_is_below_zero_and_snow_about_zero(ndvi: dict[int, np.ndarray]) -> None:
    assert ndvi[51].max() < 0
    assert np.abs(ndvi[53]).max() < 0.1


def test_conifers_stay_green_and_broadleaves_shed(ndvi: dict[int, np.ndarray]) -> None:
    assert np.ptp(ndvi[32]) < 0.1
    assert ndvi[32].min() > 0.6
    assert np.ptp(ndvi[31]) > 0.25
    assert peak_month(ndvi[31]) in range(5, 10)


def test_classes_that_maps_confuse_are_near_each_other(ndvi: dict[int, np.ndarray]) -> None:
    summer = slice(30, 48)
    assert 0 < (ndvi[42] - ndvi[41])[summer].mean() < 0.25
    assert np.abs(ndvi[34] - ndvi[36])[summer].mean() < 0.3


def test_snow_lies_on_glaciers_always_and_on_heights_in_winter(world: World) -> None:
    phenology = Phenology(world)
    winter, summer = phenology.snow(30), phenology.snow(200)
    assert set(world.codes[summer]) == {53}
    assert {53, 45} < set(world.codes[winter])
    assert set(world.codes[winter]) <= {53, 45, 34, 36}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"tiles": ()}, "tiles"),
        ({"tiles": ("31TCJ", "31TCJ")}, "different"),
        ({"tiles": ("31XXX",)}, "31XXX"),
        ({"size_px": 65}, "size_px"),
        ({"dates_per_orbit": 5}, "dates_per_orbit"),
        ({"field_area_m2": 1.0}, "field_area_m2"),
    ],
)
def test_impossible_worlds_are_refused(change: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        WorldSpec(**change)  # type: ignore[arg-type]
