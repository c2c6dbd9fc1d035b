"""The series of a block: bands and indices as in the features, the rest by plain NumPy."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from oso_pipeline.config.series import Biophysical, Phenology, Series, Smoothing
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.dates import DateGrid, days_since_epoch
from oso_pipeline.imagery.angles import Angles
from oso_pipeline.timeseries import series_of_block as module
from oso_pipeline.timeseries.biophysical import INPUT_BANDS, estimate
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.phenology import (
    PhenologySettings,
    observations_per_date,
    phenology,
)
from oso_pipeline.timeseries.series import BlockSeries
from oso_pipeline.timeseries.series_of_block import SeriesRecipe, series_of_block
from oso_pipeline.timeseries.series_variables import bands_needed, series_layout

BANDS = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
FINE = ("B2", "B3", "B4", "B8")
GRID = DateGrid(date(2018, 1, 1), date(2018, 12, 27), 10)
SHAPE = (7, 9)
ANGLES = Angles(40.0, 150.0, 5.0, 100.0)


@pytest.fixture(autouse=True)
def _small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_PIXELS", 20)


def images(n_layers: int = 23, seed: int = 0, share: float = 0.5) -> BlockSeries:
    """Return layers of two passes a day, of which one is clear at a pixel, with a bell in B8."""
    draw = np.random.default_rng(seed)
    rows, columns = SHAPE
    half = -(-rows // 2) * -(-columns // 2)
    days = np.sort(draw.choice(365, n_layers, replace=False)).astype(np.int32) + 17532
    days[4] = days[5]
    days[11] = GRID.days[20]
    days = np.sort(days)
    fine = draw.integers(200, 1500, (n_layers, 4, rows * columns)).astype(np.int16)
    bell = 4000 * np.exp(-(((days - 17532 - 170) / 50.0) ** 2))
    fine[:, 3] += bell[:, None].astype(np.int16)
    coarse = draw.integers(300, 4000, (n_layers, 6, half)).astype(np.int16)
    clear = (draw.random((n_layers, rows * columns)) < share).astype(np.uint8)
    same = np.flatnonzero(np.diff(days) == 0)
    clear[same + 1] &= 1 - clear[same]
    clear[:, 5] = 0
    slots = [FINE.index(b) if b in FINE else -1 - [c for c in BANDS if c not in FINE].index(b)
             for b in BANDS]  # fmt: skip
    return BlockSeries(SHAPE, fine, coarse, np.array(slots, np.int32), clear, days)


def made_of(series: BlockSeries, **settings) -> tuple[dict[str, np.ndarray], SeriesRecipe]:
    chosen = Series(**settings)
    days = [date.fromordinal(int(day) + 719163) for day in np.unique(series.days)]
    recipe = SeriesRecipe(chosen, BANDS, series_layout(chosen, GRID.dates, days))
    found = series_of_block(series, recipe, [ANGLES] * len(series.days)).values
    block = Block("31TCJ", 0, 0, *SHAPE)
    assert list(found) == list(recipe.layout.names)
    for one in recipe.layout.variables:
        assert found[one.name].shape == recipe.layout.shape(one, block)
        assert found[one.name].dtype == one.dtype
    return dict(found), recipe


def filled(values: np.ndarray, clear: np.ndarray, days: np.ndarray, on: np.ndarray) -> np.ndarray:
    """Return NumPy's own interpolation, shape (date, pixel), NaN without a clear date."""
    found = np.full((len(on), values.shape[1]), np.nan)
    for pixel in range(values.shape[1]):
        seen = clear[:, pixel] != 0
        if seen.any():
            found[:, pixel] = np.interp(on, days[seen], values[seen, pixel])
    return found


def test_bands_and_indices_are_those_of_the_features() -> None:
    series = images()
    names = ("B11", "NDVI", "B8", "brightness", "NDWI")
    found, _ = made_of(series, variables=names)
    layout = FeatureLayout.optical(BANDS, GRID.dates, ("NDVI", "NDWI", "brightness"))
    features, validity = block_features(series, layout)
    for name in names:
        rows = [i for i, feature in enumerate(layout.names) if feature.split("_")[0] == name]
        np.testing.assert_array_equal(found[name].reshape(len(rows), -1), features[rows])
    np.testing.assert_array_equal(found["clear_dates"].ravel(), validity)
    assert (found["NDVI"].reshape(len(GRID), -1)[:, 5] == -10000).all()


