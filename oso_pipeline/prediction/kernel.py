"""From the images of a block to class and confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel
from oso_pipeline.learners.forest.compiled import Vote, joined
from oso_pipeline.learners.forest.votes import lanes_of, refuse_features, write_winners
from oso_pipeline.learners.forest.walk import new_arena
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import source_and_recipe
from oso_pipeline.timeseries.kernels.chunks import features_chunk, new_scratch
from oso_pipeline.timeseries.kernels.rows import CHUNK
from oso_pipeline.timeseries.series import BlockSeries

if TYPE_CHECKING:
    from oso_pipeline.learning.model_file import Model


Layers = npt.NDArray[np.uint16]


def classify_block(
    series: BlockSeries,
    layout: FeatureLayout,
    pixels: npt.NDArray[np.integer],
    labels: npt.NDArray[np.integer],
    models: Mapping[int, Model],
    vote: Vote = "hard",
) -> Layers:
    """Classify pixels of a block straight from its images, each by the model of its label.

    Parameters
    ----------
    series
        Images of the block.
    layout
        Features that the models expect.
    pixels
        Which pixels, indices into the block, shape ``(n,)``; nothing else is computed.
    labels
        Label of each of these pixels, shape ``(n,)``.
    models
        Models by label; pixels of other labels get no class.
    vote
        As for :func:`classify`.

    Returns
    -------
    layers
        Class, confidence and validity, uint16, shape ``(3, n)``, as :func:`classify` gives
        them; 0 in all of them for a label without a model.

    Raises
    ------
    ValueError
        If shapes do not fit or a pixel lies outside the block.
    """
    return classify_runs(series, layout, pixels, labels, [models], vote)[0]


def classify_runs(
    series: BlockSeries,
    layout: FeatureLayout,
    pixels: npt.NDArray[np.integer],
    labels: npt.NDArray[np.integer],
    runs: Sequence[Mapping[int, Model]],
    vote: Vote = "hard",
) -> Layers:
    """Classify pixels by the models of several runs; their features are computed once.

    Parameters and errors are those of :func:`classify_block`, `runs` being the models of each
    run by label. The layers have the shape ``(run, 3, n)``.
    """
    source, plan = source_and_recipe(series, layout, pixels)
    if labels.shape != pixels.shape:
        raise ValueError(f"{labels.shape} labels given for {pixels.shape} pixels")
    layers = np.zeros((len(runs), 3, len(pixels)), np.uint16)
    used = [[(int(k), m.forest) for k, m in sorted(run.items())] for run in runs]
    forests = tuple(dict.fromkeys(forest for run in used for _, forest in run))
    for forest in forests:
        refuse_features(forest, layout.size)
    if not forests or len(pixels) == 0:
        return layers
    known = np.unique([label for run in used for label, _ in run])
    which = np.full((len(runs), len(known) + 1), -1, np.int64)
    for row, run in zip(which, used, strict=True):
        for label, forest in run:
            row[np.searchsorted(known, label)] = forests.index(forest)
    place = np.minimum(np.searchsorted(known, labels), len(known) - 1)
    numbers = np.where(known[place] == labels, place, len(known)).astype(np.int64)
    _classify_block(source, plan, numbers, which, joined(forests, vote), layers)
    return layers


@kernel
def _classify_block(source, plan, numbers, which, forest, layers):  # type: ignore[no-untyped-def]
    """Write the layers of all runs, chunk by chunk, each label by its forest."""
    scratch, arena = new_scratch(source, plan), new_arena(forest)
    label = np.zeros(CHUNK, np.int64)
    for start in range(0, len(numbers), CHUNK):
        size = features_chunk(source, plan, start, scratch)
        label[:size] = numbers[start : start + size]
        for number in range(which.shape[1]):
            lanes = lanes_of(label, number, scratch.validity)
            if lanes[0] | lanes[1]:
                for run in range(which.shape[0]):
                    if which[run, number] >= 0:
                        part = layers[run, :, start : start + size]
                        write_winners(
                            forest, which[run, number], scratch.features, lanes, arena, part
                        )
                        for p in range(size):
                            if label[p] == number:
                                part[2, p] = scratch.validity[p]
