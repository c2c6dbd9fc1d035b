"""Scores against scikit-learn, calibration against plain NumPy, intervals of paired differences."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.studies.learners.scores import (
    BRIER,
    ECE,
    MACRO_F1,
    OVERALL,
    calibration_floor,
    resampled,
)
from oso_pipeline.studies.learners.trial import Outcome, Repetition
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.validation.calibration import Forecasts, reliability

N, CODES = 300, np.array([3, 5, 9])


@pytest.fixture(scope="module")
def samples() -> LabelledSamples:
    rng = np.random.default_rng(0)
    polygons = np.repeat(np.arange(60), 5)
    return LabelledSamples(
        "made up",
        FeatureLayout.optical(("B4",), (date(2018, 1, 1),)),
        np.zeros((N, 1), np.int16),
        rng.choice(CODES, 60)[polygons].astype(np.int32),
        polygons,
        {3: "a", 5: "b", 9: "c"},
    )


def predictions(samples: LabelledSamples, seed: int, skill: float) -> tuple[Repetition, np.ndarray]:
    """Return predictions and the probabilities that they come from."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(3), N)
    truth = np.searchsorted(CODES, samples.codes)
    better = rng.random(N) < skill
    shares[better] = 0.2 * shares[better] + 0.8 * np.eye(3)[truth[better]]
    each = np.arange(N)
    best = shares.argmax(axis=1)
    brier = ((shares - np.eye(3)[truth]) ** 2).sum(axis=1)
    return Repetition(each, best, shares[each, best], brier), shares


def test_scores_are_those_of_scikit_learn(samples: LabelledSamples) -> None:
    one, _ = predictions(samples, 1, 0.6)
    found = resampled(samples, Outcome((one,), 0, 0)).figures()
    predicted = CODES[one.predicted]
    assert found[OVERALL].value == pytest.approx(accuracy_score(samples.codes, predicted))
    each = f1_score(samples.codes, predicted, average=None, labels=CODES)
    assert [found[str(code)].value for code in CODES] == pytest.approx(each)
    assert found[MACRO_F1].value == pytest.approx(each.mean())
    assert found[BRIER].value == pytest.approx(one.brier.mean())


def test_the_calibration_error_is_the_one_of_the_books(samples: LabelledSamples) -> None:
    one, _ = predictions(samples, 2, 0.5)
    right = CODES[one.predicted] == samples.codes
    expected = 0.0
    for low in np.arange(0, 1, 0.1):
        inside = (one.confidence >= low) & (one.confidence < low + 0.1)
        if inside.any():
            gap = abs(right[inside].mean() - one.confidence[inside].mean())
            expected += inside.mean() * gap
    found = resampled(samples, Outcome((one,), 0, 0)).figures()[ECE]
    assert found.value == pytest.approx(expected)


def test_seeds_are_averaged_and_a_learner_does_not_differ_from_itself(
    samples: LabelledSamples,
) -> None:
    both = [predictions(samples, seed, 0.6)[0] for seed in (3, 4)]
    alone = [resampled(samples, Outcome((one,), 0, 0)) for one in both]
    together = resampled(samples, Outcome(tuple(both), 0, 0))
    mean = np.mean([one.values[OVERALL] for one in alone])
    assert together.values[OVERALL] == pytest.approx(mean)
    none = together.less(together)[OVERALL]
    assert (none.value, none.low, none.high) == (0, None, None)


def test_paired_intervals_resample_polygons(samples: LabelledSamples) -> None:
    first, second = (predictions(samples, 5, skill)[0] for skill in (0.4, 0.7))
    a, b = (resampled(samples, Outcome((one,), 0, 0)) for one in (first, second))
    found = b.less(a)[OVERALL]
    right = [CODES[one.predicted] == samples.codes for one in (first, second)]
    gain = (right[1].astype(float) - right[0]).reshape(60, 5).mean(axis=1)
    rng = np.random.default_rng(9)
    means = gain[rng.integers(0, 60, (4000, 60))].mean(axis=1)
    assert found.value == pytest.approx(gain.mean())
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)


def test_the_floor_is_that_of_the_report(samples: LabelledSamples) -> None:
    both = [predictions(samples, seed, 0.6)[0] for seed in (6, 7)]
    expected = [
        reliability(
            Forecasts(one.confidence, CODES[one.predicted] == samples.codes, samples.polygons), seed
        )
        for seed, one in enumerate(both)
    ]
    floor = calibration_floor(samples, Outcome(tuple(both), 0, 0))
    assert floor == pytest.approx(np.mean([one["floor"] for one in expected]))
    errors = resampled(samples, Outcome(tuple(both[:1]), 0, 0)).values[ECE]
    assert errors == pytest.approx(expected[0]["error"])