def test_distances_to_clear_dates_are_those_of_numpy() -> None:
    series = images(share=0.2)
    found, _ = made_of(series, variables=["B4"])
    distances = np.abs(GRID.days[:, None, None] - series.days[None, :, None]).astype(float)
    distances = np.where(series.clear[None] != 0, distances, np.inf).min(axis=1)
    expected = np.where(np.isinf(distances), 65535, distances)
    np.testing.assert_array_equal(found["nearest_clear_days"].reshape(len(GRID), -1), expected)


def test_raw_series_hold_what_is_clear_on_its_day() -> None:
    series = images()
    found, recipe = made_of(series, variables=["B8", "B5", "NDVI"], dates="raw")
    values, days = series.values, np.unique(series.days)
    assert recipe.layout.steps("acquisition") == len(days) == len(series.days) - 1
    for name in ("B8", "B5"):
        expected = np.full((len(days), values.shape[2]), -10000)
        for layer, day in zip(values[:, BANDS.index(name)], series.days, strict=True):
            row = expected[np.searchsorted(days, day)]
            np.copyto(row, layer, where=layer != -10000)
        np.testing.assert_array_equal(found[name].reshape(len(days), -1), expected)
    nir = found["B8"].astype(float)
    assert ((found["NDVI"] == -10000) == (nir == -10000)).all()
    assert "nearest_clear_days" not in found


