"""The forest walked by compiled code: votes of the trees, class and confidence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from oso_pipeline.learning.forest import LEAF, Forest

NODATA_CLASS = 0
"""Class of a pixel that nothing is known about."""

_BLOCK = 128
_FLIGHT = 8


def votes(forest: Forest, features: npt.NDArray[np.int16]) -> npt.NDArray[np.uint16]:
    """Count the trees that vote for each class.

    Each tree has one vote, for the largest class of the leaf that the pixel falls into: the
    sum of what ``tree.predict`` of every scikit-learn tree answers. That is not the mean
    probability behind the forest's own ``predict``.

    Parameters
    ----------
    forest
        Trees whose :meth:`~oso_pipeline.learning.forest.Forest.faults` are none.
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
    if features.dtype != np.int16 or features.ndim != 2:
        raise ValueError("features must be int16 of shape (feature, pixel)")
    if int(forest.feature.max()) >= features.shape[0]:
        raise ValueError(f"the forest tests more than the {features.shape[0]} features given")
    counts = np.zeros((len(forest.classes), features.shape[1]), np.uint16)
    vote = np.zeros(forest.n_nodes, np.uint16)
    vote[forest.feature == LEAF] = forest.leaf_votes
    _walk(
        np.ascontiguousarray(features),
        (forest.feature, forest.threshold, forest.left, forest.right, vote, forest.roots),
        counts,
    )
    return counts


def classify(
    forest: Forest, features: npt.NDArray[np.int16], validity: npt.NDArray[np.uint16]
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Return class and confidence of pixels.

    Parameters
    ----------
    forest, features
        As in :func:`votes`.
    validity
        Number of clear dates, shape ``(pixel,)``.

    Returns
    -------
    code
        Class with most votes, ties to the lowest code, uint16, shape ``(pixel,)``; 0 where
        there is no clear date.
    confidence
        Percentage of the trees that voted for it, halves rounded up, uint8, shape
        ``(pixel,)``; 0 where there is no clear date.
    """
    counts = votes(forest, features)
    winner = counts.argmax(axis=0)
    most = counts.max(axis=0).astype(np.int64)
    share = (200 * most + forest.n_trees) // (2 * forest.n_trees)
    seen = validity > 0
    code = np.where(seen, forest.classes[winner], NODATA_CLASS).astype(np.uint16)
    return code, np.where(seen, share, 0).astype(np.uint8)


@njit(cache=True, nogil=True)
def _walk(features, trees, counts):  # type: ignore[no-untyped-def]
    """Add the votes of all trees to `counts`, block of pixels by block of pixels.

    Trees are the outer loop, so that the top of a tree and the values of a block stay in
    cache; several pixels walk a tree in turn, so that their waits for memory overlap.
    """
    feature, threshold, left, right, vote, roots = trees
    n_features, n_pixels = features.shape
    values = np.empty((n_features, _BLOCK), np.int16)
    node = np.empty(_FLIGHT, np.int32)
    for start in range(0, n_pixels, _BLOCK):
        size = min(_BLOCK, n_pixels - start)
        for row in range(n_features):
            for pixel in range(size):
                values[row, pixel] = features[row, start + pixel]
        for tree in range(len(roots) - 1):
            for first in range(0, size, _FLIGHT):
                flying = min(_FLIGHT, size - first)
                for lane in range(flying):
                    node[lane] = roots[tree]
                walking = True
                while walking:
                    walking = False
                    for lane in range(flying):
                        here = node[lane]
                        test = feature[here]
                        if test != LEAF:
                            walking = True
                            if values[test, first + lane] <= threshold[here]:
                                node[lane] = left[here]
                            else:
                                node[lane] = right[here]
                for lane in range(flying):
                    counts[vote[node[lane]], start + first + lane] += np.uint16(1)
