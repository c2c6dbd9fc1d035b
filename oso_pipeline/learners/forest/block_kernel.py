"""From the images of a block to class and confidence, by compiled forests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from oso_pipeline.core.kernels import kernel
from oso_pipeline.learners.forest.compiled import merged_forests
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.settings import Vote
from oso_pipeline.learners.forest.votes import masks_of, refuse_features, write_winners
from oso_pipeline.learners.forest.walk import new_arena
from oso_pipeline.learners.protocol import BlockPixels, Layers
from oso_pipeline.timeseries.features import source_and_recipe
from oso_pipeline.timeseries.kernels.chunks import features_chunk, new_scratch
from oso_pipeline.timeseries.kernels.rows import CHUNK


def classify_block(block: BlockPixels, runs: Sequence[Mapping[int, Forest]], vote: Vote) -> Layers:
    """Classify pixels by the forests of several runs; their features are computed once.

    Parameters
    ----------
    block
        Pixels of a block.
    runs
        Forests of each run by label.
    vote
        As for :func:`~oso_pipeline.learners.forest.votes.classify`.

    Returns
    -------
    layers
        Class, confidence and validity, uint16, shape ``(run, 3, n)``; 0 in all of them for a
        label without a forest.

    Raises
    ------
    ValueError
        If shapes do not fit, a pixel lies outside the block, or a forest tests features that
        are not there.
    """
    source, plan = source_and_recipe(block.series, block.layout, block.pixels)
    layers = np.zeros((len(runs), 3, len(block.pixels)), np.uint16)
    used = [[(int(label), forest) for label, forest in sorted(run.items())] for run in runs]
    forests = tuple(dict.fromkeys(forest for run in used for _, forest in run))
    for forest in forests:
        refuse_features(forest, block.layout.size)
    if not forests or len(block.pixels) == 0:
        return layers
    known = np.unique([label for run in used for label, _ in run])
    which = np.full((len(runs), len(known) + 1), -1, np.int64)
    for row, run in zip(which, used, strict=True):
        for label, forest in run:
            row[np.searchsorted(known, label)] = forests.index(forest)
    place = np.minimum(np.searchsorted(known, block.labels), len(known) - 1)
    numbers = np.where(known[place] == block.labels, place, len(known)).astype(np.int64)
    _classify_block(source, plan, numbers, which, merged_forests(forests, vote), layers)
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
            masks = masks_of(label, number, scratch.validity)
            if masks[0] | masks[1]:
                for run in range(which.shape[0]):
                    if which[run, number] >= 0:
                        part = layers[run, :, start : start + size]
                        write_winners(
                            forest, which[run, number], scratch.features, masks, arena, part
                        )
                        for p in range(size):
                            if label[p] == number:
                                part[2, p] = scratch.validity[p]
