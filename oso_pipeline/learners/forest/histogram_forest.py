"""A random forest of trees grown on binned features, several at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.forest.bagging import BaggedForest, Bagging
from oso_pipeline.learners.forest.binning import bin_features
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.histogram_tree import (
    TreeLimits,
    bootstrap,
    grow_tree,
    weighted_bootstrap,
)
from oso_pipeline.learners.forest.settings import ForestSettings

_MOST_FEATURES, _MOST_CLASSES, _MOST_NODES = 2**15 - 1, 2**16 - 1, 2**31 - 1
_MOST_COUNT = 255
"""A pixel counts in one byte; to be drawn more often takes weights of very few pixels."""
_SUM_OF_WEIGHTS = 2**31

Tree = tuple[npt.NDArray[Any], ...]
"""Result of :func:`~oso_pipeline.learners.forest.histogram_tree.grow_tree`."""

Drawer = Callable[[int], tuple[npt.NDArray[np.int64], np.uint64]]
"""Returns how often each pixel counts in a tree, and the state of its generator afterwards."""


def fit_histogram_forest(
    features: npt.NDArray[np.int16],
    codes: npt.NDArray[np.int32],
    settings: ForestSettings,
    seed: int,
    threads: int,
    bagging: Bagging | None,
) -> BaggedForest:
    """Train a forest of which each tree sees a bootstrap sample and draws from its own seed.

    Settings mean what they mean in scikit-learn's ``RandomForestClassifier``, with random splits in
    its ``ExtraTreesClassifier``:
    ``min_samples_leaf`` counts distinct pixels, however often they were drawn, and a feature
    that is constant in a node counts as tried unless all tried ones are.

    Parameters are those of :func:`~oso_pipeline.learners.forest.engines.fit_bagged_forest`; splits
    and leaf are chosen.

    Raises
    ------
    ValueError
        If there are more features, classes or nodes than the forest can number.
    """
    classes, labels = np.unique(codes, return_inverse=True)
    n_features = features.shape[1]
    if n_features > _MOST_FEATURES or len(classes) > _MOST_CLASSES:
        raise ValueError(f"at most {_MOST_FEATURES} features and {_MOST_CLASSES} classes fit")
    binned = bin_features(features)
    limits = TreeLimits(
        settings.max_depth,
        int(settings.min_samples_leaf),
        features_tried(settings.max_features, n_features),
        settings.splitter == "extra",
    )

    draw = _drawer(len(labels), bagging, seed)

    def tree(number: int) -> Tree:
        counts, state = draw(number)
        edges = binned.lowest, binned.highest
        tables = binned.by_feature, binned.by_pixel
        return grow_tree(*tables, edges, labels, len(classes), counts, limits, np.uint64(state))

    with ThreadPoolExecutor(threads) as pool:
        trees = list(pool.map(tree, range(settings.n_trees)))
    forest = _joined(trees, classes.astype(np.int32), n_features)
    return BaggedForest(forest, lambda number: draw(number)[0] > 0)


def _drawer(n_pixels: int, bagging: Bagging | None, seed: int) -> Drawer:
    """Return what draws the pixels of a tree, from its number alone."""
    if bagging is None:
        once = np.ones(n_pixels, np.int64)
        return lambda number: (once, np.uint64(derived_seed(seed, "tree", number)))
    n_draws = bagging.draws_of(n_pixels)
    if bagging.weights is None:
        ends = None
    else:
        sums = np.cumsum(bagging.weights)
        ends = np.rint(sums * (_SUM_OF_WEIGHTS / sums[-1])).astype(np.int64)

    def draw(number: int) -> tuple[npt.NDArray[np.int64], np.uint64]:
        state = np.uint64(derived_seed(seed, "tree", number))
        if ends is None:
            counts, state = bootstrap(n_pixels, n_draws, state)
        else:
            counts, state = weighted_bootstrap(ends, n_draws, state)
        return np.minimum(counts, _MOST_COUNT), state

    return draw


def features_tried(max_features: str | float, n_features: int) -> int:
    """Return how many features a node tries, at least one.

    Examples
    --------
    >>> features_tried("sqrt", 468), features_tried("log2", 468), features_tried(0.5, 468)
    (21, 8, 234)
    """
    if max_features == "sqrt":
        return max(1, math.isqrt(n_features))
    if max_features == "log2":
        return max(1, n_features.bit_length() - 1)
    return max(1, int(float(max_features) * n_features))


def _joined(trees: list[Tree], classes: npt.NDArray[np.int32], n_features: int) -> Forest:
    """Return the forest of `trees`, whose nodes are numbered from 0 in each."""
    sizes = [len(tree[0]) for tree in trees]
    roots = np.cumsum([0, *sizes])
    if roots[-1] > _MOST_NODES:
        raise ValueError("the forest has more nodes than its arrays can number")
    feature, threshold, left, right, entries, leaf_class, leaf_count = (
        np.concatenate(parts) for parts in zip(*trees, strict=True)
    )
    root = np.repeat(roots[:-1], sizes).astype(np.int32)
    leaf_start = np.concatenate([[0], np.cumsum(entries)]).astype(np.int32)
    return Forest(
        feature,
        threshold,
        left + root,
        right + root,
        roots.astype(np.int32),
        leaf_start,
        leaf_class,
        leaf_count,
        classes,
        n_features,
    )
