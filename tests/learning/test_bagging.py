"""Draws of pixels and out-of-bag predictions, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from oso_pipeline.learners.forest.bagging import Bagging
from oso_pipeline.learners.forest.engines import fit_bagged_forest, fit_forest
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.settings import ForestSettings

RNG = np.random.default_rng(0)
CODES = RNG.integers(1, 4, 900).astype(np.int32)
FEATURES = np.rint(RNG.normal(CODES[:, None] * 400.0, 500, (900, 8))).astype(np.int16)
ALL = np.arange(900)
SMALL = ForestSettings(n_trees=40, min_samples_leaf=2)


def test_out_of_bag_shares_are_those_of_scikit_learn() -> None:
    asked = {"max_depth": 25, "min_samples_leaf": 2, "random_state": 7, "oob_score": True}
    forest = RandomForestClassifier(40, **asked).fit(FEATURES.astype(np.float32), CODES)
    settings = SMALL.model_copy(update={"engine": "sklearn"})
    bagged = fit_bagged_forest(FEATURES, CODES, settings, 7)
    found = bagged.out_of_bag_shares(FEATURES, ALL)
    np.testing.assert_allclose(found, forest.oob_decision_function_, atol=1e-12)


def test_histogram_engine_tells_what_its_trees_have_seen() -> None:
    bagged = fit_bagged_forest(FEATURES, CODES, SMALL, 7)
    seen = np.stack([bagged.seen(number) for number in range(40)])
    assert seen.mean() == pytest.approx(1 - np.exp(-1), abs=0.01)
    accuracy = (bagged.out_of_bag_shares(FEATURES, ALL).argmax(axis=1) + 1 == CODES).mean()
    fresh = np.random.default_rng(5)
    codes = fresh.integers(1, 4, 4000).astype(np.int32)
    others = np.rint(fresh.normal(codes[:, None] * 400.0, 500, (4000, 8))).astype(np.int16)
    evaluate = RandomForestClassifier(40, min_samples_leaf=2, random_state=0).fit(FEATURES, CODES)
    assert accuracy == pytest.approx(evaluate.score(others, codes), abs=0.04)


def test_one_tree_leaves_pixels_unknown() -> None:
    bagged = fit_bagged_forest(FEATURES, CODES, ForestSettings(n_trees=1), 0)
    unknown = np.isnan(bagged.out_of_bag_shares(FEATURES, ALL)[:, 0])
    np.testing.assert_array_equal(unknown, bagged.seen(0))


@pytest.mark.parametrize("engine", ["histogram", "sklearn"])
def test_weights_are_chances_to_be_drawn(engine: str) -> None:
    settings = ForestSettings(n_trees=60, engine=engine)
    weights = np.where(CODES == 1, 0.0, np.where(CODES == 2, 1.0, 3.0))
    bagged = fit_bagged_forest(FEATURES, CODES, settings, 1, bagging=Bagging(weights, 500))
    forest = bagged.forest
    counts = np.zeros(4)
    np.add.at(counts, forest.classes[forest.leaf_class], forest.leaf_count)
    assert counts.sum() == 500 * 60
    expected = weights[CODES == 3].sum() / weights.sum()
    assert counts[1] == 0
    assert counts[3] / counts.sum() == pytest.approx(expected, abs=0.01)
    assert not any(bagged.seen(number)[CODES == 1].any() for number in range(60))


@pytest.mark.parametrize("engine", ["histogram", "sklearn"])
def test_equal_weights_are_as_accurate_as_none(engine: str) -> None:
    settings = SMALL.model_copy(update={"engine": engine})
    scores = []
    for bagging in (Bagging(), Bagging(np.full(900, 0.2))):
        bagged = fit_bagged_forest(FEATURES, CODES, settings, 3, bagging=bagging)
        shares = bagged.out_of_bag_shares(FEATURES, ALL)
        scores.append((shares.argmax(axis=1) + 1 == CODES).mean())
    assert scores[0] == pytest.approx(scores[1], abs=0.05)


def test_threads_do_not_matter_and_a_plain_forest_is_a_bagged_one() -> None:
    weights = RNG.random(900)
    made = [
        fit_bagged_forest(FEATURES, CODES, SMALL, 2, n, Bagging(weights)).forest for n in (1, 3)
    ]
    plain = [
        fit_forest(FEATURES, CODES, SMALL, 2),
        fit_bagged_forest(FEATURES, CODES, SMALL, 2).forest,
    ]
    for one, other in (made, plain):
        for name in Forest.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("weights", [np.ones(3), np.zeros(900), np.full(900, np.nan)])
def test_refuses_weights_that_cannot_be_drawn(weights: np.ndarray) -> None:
    with pytest.raises(ValueError, match="weights must be 900"):
        fit_bagged_forest(FEATURES, CODES, SMALL, 0, bagging=Bagging(weights))
