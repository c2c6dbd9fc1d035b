"""Blocks by classifiers without a kernel of their own: features first, chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from oso_pipeline.learners.protocol import BlockPixels, Classifier, Layers, Shares
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.reading.memory import CHUNK_PIXELS


def classify_staged(block: BlockPixels, runs: Sequence[Mapping[int, Classifier]]) -> Layers:
    """Classify pixels by any classifiers; their features are computed once.

    Parameters and layers are those of
    :meth:`~oso_pipeline.learners.protocol.BlockClassifier.classify_block`.

    Raises
    ------
    ValueError
        If shapes do not fit or a pixel lies outside the block.
    """
    layers = np.zeros((len(runs), 3, len(block.pixels)), np.uint16)
    for start in range(0, len(block.pixels), CHUNK_PIXELS):
        chunk = slice(start, start + CHUNK_PIXELS)
        labels = block.labels[chunk]
        features, validity = block_features(block.series, block.layout, block.pixels[chunk])
        for part, run in zip(layers[:, :, chunk], runs, strict=True):
            for label, classifier in run.items():
                rows = np.flatnonzero((labels == label) & (validity > 0))
                if len(rows):
                    found = classifier.classify(features[:, rows], validity[rows])
                    part[0, rows], part[1, rows] = found
                    part[2, rows] = validity[rows]
    return layers


def staged_shares(block: BlockPixels, classifier: Classifier) -> tuple[Layers, Shares]:
    """Classify pixels by any classifier and return the probabilities of all classes too.

    Parameters, layers and probabilities are those of
    :meth:`~oso_pipeline.learners.protocol.ShareClassifier.block_shares`. Class and confidence are
    computed apart: a classifier may round in its own way.
    """
    layers = np.zeros((3, len(block.pixels)), np.uint16)
    shares = np.zeros((len(classifier.classes), len(block.pixels)))
    for start in range(0, len(block.pixels), CHUNK_PIXELS):
        chunk = slice(start, start + CHUNK_PIXELS)
        features, validity = block_features(block.series, block.layout, block.pixels[chunk])
        rows = np.flatnonzero(validity > 0)
        if len(rows):
            given, places = features[:, rows], rows + start
            layers[0, places], layers[1, places] = classifier.classify(given, validity[rows])
            layers[2, places] = validity[rows]
            shares[:, places] = classifier.probabilities(given)
    return layers, shares
