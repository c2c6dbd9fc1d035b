"""The random forest as a learner."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from oso_pipeline.learners.forest.classifier import ForestClassifier
from oso_pipeline.learners.forest.engines import SOFTWARE, bagging_of, fit_bagged_forest
from oso_pipeline.learners.forest.settings import FEW_SAMPLES, LEAF_OF_MANY, ForestSettings
from oso_pipeline.learners.protocol import Extent, Need, TrainingData

_SECONDS_PER_VALUE_AND_TREE = {"histogram": 6e-9, "sklearn": 6e-8}
"""Per pixel, feature tried and level of the tree, measured on 230,000 pixels of 23 classes."""
_UNBALANCED_LEVELS = 6
"""Levels of a tree beyond those of a balanced one, in which most pixels still lie."""
_BYTES_PER_VALUE = {"histogram": 6, "sklearn": 8}
"""Features as int16, once more while they are joined, and as bins or in float32."""

_PIXELS_PER_NODE, _BYTES_PER_NODE = 100, 19
"""Training pixels for each node of a tree, and its size in the model file, as measured."""
_NODES_BY_LEAF, _NODES_OF_EXTRA = 0.7, 2.5
"""Nodes grow with this power where leaves get smaller, and with random splits, as measured."""
_LOADED_BYTES_PER_NODE = 45
"""Of the arrays, of the compiled nodes and entries, and of both once more while they are joined."""

_SECONDS_PER_PIXEL_AND_TREE = {"hard": 1.6e-8, "soft": 3.2e-8}
"""Measured with 100 trees of at least 5 samples in a leaf."""


class ForestLearner:
    """Trains random forests."""

    kind = "forest"
    classifier = ForestClassifier
    late_settings = frozenset({"vote"})

    def fit(
        self, data: TrainingData, settings: ForestSettings, seed: int, threads: int = 1
    ) -> ForestClassifier:
        """Train a forest; a pixel is drawn for a tree with a probability as its weight.

        With random splits and no weights, every tree sees all pixels.
        """
        bagging = bagging_of(data.codes, settings, data.weights)
        bagged = fit_bagged_forest(data.features, data.codes, settings, seed, threads, bagging)
        return ForestClassifier(bagged.forest, settings.vote)

    def training_need(self, extent: Extent, settings: ForestSettings) -> Need:
        """Return what growing the trees takes."""
        # A node of fewer pixels than two leaves is not split; few trees are balanced.
        leaf = settings.grown(FEW_SAMPLES, alike=True).leaf
        balanced = log2(max(2.0, extent.pixels / leaf))
        tried = extent.features**0.5 * min(settings.max_depth, balanced + _UNBALANCED_LEVELS)
        return Need(
            seconds=extent.pixels
            * tried
            * settings.n_trees
            * _SECONDS_PER_VALUE_AND_TREE[settings.engine],
            fixed_bytes=extent.pixels * extent.features * _BYTES_PER_VALUE[settings.engine],
            disk_bytes=_nodes(extent, settings) * _BYTES_PER_NODE,
        )

    def classifying_need(self, extent: Extent, settings: ForestSettings) -> Need:
        """Return what walking the trees takes."""
        return Need(
            seconds=settings.n_trees
            * _SECONDS_PER_PIXEL_AND_TREE[settings.vote]
            * _growth(settings) ** 0.5,
            fixed_bytes=_nodes(extent, settings) * _LOADED_BYTES_PER_NODE,
        )

    def software(self, settings: ForestSettings) -> Sequence[str]:
        """Return the distributions that grow the trees."""
        return SOFTWARE[settings.engine]


LEARNER = ForestLearner()
"""The member of the plug-in."""


def _nodes(extent: Extent, settings: ForestSettings) -> int:
    nodes = settings.n_trees * extent.pixels // _PIXELS_PER_NODE
    return int(nodes * _growth(settings))


def _growth(settings: ForestSettings) -> float:
    """Return how many times more nodes than with the best splits and 5 samples in a leaf."""
    grown = settings.grown(FEW_SAMPLES, alike=True)
    smaller = max(1.0, LEAF_OF_MANY / grown.leaf) ** _NODES_BY_LEAF
    return smaller * (_NODES_OF_EXTRA if grown.splitter == "extra" else 1.0)
