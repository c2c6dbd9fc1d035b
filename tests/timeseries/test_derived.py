"""Derived features against NumPy in float64: standard scores and the Fourier transform."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from oso_pipeline.core.families import FAMILIES, PERCENTILES
from oso_pipeline.timeseries.derived_plain import PLAIN
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.feature_variables import variables_of
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.kernels.derived import derived_plan
from oso_pipeline.timeseries.series import BlockSeries
from oso_pipeline.timeseries.temporal_statistics import statistics

DATES = tuple(date(2018, 1, 1) + timedelta(days=10 * n) for n in range(37))
LAYOUT = FeatureLayout.optical(("B4", "B8"), DATES, ("NDVI",), tuple(FAMILIES))


def computed(values: np.ndarray, layout: FeatureLayout = LAYOUT) -> dict[str, np.ndarray]:
    """Return the variables of pixels that are clear on every date, values (date, band, pixel)."""
    clear = np.ones((len(values), values.shape[2]), np.uint8)
    series = BlockSeries.of(np.ascontiguousarray(values), clear, layout.series.days)
    features, _ = block_features(series, layout)
    return {one.name: features[one.rows] for one in variables_of(layout.series)}


@pytest.fixture(scope="module")
def found() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    phase = rng.uniform(-np.pi, np.pi, 300)
    turn = 2 * np.pi * np.arange(37)[:, None] / 37
    course = 2500 + 1500 * np.cos(turn - phase) + rng.normal(0, 200, (37, 300))
    noise = rng.integers(-10_000, 32_767, (37, 300))
    return computed(np.stack([course, noise], axis=1).round().astype(np.int16))


@pytest.mark.parametrize("channel", ["B4", "B8", "NDVI"])
def test_relative_is_the_standard_score(found: dict[str, np.ndarray], channel: str) -> None:
    series = found[channel].astype(np.float64)
    expected = 1000 * (series - series.mean(axis=0)) / series.std(axis=0)
    assert np.abs(found[f"relative_{channel}"] - expected).max() <= 0.51


@pytest.mark.parametrize("channel", ["B4", "B8", "NDVI"])
def test_harmonics_are_those_of_the_fourier_transform(
    found: dict[str, np.ndarray], channel: str
) -> None:
    series = found[channel].astype(np.float64)
    names = [name for name in found if name.startswith(f"harmonics_{channel}_")]
    mean, *terms = (found[name][0] for name in names)
    assert np.abs(mean - series.mean(axis=0)).max() <= 0.51
    for term, wave in enumerate(2 / 37 * np.fft.rfft(series, axis=0)[1:4]):
        amplitude, cosine, sine = terms[3 * term : 3 * term + 3]
        assert np.abs(amplitude - np.abs(wave)).max() <= 0.51
        # numpy turns the other way.
        assert np.abs(cosine - 1000 * np.cos(np.angle(wave))).max() <= 0.52
        assert np.abs(sine + 1000 * np.sin(np.angle(wave))).max() <= 0.52


@pytest.mark.parametrize("channel", ["B4", "B8", "NDVI"])
def test_statistics_are_those_of_the_series(found: dict[str, np.ndarray], channel: str) -> None:
    series, days = found[channel], LAYOUT.series.days
    names = [*(f"p{n}" for n in PERCENTILES), "amplitude"]
    for name, expected in statistics(series, days, names).items():
        off = np.abs(found[f"statistics_{channel}_{name}"][0].astype(int) - expected)
        assert off.max() <= 1, name  # in float32 here, in float64 there
        assert (off > 0).mean() < 0.02, name
    for name, place in (("maximumday", series.argmax(axis=0)), ("minimumday", series.argmin(0))):
        expected = days[place] - days[0]
        np.testing.assert_array_equal(found[f"statistics_{channel}_{name}"][0], expected)


def test_an_amplitude_beyond_int16_ends_there() -> None:
    values = np.array([[[-32_768]], [[32_767]], [[0]]], np.int16)
    layout = FeatureLayout.optical(("B4",), DATES[:3], (), ("statistics",))
    found = computed(values, layout)
    assert found["statistics_B4_amplitude"].item() == 32_767
    assert found["statistics_B4_maximumday"].item() == 10
    assert found["statistics_B4_p50"].item() == 0


def test_level_and_stretch_of_a_series_leave_relative_as_it_is() -> None:
    rng = np.random.default_rng(1)
    one = rng.integers(0, 1000, (37, 1, 200)).astype(np.int16)
    values = np.concatenate([one, 20 * one - 300], axis=1).astype(np.int16)
    found = computed(values, FeatureLayout.optical(("B4", "B8"), DATES, (), ("relative",)))
    assert np.abs(found["relative_B4"].astype(int) - found["relative_B8"]).max() <= 1


@pytest.mark.parametrize("value", [-10_000, 0, 500, 32_767, -32_768])
def test_a_constant_series_has_no_course(value: int) -> None:
    series = np.full(37, value, np.int16)
    assert not PLAIN["relative"](series, LAYOUT.series.days).any()
    mean, *terms = PLAIN["harmonics"](series, LAYOUT.series.days)
    assert mean == value
    assert not np.array(terms[::3]).any()


def test_one_date_has_derived_features_too() -> None:
    layout = FeatureLayout.optical(("B4",), DATES[:1], (), tuple(FAMILIES))
    found = computed(np.array([[[300]]], np.int16), layout)
    assert (found["relative_B4"].item(), found["harmonics_B4_mean"].item()) == (0, 300)
    assert (found["statistics_B4_p25"].item(), found["statistics_B4_maximumday"].item()) == (300, 0)


def test_what_the_kernels_cannot_compute_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the kernels compute relative, .*, not wavelets"):
        derived_plan(("wavelets",), LAYOUT.series.days)
    with pytest.raises(ValueError, match="at most 1000 dates"):
        derived_plan(("relative",), np.arange(1001, dtype=np.int32))
