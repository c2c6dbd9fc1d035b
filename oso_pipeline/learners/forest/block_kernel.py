"""From the images of a block to class, confidence and votes, by compiled forests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from oso_pipeline.core.kernels import kernel
from oso_pipeline.learners.forest.bit_masks import MASK_BITS
from oso_pipeline.learners.forest.compiled import compiled, merged_forests
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.settings import Vote
from oso_pipeline.learners.forest.votes import masks_of, refuse_features, write_winners
from oso_pipeline.learners.forest.walk import new_arena
from oso_pipeline.learners.protocol import BlockPixels, Layers, Shares
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
    walked, sums = merged_forests(forests, vote), np.zeros((0, len(numbers)), np.uint32)
    _classify_block(source, plan, numbers, which, walked, layers, sums)
    return layers


def block_shares(block: BlockPixels, forest: Forest, vote: Vote) -> tuple[Layers, Shares]:
    """Classify pixels by one forest, and return what each class gets of the votes.

    Parameters
    ----------
    block
        Pixels of a block; their labels do not count.
    forest, vote
        As for :func:`~oso_pipeline.learners.forest.votes.classify`.

    Returns
    -------
    layers
        Class, confidence and validity, uint16, shape ``(3, n)``.
    shares
        From 0 to 1, float64, shape ``(class, n)``; 0 where there is no clear date.

    Raises
    ------
    ValueError
        As :func:`classify_block`.
    """
    source, plan = source_and_recipe(block.series, block.layout, block.pixels)
    refuse_features(forest, block.layout.size)
    walked, n_pixels = compiled(forest, vote), len(block.pixels)
    layers = np.zeros((1, 3, n_pixels), np.uint16)
    sums = np.zeros((len(forest.classes), n_pixels), np.uint32)
    numbers, which = np.zeros(n_pixels, np.int64), np.zeros((1, 1), np.int64)
    _classify_block(source, plan, numbers, which, walked, layers, sums)
    return layers[0], sums / (walked.unit[0] * float(forest.n_trees))


@kernel
def _classify_block(  # type: ignore[no-untyped-def]
    source, plan, numbers, which, forest, layers, sums
):
    """Write the layers of all runs, chunk by chunk, each label by its forest.

    `sums` takes what each class gets from all trees; with no rows it takes nothing.
    """
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
                        _copy_sums(forest, arena, masks, sums[:, start : start + size])


@kernel
def _copy_sums(forest, arena, masks, sums):  # type: ignore[no-untyped-def]
    """Copy the votes of the classes, or the sums of their shares, of the pixels in `masks`."""
    for number in range(sums.shape[0]):
        for p in range(sums.shape[1]):
            if (masks[p // MASK_BITS] >> np.uint64(p % MASK_BITS)) & np.uint64(1):
                if forest.soft:
                    sums[number, p] = arena.shares[number * CHUNK + p]
                else:
                    sums[number, p] = arena.votes[number * CHUNK + p]
