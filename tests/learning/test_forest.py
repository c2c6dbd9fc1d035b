"""Leaf counts of the forest: scikit-learn's own leaves, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from support.learning_tools import fitted_forest

from oso_pipeline.learners.forest.forest import LEAF, Forest


@pytest.mark.parametrize("leaf", [1, 7, 150])
@pytest.mark.parametrize("bootstrap", [True, False])
def test_shares_and_votes_of_leaves_are_those_of_scikit_learn(leaf: int, bootstrap: bool) -> None:
    rng = np.random.default_rng(leaf)
    features = rng.integers(-3000, 3000, (200, 5)).astype(np.int16)
    labels = rng.choice(np.array([2, 9, 40000], np.int32), 200)
    fitted = fitted_forest(features, labels, min_samples_leaf=leaf, bootstrap=bootstrap)
    forest = Forest.from_sklearn(fitted)
    shares = np.zeros((len(forest.leaf_votes), 3))
    rows = np.repeat(np.arange(len(shares)), np.diff(forest.leaf_start))
    shares[rows, forest.leaf_class] = forest.leaf_shares
    values = np.concatenate([t.tree_.value[t.tree_.children_left < 0, 0] for t in fitted])
    np.testing.assert_array_equal(shares, values)
    np.testing.assert_array_equal(forest.leaf_votes, values.argmax(axis=1))
    assert forest.leaf_count.sum() == 200 * forest.n_trees
    assert np.count_nonzero(forest.feature == LEAF) == len(shares)
    assert forest.faults(5) == []


def test_forests_with_weights_are_refused() -> None:
    rng = np.random.default_rng(0)
    features = rng.integers(-3000, 3000, (200, 5)).astype(np.float32)
    weighted = RandomForestClassifier(3, class_weight={1: 1.0, 2: 0.3}, bootstrap=False)
    weighted.fit(features, rng.integers(1, 3, 200))
    with pytest.raises(ValueError, match="weights"):
        Forest.from_sklearn(weighted)
