"""The best split of a node of binned pixels, compiled.

The criterion of every feature is that of scikit-learn for the Gini impurity: the split
with the largest sum, over both sides, of (sum of squared class weights) / weight. Sums are
whole numbers, so their order does not matter.

The class weights of the left side grow pixel by pixel or bin by bin. Of the right side only
the sum of squares is needed: with the weights `t` of the node and `l` of the left side it is
``sum(t**2) - 2 * sum(t * l) + sum(l**2)``, so that adding a pixel costs the same whatever
the number of classes.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from oso_pipeline.core.kernels import kernel

FEW_PIXELS = 12
"""Nodes of at most this many pixels are sorted by insertion."""
MANY_PIXELS = 1000
"""Nodes of more pixels than this are counted by bin and class instead of sorted by bin."""

_BIN, _CLASS, _BYTE = np.uint32(24), np.uint32(8), np.uint32(0xFF)
_ONE_PIXEL = np.uint64(1 << 32)  # added to the weight, so that one sum counts both

Node = namedtuple("Node", ["row", "label", "classes", "weight", "squares"])
"""Pixels of a node.

``row`` is the place of each pixel in the column of a feature; ``label`` is the class, counted
among those of the node, times 256, plus the weight of the pixel; ``classes`` is the weight of
each class of the node, ``weight`` their sum and ``squares`` the sum of their squares.
"""

Table = namedtuple("Table", ["bins", "stride", "n_features"])
"""Bins, uint8, in one dimension; the column of feature n begins at ``n * stride``."""

Split = namedtuple("Split", ["feature", "left", "right", "score"])
"""Feature, the neighbouring bins of the node on both sides of the split, and its score."""

Scratch = namedtuple("Scratch", ["order", "bins", "keys", "counts", "histogram", "left"])
"""Working memory of a tree; ``order`` is a permutation of the features."""


@kernel
def new_scratch(n_features, n_classes):  # type: ignore[no-untyped-def]
    """Return the working memory of a tree."""
    return Scratch(
        np.arange(n_features),
        np.empty(MANY_PIXELS, np.uint8),
        np.empty(MANY_PIXELS, np.uint32),
        np.empty(256, np.uint64),
        np.empty(256 * n_classes, np.int32),
        np.empty(n_classes, np.int64),
    )


@kernel
def best_split(table, node, max_features, min_leaf, scratch, state):  # type: ignore[no-untyped-def]
    """Return the best split among features drawn at random, and the generator's state.

    Features are drawn until `max_features` were, and one of them was not constant, or none is
    left: scikit-learn's rule. The feature of the split is -1 where no split leaves `min_leaf`
    pixels on each side.
    """
    drawn, varying = 0, False
    best = Split(-1, 0, 0, -1.0)
    while drawn < table.n_features and (drawn < max_features or not varying):
        state, number = random_below(state, table.n_features - drawn)
        feature = scratch.order[drawn + number]
        scratch.order[drawn + number] = scratch.order[drawn]
        scratch.order[drawn] = feature
        drawn += 1
        found = _split_of(table.bins[feature * table.stride :], node, min_leaf, scratch)
        varying |= found[0] != found[1]
        if found[2] > best.score:
            best = Split(feature, found[0], found[1], found[2])
    return best, state


@kernel
def random_below(state, n):  # type: ignore[no-untyped-def]
    """Return the next state of a splitmix64 generator and a whole number in ``[0, n)``.

    Steele, Lea and Flood (2014), doi:10.1145/2660193.2660195. The bias of scaling 32 random
    bits is below n / 2**32.
    """
    state = np.uint64(state) + np.uint64(0x9E3779B97F4A7C15)
    bits = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    high = (bits ^ (bits >> np.uint64(31))) >> np.uint64(32)
    return state, np.int64((high * np.uint64(n)) >> np.uint64(32))


@kernel
def _split_of(column, node, min_leaf, scratch):  # type: ignore[no-untyped-def]
    """Return the bins beside the best split and its score; equal bins for a constant feature.

    A feature that varies but cannot be split gives different bins and a score of -1.
    """
    n = len(node.row)
    if n > MANY_PIXELS:
        return _split_by_histogram(column, node, min_leaf, scratch)
    if n > FEW_PIXELS:
        _sort_by_counting(column, node, scratch)
    else:
        _sort_by_insertion(column, node, scratch.keys)
    return _split_sorted(node, min_leaf, scratch.keys, scratch.left)


@kernel
def _sort_by_insertion(column, node, keys):  # type: ignore[no-untyped-def]
    for pixel in range(len(node.row)):
        key = (np.uint32(column[node.row[pixel]]) << _BIN) | node.label[pixel]
        place = pixel
        while place > 0 and keys[place - 1] > key:
            keys[place] = keys[place - 1]
            place -= 1
        keys[place] = key


@kernel
def _sort_by_counting(column, node, scratch):  # type: ignore[no-untyped-def]
    bins, keys, place = scratch.bins, scratch.keys, scratch.counts
    place[:] = 0
    for pixel in range(len(node.row)):
        number = column[node.row[pixel]]
        bins[pixel] = number
        place[number] += np.uint64(1)
    before = np.uint64(0)
    for number in range(256):
        inside = place[number]
        place[number] = before
        before += inside
    for pixel in range(len(node.row)):
        number = bins[pixel]
        keys[place[number]] = (np.uint32(number) << _BIN) | node.label[pixel]
        place[number] += np.uint64(1)


@kernel(error_model="numpy")
def _split_sorted(node, min_leaf, keys, left):  # type: ignore[no-untyped-def]
    """Look between all pixels, sorted by bin.

    There is a score after every pixel, also between two of one bin where it does not count:
    a branch there could not be foreseen by the processor and costs more than the division.
    """
    n = len(node.row)
    first, last = keys[0] >> _BIN, keys[n - 1] >> _BIN
    if first == last:
        return np.int64(first), np.int64(last), -1.0
    left[: len(node.classes)] = 0
    weight, squares, cross = np.int64(0), np.int64(0), np.int64(0)
    best, found = -1.0, -1
    for pixel in range(n - min_leaf):
        key = keys[pixel]
        label, added = (key >> _CLASS) & np.uint32(0xFFFF), np.int64(key & _BYTE)
        squares += added * (2 * left[label] + added)
        cross += added * node.classes[label]
        left[label] += added
        weight += added
        score = _score(node, weight, squares, cross)
        allowed = ((key ^ keys[pixel + 1]) >> _BIN != 0) & (pixel + 1 >= min_leaf)
        if allowed & (score > best):
            best, found = score, pixel
    if found >= 0:
        first, last = keys[found] >> _BIN, keys[found + 1] >> _BIN
    return np.int64(first), np.int64(last), best


@kernel(error_model="numpy")
def _split_by_histogram(column, node, min_leaf, scratch):  # type: ignore[no-untyped-def]
    """Look between all bins, from the weight of each class in each bin."""
    n, n_classes = len(node.row), len(node.classes)
    counts, histogram, left = scratch.counts, scratch.histogram, scratch.left
    counts[:] = 0
    histogram[: 256 * n_classes] = 0
    for pixel in range(n):
        mine, label = np.uint32(column[node.row[pixel]]), node.label[pixel]
        weight = label & _BYTE
        counts[mine] += _ONE_PIXEL + weight
        histogram[mine * n_classes + (label >> _CLASS)] += weight
    left[:n_classes] = 0
    seen, squares, cross = np.uint64(0), np.int64(0), np.int64(0)
    best, best_left, best_right = -1.0, 0, 0
    lowest, previous = -1, -1
    for number in range(256):
        if counts[number] == 0:
            continue
        pixels = np.int64(seen // _ONE_PIXEL)
        if pixels >= min_leaf and n - pixels >= min_leaf:
            score = _score(node, np.int64(seen % _ONE_PIXEL), squares, cross)
            if score > best:
                best, best_left, best_right = score, previous, number
        if lowest < 0:
            lowest = number
        previous = number
        seen += counts[number]
        squares = np.int64(0)
        for index in range(n_classes):
            added = histogram[number * n_classes + index]
            inside = left[index] + added
            left[index] = inside
            squares += inside * inside
            cross += added * node.classes[index]
    if best < 0:
        return lowest, previous, best
    return best_left, best_right, best


@kernel(error_model="numpy")
def _score(node, weight, squares, cross):  # type: ignore[no-untyped-def]
    """Return the criterion from sums over the left side, with one division."""
    left, right = float(weight), float(node.weight - weight)
    squares_right = node.squares - 2 * cross + squares
    return (float(squares) * right + float(squares_right) * left) / (left * right)
