"""Small forests and models for tests."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier

from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.learners.forest.classifier import ForestClassifier
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learning.jobs import TrainJob
from oso_pipeline.learning.model_file import Model
from oso_pipeline.tasks.job import Input
from oso_pipeline.timeseries.feature_layout import FeatureLayout

GRID = DateGrid(date(2018, 1, 1), date(2018, 2, 1), 10)
LAYOUT = FeatureLayout.optical(("B4", "B8"), GRID.dates, ("NDVI",))


def fitted_forest(
    features: npt.NDArray[np.int16], labels: npt.NDArray[np.int32], **settings: object
) -> RandomForestClassifier:
    """Return a scikit-learn forest; `features` has the shape (pixel, feature)."""
    settings = {"n_estimators": 10, "random_state": 0, **settings}
    return RandomForestClassifier(**settings).fit(features.astype(np.float32), labels)


def small_forest(seed: int = 0, n_features: int = LAYOUT.size) -> Forest:
    rng = np.random.default_rng(seed)
    features = rng.integers(-10000, 10000, (200, n_features)).astype(np.int16)
    labels = (features[:, 0] > 0).astype(np.int32) * 3 + 1 + (features[:, 1] > 0)
    return Forest.from_sklearn(fitted_forest(features, labels))


def small_model(seed: int = 0, stratum: str = "all") -> Model:
    forest = small_forest(seed)
    counts = {int(code): 50 for code in forest.classes}
    made = ForestClassifier(forest)
    return Model(made, LAYOUT, GRID, {"name": "oso17"}, "run0", stratum, seed, counts)


def train_job(*samples: str, **fields: Any) -> TrainJob:
    """Return the training of a small forest on sample files of the run folder."""
    chosen = {
        "variant": "run0",
        "stratum": "all",
        "columns": ("split_0",),
        "layout": LAYOUT,
        "date_grid": GRID,
        "nomenclature": load_nomenclature("oso17"),
        "max_pixels": 40,
        "allow_missing": False,
        "learning": ForestSettings(n_trees=6, min_samples_leaf=1),
        "seed": 5,
        "samples": {path: Input("-", path) for path in samples},
        "labels": {},
        "reference": Input("-", "reference.parquet"),
    }
    return TrainJob(**{**chosen, **fields})
