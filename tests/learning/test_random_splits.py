"""Extremely randomised trees of the histogram engine: what they promise, and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.ensemble import ExtraTreesClassifier
from support.forest_tools import digits, drawn_by_classes, share_right, tree_of

from oso_pipeline.learners.forest.engines import bagging_of, fit_bagged_forest, fit_forest
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.histogram_tree import TreeLimits
from oso_pipeline.learners.forest.settings import ForestSettings

AUTO = {"splitter": "auto", "min_samples_leaf": "auto"}


def extra(**others: object) -> ForestSettings:
    return ForestSettings(splitter="extra", **{"n_trees": 10, "min_samples_leaf": 1, **others})


@pytest.mark.parametrize("step", [1, 37])
def test_thresholds_are_uniform_within_the_range(step: int) -> None:
    """Neither the density of values nor the bins draw them: Kolmogorov-Smirnov at 0.1 %."""
    values = np.sort(np.random.default_rng(0).exponential(1000, 400).astype(np.int16) * step)
    values = np.clip(values, 0, 30_000).astype(np.int16)
    labels = (np.arange(400) % 2).astype(np.int64)
    limits = TreeLimits(1, 1, 1, True)
    drawn = [tree_of(values[:, None], labels, limits, seed=s)[1][0] for s in range(600)]
    low, high = int(values.min()), int(values.max())
    assert kstest(drawn, "uniform", (low, high - low)).pvalue > 0.001


def test_every_tree_sees_all_pixels_unless_they_have_weights() -> None:
    features, codes = drawn_by_classes(500, 6, 3, 0)
    forest = fit_forest(features, codes, extra(min_samples_leaf=5), seed=1)
    assert forest.leaf_count.sum() == 500 * forest.n_trees
    perfect = fit_forest(features, codes, extra(max_depth=60), seed=1)
    assert share_right(perfect, features, codes).all()
    weights = np.where(codes == 1, 0.0, 1.0)
    assert bagging_of(codes, extra(), None) is None
    drawn = fit_bagged_forest(
        features, codes, extra(), 0, bagging=bagging_of(codes, extra(), weights)
    )
    assert not (drawn.forest.leaf_class == 0).any()
    bagged = fit_bagged_forest(features, codes, extra(), 0)
    assert 0.5 < bagged.seen(0).mean() < 0.75


def test_forest_depends_on_the_seed_and_not_on_threads() -> None:
    features, codes = drawn_by_classes(600, 8, 4, 0)
    one, same, other = (
        fit_forest(features, codes, extra(), seed, threads)
        for seed, threads in ((1, 1), (1, 3), (2, 1))
    )
    for name in Forest.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert not np.array_equal(one.threshold, other.threshold)


def _nodes_and_shares(name: str, seed: int, leaf: int) -> np.ndarray:
    features, codes = digits(seed) if name == "digits" else drawn_by_classes(2400, 30, 8, seed)
    n = len(codes) // 2
    ours = fit_forest(features[:n], codes[:n], extra(n_trees=60, min_samples_leaf=leaf), seed, 2)
    peer = ExtraTreesClassifier(60, min_samples_leaf=leaf, max_depth=25, random_state=seed)
    theirs = Forest.from_sklearn(peer.fit(features[:n].astype(np.float32), codes[:n]))
    shares = [share_right(one, features[n:], codes[n:]).mean() for one in (ours, theirs)]
    return np.array([ours.n_nodes / theirs.n_nodes, *shares])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "classes"])
@pytest.mark.parametrize("leaf", [1, 5])
def test_as_accurate_and_as_large_as_scikit_learn(name: str, leaf: int) -> None:
    """Held-out accuracy, paired over seeds, as for the best splits; trees of the same size."""
    found = np.array([_nodes_and_shares(name, seed, leaf) for seed in range(8)])
    difference = found[:, 1] - found[:, 2]
    spread = difference.std(ddof=1) / np.sqrt(len(difference))
    assert difference.mean() - 1.895 * spread > -0.01
    assert difference.mean() + 1.895 * spread > -0.001
    assert abs(found[:, 0].mean() - 1) < 0.03


@pytest.mark.parametrize(
    ("asked", "smallest", "alike", "expected"),
    [
        ({}, 499, True, ("extra", 1)),
        ({}, 500, True, ("best", 5)),
        ({}, 20, False, ("best", 1)),  # weights, or trees that have not seen a sample
        ({"splitter": "best"}, 20, True, ("best", 1)),
        ({"splitter": "extra"}, 9000, True, ("extra", 1)),
        ({"splitter": "extra", "min_samples_leaf": 5}, 20, True, ("extra", 5)),
        ({"min_samples_leaf": 25}, 20, True, ("best", 25)),
    ],
)
def test_few_samples_of_a_class_get_random_splits_and_small_leaves(
    asked: dict[str, object], smallest: int, alike: bool, expected: tuple[str, int]
) -> None:
    assert ForestSettings(**{**AUTO, **asked}).grown(smallest, alike) == expected


def test_the_rarest_class_decides_how_a_forest_is_grown() -> None:
    features, codes = drawn_by_classes(1300, 6, 2, 0)
    auto = ForestSettings(n_trees=3, **AUTO)
    for rows, named in (
        (slice(None), ForestSettings(n_trees=3, splitter="best", min_samples_leaf=5)),
        (slice(600), ForestSettings(n_trees=3, splitter="extra", min_samples_leaf=1)),
    ):
        found, same = (fit_forest(features[rows], codes[rows], one, 1) for one in (auto, named))
        np.testing.assert_array_equal(found.threshold, same.threshold)


def test_keys_of_best_splits_stay() -> None:
    assert "splitter" not in ForestSettings(splitter="best").model_dump(mode="json")
    assert ForestSettings(splitter="auto").model_dump(mode="json")["splitter"] == "auto"
