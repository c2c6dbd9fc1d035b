"""Growing seasons against analytic series whose dates are known, and against plain NumPy."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from bench.phenology import DAYS, FIRST, Double, errors
from oso_pipeline.core.errors import ConfigError, InputDataError
from oso_pipeline.timeseries.phenology import (
    PhenologyMetrics,
    PhenologySettings,
    dates_of,
    observations_per_date,
    phenology,
    yydoy,
)
from oso_pipeline.timeseries.phenology.curve import complete, curve_plan, draw_curve
from oso_pipeline.timeseries.phenology.variables import phenology_variables

NDVI = PhenologySettings("NDVI")
T = (DAYS - FIRST).astype(float)
MISSING = {name: one.fill for one in phenology_variables(NDVI, 10) if (name := one.name)}


def metrics_of(
    series: np.ndarray, settings: PhenologySettings = NDVI, observed: int = 2
) -> PhenologyMetrics:
    values = np.asarray(series, np.float32).reshape(len(DAYS), -1)
    return phenology(values, DAYS, np.full(values.shape, observed, np.uint8), settings)


def bell(middle: float, width: float, height: float, base: float = 0.2) -> np.ndarray:
    return base + height * np.exp(-(((T - middle) / width) ** 2))


@pytest.mark.parametrize("seasons", [1, 2])
def test_dates_of_double_logistics_are_right_to_a_day(seasons: int) -> None:
    double = Double.random(150, seasons, seed=seasons)
    made = errors(metrics_of(double.at(T)), double.dates())
    assert made.found == 1
    assert np.abs(made.days).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("seasons", [1, 2])
def test_dates_of_many_double_logistics_are_right_to_a_day(seasons: int, seed: int) -> None:
    double = Double.random(1500, seasons, seed=100 + seed)
    made = errors(metrics_of(double.at(T)), double.dates())
    assert made.found == 1
    assert np.abs(made.days).max() <= 1


def test_values_slopes_and_sums_of_a_season() -> None:
    """Plain NumPy on the analytic series, sampled each day, at the days that were found."""
    double = Double.random(60, 1, seed=3)
    found = metrics_of(double.at(T), PhenologySettings("NDVI", seasons=1))
    daily = double.at(np.arange(0, T[-1] + 1))
    for p in range(60):
        own = daily[:, p]
        start, end, top = (int(found[name][0, p]) - 18001 for name in ("SOSD", "EOSD", "MAXD"))
        base = (own[:top].min() + own[top:].min()) / 2
        season = own[start : end + 1]
        expected = {
            "SOSV": own[start], "EOSV": own[end], "MAXV": own[top], "MINV": base,
            "AMPL": own[top] - base,
            "LSLOPE": (own[start + 1] - own[start - 1]) / 2,
            "RSLOPE": (own[end - 1] - own[end + 1]) / 2,
        }  # fmt: skip
        for name, value in expected.items():
            tolerance = 0.001 if name.endswith("SLOPE") else 0.01
            assert found[name][0, p] * 1e-4 == pytest.approx(value, abs=tolerance), name
        assert found["LENGTH"][0, p] == end - start
        assert found["TPROD"][0, p] / 10 == pytest.approx(season.sum(), abs=0.5)
        assert found["SPROD"][0, p] / 10 == pytest.approx((season - base).sum(), abs=0.5)


def test_the_curve_is_the_natural_spline_of_scipy() -> None:
    rng = np.random.default_rng(4)
    days = np.cumsum(rng.integers(3, 20, 25)).astype(np.int32)
    row, plan = rng.uniform(0, 1, 25), curve_plan(days)
    curve = np.empty(plan.n_days)
    draw_curve(plan, row, np.empty(25), curve)
    spline = CubicSpline(days, row, bc_type="natural")
    np.testing.assert_allclose(curve, spline(np.arange(days[0], days[-1] + 1)), atol=1e-12)


def test_dates_without_a_number_are_filled_linearly() -> None:
    days = np.array([0, 10, 15, 30, 40], np.int64)
    for gaps in ([], [0], [4], [1, 2], [0, 1, 4], [0, 1, 2, 3]):
        row = np.array([1.0, 3.0, 2.0, 8.0, 5.0])
        seen = np.setdiff1d(np.arange(5), gaps)
        expected = np.interp(days, days[seen], row[seen])
        row[gaps] = np.nan
        assert complete(days, row) == len(seen)
        np.testing.assert_allclose(row, expected)


def test_pixels_without_data_or_without_a_season() -> None:
    series = np.full((len(T), 4), 0.4)
    series[:, 0] = np.nan
    series[:, 2] = 0.3 + 0.04 * np.sin(T / 40)  # below the least amplitude
    series[1:, 3] = np.nan  # one clear date
    found = metrics_of(series)
    assert found["QFLAG"].tolist() == [[0, 1, 1, 1]] * 2
    for name, fill in MISSING.items():
        if name != "QFLAG":
            assert (found[name] == fill).all()


def test_a_pixel_does_not_depend_on_its_neighbours() -> None:
    double = Double.random(20, 2, seed=6)
    series = double.at(T)
    alone = [metrics_of(series[:, p]) for p in range(20)]
    together = metrics_of(series)
    for name in MISSING:
        assert (np.hstack([one[name] for one in alone]) == together[name]).all()


def test_two_seasons_are_in_order_and_the_larger_one_is_taken_where_one_is_asked_for() -> None:
    series = bell(90, 25, 0.35) + bell(250, 25, 0.6, 0)
    both = metrics_of(series)
    assert both["MAXD"][:, 0].tolist() == pytest.approx([18091, 18251], abs=1)
    assert (both["EOSD"][0, 0], both["SOSD"][1, 0]) < (both["SOSD"][1, 0], both["MAXD"][1, 0])
    one = metrics_of(series, PhenologySettings("NDVI", seasons=1))
    assert one["MAXD"][:, 0].tolist() == [both["MAXD"][1, 0]]


def test_the_two_largest_of_three_seasons_are_taken() -> None:
    series = bell(60, 18, 0.3) + bell(170, 18, 0.6, 0) + bell(290, 18, 0.5, 0)
    assert metrics_of(series)["MAXD"][:, 0].tolist() == pytest.approx([18171, 18291], abs=1)


def test_a_dip_within_a_season_makes_no_second_one() -> None:
    series = bell(170, 60, 0.6) - bell(165, 12, 0.12, 0)  # as of rape in flower
    found = metrics_of(series)
    assert found["QFLAG"][1, 0] == 1
    assert found["SOSD"][0, 0] < 18120


def test_a_season_that_the_grid_cuts_has_no_start_or_no_end() -> None:
    series = np.stack([bell(40, 90, 0.6), bell(320, 90, 0.6)], axis=1)
    found = metrics_of(series, PhenologySettings("NDVI", seasons=1))
    assert found["MAXD"][0].tolist() == pytest.approx([18041, 18321], abs=1)
    whole = ("LENGTH", "SPROD", "TPROD")
    for p, names in ((0, ("SOSD", "SOSV", "LSLOPE")), (1, ("EOSD", "EOSV", "RSLOPE"))):
        for name in (*names, *whole):
            assert found[name][0, p] == MISSING[name], name
    for p, names in ((1, ("SOSD", "SOSV", "LSLOPE")), (0, ("EOSD", "EOSV", "RSLOPE"))):
        for name in (*names, "MAXV", "MINV", "AMPL"):
            assert found[name][0, p] != MISSING[name], name
    assert found["QFLAG"][0].tolist() == [9, 7]
    assert found["MINV"][0] / 1e4 == pytest.approx([0.2, 0.2], abs=0.01)


@pytest.mark.parametrize("series", [0.8 - T * 0.001, 0.3 + T * 0.001])
def test_a_maximum_at_the_edge_of_the_grid_is_no_season(series: np.ndarray) -> None:
    assert metrics_of(series)["QFLAG"].tolist() == [[1], [1]]


def test_quality_counts_clear_observations_in_each_stage() -> None:
    series = np.repeat(bell(180, 60, 0.6)[:, None], 8, axis=1).astype(np.float32)
    observed = np.zeros(series.shape, np.uint8)
    up, peak, down = T == 110, T == 180, T == 250
    for bits in range(8):
        for bit, stage in enumerate((up, down, peak)):
            observed[stage, bits] = 3 if bits >> bit & 1 else 0
    observed[up, 0] = 2
    flags = phenology(series, DAYS, observed, PhenologySettings("NDVI", 1))["QFLAG"][0]
    assert flags.tolist() == [3, 4, 5, 8, 6, 7, 9, 10]
    assert metrics_of(series, observed=0)["QFLAG"][0].tolist() == [2] * 8


def test_values_that_the_encoding_cannot_hold_end_at_its_limits() -> None:
    low = metrics_of(bell(180, 60, 0.9, -0.3))
    assert low["MINV"][0, 0] == 0
    assert low["AMPL"][0, 0] == pytest.approx(9000, abs=30)
    lai = metrics_of(bell(180, 60, 7.5, 0.3), PhenologySettings("LAI"))
    assert lai["MAXV"][0, 0] == pytest.approx(7800, abs=20)


def test_seasons_over_new_year_have_the_year_of_their_days() -> None:
    days = DAYS - 100
    values = np.float32(bell(130, 40, 0.6))[:, None]
    found = phenology(values, days, np.ones(values.shape, np.uint8), NDVI)
    start, top = (dates_of(found[name])[0, 0].astype(date) for name in ("SOSD", "MAXD"))
    assert (start.year, top.year) == (2017, 2018)
    assert found["LENGTH"][0, 0] == (dates_of(found["EOSD"]) - dates_of(found["SOSD"]))[
        0, 0
    ].astype(int)


def test_yydoy_and_back() -> None:
    days = np.arange(10957, 10957 + 20000, 97)  # from 2000-01-01
    codes = yydoy(days)
    expected = [int(f"{day.astype(date):%y%j}") for day in days.astype("datetime64[D]")]
    assert codes.tolist() == expected
    assert (dates_of(codes) == days.astype("datetime64[D]")).all()
    with pytest.raises(ValueError, match="2000-01-01"):
        yydoy([10956])


def test_observations_count_for_the_nearest_date() -> None:
    days, grid = np.array([-30, -4, 5, 6, 16, 24], np.int32), np.array([0, 10, 20], np.int32)
    clear = np.array([[1, 1, 1, 1, 1, 1], [1, 0, 1, 0, 1, 0]], np.uint8).T.copy()
    counted = observations_per_date(clear, days, grid)
    assert counted.T.tolist() == [[2, 1, 2], [1, 0, 1]]


def test_grids_that_do_not_fit_are_refused() -> None:
    values = np.zeros((len(DAYS), 1), np.float32)
    seen = values.astype(np.uint8)
    with pytest.raises(InputDataError, match="E-SERIES-TIME"):
        phenology(values, DAYS[::-1].copy(), seen, NDVI)
    with pytest.raises(InputDataError, match="E-SERIES-SHORT"):
        phenology(values[:20], DAYS[:20], seen[:20], NDVI)
    with pytest.raises(ValueError, match="do not fit"):
        phenology(values[:20], DAYS, seen, NDVI)
    assert NDVI.shortest_days > PhenologySettings("NDVI", seasons=1).shortest_days


@pytest.mark.parametrize(
    "wrong",
    [
        {"variable": "NDWI"},
        {"variable": "NDVI", "seasons": 3},
        {"variable": "NDVI", "start_fraction": 0.0},
        {"variable": "NDVI", "least_amplitude": 0.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="E-SERIES-PHENOLOGY"):
        PhenologySettings(**wrong)  # type: ignore[arg-type]


def test_bare_soil_has_no_season_and_sparse_grass_has_one() -> None:
    """NDVI of drying and wetting soil, of noise; a steppe rises by 0.25."""
    draw = np.random.default_rng(0)
    bare = 0.15 + 0.05 * np.sin(T / 25)[:, None] + draw.normal(0, 0.01, (len(T), 50))
    steppe = bell(150, 50, 0.25, 0.15)[:, None] + draw.normal(0, 0.01, (len(T), 50))
    found = metrics_of(np.hstack([bare, steppe]))
    assert (found["QFLAG"][:, :50] == 1).all()
    assert (found["MAXD"][:, :50] == 0).all()
    assert (found["MAXD"][0, 50:] > 0).all()
    lower = metrics_of(bare, PhenologySettings("NDVI", least_amplitude=0.05))
    assert (lower["MAXD"][0] > 0).all()
    assert (metrics_of(steppe, PhenologySettings("NDVI", least_amplitude=0.4))["MAXD"] == 0).all()


def test_variables_are_encoded_as_in_hr_vpp() -> None:
    ndvi = {one.name: one for one in phenology_variables(NDVI, 10)}
    found = metrics_of(bell(180, 60, 0.6))
    assert set(found.stored) == set(ndvi)
    for name, one in ndvi.items():
        assert found[name].dtype == np.dtype(one.dtype)
    assert (ndvi["MAXV"].scale, ndvi["MAXV"].fill) == (1e-4, 32768)
    assert (ndvi["TPROD"].scale, ndvi["TPROD"].fill, ndvi["TPROD"].units) == (0.1, 65535, "day")
    assert (ndvi["SOSD"].fill, ndvi["LENGTH"].fill) == (0, 0)
    assert ndvi["LSLOPE"].units == "day-1"
    assert len(ndvi["QFLAG"].flag_values) == len(ndvi["QFLAG"].flag_meanings) == 11
    assert not any(" " in word for word in ndvi["QFLAG"].flag_meanings)
    lai = {one.name: one for one in phenology_variables(PhenologySettings("LAI"), 20)}
    assert (lai["MAXV"].scale, lai["MAXV"].units, lai["SPROD"].units) == (
        1e-3, "m2 m-2", "m2 m-2 day",
    )  # fmt: skip
