"""Blocks by classifiers without a kernel of their own: features first, chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from oso_pipeline.learners.protocol import BlockPixels, Classifier, Layers
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
