"""scikit-learn: the forest's own prediction and training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from bench.method import Prepared


def predict_proba(case: dict[str, Any]) -> Prepared:
    """Compute mean probabilities of the classes, float64 ``(pixel, class)``, one thread."""
    forest = joblib.load(case["forest"])
    forest.set_params(n_jobs=1)
    rows = np.load(Path(case["block"]) / "features.npy").T
    pixels = np.ascontiguousarray(rows, dtype=np.float32)
    return Prepared(lambda: forest.predict_proba(pixels), len(pixels))


def fit(case: dict[str, Any]) -> Prepared:
    """Train a forest, one thread; the answer is what it says of the block, ``(pixel,)``."""
    samples = Path(case["samples"])
    features = np.load(samples / "features.npy").astype(np.float32)
    labels = np.load(samples / "labels.npy")
    pixels = np.load(Path(case["block"]) / "features.npy").T.astype(np.float32)
    trees, leaf = case["trees"], case["leaf"]
    kind = {"best": RandomForestClassifier, "extra": ExtraTreesClassifier}[case["splitter"]]

    def work() -> RandomForestClassifier | ExtraTreesClassifier:
        parameters = {"max_depth": 25, "min_samples_leaf": leaf, "random_state": 0}
        return kind(trees, n_jobs=1, **parameters).fit(features, labels)

    return Prepared(work, trees, answer=lambda forest: forest.predict(pixels), warm_up=lambda: None)
