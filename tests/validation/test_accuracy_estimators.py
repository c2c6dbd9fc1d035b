"""Scores, intervals and areas against published numbers and scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from oso_pipeline.validation.area import area_weighted
from oso_pipeline.validation.confusion import Confusion, scores
from oso_pipeline.validation.intervals import ClusteredPairs, bootstrap, student_interval

CODES = (11, 12, 31, 34)
PARENTS = {11: 110, 12: 110, 31: 130, 34: 150}


@pytest.fixture(scope="module")
def oracle(shared_data: Path) -> dict[str, Any]:
    content = json.loads((shared_data / "oracles.json").read_text(encoding="utf-8"))
    return content["accuracy"]


@pytest.mark.parametrize("case", ["confusion_small", "confusion_absent_class"])
def test_scores_equal_worked_examples(oracle: dict[str, Any], case: str) -> None:
    found = scores(oracle[case]["matrix"])
    expected = oracle[case]["computed"]
    assert float(found.overall_accuracy) == pytest.approx(expected["overall"], abs=1e-6)
    assert float(found.kappa) == pytest.approx(expected["kappa"], abs=1e-6)
    for name, key in (("precision", "precision"), ("recall", "recall"), ("f_score", "f")):
        wanted = np.array(expected[key], dtype=float)  # null becomes NaN
        np.testing.assert_allclose(getattr(found, name), wanted, atol=1e-6)


def test_interval_over_runs_has_runs_minus_one_degrees_of_freedom(oracle: dict[str, Any]) -> None:
    case = oracle["interval_over_runs"]
    found = student_interval(case["values"], 0.95)
    assert found.degrees_of_freedom == case["df"]
    assert found.mean == pytest.approx(case["mean"])
    assert found.interval.high is not None
    assert found.interval.low is not None
    half = (found.interval.high - found.interval.low) / 2
    assert half == pytest.approx(case["half_width"], abs=1e-6)


def test_interval_over_runs_leaves_out_undefined_values() -> None:
    found = student_interval([0.5, None, 0.7], 0.95)
    assert (found.mean, found.degrees_of_freedom) == (pytest.approx(0.6), 1)
    assert student_interval([0.5], 0.95).interval.low is None
    assert student_interval([None, None], 0.95).mean is None


@pytest.mark.parametrize(
    ("case", "mapped"), [("olofsson_2014", "mapped_pixels"), ("olofsson_2013", "mapped_ha")]
)
def test_area_weighted_estimates_equal_published_examples(
    oracle: dict[str, Any], case: str, mapped: str
) -> None:
    example = oracle[case]
    expected = example["computed"]
    z = expected["z"]
    found = area_weighted(example["matrix"], example[mapped])
    close = {"rtol": 0, "atol": 1.5e-6}
    np.testing.assert_allclose(found.proportions, expected["proportions"], **close)
    np.testing.assert_allclose(found.overall, expected["overall"], **close)
    np.testing.assert_allclose(z * found.overall_se, expected["overall_half_width"], **close)
    np.testing.assert_allclose(found.user, expected["user"], **close)
    np.testing.assert_allclose(z * found.user_se, expected["user_half_width"], **close)
    np.testing.assert_allclose(found.producer, expected["producer"], **close)
    np.testing.assert_allclose(z * found.producer_se, expected["producer_half_width"], **close)
    np.testing.assert_allclose(found.area, expected["area"], rtol=1e-6)
    np.testing.assert_allclose(z * found.area_se, expected["area_half_width"], rtol=1e-6)


def test_area_weighted_published_hectares(oracle: dict[str, Any]) -> None:
    example = oracle["olofsson_2014"]
    hectares = np.array(example["mapped_pixels"]) * example["pixel_ha"]
    found = area_weighted(example["matrix"], hectares)
    assert found.area.round().tolist() == example["published"]["area_ha"]
    assert (1.96 * found.area_se).round().tolist() == example["published"]["area_ha_half_width"]


def test_area_weighted_refuses_what_has_no_variance() -> None:
    with pytest.raises(ValueError, match="fewer than two"):
        area_weighted([[1, 0], [0, 5]], [1.0, 1.0])
    with pytest.raises(ValueError, match="do not fit"):
        area_weighted([[1, 0], [0, 5]], [1.0])
    absent = area_weighted([[5, 1], [0, 0]], [1.0, 0.0])
    assert np.isnan(absent.user[1])
    assert absent.area.sum() == pytest.approx(1.0)


pairs_of_codes = st.lists(
    st.tuples(st.sampled_from(CODES), st.sampled_from(CODES)), min_size=1, max_size=60
)


@settings(max_examples=100, deadline=None)
@given(pairs_of_codes)
@pytest.mark.filterwarnings("ignore")
def test_scores_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    reference, predicted = zip(*pairs, strict=True)
    found = Confusion.of(CODES, reference, predicted).scores
    assert float(found.overall_accuracy) == pytest.approx(
        metrics.accuracy_score(reference, predicted)
    )
    kappa = metrics.cohen_kappa_score(reference, predicted, labels=CODES)
    np.testing.assert_allclose(float(found.kappa), kappa, atol=1e-12)
    expected = metrics.precision_recall_fscore_support(
        reference, predicted, labels=CODES, zero_division=np.nan
    )
    np.testing.assert_allclose(found.precision, expected[0])
    np.testing.assert_allclose(found.recall, expected[1])
    np.testing.assert_allclose(found.f_score, expected[2])


@settings(max_examples=100, deadline=None)
@given(pairs_of_codes)
def test_aggregated_matrix_equals_matrix_of_aggregated_codes(pairs: list[tuple[int, int]]) -> None:
    reference, predicted = zip(*pairs, strict=True)
    polygons = np.arange(len(pairs)) % 5
    parents = sorted(set(PARENTS.values()))
    direct = Confusion.of(
        parents, [PARENTS[code] for code in reference], [PARENTS[code] for code in predicted]
    )
    aggregated = Confusion.of(CODES, reference, predicted).aggregated(PARENTS)
    clustered = ClusteredPairs.of(CODES, polygons, reference, predicted).aggregated(PARENTS)
    assert aggregated.codes == direct.codes == clustered.codes
    np.testing.assert_array_equal(aggregated.counts, direct.counts)
    np.testing.assert_array_equal(clustered.confusion.counts, direct.counts)


def test_unknown_codes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[99\]"):
        Confusion.of(CODES, [11, 99], [11, 11])
    with pytest.raises(ValueError, match="aggregated"):
        Confusion.of(CODES, [11, 12], [11, 11]).aggregated({11: 110})


def simulated(seed: int, polygons: int = 40, pixels: int = 25) -> tuple[np.ndarray, ...]:
    """Draw polygons that are right or wrong almost as a whole: mean accuracy 0.8."""
    generator = np.random.default_rng(seed)
    accuracy = generator.beta(0.8, 0.2, polygons)
    code = generator.choice([11, 12], polygons)
    right = generator.random((polygons, pixels)) < accuracy[:, None]
    reference = np.repeat(code, pixels)
    predicted = np.where(right.ravel(), reference, 23 - reference)
    return np.repeat(np.arange(polygons), pixels), reference, predicted


def test_bootstrap_over_polygons_covers_and_pixels_do_not() -> None:
    covered = {"polygons": 0, "pixels": 0}
    trials = 120
    for trial in range(trials):
        polygon, reference, predicted = simulated(trial)
        ids = {"polygons": polygon, "pixels": np.arange(polygon.size)}
        for unit, clusters in ids.items():
            pairs = ClusteredPairs.of((11, 12), clusters, reference, predicted)
            interval = bootstrap(pairs, 200, 0.95, trial).overall_accuracy
            assert interval.low is not None
            assert interval.high is not None
            covered[unit] += interval.low <= 0.8 <= interval.high
    assert covered["polygons"] / trials >= 0.87
    assert covered["pixels"] / trials <= 0.6


def test_bootstrap_is_reproducible_and_brackets_the_estimate() -> None:
    polygon, reference, predicted = simulated(7)
    pairs = ClusteredPairs.of(CODES, polygon, reference, predicted)
    first, second = (bootstrap(pairs, 300, 0.95, 5) for _ in range(2))
    assert first == second
    assert first != bootstrap(pairs, 300, 0.95, 6)
    estimate = float(pairs.confusion.scores.overall_accuracy)
    assert first.overall_accuracy.low is not None
    assert first.overall_accuracy.high is not None
    assert first.overall_accuracy.low < estimate < first.overall_accuracy.high
    # Rows may come in any order.
    order = np.random.default_rng(0).permutation(polygon.size)
    shuffled = ClusteredPairs.of(CODES, polygon[order], reference[order], predicted[order])
    assert bootstrap(shuffled, 300, 0.95, 5) == first


def test_one_polygon_has_no_interval() -> None:
    pairs = ClusteredPairs.of(CODES, [1, 1, 2, 2, 3], [11, 11, 12, 12, 12], [11, 12, 12, 12, 12])
    found = bootstrap(pairs, 100, 0.95, 0)
    assert found.recall[0].low is None
    assert found.recall[1].low == found.recall[1].high == 1.0
    assert found.recall[2].low is None
    alone = bootstrap(ClusteredPairs.of(CODES, [1, 1], [11, 11], [11, 12]), 100, 0.95, 0)
    assert alone.overall_accuracy.low is None
