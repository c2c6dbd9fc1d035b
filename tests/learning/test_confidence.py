"""Calibration, class sets and unknown ground against their definitions and scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import betabinom
from sklearn.isotonic import IsotonicRegression
from support.learning_tools import LAYOUT, small_model

from oso_pipeline.core.errors import InputDataError
from oso_pipeline.learners.forest.classifier import ForestClassifier
from oso_pipeline.learners.forest.engines import fit_forest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.protocol import Classifier, TrainingData
from oso_pipeline.learning.confidence.calibration import calibration_table, venn_abers
from oso_pipeline.learning.confidence.class_sets import LEVELS, scores, set_sizes, set_thresholds
from oso_pipeline.learning.confidence.out_of_domain import entropy_quantiles, strangeness
from oso_pipeline.learning.confidence.out_of_fold import OutOfFold, cross_fit
from oso_pipeline.learning.confidence.tables import ConfidenceTables, CrossFit, fit_tables
from oso_pipeline.learning.model_file import load_model, save_model

Floats = npt.NDArray[np.float64]


def known_of(
    n_polygons: int, seed: int, pixels: int = 1, classes: tuple[float, ...] = (0.6, 0.4)
) -> OutOfFold:
    """Return pixels whose probabilities are true: the class is drawn from them."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(3 * np.array(classes), n_polygons)
    column = (rng.random((n_polygons, 1)) > np.cumsum(shares, axis=1)).sum(axis=1)
    column = column.clip(max=len(classes) - 1)
    codes = np.arange(1, len(classes) + 1, dtype=np.int32)
    place = np.repeat(np.arange(n_polygons), pixels)
    return OutOfFold(shares[place], codes, codes[column][place], place.astype(np.int64))


def tables_of(known: OutOfFold, **settings: Any) -> ConfidenceTables:
    return ConfidenceTables(
        calibration_table(known),
        set_thresholds(known),
        entropy_quantiles(known),
        np.array([known.polygons], np.int64),
        settings,
    )


def test_venn_abers_is_isotonic_regression_with_the_new_object_in_it() -> None:
    rng = np.random.default_rng(4)
    share = rng.integers(20, 95, 60)
    right = rng.random(60) < (share / 100) ** 2
    weights = rng.uniform(0.2, 2, 60)
    low, high = venn_abers(share, right, weights)
    for percent in (0, 20, 33, 57, 58, 94, 100):
        for label, found in ((0, low), (1, high)):
            x, y = np.append(share, percent), np.append(right.astype(float), label)
            fitted = IsotonicRegression().fit(x, y, sample_weight=np.append(weights, 1))
            assert found[percent] == pytest.approx(fitted.predict([percent])[0], abs=1e-12)


def test_the_table_ascends_and_finds_the_true_probability() -> None:
    rng = np.random.default_rng(0)
    best = rng.uniform(0.5, 1, 20_000)
    right = rng.random(20_000) < best**2  # too sure of itself
    codes = np.where(right, 1, 2).astype(np.int32)
    known = OutOfFold(
        np.stack([best, 1 - best], axis=1), np.array([1, 2], np.int32), codes, np.arange(20_000)
    )
    table = calibration_table(known).astype(int)
    assert (np.diff(table) >= 0).all()
    assert abs(table[60] - 36) <= 6
    assert abs(table[90] - 81) <= 6


def test_few_polygons_are_little_evidence_however_many_pixels_they_have() -> None:
    shares, codes = np.tile([0.95, 0.05], (40, 1)), np.array([1, 2], np.int32)
    of_one = OutOfFold(shares, codes, np.ones(40, np.int32), np.zeros(40, np.int64))
    of_many = replace(of_one, polygon_id=np.arange(40))
    assert calibration_table(of_one)[95] == 67  # as after one success: 1 / (1 - 1/2 + 1)
    assert calibration_table(of_many)[95] == 98


def split_conformal(found: Floats, level: float) -> float:
    """Return the threshold of the textbook: a rank among the scores."""
    rank = int(np.floor((len(found) + 1) * (1 - level) + 1e-9))
    return -np.inf if rank < 1 else float(np.sort(found)[rank - 1])


def test_thresholds_are_those_of_split_conformal_prediction_by_class() -> None:
    known = known_of(300, 2, classes=(0.7, 0.2, 0.05, 0.05))
    own = scores(known.shares)[np.arange(300), known.column]
    counts = np.bincount(known.column)
    assert counts.min() < 30 < counts.max()
    rare = counts[known.column] < 30
    assert rare.sum() >= 30 or np.isinf(split_conformal(own, 0.999))
    for level in (0.5, 0.8, 0.9, 0.99):
        found = set_thresholds(known)[:, LEVELS.index(round(100 * level))]
        shared = own[rare] if rare.sum() >= 30 else own
        for column, count in enumerate(counts):
            expected = own[known.column == column] if count >= 30 else shared
            assert found[column] == split_conformal(expected, level)


def test_a_polygon_counts_once_whatever_its_pixels() -> None:
    one, many = known_of(120, 5), known_of(120, 5, pixels=3)
    np.testing.assert_array_equal(set_thresholds(one), set_thresholds(many))
    np.testing.assert_array_equal(entropy_quantiles(one), entropy_quantiles(many))
    np.testing.assert_array_equal(calibration_table(one), calibration_table(many))