@pytest.mark.parametrize("resolution_m", [10, 20])
def test_leaf_area_is_estimated_of_each_image_and_then_filled(resolution_m: int) -> None:
    series = images(share=0.8)
    found, recipe = made_of(
        series, variables=["LAI", "FAPAR"], biophysical=Biophysical(resolution_m=resolution_m)
    )
    rows, columns = SHAPE
    half = (-(-rows // 2), -(-columns // 2))
    values, clear = series.take(np.arange(rows * columns))
    reflectance = values.astype(float).reshape(-1, len(BANDS), rows, columns)
    seen = clear.reshape(-1, rows, columns)
    if resolution_m == 20:
        padding = ((0, 0), (0, 0), (0, 1), (0, 1))
        wide = np.pad(reflectance, padding, constant_values=np.nan)
        parts = wide.reshape(len(wide), len(BANDS), half[0], 2, half[1], 2)
        reflectance = np.nanmean(parts, axis=(3, 5))
        whole = np.pad(seen, padding[1:], constant_values=1)
        seen = whole.reshape(len(seen), half[0], 2, half[1], 2).min(axis=(2, 4))
    bands = [BANDS.index(band) for band in INPUT_BANDS]
    flat = np.rint(reflectance[:, bands]).astype(np.int16).reshape(len(seen), 8, -1)
    estimates = [estimate("LAI", image, ANGLES.cosines) for image in flat]
    lai, bits = (np.array(some) for some in zip(*estimates, strict=True))
    seen = seen.reshape(len(seen), -1)
    expected = filled(lai, seen, series.days, GRID.days)
    stored = found["LAI"].reshape(len(GRID), -1)
    assert ((stored == -10000) == np.isnan(expected)).all()
    assert np.nanmax(np.abs(stored - expected)) <= 0.51
    name = "clear_dates" if resolution_m == 10 else "clear_dates_20m"
    np.testing.assert_array_equal(found[name].ravel(), seen.sum(axis=0))
    assert recipe.layout["LAI"].ancillary[0] == "LAI_flags"
    flags = found["LAI_flags"].reshape(len(GRID), -1)
    for date_number in (0, 20, len(GRID) - 1):
        for pixel in range(seen.shape[1]):
            own = np.flatnonzero(seen[:, pixel])
            if not len(own):
                assert flags[date_number, pixel] == 0
                continue
            day, days = GRID.days[date_number], series.days[own]
            before, after = own[days <= day], own[days >= day]
            used = {*before[-1:].tolist(), *after[:1].tolist()}
            if len(before) and series.days[before[-1]] == day:
                used = {int(before[-1])}
            assert flags[date_number, pixel] == np.bitwise_or.reduce(bits[sorted(used), pixel])


def test_composites_statistics_and_phenology_follow_the_series() -> None:
    series = images(40, share=0.9)
    found, recipe = made_of(
        series,
        variables=["NDVI"],
        monthly=["mean", "max"],
        statistics=["p50", "amplitude", "day_of_maximum"],
        phenology=Phenology(seasons=1),
    )
    ndvi = found["NDVI"].astype(float).reshape(len(GRID), -1)
    seen = (ndvi != -10000).all(axis=0)
    median = np.rint(np.median(ndvi[:, seen], axis=0))
    np.testing.assert_array_equal(found["NDVI_p50"].ravel()[seen], median)
    np.testing.assert_array_equal(
        found["NDVI_amplitude"].ravel()[seen], np.ptp(ndvi[:, seen], axis=0)
    )
    raw, _ = made_of(series, variables=["NDVI"], dates="raw")
    days = np.unique(series.days).astype("datetime64[D]").astype("datetime64[M]")
    june = raw["NDVI"][days == np.datetime64("2018-06")].reshape(-1, seen.size).astype(float)
    june[june == -10000] = np.nan
    place = recipe.layout.months.index(date(2018, 6, 1))
    known = ~np.isnan(june).all(axis=0)
    best = np.nanmax(june[:, known], axis=0)
    np.testing.assert_array_equal(found["NDVI_monthly_max"][place].ravel()[known], best)
    maxima = found["MAXD"].ravel()
    assert (maxima[seen] != 0).mean() > 0.9
    assert (maxima[~seen] == 0).all()
    middle = int(np.median(maxima[seen])) - 18000
    assert abs(middle - 171) < 25


def test_phenology_is_that_of_the_series_before_it_is_rounded() -> None:
    """Plain NumPy: bands between clear dates, their index, its seasons; nothing is an integer."""
    series = images(40, share=0.9)
    found, recipe = made_of(series, variables=["NDVI", "LAI"], phenology=Phenology())
    values, days = series.values.astype(float), GRID.days
    red, nir = (
        filled(values[:, BANDS.index(band)], series.clear, series.days, days)
        for band in ("B4", "B8")
    )
    exact = ((nir - red) / (nir + red)).astype(np.float32)
    seen = observations_per_date(series.clear, series.days, days)
    expected = phenology(exact, days, seen, PhenologySettings("NDVI"))
    for name in ("SOSD", "MAXD", "EOSD", "QFLAG"):
        np.testing.assert_array_equal(found[name].reshape(2, -1), expected[name])
    for name in ("AMPL", "MINV", "SPROD"):
        assert np.abs(found[name].reshape(2, -1).astype(int) - expected[name]).max() <= 1
    stored = phenology(
        recipe.layout["NDVI"].physical(found["NDVI"].reshape(len(days), -1)),
        days,
        seen,
        PhenologySettings("NDVI"),
    )
    assert (stored["AMPL"] != expected["AMPL"]).any()


@pytest.mark.parametrize("kind", ["whittaker", "savitzky_golay"])
def test_smoothed_series_stay_near_and_have_no_data_where_nothing_is_clear(kind: str) -> None:
    series = images(40, share=0.9)
    linear, _ = made_of(series, variables=["NDVI"])
    smooth, _ = made_of(series, variables=["NDVI"], smoothing=Smoothing(kind=kind))
    one, other = linear["NDVI"].astype(float), smooth["NDVI"].astype(float)
    np.testing.assert_array_equal(one == -10000, other == -10000)
    known = one != -10000
    assert 0 < np.abs(one - other)[known].mean() < 300
    assert np.abs(np.diff(other, 2, axis=0)).mean() < np.abs(np.diff(one, 2, axis=0)).mean()


def test_without_any_image_there_is_no_data() -> None:
    series = images()
    nothing = BlockSeries(
        SHAPE,
        series.fine[:0],
        series.coarse[:0],
        series.slots,
        series.clear[:0],
        series.days[:0],
    )
    found, _ = made_of(
        nothing,
        variables=["B4", "NDVI", "LAI"],
        monthly=["median"],
        statistics=["mean"],
        phenology=Phenology(),
    )
    for name in ("B4", "NDVI", "LAI", "NDVI_monthly_median", "LAI_mean"):
        assert (found[name] == -10000).all()
    assert (found["clear_dates"] == 0).all()
    assert (found["nearest_clear_days"] == 65535).all()


def test_bands_that_are_needed() -> None:
    assert bands_needed(["brightness"], ("B4", "B8")) == ("B4", "B8")
    assert bands_needed(["LAI"], BANDS) == tuple(b for b in BANDS if b not in ("B2", "B8"))
    assert days_since_epoch([date(2018, 1, 1)])[0] == 17532
