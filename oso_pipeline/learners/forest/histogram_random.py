"""Random splits of a node of binned pixels, compiled: extremely randomised trees.

Of each feature drawn one threshold is looked at, uniform within the range of the node (Geurts et
al. 2006, doi:10.1007/s10994-006-6226-1). Pixels lie sorted by class, and splits keep their order,
so the weight of a class on the left side is the difference of two running sums.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from oso_pipeline.core.kernels import kernel
from oso_pipeline.learners.forest.histogram_split import Split, random_below

RandomScratch = namedtuple("RandomScratch", ["order", "bins", "sums", "ends"])
"""Working memory of a tree; ``order`` is a permutation of the features. The others belong to a
node: the bins of a feature, running sums over the left side, where each class ends."""

_CLASS, _BYTE = np.uint32(8), np.uint32(0xFF)
_ONE_PIXEL, _WEIGHT = np.uint64(1 << 32), np.uint64(0xFFFFFFFF)  # one sum counts both


@kernel
def random_scratch(n_features, n_classes, n_pixels):  # type: ignore[no-untyped-def]
    """Return the working memory of a tree."""
    return RandomScratch(
        np.arange(n_features),
        np.empty(n_pixels, np.uint8),
        np.empty(n_pixels, np.uint64),
        np.empty(n_classes, np.int64),
    )


@kernel(error_model="numpy")
def random_split(table, edges, node, limits, scratch, state):  # type: ignore[no-untyped-def]
    """Return the best random split of a node, its threshold, and the generator's state.

    Features are drawn as for the best split. All is one function, without views of arrays: for a
    node of few pixels, to count references to arrays would cost more than the split.

    Parameters
    ----------
    table, node, limits
        As for `histogram_split.best_split`; the pixels are sorted by class.
    edges
        Least and greatest value of each bin, int16, shape ``(feature, 256)`` each.
    scratch
        See :class:`RandomScratch`.
    state
        State of the generator.
    """
    bins, row, stride, (lowest, highest) = table.bins, node.row, table.stride, edges
    n, n_features, min_leaf = len(row), table.n_features, limits.min_leaf
    for pixel in range(n):
        scratch.ends[node.label[pixel] >> _CLASS] = pixel
    drawn, varying = 0, False
    best, best_threshold = Split(-1, 0, 0, -1.0), np.int64(0)
    while drawn < n_features and (drawn < limits.max_features or not varying):
        state, number = random_below(state, n_features - drawn)
        feature = scratch.order[drawn + number]
        scratch.order[drawn + number] = scratch.order[drawn]
        scratch.order[drawn] = feature
        drawn += 1

        low, high, start = np.uint8(255), np.uint8(0), feature * stride
        for pixel in range(n):
            mine = bins[start + row[pixel]]
            scratch.bins[pixel] = mine
            low, high = min(low, mine), max(high, mine)
        if low == high:
            continue
        varying = True

        first = np.int64(lowest[feature, low])
        state, number = random_below(state, np.int64(highest[feature, high]) - first)
        threshold = first + number
        left = np.int64(low)
        for power in range(7, -1, -1):  # without a branch that could not be foreseen
            place = min(left + (1 << power), np.int64(high))
            left = place if lowest[feature, place] <= threshold else left
        # Pixels of one bin stay together: the threshold moves to the nearer end of it.
        if 2 * threshold < np.int64(lowest[feature, left]) + highest[feature, left]:
            left -= 1
        left = min(max(left, np.int64(low)), np.int64(high) - 1)

        total, most_left = np.uint64(0), np.uint8(left)
        for pixel in range(n):
            mine = _ONE_PIXEL + (node.label[pixel] & _BYTE)
            total += mine if scratch.bins[pixel] <= most_left else np.uint64(0)
            scratch.sums[pixel] = total
        pixels = np.int64(total >> np.uint64(32))
        if pixels < min_leaf or n - pixels < min_leaf:
            continue
        before, squares, cross = np.int64(0), np.int64(0), np.int64(0)
        for label in range(len(node.classes)):
            reached = np.int64(scratch.sums[scratch.ends[label]] & _WEIGHT)
            added = reached - before
            before = reached
            squares += added * added
            cross += added * node.classes[label]
        on_left, on_right = float(before), float(node.weight - before)
        squares_right = node.squares - 2 * cross + squares
        score = (float(squares) * on_right + float(squares_right) * on_left) / (on_left * on_right)
        if score > best.score:
            best = Split(feature, left, left + 1, score)
            least, most = np.int64(highest[feature, left]), np.int64(lowest[feature, left + 1]) - 1
            best_threshold = min(max(threshold, least), most)
    return best, best_threshold, state
