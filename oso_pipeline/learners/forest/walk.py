"""The walk of a chunk of pixels through a forest, many pixels a step.

A group of pixels that stand at the same node is a mask. A step compares the whole row of a
feature with the threshold and splits the mask in two; groups without a pixel vanish. Pixels
next to each other on a map mostly go the same way, so that a tree takes far fewer steps than
pixels times depth. A few trees are walked together, level by level, so that the processor has
other groups to go on with while one waits for memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from oso_pipeline.core.kernels import kernel
from oso_pipeline.learners.forest.bit_masks import MASK_BITS, add_where, at_most, first_of, how_many
from oso_pipeline.timeseries.kernels.rows import CHUNK, aligned

_TREES = 4
"""Trees walked together: 2 to 8 are about equally fast."""

_ENTRY = np.uint64(3)  # of the queue: two masks and the word of the node
_ONE, _TWO = np.uint64(1), np.uint64(2)
_HALF = np.uint64(MASK_BITS)
_WIDTH = np.uint64(CHUNK)
_INDEX = np.uint64(32)
_COUNT, _CLASS = np.uint64(0x1FFFF), np.uint64(0xFFFF)
_FEW = np.uint64(4)


class Arena(NamedTuple):
    """Memory for walking a chunk; the results are in `winner`, `best` and `runner_up`."""

    queue: Any
    votes: Any
    shares: Any
    winner: Any
    best: Any
    runner_up: Any
    exact: Any


@kernel
def new_arena(forest):  # type: ignore[no-untyped-def]
    """Return the memory for walking one chunk at a time."""
    n_classes = np.diff(forest.class_start).max()
    # Groups at one depth of a tree share no pixel, and neither do those at its leaves.
    groups = _TREES * CHUNK * (forest.depth + 1) + 2
    return Arena(
        aligned(8 * 3 * groups).view(np.uint64),
        aligned(2 * n_classes * CHUNK).view(np.uint16),
        aligned(4 * n_classes * CHUNK).view(np.uint32),
        aligned(8 * CHUNK).view(np.int64),
        aligned(4 * CHUNK).view(np.uint32),
        aligned(4 * CHUNK).view(np.uint32),
        np.zeros(n_classes, np.float64),
    )


@kernel
def walk_chunk(forest, number, values, masks, arena):  # type: ignore[no-untyped-def]
    """Predict the classes of a chunk with a forest.

    Parameters
    ----------
    forest, number
        The forests, and the index of one of them.
    values
        Rows of `CHUNK` int16, one per feature, aligned.
    masks
        Two masks of the requested pixels.
    arena
        Memory; afterwards it holds the sums by class and pixel, and the predicted classes.
    """
    n_classes = forest.class_start[number + 1] - forest.class_start[number]
    votes, shares = arena.votes[: n_classes * CHUNK], arena.shares[: n_classes * CHUNK]
    if forest.soft:
        shares[:] = 0
    else:
        votes[:] = 0
    first, last = forest.tree_start[number], forest.tree_start[number + 1]
    for tree in range(first, last, _TREES):
        roots = forest.roots[tree : min(tree + _TREES, last)]
        top = _walk(forest.words, roots, values, masks, arena.queue)
        if forest.soft:
            _add_shares(forest.entries, arena.queue, top, shares)
        else:
            _add_votes(arena.queue, top, votes)
    if forest.soft:
        _rank(shares, n_classes, arena)
    else:
        _rank(votes, n_classes, arena)


@kernel
def _walk(words, roots, values, masks, queue):  # type: ignore[no-untyped-def]
    """Walk trees; return where the groups at leaves begin, which reach to the end of `queue`.

    Groups at inner nodes queue from the front. Both children of a node are written, where the
    next group would go; only those that hold a pixel make the queue longer. No step branches.
    """
    head, tail = np.uint64(0), np.uint64(0)
    low = np.uint64(len(queue)) - _ENTRY
    for root in roots:
        word = words[root]
        place = low if word & _ONE else tail
        queue[place] = masks[0]
        queue[place + _ONE] = masks[1]
        queue[place + _TWO] = word
        low, tail = _grown(low, tail, word, masks[0] | masks[1])
    while head < tail:
        mask, other = queue[head], queue[head + _ONE]
        word = queue[head + _TWO]
        head += _ENTRY
        row = (word & np.uint64(0xFFFE)) * np.uint64(CHUNK // 2)
        threshold = np.int16(word >> np.uint64(16))
        child = word >> _INDEX
        goes_left = at_most(values, row, threshold)
        others_go_left = at_most(values, row + _HALF, threshold)
        left, right = words[child], words[child + _ONE]
        a, b = mask & goes_left, other & others_go_left
        place = low if left & _ONE else tail
        queue[place] = a
        queue[place + _ONE] = b
        queue[place + _TWO] = left
        low, tail = _grown(low, tail, left, a | b)
        a, b = mask & ~goes_left, other & ~others_go_left
        place = low if right & _ONE else tail
        queue[place] = a
        queue[place + _ONE] = b
        queue[place + _TWO] = right
        low, tail = _grown(low, tail, right, a | b)
    return low + _ENTRY


@kernel
def _grown(low, tail, word, pixels):  # type: ignore[no-untyped-def]
    """Return both ends of the free part of the queue after a group was written."""
    used = _ENTRY if pixels else np.uint64(0)
    at_leaf = used if word & _ONE else np.uint64(0)
    return low - at_leaf, tail + (used - at_leaf)


@kernel
def _add_votes(queue, top, votes):  # type: ignore[no-untyped-def]
    for place in range(top, np.uint64(len(queue)), _ENTRY):
        row = (queue[place + _TWO] >> _INDEX) * _WIDTH
        add_where(votes, row, queue[place], np.uint16(1))
        add_where(votes, row + _HALF, queue[place + _ONE], np.uint16(1))


@kernel
def _add_shares(entries, queue, top, shares):  # type: ignore[no-untyped-def]
    """Add the shares of the leaves: one by one to few pixels, as vectors to many."""
    for place in range(top, np.uint64(len(queue)), _ENTRY):
        word = queue[place + _TWO]
        first = word >> _INDEX
        last = first + ((word >> _ONE) & _COUNT)
        for half in range(_TWO):
            mask = queue[place + half]
            if how_many(mask) > _FEW:
                for entry in range(first, last):
                    row = (entries[entry] & _CLASS) * _WIDTH + half * _HALF
                    add_where(shares, row, mask, np.uint32(entries[entry] >> _INDEX))
            else:
                while mask:
                    pixel = first_of(mask) + half * _HALF
                    mask &= mask - _ONE
                    for entry in range(first, last):
                        row = (entries[entry] & _CLASS) * _WIDTH
                        shares[row + pixel] += np.uint32(entries[entry] >> _INDEX)


@kernel
def _rank(sums, n_classes, arena):  # type: ignore[no-untyped-def]
    """Find the largest sum of each pixel, its class, ties to the lowest, and the next sum."""
    winner, best, runner_up = arena.winner, arena.best, arena.runner_up
    for p in range(CHUNK):
        winner[p], best[p], runner_up[p] = 0, sums[p], 0
    for number in range(1, n_classes):
        row = sums[number * CHUNK : (number + 1) * CHUNK]
        for p in range(CHUNK):
            value = np.uint32(row[p])
            larger = value > best[p]
            runner_up[p] = best[p] if larger else max(runner_up[p], value)
            winner[p] = number if larger else winner[p]
            best[p] = value if larger else best[p]


@kernel
def exact_winner(forest, number, values, pixel, arena):  # type: ignore[no-untyped-def]
    """Return the class with the largest mean share in float64, summed tree by tree.

    The order and the arithmetic of scikit-learn, so that even ties are broken as there.

    Parameters
    ----------
    forest, number, values
        As for :func:`walk_chunk`; soft votes.
    pixel
        Which pixel of the chunk.
    arena
        Memory.
    """
    sums = arena.exact
    sums[:] = 0.0
    first, last = forest.tree_start[number], forest.tree_start[number + 1]
    for tree in range(first, last):
        word = forest.words[forest.roots[tree]]
        while not word & _ONE:
            value = values[np.int64(word & np.uint64(0xFFFE)) * (CHUNK // 2) + pixel]
            beyond = _ONE if value > np.int16(word >> np.uint64(16)) else np.uint64(0)
            word = forest.words[(word >> _INDEX) + beyond]
        entry = word >> _INDEX
        for _ in range((word >> _ONE) & _COUNT):
            sums[forest.entries[entry] & _CLASS] += forest.exact[entry]
            entry += _ONE
    n_classes = forest.class_start[number + 1] - forest.class_start[number]
    return np.argmax(sums[:n_classes] / (last - first))
