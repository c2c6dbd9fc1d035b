"""From the images of a block to class and confidence, each pixel by the classifier of its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oso_pipeline.learners.protocol import BlockPixels, Classifier, Layers, has_kernel
from oso_pipeline.learners.staged import classify_staged


def classify_block(block: BlockPixels, classifiers: Mapping[int, Classifier]) -> Layers:
    """Classify pixels of a block straight from its images, each by the classifier of its label.

    Parameters
    ----------
    block
        Pixels of a block.
    classifiers
        Classifiers by label; pixels of other labels get no class.

    Returns
    -------
    layers
        Class, confidence and validity, uint16, shape ``(3, n)``, as
        :meth:`~oso_pipeline.learners.protocol.Classifier.classify` gives them; 0 in all of them
        for a label without a classifier.

    Raises
    ------
    ValueError
        If shapes do not fit or a pixel lies outside the block.
    """
    return classify_runs(block, [classifiers])[0]


def classify_runs(block: BlockPixels, runs: Sequence[Mapping[int, Classifier]]) -> Layers:
    """Classify pixels by the classifiers of several runs.

    Features are computed once for all classifiers of a kind. Parameters and errors are those of
    :func:`classify_block`, `runs` being the classifiers of each run by label. The layers have
    the shape ``(run, 3, n)``.
    """
    kinds = list(dict.fromkeys(type(one) for run in runs for one in run.values()))
    if len(kinds) == 1:
        return _of_one_kind(kinds[0], block, runs)
    layers = np.zeros((len(runs), 3, len(block.pixels)), np.uint16)
    for kind in kinds:
        own = [{label: one for label, one in run.items() if type(one) is kind} for run in runs]
        labels = sorted({label for run in own for label in run})
        rows = np.flatnonzero(np.isin(block.labels, labels))
        # 0 where the classifier of a run is of another kind.
        layers[:, :, rows] += _of_one_kind(kind, block.take(rows), own)
    return layers


def _of_one_kind(
    kind: type[Classifier], block: BlockPixels, runs: Sequence[Mapping[int, Any]]
) -> Layers:
    return kind.classify_block(block, runs) if has_kernel(kind) else classify_staged(block, runs)
