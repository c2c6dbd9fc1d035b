"""One decision tree grown on binned features, compiled.

The tree follows scikit-learn's ``DecisionTreeClassifier`` with Gini impurity, nodes in depth
first order. A node's pixels lie together in one list, which every split partitions in place.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from oso_pipeline.core.kernels import kernel
from oso_pipeline.learners.forest.forest import LEAF
from oso_pipeline.learners.forest.histogram_random import random_scratch, random_split
from oso_pipeline.learners.forest.histogram_split import (
    Node,
    Table,
    best_split,
    new_scratch,
    random_below,
)

ZONE_PIXELS = 1000
"""The bins of a branch with at most this many pixels are copied, so that they stay in cache."""

TreeLimits = namedtuple("TreeLimits", ["max_depth", "min_leaf", "max_features", "random"])
"""Greatest depth, least number of distinct pixels in a leaf, features tried per node, whether their
thresholds are random."""

Pixels = namedtuple("Pixels", ["row", "label", "local", "spare_row", "spare_label"])
"""Pixels of the tree in the order of its nodes: row in the table of bins, class * 256 + weight,
the same with the class counted within the node, and scratch memory to partition."""


@kernel
def bootstrap(n_pixels, n_draws, state):  # type: ignore[no-untyped-def]
    """Draw pixels with replacement, all alike.

    Returns
    -------
    counts
        How often each was drawn, int64, shape ``(pixel,)``.
    state
        State of the generator after the draw.
    """
    counts = np.zeros(n_pixels, np.int64)
    for _ in range(n_draws):
        state, pixel = random_below(state, n_pixels)
        counts[pixel] += 1
    return counts, state


@kernel
def weighted_bootstrap(ends, n_draws, state):  # type: ignore[no-untyped-def]
    """Draw pixels with replacement, each in proportion to its weight.

    Parameters
    ----------
    ends
        Sums of the weights up to each pixel, whole numbers below 2**32, int64.
    n_draws, state
        As for :func:`bootstrap`, which says what is returned.
    """
    counts = np.zeros(len(ends), np.int64)
    for _ in range(n_draws):
        state, place = random_below(state, ends[-1])
        counts[np.searchsorted(ends, place, side="right")] += 1
    return counts, state


@kernel
def grow_tree(by_feature, by_pixel, edges, labels, n_classes, weights, limits, state):  # type: ignore[no-untyped-def]
    """Grow a tree.

    Parameters
    ----------
    by_feature, by_pixel
        Bins, uint8, shapes ``(feature, pixel)`` and ``(pixel, feature)``.
    edges
        Least and greatest value of each bin, int16, shape ``(feature, 256)`` each.
    labels
        Class of each pixel, below `n_classes`, int64, shape ``(pixel,)``.
    weights
        How often each pixel counts, 0 to 255, int64, shape ``(pixel,)``.
    limits
        See :class:`TreeLimits`.
    state
        State of the generator.

    Returns
    -------
    feature, threshold, left, right
        As in :class:`~oso_pipeline.learners.forest.forest.Forest`, for one tree.
    entries
        Number of classes in each leaf, int32, shape ``(leaf,)``.
    leaf_class, leaf_count
        Entries of all leaves, uint16 and int32.
    """
    pixels = _drawn_pixels(labels, weights, n_classes if limits.random else 1)
    n, n_features = len(pixels.row), len(by_feature)
    most_leaves = max(1, n // limits.min_leaf)
    feature = np.full(2 * most_leaves - 1, LEAF, np.int16)
    threshold = np.zeros(len(feature), np.int16)
    left = np.arange(len(feature)).astype(np.int32)
    right = left.copy()
    entries = np.empty(most_leaves, np.int32)
    leaf_class, leaf_count = np.empty(n, np.uint16), np.empty(n, np.int32)
    n_nodes, n_leaves, n_entries = 0, 0, 0

    scratch = new_scratch(n_features, n_classes)
    of_random = random_scratch(n_features, n_classes, n)
    whole = Table(by_feature.ravel(), by_feature.shape[1], n_features)
    zone = Table(np.empty(ZONE_PIXELS * n_features, np.uint8), 1, n_features)
    table, zone_end = whole, 0
    totals, local = np.empty(n_classes, np.int64), np.empty(n_classes, np.uint32)
    waiting = np.empty((min(limits.max_depth, n) + 2, 4), np.int64)
    waiting[0] = 0, n, 0, -1
    n_waiting = 1
    while n_waiting:
        n_waiting -= 1
        first, last, depth, parent = waiting[n_waiting]
        size, here = last - first, n_nodes
        n_nodes += 1
        if parent >= 0 and parent != here - 1:
            right[parent] = here
        n_local = _count_classes(pixels, first, last, totals, local)

        split_feature = -1
        if depth < limits.max_depth and size >= 2 * limits.min_leaf and n_local > 1:
            if size > ZONE_PIXELS:
                table = whole
            elif first >= zone_end:
                _fill_zone(by_pixel, pixels.row[first:last], zone.bins)
                table, zone_end = zone, last
            classes = totals[:n_local]
            node = Node(
                pixels.row[first:last],
                pixels.local[first:last],
                classes,
                classes.sum(),
                (classes * classes).sum(),
            )
            if limits.random:
                split, between, state = random_split(table, edges, node, limits, of_random, state)
            else:
                split, state = best_split(
                    table, node, limits.max_features, limits.min_leaf, scratch, state
                )
                low = np.int64(edges[1][split.feature, split.left])
                between = (low + edges[0][split.feature, split.right]) >> 1
            split_feature = split.feature if split.score >= 0 else -1
        if split_feature < 0:
            entries[n_leaves] = n_local
            n_leaves += 1
            for label in range(n_classes):
                if local[label] < n_local:
                    leaf_class[n_entries] = label
                    leaf_count[n_entries] = totals[local[label]]
                    n_entries += 1
            continue
        feature[here] = split_feature
        threshold[here] = between
        left[here] = here + 1
        middle = _partition(pixels, first, last, table, split)
        waiting[n_waiting] = middle, last, depth + 1, here
        waiting[n_waiting + 1] = first, middle, depth + 1, here
        n_waiting += 2
    return (
        feature[:n_nodes],
        threshold[:n_nodes],
        left[:n_nodes],
        right[:n_nodes],
        entries[:n_leaves],
        leaf_class[:n_entries],
        leaf_count[:n_entries],
    )


@kernel
def _drawn_pixels(labels, weights, n_groups):  # type: ignore[no-untyped-def]
    """Return the drawn pixels in their order; sorted by class where there is a group for each."""
    n = np.count_nonzero(weights)
    pixels = Pixels(
        np.empty(n, np.uint32),
        np.empty(n, np.uint32),
        np.empty(n, np.uint32),
        np.empty(n, np.uint32),
        np.empty(n, np.uint32),
    )
    places = np.zeros(n_groups + 1, np.int64)
    for pixel in range(len(labels)):
        places[min(labels[pixel], n_groups - 1) + 1] += weights[pixel] > 0
    places = np.cumsum(places)
    for pixel in range(len(labels)):
        if weights[pixel]:
            group = min(labels[pixel], n_groups - 1)
            pixels.row[places[group]] = pixel
            pixels.label[places[group]] = labels[pixel] * 256 + weights[pixel]
            places[group] += 1
    return pixels


@kernel
def _count_classes(pixels, first, last, totals, local):  # type: ignore[no-untyped-def]
    """Count the classes of a node, number them from 0 in their order, return how many there are.

    `totals` gets the weight of each class by its new number, `local` the new number of each
    class, or one too high where the node has no pixel of it.
    """
    totals[:] = 0
    for place in range(first, last):
        totals[pixels.label[place] >> np.uint32(8)] += pixels.label[place] & np.uint32(0xFF)
    n_local = 0
    for label in range(len(totals)):
        local[label] = len(totals)
        if totals[label]:
            totals[n_local] = totals[label]
            local[label] = n_local
            n_local += 1
    for place in range(first, last):
        label = pixels.label[place]
        pixels.local[place] = (local[label >> np.uint32(8)] << np.uint32(8)) | (
            label & np.uint32(0xFF)
        )
    return n_local


@kernel
def _fill_zone(by_pixel, row, bins):  # type: ignore[no-untyped-def]
    """Copy the bins of a branch, pixel after pixel, and note where each pixel now lies."""
    n_features = by_pixel.shape[1]
    for place in range(len(row)):
        start = place * n_features
        bins[start : start + n_features] = by_pixel[row[place]]
        row[place] = start


@kernel
def _partition(pixels, first, last, table, split):  # type: ignore[no-untyped-def]
    """Put the pixels left of a split before the others, both in the order they had."""
    row, label = pixels.row, pixels.label
    column = table.bins[split.feature * table.stride :]
    kept, moved = first, 0
    for place in range(first, last):
        here, its = row[place], label[place]
        # Both are written and one is kept: no branch to foresee.
        row[kept], label[kept] = here, its
        pixels.spare_row[moved], pixels.spare_label[moved] = here, its
        goes_left = column[here] <= split.left
        kept += goes_left
        moved += not goes_left
    row[kept:last] = pixels.spare_row[:moved]
    label[kept:last] = pixels.spare_label[:moved]
    return kept
