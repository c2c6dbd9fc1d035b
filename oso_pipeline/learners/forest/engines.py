"""The engines that train a forest; all give the same kind of forest.

``histogram`` is our own, compiled, on binned features. ``sklearn`` is scikit-learn's
``RandomForestClassifier`` or ``ExtraTreesClassifier``, the reference for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import numpy.typing as npt

from oso_pipeline.learners.forest.bagging import PLAIN, BaggedForest, Bagging
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.histogram_forest import fit_histogram_forest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.matrices import require_length, require_rows

Fit = Callable[
    [npt.NDArray[np.int16], npt.NDArray[np.int32], ForestSettings, int, int, Bagging | None],
    BaggedForest,
]

SOFTWARE: Mapping[str, tuple[str, ...]] = {
    "histogram": ("oso_pipeline", "numba", "numpy"),
    "sklearn": ("oso_pipeline", "scikit-learn", "numpy"),
}
"""Packages that make the forest of each engine, for the model file."""


def fit_forest(
    features: npt.NDArray[np.int16],
    codes: npt.NDArray[np.int32],
    settings: ForestSettings,
    seed: int,
    threads: int = 1,
) -> Forest:
    """Train a random forest with the engine that `settings` name.

    Parameters
    ----------
    features
        int16, shape ``(pixel, feature)``.
    codes
        Class of each pixel, int32, shape ``(pixel,)``.
    settings
        The section ``learning`` of the configuration.
    seed
        Seed of this forest.
    threads
        Trees grown at once; does not change the forest.

    Raises
    ------
    ValueError
        If types or shapes do not fit, or there is no pixel.
    """
    bagging = bagging_of(codes, settings, None)
    return fit_bagged_forest(features, codes, settings, seed, threads, bagging).forest


def bagging_of(
    codes: npt.NDArray[np.int32], settings: ForestSettings, weights: npt.NDArray[np.float64] | None
) -> Bagging | None:
    """Return how pixels are drawn: not at all for random splits, unless they have weights."""
    if weights is None and settings.grown(_smallest(codes), alike=True).splitter == "extra":
        return None
    return Bagging(weights)


def _smallest(codes: npt.NDArray[np.int32]) -> int:
    return int(np.unique(codes, return_counts=True)[1].min(initial=len(codes)))


def fit_bagged_forest(
    features: npt.NDArray[np.int16],
    codes: npt.NDArray[np.int32],
    settings: ForestSettings,
    seed: int,
    threads: int = 1,
    bagging: Bagging | None = PLAIN,
) -> BaggedForest:
    """Train a forest as :func:`fit_forest`, and return the pixels used by each tree.

    Parameters
    ----------
    features, codes, settings, seed, threads
        As for :func:`fit_forest`.
    bagging
        How the pixels of a tree are drawn; None: every tree sees all of them once.

    Raises
    ------
    ValueError
        As :func:`fit_forest`, or if weights do not fit.
    """
    require_rows(features, None)
    require_length("codes", codes, len(features))
    if features.size == 0:
        raise ValueError("there is nothing to learn from: no pixel or no feature")
    splitter, leaf = settings.grown(_smallest(codes), alike=bagging is None)
    chosen = settings.model_copy(update={"splitter": splitter, "min_samples_leaf": leaf})
    return _ENGINES[settings.engine](features, codes, chosen, seed, threads, bagging)


def _fit_sklearn(
    features: npt.NDArray[np.int16],
    codes: npt.NDArray[np.int32],
    settings: ForestSettings,
    seed: int,
    threads: int,
    bagging: Bagging | None,
) -> BaggedForest:
    """Train with scikit-learn, on a copy in float32, which holds int16 values exactly."""
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier  # takes a second

    kinds = {"best": RandomForestClassifier, "extra": ExtraTreesClassifier}
    drawn = bagging or PLAIN
    draws = drawn.draws_of(len(codes))
    forest = kinds[settings.splitter](
        n_estimators=settings.n_trees,
        max_depth=settings.max_depth,
        min_samples_leaf=settings.min_samples_leaf,
        max_features=settings.max_features,
        bootstrap=bagging is not None,
        max_samples=None if drawn.draws is None else draws,
        random_state=seed,
        n_jobs=threads,
    )
    forest.fit(features.astype(np.float32), codes, sample_weight=drawn.weights)

    samples = cache(lambda: forest.estimators_samples_)  # drawn again at each access

    def seen(number: int) -> npt.NDArray[np.bool_]:
        if bagging is None:
            return np.ones(len(codes), np.bool_)
        return np.bincount(samples()[number], minlength=len(codes)) > 0

    return BaggedForest(Forest.from_sklearn(forest), seen)


_ENGINES: Mapping[str, Fit] = {"histogram": fit_histogram_forest, "sklearn": _fit_sklearn}
