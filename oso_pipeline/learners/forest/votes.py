"""From features to votes, class and confidence, by the compiled forest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel
from oso_pipeline.learners.forest.bit_masks import MASK_BITS
from oso_pipeline.learners.forest.compiled import compiled
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.settings import Vote
from oso_pipeline.learners.forest.walk import exact_winner, new_arena, walk_chunk
from oso_pipeline.learners.matrices import require_columns, require_length
from oso_pipeline.timeseries.kernels.rows import CHUNK, aligned


def votes(forest: Forest, features: npt.NDArray[np.int16]) -> npt.NDArray[np.uint16]:
    """Count the trees that vote for each class.

    Each tree has one vote, for the largest class of the leaf that the pixel falls into: the
    sum of what ``tree.predict`` of every scikit-learn tree answers. That is not the mean
    probability behind the forest's own ``predict``.

    Parameters
    ----------
    forest
        Trees whose :meth:`~oso_pipeline.learners.forest.forest.Forest.faults` are none.
    features
        int16, shape ``(feature, pixel)``.

    Returns
    -------
    counts
        uint16, shape ``(class, pixel)``, classes as in ``forest.classes``.

    Raises
    ------
    ValueError
        If the type or shape does not fit, or the forest tests features that are not there.
    """
    counts = np.zeros((len(forest.classes), _checked(forest, features)), np.uint16)
    _sums(np.ascontiguousarray(features), compiled(forest, "hard"), counts)
    return counts


def probabilities(forest: Forest, features: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """Return the mean over the trees of the shares of the classes in the leaves.

    Parameters
    ----------
    forest, features
        As for :func:`votes`.

    Returns
    -------
    shares
        float64, shape ``(class, pixel)``: within 3e-7 of ``predict_proba`` of scikit-learn.

    Raises
    ------
    ValueError
        As :func:`votes`.
    """
    walked = compiled(forest, "soft")
    sums = np.zeros((len(forest.classes), _checked(forest, features)), np.uint32)
    _sums(np.ascontiguousarray(features), walked, sums)
    shares: npt.NDArray[np.float64] = sums / (walked.unit[0] * float(forest.n_trees))
    return shares


def classify(
    forest: Forest,
    features: npt.NDArray[np.int16],
    validity: npt.NDArray[np.uint16],
    vote: Vote = "hard",
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Return class and confidence of pixels.

    Parameters
    ----------
    forest, features
        As in :func:`votes`.
    validity
        Number of clear dates, shape ``(pixel,)``.
    vote
        Hard: each tree has one vote. Soft: it gives the shares of the classes in its leaf.

    Returns
    -------
    code
        Class with most votes, uint16, shape ``(pixel,)``; 0 where there is no clear date. Ties
        go to the lowest code; soft votes within rounding are resolved as in scikit-learn.
    confidence
        Percentage of the votes that it got, halves rounded up, uint8, shape ``(pixel,)``; 0
        where there is no clear date.

    Raises
    ------
    ValueError
        As :func:`votes`, or if there is not one validity for each pixel.
    """
    layers = np.zeros((3, _checked(forest, features)), np.uint16)
    require_length("validity", validity, features.shape[1])
    rows, seen = np.ascontiguousarray(features), np.ascontiguousarray(validity, np.uint16)
    _classify_features(rows, seen, compiled(forest, vote), layers)
    return layers[0], layers[1].astype(np.uint8)


def _checked(forest: Forest, features: npt.NDArray[np.int16]) -> int:
    """Return the number of pixels after a check of what the kernels rely on."""
    require_columns(features, forest.width)
    refuse_features(forest, features.shape[0])
    return int(features.shape[1])


def refuse_features(forest: Forest, n_features: int) -> None:
    """Raise ValueError if the forest is of other features than `n_features`."""
    if forest.width not in (None, n_features):
        raise ValueError(f"{n_features} features given, the forest expects {forest.width}")
    if int(forest.feature.max()) >= n_features:
        raise ValueError(f"the forest tests more than the {n_features} features given")


@kernel
def _sums(features, forest, sums):  # type: ignore[no-untyped-def]
    """Write what each class gets from all trees."""
    values, arena = aligned(2 * features.shape[0] * CHUNK).view(np.int16), new_arena(forest)
    everywhere = ~np.uint64(0)
    for start in range(0, features.shape[1], CHUNK):
        size = _load(features, start, values)
        walk_chunk(forest, 0, values, (everywhere, everywhere), arena)
        for number in range(len(sums)):
            for p in range(size):
                if forest.soft:
                    sums[number, start + p] = arena.shares[number * CHUNK + p]
                else:
                    sums[number, start + p] = arena.votes[number * CHUNK + p]


@kernel
def _classify_features(features, validity, forest, layers):  # type: ignore[no-untyped-def]
    values, arena = aligned(2 * features.shape[0] * CHUNK).view(np.int16), new_arena(forest)
    seen, numbers = np.zeros(CHUNK, np.uint16), np.zeros(CHUNK, np.int64)
    for start in range(0, features.shape[1], CHUNK):
        size = _load(features, start, values)
        seen[:size] = validity[start : start + size]
        seen[size:] = 0
        write_winners(
            forest, 0, values, masks_of(numbers, 0, seen), arena, layers[:, start : start + size]
        )


@kernel
def _load(features, start, values):  # type: ignore[no-untyped-def]
    """Copy a chunk of features into aligned rows; return the number of its pixels."""
    size = min(CHUNK, features.shape[1] - start)
    for row in range(features.shape[0]):
        source, target = features[row, start : start + size], values[row * CHUNK :]
        for p in range(size):
            target[p] = source[p]
    return size


@kernel
def masks_of(labels, label, validity):  # type: ignore[no-untyped-def]
    """Return two masks of the pixels of a label that have a clear date."""
    first, second = np.uint64(0), np.uint64(0)
    for p in range(MASK_BITS):
        wanted = np.uint64(labels[p] == label and validity[p] > 0)
        others = np.uint64(labels[p + MASK_BITS] == label and validity[p + MASK_BITS] > 0)
        first |= wanted << np.uint64(p)
        second |= others << np.uint64(p)
    return first, second


@kernel
def write_winners(forest, number, values, masks, arena, layers):  # type: ignore[no-untyped-def]
    """Write class and confidence of the pixels in `masks`."""
    walk_chunk(forest, number, values, masks, arena)
    codes = forest.classes[forest.class_start[number] : forest.class_start[number + 1]]
    n_trees = forest.tree_start[number + 1] - forest.tree_start[number]
    total = forest.unit[number] * n_trees
    for p in range(layers.shape[1]):
        if (masks[p // MASK_BITS] >> np.uint64(p % MASK_BITS)) & np.uint64(1):
            best, winner = np.int64(arena.best[p]), arena.winner[p]
            # Each tree's share is rounded by half a unit at most.
            if forest.soft and best - np.int64(arena.runner_up[p]) <= n_trees:
                winner = exact_winner(forest, number, values, p, arena)
            layers[0, p] = codes[winner]
            layers[1, p] = (200 * best + total) // (2 * total)
