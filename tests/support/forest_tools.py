"""Training sets for forests, and single trees walked in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from oso_pipeline.learners.forest.binning import bin_features
from oso_pipeline.learners.forest.forest import LEAF, Forest
from oso_pipeline.learners.forest.histogram_tree import TreeLimits, grow_tree
from oso_pipeline.learners.forest.votes import votes

Features = npt.NDArray[np.int16]
Codes = npt.NDArray[np.int32]


def tree_of(
    features: Features,
    labels: npt.NDArray[Any],
    limits: TreeLimits,
    weights: Any = None,
    seed: int = 0,
) -> tuple[npt.NDArray[Any], ...]:
    binned = bin_features(features)
    n_classes = int(labels.max()) + 1
    if weights is None:
        weights = np.ones(len(labels))
    return grow_tree(
        binned.by_feature,
        binned.by_pixel,
        (binned.lowest, binned.highest),
        labels.astype(np.int64),
        n_classes,
        np.asarray(weights, np.int64),
        limits,
        np.uint64(seed),
    )


def leaves(tree: tuple[npt.NDArray[Any], ...], features: Features) -> npt.NDArray[np.intp]:
    """Walk a tree in plain Python."""
    feature, threshold, left, right = tree[:4]
    found = np.empty(len(features), np.intp)
    for number, pixel in enumerate(features):
        node = 0
        while feature[node] != LEAF:
            goes_left = pixel[feature[node]] <= threshold[node]
            node = left[node] if goes_left else right[node]
        found[number] = node
    return found


def drawn_by_classes(
    n: int, n_features: int, n_classes: int, seed: int, noise: float = 900.0
) -> tuple[Features, Codes]:
    """Return pixels around one centre per class, with some labels wrong."""
    centres = np.random.default_rng(99).uniform(0, 3000, (n_classes, n_features))
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, n_classes, n)
    features = np.rint(centres[codes] + rng.normal(0, noise, (n, n_features)))
    wrong = rng.random(n) < 0.04
    codes[wrong] = rng.integers(0, n_classes, wrong.sum())
    return features.astype(np.int16), (codes + 1).astype(np.int32)


def share_right(forest: Forest, features: Features, codes: Codes) -> npt.NDArray[np.bool_]:
    counts = votes(forest, np.ascontiguousarray(features.T))
    return forest.classes[counts.argmax(axis=0)] == codes


def digits(seed: int) -> tuple[Features, Codes]:
    data = load_digits()
    order = np.random.default_rng(seed).permutation(len(data.target))
    features = (data.data[order] * 1000).astype(np.int16)
    return features, data.target[order].astype(np.int32)