def test_sets_hold_the_class_as_often_as_promised() -> None:
    inside, total = 0, 0
    for seed in range(100):
        known, new = known_of(99, seed), known_of(100, 1000 + seed)
        reached = scores(new.shares) >= set_thresholds(known)[:, LEVELS.index(90)]
        inside += int(reached[np.arange(100), new.column].sum())
        total += 100
        if seed == 0:
            sizes = set_sizes(new.shares, set_thresholds(known), 90)
            np.testing.assert_array_equal(sizes, reached.sum(axis=1))
    # Of one split with one threshold, hence wide enough for the mean of a hundred.
    low, high = betabinom.ppf([0.025, 0.975], total, 90 * 100, 10 * 100) / total
    assert low - 0.01 <= inside / total <= high + 0.01


def test_nine_polygons_are_too_few_for_a_level_of_95_percent() -> None:
    known = known_of(9, 0)
    assert np.isinf(set_thresholds(known)[:, LEVELS.index(95)]).all()
    assert (set_sizes(known.shares, set_thresholds(known), 95) == 2).all()


def test_known_pixels_are_spread_evenly_and_undecided_votes_stand_out() -> None:
    known, new = known_of(2000, 1, classes=(1, 1, 1)), known_of(2000, 2, classes=(1, 1, 1))
    quantiles = entropy_quantiles(known)
    found = strangeness(new.shares, quantiles)
    assert abs((found >= 95).mean() - 0.05) < 0.02
    assert abs((found >= 50).mean() - 0.5) < 0.04
    odd = np.array([[1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]])
    assert strangeness(odd, quantiles).tolist()[0] >= 99
    assert strangeness(odd, quantiles).tolist()[1] == 0


def forest_fit(data: TrainingData, seed: int) -> Classifier:
    settings = ForestSettings(n_trees=10, min_samples_leaf=1)
    return ForestClassifier(fit_forest(data.features, data.codes, settings, seed))


def fields(n_polygons: int, pixels: int = 4) -> tuple[TrainingData, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(7)
    polygons = np.repeat(np.arange(n_polygons, dtype=np.int64), pixels)
    codes = (polygons % 2 + 1).astype(np.int32)
    own = rng.normal(0, 900, (n_polygons, LAYOUT.size))[polygons] + 1000 * codes[:, None]
    features = (own + rng.normal(0, 200, own.shape)).astype(np.int16)
    return TrainingData(features, codes, LAYOUT), polygons


def test_no_polygon_is_predicted_by_a_model_that_saw_it() -> None:
    data, polygons = fields(40)
    seen: list[set[int]] = []

    def fit(part: TrainingData, seed: int) -> Classifier:
        rows = [np.flatnonzero((data.features == row).all(axis=1))[0] for row in part.features]
        seen.append(set(polygons[rows].tolist()))
        return forest_fit(part, seed)

    known = cross_fit(data, polygons, 4, 0, fit)
    assert known.polygons == 40
    assert len(seen) == 4
    for polygon in range(40):
        assert sum(polygon not in one for one in seen) == 1
    right = known.classes[known.shares.argmax(axis=1)] == known.codes
    assert 0.6 < right.mean() < 1


def test_tables_are_a_part_of_the_model_file_and_follow_the_way_of_voting(tmp_path: Path) -> None:
    model = small_model()
    classes = len(model.classifier.classes)
    known = known_of(60, 3, classes=(1.0,) * classes)
    save_model(tmp_path / "plain", model)
    save_model(tmp_path / "more", replace(model, tables=tables_of(known, vote="hard")))
    assert load_model(tmp_path / "plain").tables is None
    found = load_model(tmp_path / "more")
    assert found.tables is not None
    for name, array in tables_of(known, vote="hard").arrays().items():
        np.testing.assert_array_equal(found.tables.arrays()[name], array)
    features = np.zeros((LAYOUT.size, 1), np.int16)
    np.testing.assert_array_equal(
        found.classifier.probabilities(features), model.classifier.probabilities(features)
    )
    assert found.with_settings({"vote": "hard"}).tables is not None
    assert found.with_settings({"vote": "soft"}).tables is None


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("probability", lambda a: a[:100]),
        ("probability", lambda a: np.full_like(a, 101)),
        ("probability", lambda a: a.astype(np.int16)),
        ("thresholds", lambda a: a[:1]),
        ("thresholds", lambda a: np.full_like(a, np.nan)),
        ("quantiles", lambda a: a[::-1].copy()),
        ("quantiles", lambda a: np.full_like(a, np.nan)),
        ("polygons", None),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, name: str, spoil: Any) -> None:
    model = small_model()
    known = known_of(60, 3, classes=(1.0,) * len(model.classifier.classes))
    tables = tables_of(known, vote="hard")

    class Spoilt:
        facts = tables.facts

        def arrays(self) -> dict[str, Any]:
            arrays = dict(tables.arrays())
            array = arrays.pop(f"confidence.{name}")
            if spoil is not None:
                arrays[f"confidence.{name}"] = spoil(array)
            return arrays

    save_model(tmp_path, replace(model, tables=Spoilt()))  # type: ignore[arg-type]
    with pytest.raises(InputDataError, match="E-INPUT-MODEL"):
        load_model(tmp_path)


def test_too_few_polygons_are_not_calibrated() -> None:
    data, polygons = fields(29)
    with pytest.raises(InputDataError, match=r"29 training polygons .* needs 30") as caught:
        fit_tables(data, polygons, CrossFit(4, 0, forest_fit, {}, "model run0, stratum all"))
    assert "E-CONFIDENCE-POLYGONS" in str(caught.value)


def test_tables_of_a_learner_say_what_they_come_from() -> None:
    data, polygons = fields(40)
    how = CrossFit(4, 0, forest_fit, {"vote": "hard"}, "model run0, stratum all")
    one, same = fit_tables(data, polygons, how), fit_tables(data, polygons, how)
    assert one.facts == {"polygons": 40, "settings": {"vote": "hard"}}
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, same.arrays()[name])
