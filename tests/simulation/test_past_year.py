"""The past year of the simulated world: same land, other crops, weather and radiometry."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.simulation import PastYear, SimulatedWorld, WorldSpec, simulate
from oso_pipeline.simulation.world.land_covers import KINDS, NUMBER
from oso_pipeline.simulation.world.past_world import BEFORE, PastWorld, rotated_back
from oso_pipeline.simulation.world.phenology import Phenology
from oso_pipeline.simulation.world.schedule import overpasses
from oso_pipeline.simulation.world.world import World

TINY = replace(WorldSpec.tiny(), past=PastYear(dates_per_orbit=10, partial_dates=2))


@pytest.fixture(scope="module")
def two_years(tmp_path_factory: pytest.TempPathFactory) -> SimulatedWorld:
    return simulate(tmp_path_factory.mktemp("two"), TINY)


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(files)}


@pytest.mark.slow
def test_past_year_is_deterministic_and_leaves_the_year_of_the_map_alone(
    two_years: SimulatedWorld, tmp_path: Path
) -> None:
    root = two_years.products.parent
    simulate(tmp_path / "again", TINY)
    assert content(tmp_path / "again") == content(root)
    alone = simulate(tmp_path / "alone", replace(TINY, past=None))
    assert content(alone.products) == content(two_years.products)
    assert content(alone.databases.parcels.parent) == content(two_years.databases.parcels.parent)
    assert alone.past is None


def test_fields_stay_and_only_annual_crops_and_some_grass_change() -> None:
    world, past = World(WorldSpec()), PastWorld(WorldSpec.two_years())
    np.testing.assert_array_equal(past.seeds, world.seeds)
    np.testing.assert_array_equal(past.heights, world.heights)
    changed = past.kinds != world.kinds
    rotating = [NUMBER[name] for name in BEFORE]
    assert set(world.kinds[changed]) <= set(rotating)
    assert set(past.kinds[changed]) <= set(rotating)
    annual = np.isin(world.codes, (11, 12))
    assert 0.75 < changed[annual].mean() < 0.9


def test_rotations_have_their_chances() -> None:
    names = [*BEFORE, "broadleaves"]
    kinds = np.repeat(np.array([NUMBER[name] for name in names], dtype=np.int16), 20_000)
    before = rotated_back(kinds, np.random.default_rng(3))
    for name, weights in BEFORE.items():
        found = before[kinds == NUMBER[name]]
        for earlier, weight in weights.items():
            chance = weight / sum(weights.values())
            spread = 4 * np.sqrt(chance * (1 - chance) / found.size)
            assert (found == NUMBER[earlier]).mean() == pytest.approx(chance, abs=spread)
    assert (before[kinds == NUMBER["broadleaves"]] == NUMBER["broadleaves"]).all()


def test_as_many_fields_come_to_a_crop_as_leave_it() -> None:
    leaving: Counter[str] = Counter()
    for kind in KINDS:
        if kind.crop:
            leaving.update(kind.crop.before)
    assert leaving == {kind.name: kind.crop.percent for kind in KINDS if kind.crop}
    assert leaving.total() == 100


@pytest.mark.parametrize("shift_days", [-12.0, 0.0, 12.0])
def test_plants_grow_as_much_earlier_or_later_as_requested(shift_days: float) -> None:
    spec = WorldSpec(past=PastYear(season_shift_days=shift_days, gain_spread=0.0))
    world, past = World(spec), PastWorld(spec)
    today, then = Phenology(world), Phenology(past, past.year)
    every = np.arange(40, 321, 2)
    now = np.array([today.green_share(float(day)) for day in every])
    before = np.array([then.green_share(float(day)) for day in every])
    lags = np.arange(-10, 11)  # of two days
    inner = slice(10, -10)
    for name in ("maize", "wheat", "broadleaves", "vineyard"):
        target = now[:, world.kinds == NUMBER[name]].mean(axis=1)[inner]
        source = before[:, past.kinds == NUMBER[name]].mean(axis=1)
        misfit = [np.square(target - np.roll(source, -lag)[inner]).sum() for lag in lags]
        assert 2 * lags[int(np.argmin(misfit))] == pytest.approx(shift_days, abs=4)


def test_reflectances_of_the_two_years_differ_by_a_factor_per_band() -> None:
    spec = WorldSpec(past=PastYear(season_shift_days=0.0, gain_spread=0.05))
    past = PastWorld(spec)
    water = past.codes == 51
    ratio = (
        Phenology(past, past.year).reflectance(200)[water] / Phenology(past).reflectance(200)[water]
    )
    assert np.ptp(ratio, axis=0).max() < 1e-5
    assert 0.01 < ratio[0].std() < 0.1
    assert ratio.shape[1] == len(SENTINEL2.names)


def test_products_are_of_their_year_and_of_satellites_that_fly(two_years: SimulatedWorld) -> None:
    assert two_years.past is not None
    assert {name[11:15] for name in two_years.product_ids} == {"2018"}
    assert {name[11:15] for name in two_years.past.product_ids} == {"2017"}
    assert two_years.past.products.name == "products_2017"
    past = PastWorld(WorldSpec.two_years())
    for orbit in (94, 51):
        passes = overpasses(past, orbit)
        assert len(passes) == 26
        b = [one.acquired.date() for one in passes if one.platform == "SENTINEL2B"]
        assert min(b) > date(2017, 3, 7)
        now = {one.acquired.strftime("%m%d") for one in overpasses(World(WorldSpec()), orbit)}
        assert len(now & {one.acquired.strftime("%m%d") for one in passes}) < len(passes)


def test_true_fields_hold_the_classes_of_the_rasters_of_both_years(
    two_years: SimulatedWorld,
) -> None:
    assert two_years.past is not None
    fields = gpd.read_file(two_years.fields)
    assert (fields["code"] != fields["past_code"]).any()
    for tile in TINY.tiles:
        for column, truth, band in (
            ("code", two_years.truth, 1), ("past_code", two_years.past.truth, 1),
            ("oso23", two_years.truth, 2), ("past_oso23", two_years.past.truth, 2),
        ):  # fmt: skip
            with rasterio.open(truth[tile]) as raster:
                places = fields.to_crs(raster.crs).representative_point()
                values = np.array(
                    [v[0] for v in raster.sample(zip(places.x, places.y, strict=True), band)]
                )
            inside = values > 0
            assert inside.sum() > 50
            assert (values == fields[column])[inside].all()


def test_past_crops_come_as_ilots_with_a_table_of_groups(two_years: SimulatedWorld) -> None:
    path = two_years.databases.past_ilots
    assert path is not None
    assert path.parent.name == "RPG_1-0_SHP_LAMB93_R031-2017"
    ilots = gpd.read_file(path)
    table = pd.read_csv(path.with_name("ILOTS-ANONYMES-GROUPES-CULTURE.csv"), sep=";", dtype=str)
    assert set(table["NUM_ILOT"]) == set(ilots["NUM_ILOT"])
    single = table.groupby("NUM_ILOT")["CODE_GROUPE_CULTURE"].agg(list)
    single = single[single.map(len) == 1].map(lambda groups: int(groups[0]))
    classes = {2: 10, 6: 9, 1: 6, 3: 6, 5: 5, 8: 7, 18: 13, 20: 14, 21: 15}
    fields = gpd.read_file(two_years.fields)
    points = fields.set_geometry(fields.representative_point())
    valid = ilots[ilots.is_valid].drop_duplicates("NUM_ILOT")
    found = points.sjoin(valid[["NUM_ILOT", "geometry"]], predicate="within")
    found = found[found["NUM_ILOT"].isin(single.index)]
    assert len(found) > 40
    assert (found["NUM_ILOT"].map(single).map(classes) == found["past_oso23"]).all()
    assert (found["past_oso23"] != found["oso23"]).any()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"years_before": 0}, "years_before"),
        ({"season_shift_days": 200.0}, "season_shift_days"),
        ({"season_shift_days": float("nan")}, "season_shift_days"),
        ({"gain_spread": -0.1}, "gain_spread"),
        ({"dates_per_orbit": 5}, "dates_per_orbit"),
    ],
)
def test_impossible_past_years_are_refused(change: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        PastWorld(WorldSpec(past=PastYear(**change)))  # type: ignore[arg-type]


def test_a_world_of_one_year_has_no_past() -> None:
    with pytest.raises(ValueError, match="no past year"):
        PastWorld(WorldSpec())
