"""A forest as the kernel walks it: nodes of 8 bytes in the order in which they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel
from oso_pipeline.learners.forest.forest import LEAF, Forest
from oso_pipeline.learners.forest.settings import Vote

_MOST = np.iinfo(np.uint32).max


class CompiledForest(NamedTuple):
    """One forest or several, ready to be walked.

    Parameters
    ----------
    words
        Nodes, uint64. Bit 0 marks a leaf. Inner nodes: bits 1 to 15 the feature, 16 to 31 the
        threshold, 32 to 63 the left child, which the right one follows. Leaves: bits 32 to 63
        the class voted for (hard) or the first entry (soft), bits 1 to 17 the number of
        entries. The child that saw more training samples is nearer, so a walk mostly stays in
        a cache line.
    roots
        Root of each tree, uint64.
    tree_start
        First tree of each forest, and their number at the end, int64.
    entries
        Contribution of a leaf to a class, uint64; empty for hard votes. Bits 0 to 15 the class, 32
        to 63 its share in units of 1 / `unit`. Sums of such do not depend on the order.
    exact
        The same shares in float64.
    class_start, classes
        Codes of the classes of each forest, int64.
    unit
        Maximum contribution of a tree: 1 for hard votes, int64, per forest.
    depth
        Most steps of a walk.
    soft
        Whether votes are soft.
    """

    words: npt.NDArray[np.uint64]
    roots: npt.NDArray[np.uint64]
    tree_start: npt.NDArray[np.int64]
    entries: npt.NDArray[np.uint64]
    exact: npt.NDArray[np.float64]
    class_start: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]
    unit: npt.NDArray[np.int64]
    depth: int
    soft: bool


_made: WeakKeyDictionary[Forest, dict[str, CompiledForest]] = WeakKeyDictionary()


def compiled(forest: Forest, vote: Vote) -> CompiledForest:
    """Return a forest ready to be walked, made once and kept as long as the forest.

    For hard votes, subtrees whose leaves all vote alike become one leaf; no vote changes.

    Parameters
    ----------
    forest
        Trees whose :meth:`~oso_pipeline.learners.forest.forest.Forest.faults` are none.
    vote
        Hard or soft.
    """
    known = _made.setdefault(forest, {})
    if vote not in known:
        known[vote] = _compile(forest, vote)
    return known[vote]


@lru_cache(maxsize=2)
def merged_forests(forests: tuple[Forest, ...], vote: Vote) -> CompiledForest:
    """Return several forests as one object, each to be walked by its number.

    Parameters
    ----------
    forests
        At least one.
    vote
        Hard or soft, the same for all.
    """
    parts = [compiled(forest, vote) for forest in forests]
    if len(parts) == 1:
        return parts[0]
    firsts = np.cumsum([0, *(len(part.words) for part in parts)])
    entries = np.cumsum([0, *(len(part.entries) for part in parts)])
    if max(firsts[-1], entries[-1]) > _MOST:
        raise ValueError("the forests have more nodes than can be numbered")
    moved = [
        part.words + (np.where(part.words & 1, entry, first).astype(np.uint64) << np.uint64(32))
        for part, first, entry in zip(parts, firsts, entries, strict=False)
    ]
    roots = [p.roots + np.uint64(f) for p, f in zip(parts, firsts, strict=False)]
    return CompiledForest(
        np.concatenate(moved),
        np.concatenate(roots),
        _chained([part.tree_start for part in parts]),
        np.concatenate([part.entries for part in parts]),
        np.concatenate([part.exact for part in parts]),
        _chained([part.class_start for part in parts]),
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.unit for part in parts]),
        max(part.depth for part in parts),
        vote == "soft",
    )


def _compile(forest: Forest, vote: Vote) -> CompiledForest:
    soft = vote == "soft"
    leaf = forest.feature == LEAF
    feature, payload = forest.feature.copy(), np.zeros(forest.n_nodes, np.int64)
    if soft:
        first, per_leaf = forest.leaf_start[:-1].astype(np.int64), np.diff(forest.leaf_start)
        payload[leaf] = first << 32 | per_leaf << 1
    else:
        payload[leaf] = forest.leaf_votes.astype(np.int64) << 32
        _collapse(feature, forest.left, forest.right, payload)
    samples = np.zeros(forest.n_nodes, np.int64)
    counts = forest.leaf_count.astype(np.int64)
    samples[leaf] = np.add.reduceat(counts, forest.leaf_start[:-1])
    nodes = (feature, forest.threshold, forest.left, forest.right)
    words, roots, depth = _arrange(nodes, forest.roots, payload, samples)
    unit = _MOST // forest.n_trees if soft else 1
    exact = forest.leaf_shares if soft else np.empty(0)
    shares = np.rint(exact * unit).astype(np.uint64)
    entries = shares << np.uint64(32) | forest.leaf_class[: len(exact)]
    return CompiledForest(
        words,
        roots,
        np.array([0, forest.n_trees], np.int64),
        entries,
        exact,
        np.array([0, len(forest.classes)], np.int64),
        forest.classes.astype(np.int64),
        np.array([unit], np.int64),
        depth,
        soft,
    )


def _chained(starts: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Return first places in lists that follow each other, and the end of the last."""
    ends = np.cumsum([0, *(start[-1] for start in starts)])
    parts = [start[:-1] + first for start, first in zip(starts, ends, strict=False)]
    return np.concatenate([*parts, ends[-1:]])


@kernel
def _collapse(feature, left, right, vote):  # type: ignore[no-untyped-def]
    """Make a leaf of each inner node whose children are leaves that vote alike."""
    for node in range(len(feature) - 1, -1, -1):
        if feature[node] != LEAF:
            a, b = left[node], right[node]
            if feature[a] == LEAF and feature[b] == LEAF and vote[a] == vote[b]:
                feature[node] = LEAF
                vote[node] = vote[a]


@kernel
def _arrange(nodes, first_nodes, payload, samples):  # type: ignore[no-untyped-def]
    """Return words, roots and greatest depth; children are adjacent, the hot ones next.

    Depth first, into the child with more training samples first: `stack` holds the nodes
    whose children still need a place.
    """
    feature, threshold, left, right = nodes
    n_trees = len(first_nodes) - 1
    words = np.zeros(len(feature) + n_trees, np.uint64)
    roots = np.empty(n_trees, np.uint64)
    for node in range(len(feature) - 1, -1, -1):
        if left[node] != node:
            samples[node] = samples[left[node]] + samples[right[node]]
    stack = np.empty((np.diff(first_nodes).max() + 1, 3), np.int64)
    free, deepest = 0, 0
    for tree in range(n_trees):
        roots[tree] = free
        stack[0, 0], stack[0, 1], stack[0, 2] = first_nodes[tree], free, 0
        free += 2  # pairs of children stay within a cache line
        height = 1
        while height > 0:
            height -= 1
            node, place, depth = stack[height]
            if feature[node] == LEAF:
                words[place] = np.uint64(payload[node] | 1)
                continue
            bits = free << 32 | (np.int64(threshold[node]) & 0xFFFF) << 16 | feature[node] << 1
            words[place] = np.uint64(bits)
            deepest = max(deepest, depth + 1)
            a, b = left[node], right[node]
            cold_left = samples[a] < samples[b]
            for child, spot in ((a, free), (b, free + 1)):
                # The hot child is put on the stack last, so it is the next to be placed.
                row = height + 1 if (spot == free) != cold_left else height
                stack[row, 0], stack[row, 1], stack[row, 2] = child, spot, depth + 1
            height += 2
            free += 2
    return words[:free].copy(), roots, deepest
