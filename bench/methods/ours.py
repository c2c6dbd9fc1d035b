"""The pipeline's own kernels, through its public functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt

from bench.method import Prepared
from bench.series import BANDS, COARSE, FINE, GRID, Scenes
from oso_pipeline.config.series import Series
from oso_pipeline.imagery.angles import Angles
from oso_pipeline.learners.attention.classifier import AttentionClassifier
from oso_pipeline.learners.forest import votes
from oso_pipeline.learners.forest.classifier import ForestClassifier
from oso_pipeline.learners.forest.engines import fit_forest
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.protocol import BlockPixels
from oso_pipeline.prediction import kernel
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.series import BlockSeries
from oso_pipeline.timeseries.series_of_block import SeriesRecipe, series_of_block
from oso_pipeline.timeseries.series_variables import series_layout

INDICES = ("NDVI", "NDWI", "brightness")


def layout(derived: Sequence[str] = ()) -> FeatureLayout:
    """Return the features of the bench: 36 dates of 10 bands and 3 indices, and derived ones."""
    return FeatureLayout.optical(BANDS, GRID, INDICES, tuple(derived))


def series_of(scenes: Scenes) -> BlockSeries:
    """Return a block as the reader gives it: 20 m bands at 20 m."""
    slots = np.empty(len(BANDS), np.int32)
    slots[list(FINE)] = np.arange(len(FINE))
    slots[list(COARSE)] = -1 - np.arange(len(COARSE))
    shape = (scenes.side, scenes.side)
    return BlockSeries(shape, scenes.fine, scenes.coarse, slots, scenes.clear, scenes.days)


def hard_vote(case: dict[str, Any]) -> Prepared:
    """Count the trees that vote for each class; the answer is ``(pixel, class)``."""
    forest, rows = _forest(case), np.load(Path(case["block"]) / "features.npy")
    note = f"{forest.n_nodes} nodes"
    return Prepared(
        lambda: votes.votes(forest, rows), rows.shape[1], answer=np.transpose, note=note
    )


def soft_vote(case: dict[str, Any]) -> Prepared:
    """Compute the mean probabilities of the classes; the answer is ``(pixel, class)``."""
    forest, rows = _forest(case), np.load(Path(case["block"]) / "features.npy")

    def work() -> npt.NDArray[Any]:
        return votes.probabilities(forest, rows)

    return Prepared(work, rows.shape[1], answer=np.transpose)


def attention(case: dict[str, Any]) -> Prepared:
    """Compute the probabilities of a network that attends to dates; ``(pixel, class)``."""
    with np.load(case["network"]) as stored:
        names = {name: f"{name}0" for name in ("root", "keys", "offsets", "values")}
        layers = [f"{name}{n}" for n in range(3) for name in ("weights", "constants")]
        own = {names.get(name, name): stored[name][None] for name in (*names, *layers)}
        shared = {name: stored[name] for name in ("centre", "spread")}
    codes = np.arange(1, own["weights2"].shape[1] + 1, dtype=np.int32)
    made = AttentionClassifier.from_arrays({"codes": codes, **shared, **own}, layout())
    rows = np.load(Path(case["block"]) / "features.npy")
    return Prepared(lambda: made.probabilities(rows), rows.shape[1], answer=np.transpose)


def gapfill_features(case: dict[str, Any]) -> Prepared:
    """Fill the gaps and compute all features, ``(feature, pixel)``."""
    series, wanted = _series(case), layout(case.get("derived", ()))
    return Prepared(lambda: block_features(series, wanted)[0], series.clear.shape[1])


def series(case: dict[str, Any]) -> Prepared:
    """Make the series of `variables` as `oso series` does; the first answers, ``(date, pixel)``."""
    images, settings = _series(case), Series(variables=tuple(case["variables"]), quality=False)
    made = SeriesRecipe(settings, BANDS, series_layout(settings, GRID, ()))
    angles = [Angles(40.0, 150.0, 5.0, 100.0)] * len(images.days)

    def work() -> npt.NDArray[Any]:
        return series_of_block(images, made, angles).values[case["variables"][0]]

    return Prepared(
        work, images.clear.shape[1], answer=lambda values: values.reshape(len(GRID), -1)
    )


def extract(case: dict[str, Any]) -> Prepared:
    """Compute the features of points from the images; the answer is ``(point, feature)``."""
    series, wanted, points = _series(case), layout(), np.load(case["points"])

    def work() -> npt.NDArray[np.int16]:
        return block_features(series, wanted, points)[0]

    return Prepared(work, len(points), answer=np.transpose)


def classify(case: dict[str, Any]) -> Prepared:
    """Take a block from reflectances to class, confidence and validity; classes answer."""
    series, wanted = _series(case), layout()
    everywhere = np.arange(series.clear.shape[1])
    labels = np.zeros(len(everywhere), np.int32)
    block = BlockPixels(series, wanted, everywhere, labels)
    classifiers = {0: ForestClassifier(_forest(case), case.get("vote", "hard"))}

    def work() -> npt.NDArray[np.uint16]:
        return kernel.classify_block(block, classifiers)

    return Prepared(work, len(labels), answer=lambda layers: layers[0])


def fit(case: dict[str, Any]) -> Prepared:
    """Train a forest, one thread; the answer is what it says of the block, ``(pixel,)``."""
    samples = Path(case["samples"])
    rows = np.load(samples / "features.npy")
    labels = np.load(samples / "labels.npy").astype(np.int32)
    pixels = np.load(Path(case["block"]) / "features.npy")
    everywhere = np.ones(pixels.shape[1], np.uint16)

    def train(trees: int) -> Forest:
        learning = ForestSettings(
            n_trees=trees, max_depth=25, min_samples_leaf=case["leaf"], splitter=case["splitter"]
        )
        return fit_forest(rows, labels, learning, seed=0)

    def answer(forest: Forest) -> npt.NDArray[np.uint16]:
        # Mean probabilities, as scikit-learn votes.
        return votes.classify(forest, pixels, everywhere, "soft")[0]

    trees = case["trees"]
    return Prepared(lambda: train(trees), trees, answer=answer, warm_up=lambda: train(1))


def _forest(case: dict[str, Any]) -> Forest:
    return Forest.from_sklearn(joblib.load(case["forest"]))


def _series(case: dict[str, Any]) -> BlockSeries:
    block = Path(case["block"])
    return series_of(Scenes(*(np.load(block / f"{field.name}.npy") for field in fields(Scenes))))
