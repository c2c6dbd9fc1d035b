"""Which training pixels a tree sees, and what trees say of those that they have not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel
from oso_pipeline.learners.forest.forest import LEAF, Forest
from oso_pipeline.learners.matrices import require_rows


@dataclass(frozen=True, eq=False)
class Bagging:
    """How the pixels of each tree are drawn, with replacement.

    Parameters
    ----------
    weights
        Weights of the pixels, finite and not negative, float64, shape ``(pixel,)``: a pixel is
        drawn with a probability in proportion, as in scikit-learn since 1.9. None: all alike.
    draws
        How many are drawn for a tree; None: as many as there are pixels.
    """

    weights: npt.NDArray[np.float64] | None = None
    draws: int | None = None

    def draws_of(self, n_pixels: int) -> int:
        """Return the number of draws for a tree.

        Raises
        ------
        ValueError
            If weights do not fit the pixels, or nothing can be drawn.
        """
        w = self.weights
        if w is not None and (
            w.shape != (n_pixels,) or not np.isfinite(w).all() or (w < 0).any() or not w.any()
        ):
            raise ValueError(
                f"weights must be {n_pixels} finite numbers of at least 0, one of them above 0"
            )
        draws = n_pixels if self.draws is None else self.draws
        if draws < 1:
            raise ValueError(f"a tree needs at least one draw, got {draws}")
        return draws


PLAIN = Bagging()
"""The bootstrap of a plain random forest."""


@dataclass(frozen=True, eq=False)
class BaggedForest:
    """A forest, and which pixels each of its trees has seen.

    Parameters
    ----------
    forest
        The trees.
    seen
        Returns, for the number of a tree, which training pixels it has seen, bool, shape
        ``(pixel,)``.
    """

    forest: Forest
    seen: Callable[[int], npt.NDArray[np.bool_]]

    def out_of_bag_shares(
        self, features: npt.NDArray[np.int16], rows: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.float64]:
        """Return the mean shares of the classes over the trees that have not seen a pixel.

        Parameters
        ----------
        features
            The training pixels, int16, shape ``(pixel, feature)``.
        rows
            Which of them.

        Returns
        -------
        shares
            float64, shape ``(len(rows), class)``; NaN where all trees have seen the pixel. The
            ``oob_decision_function_`` of scikit-learn.

        Raises
        ------
        ValueError
            If the type or shape does not fit.
        """
        forest = self.forest
        require_rows(features, forest.width)
        sums = np.zeros((len(rows), len(forest.classes)))
        trees = np.zeros(len(rows), np.int64)
        values = np.ascontiguousarray(features[rows])
        leaf_of_node = np.cumsum(forest.feature == LEAF) - 1
        for number in range(forest.n_trees):
            unseen = np.flatnonzero(~self.seen(number)[rows])
            nodes = _leaf_nodes(
                values,
                unseen,
                forest.roots[number],
                (forest.feature, forest.threshold, forest.left, forest.right),
            )
            _add_shares(
                sums,
                unseen,
                leaf_of_node[nodes],
                (forest.leaf_start, forest.leaf_class, forest.leaf_shares),
            )
            trees[unseen] += 1
        known = trees[:, np.newaxis] > 0
        return np.divide(sums, trees[:, np.newaxis], out=np.full_like(sums, np.nan), where=known)


@kernel
def _leaf_nodes(values, rows, root, nodes):  # type: ignore[no-untyped-def]
    feature, threshold, left, right = nodes
    found = np.empty(len(rows), np.int64)
    for place in range(len(rows)):
        node = np.int64(root)
        while feature[node] != LEAF:
            goes_left = values[rows[place], feature[node]] <= threshold[node]
            node = np.int64(left[node] if goes_left else right[node])
        found[place] = node
    return found


@kernel
def _add_shares(sums, rows, leaf, leaves):  # type: ignore[no-untyped-def]
    start, classes, shares = leaves
    for place in range(len(rows)):
        for entry in range(start[leaf[place]], start[leaf[place] + 1]):
            sums[rows[place], classes[entry]] += shares[entry]
