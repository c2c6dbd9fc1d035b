"""The pipeline's own kernels, through its public functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt

from bench.contender import Prepared
from bench.series import BANDS, GRID, Scenes
from oso_pipeline.learning.forest import Forest
from oso_pipeline.prediction.kernel import votes
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.layout import FeatureLayout

INDICES = ("NDVI", "NDWI", "brightness")


def layout() -> FeatureLayout:
    """Return the features of the bench: 36 dates of 10 bands and 3 indices."""
    return FeatureLayout(BANDS, GRID, INDICES)


def features(
    scenes: Scenes, pixels: npt.NDArray[np.int64] | None = None
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """Return features ``(feature, pixel)`` and validity of all pixels, or of those chosen."""
    pick = np.arange(scenes.clear.shape[1]) if pixels is None else pixels
    return block_features(
        np.take(scenes.values, pick, axis=2),
        np.take(scenes.clear, pick, axis=1),
        scenes.days,
        layout(),
    )


def hard_votes(case: dict[str, Any]) -> Prepared:
    """Count the trees that vote for each class."""
    forest = Forest.from_sklearn(joblib.load(case["forest"]))
    rows = np.load(Path(case["block"]) / "features.npy")
    return Prepared(lambda: votes(forest, rows), rows.shape[1], note=f"{forest.n_nodes} nodes")


def gapfill_features(case: dict[str, Any]) -> Prepared:
    """Fill the gaps and compute all features."""
    block = Path(case["block"])
    values, clear, days = (np.load(block / f"{name}.npy") for name in ("values", "clear", "days"))
    wanted = layout()
    return Prepared(lambda: block_features(values, clear, days, wanted)[0], clear.shape[1])
