"""Series moved in time and level, against NumPy's interpolation and the block reader."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oso_pipeline.adaptation import AdaptationOptions, SeriesSpace
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.series import BlockSeries

GRID = DateGrid(date(2018, 1, 1), date(2018, 7, 1), 10)
LAYOUT = FeatureLayout.optical(
    ("B2", "B4", "B8", "B11"),
    GRID.dates,
    ("NDVI", "NDWI", "brightness"),
    ("relative", "harmonics"),
)
SPACE = SeriesSpace.of(LAYOUT)
PLAIN = SeriesSpace.plain((0, 16, 32, 50, 64, 90), 2)


def reflectances(n: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    values = rng.integers(-200, 9000, (n, SPACE.size)).astype(np.int16)
    return SPACE.shift(values, 0)


@settings(deadline=None, max_examples=40)
@given(st.floats(-120, 120), st.integers(0, 1000))
def test_shift_is_linear_interpolation_with_held_ends(days: float, seed: int) -> None:
    table = np.random.default_rng(seed).normal(0, 1, (3, PLAIN.size))
    moved = PLAIN.by_band(PLAIN.shift(table, days))
    grid = np.array(PLAIN.days)
    for sample, series in enumerate(PLAIN.by_band(table)):
        for band in range(2):
            expected = np.interp(grid - days, grid, series[:, band])
            np.testing.assert_allclose(moved[sample, :, band], expected, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.integers(-60, 60), st.integers(-5000, 5000))
def test_constants_stay_and_no_shift_changes_nothing(days: int, level: int) -> None:
    table = reflectances(5)
    np.testing.assert_array_equal(SPACE.shift(table, 0), table)
    table[:, : SPACE.n_series] = level
    constant = SPACE.shift(table, 0)
    np.testing.assert_array_equal(SPACE.shift(constant, days), constant)


@given(st.integers(-20, 20), st.integers(-20, 20))
@settings(deadline=None, max_examples=20)
def test_shifts_of_a_line_add_up_away_from_the_ends(first: int, second: int) -> None:
    space = SeriesSpace.plain(tuple(range(0, 300, 10)))
    line = (np.array(space.days) * 3.0 + 7)[None]
    twice = space.shift(space.shift(line, first), second)
    np.testing.assert_allclose(
        twice[0, 5:-5], space.shift(line, first + second)[0, 5:-5], atol=1e-3
    )


def test_a_delay_of_each_sample_of_its_own() -> None:
    table = reflectances(200)
    days = np.random.default_rng(1).uniform(-30, 30, 200)
    together = SPACE.shift(table, days)
    for row in (0, 57, 199):
        np.testing.assert_array_equal(together[row : row + 1], SPACE.shift(table[[row]], days[row]))


def test_moved_features_are_those_of_the_block_reader() -> None:
    """A delay of one step on a regular grid is the season read one step later."""
    table = reflectances(150)
    moved = SPACE.shift(table, 10)
    bands = np.ascontiguousarray(SPACE.by_band(moved).transpose(1, 2, 0)).astype(np.int16)
    series = BlockSeries.of(bands, np.ones((len(bands), 150), np.uint8), LAYOUT.series.days)
    features, _ = block_features(series, LAYOUT)
    np.testing.assert_array_equal(moved, features.T)
    np.testing.assert_array_equal(SPACE.by_band(moved)[:, 1:], SPACE.by_band(table)[:, :-1])


def test_jitter_has_the_spread_requested_and_keeps_indices_true() -> None:
    options = AdaptationOptions(gain_jitter=0, offset_jitter=0.2, time_jitter_days=0)
    table = np.random.default_rng(0).normal(5, 2, (4000, PLAIN.size))
    moved = PLAIN.jitter(table, np.random.default_rng(3), options)
    added = PLAIN.by_band(moved - table)
    np.testing.assert_allclose(added, added[:, :1].repeat(6, axis=1), atol=1e-5)
    np.testing.assert_allclose(added[:, 0].std(axis=0), 0.2 * 2, rtol=0.1)
    features = SPACE.jitter(reflectances(50), np.random.default_rng(0), AdaptationOptions())
    np.testing.assert_array_equal(SPACE.shift(features, 0), features)


def test_refuses_what_is_no_space_or_table() -> None:
    with pytest.raises(ValueError, match="ascend"):
        SeriesSpace.plain((0, 0))
    with pytest.raises(ValueError, match="NDVI needs B8"):
        SeriesSpace((0, 10), ("B4",), ("NDVI",))
    with pytest.raises(ValueError, match="12 columns"):
        PLAIN.shift(np.zeros((2, 3)), 1)
    with pytest.raises(ValueError, match="int16"):
        SPACE.shift(np.zeros((2, SPACE.size)), 1)
    with pytest.raises(ValueError, match="at most 1"):
        AdaptationOptions(pseudo_label_fraction=1.5)
