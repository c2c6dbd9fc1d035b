"""Calibration error and its floor: known cases, and forecasters whose truth is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from oso_pipeline.validation.calibration import (
    Forecasts,
    calibration_error,
    reliability,
    shared_luck,
)


def drawn(
    n_polygons: int, pixels: int, luck: float, seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return a perfect forecaster; pixels of a polygon share their luck with a probability."""
    rng = np.random.default_rng(seed)
    polygon = np.repeat(np.arange(n_polygons), pixels)
    probability = rng.uniform(0.3, 1, n_polygons)[polygon] - rng.uniform(0, 0.1, len(polygon))
    own, common = rng.random(len(polygon)), rng.random(n_polygons)[polygon]
    number = np.where((rng.random(n_polygons) < luck)[polygon], common, own)
    return probability, number < probability, polygon


def test_scores_are_those_of_scikit_learn() -> None:
    probability, right, polygon = drawn(400, 1, 0, 0)
    found = reliability(Forecasts(probability, right, polygon), 0)
    assert found["brier"] == pytest.approx(brier_score_loss(right, probability))
    observed, mean = calibration_curve(right, probability, n_bins=10)
    assert [one["right"] for one in found["curve"]] == pytest.approx(observed)
    assert [one["probability"] for one in found["curve"]] == pytest.approx(mean)
    weights = np.array([one["pixels"] for one in found["curve"]]) / 400
    assert found["error"] == pytest.approx((weights * np.abs(observed - mean)).sum())


def test_a_perfect_forecaster_has_its_floor_and_an_overconfident_one_more() -> None:
    errors, floors, above = [], [], 0
    for seed in range(20):
        probability, right, polygon = drawn(150, 5, 0.6, seed)
        found = reliability(Forecasts(probability, right, polygon), seed)
        errors.append(found["error"])
        floors.append(found["floor"])
        above += found["error"] > found["floor_high"]
    assert np.mean(errors) == pytest.approx(np.mean(floors), abs=0.012)
    assert above <= 3
    sure = reliability(Forecasts(np.sqrt(probability), right, polygon), 0)
    assert sure["error"] > sure["floor_high"]


@pytest.mark.parametrize("luck", [0.0, 0.5, 1.0])
def test_shared_luck_is_found(luck: float) -> None:
    probability, right, polygon = drawn(1500, 6, luck, 3)
    assert shared_luck(Forecasts(probability, right, polygon)) == pytest.approx(luck, abs=0.06)


def test_shared_luck_is_the_ratio_over_all_pairs() -> None:
    probability, right, polygon = drawn(8, 4, 0.5, 1)
    seen = together = 0.0
    for one in range(len(polygon)):
        for other in range(len(polygon)):
            if one != other and polygon[one] == polygon[other]:
                p, q = probability[one], probability[other]
                seen += (right[one] - p) * (right[other] - q)
                together += min(p, q) - p * q
    expected = min(max(seen / together, 0), 1)
    assert shared_luck(Forecasts(probability, right, polygon)) == pytest.approx(expected)


def test_pixels_without_a_neighbour_share_all_luck() -> None:
    probability, right, polygon = drawn(50, 1, 0.5, 2)
    assert shared_luck(Forecasts(probability, right, polygon)) == 1


def test_certain_and_right_is_no_error() -> None:
    assert calibration_error(np.ones(5), np.ones(5)) == 0
    assert calibration_error(np.full(4, 0.5), np.array([1.0, 1, 1, 1])) == 0.5
