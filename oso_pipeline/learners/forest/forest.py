"""A random forest as plain arrays, as the trainers make it and the model file stores it."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

LEAF = -1
"""Value of :attr:`Forest.feature` at a leaf."""

_INT16, _UINT16 = np.iinfo(np.int16), np.iinfo(np.uint16)


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees over int16 features, all nodes in one list.

    Leaves keep the training samples they saw by class, so that every way of voting follows
    from them: the n-th leaf, in the order of the nodes, has the entries from
    ``leaf_start[n]`` to ``leaf_start[n + 1]`` of `leaf_class` and `leaf_count`.

    Parameters
    ----------
    feature
        Feature tested at each node, `LEAF` at leaves; int16, shape ``(nodes,)``.
    threshold
        A pixel goes left where its value is at most this; int16, shape ``(nodes,)``, 0 at
        leaves.
    left, right
        Children of each node, int32, shape ``(nodes,)``. They follow their parent; the
        children of a leaf are the leaf itself, so a walk may take steps too many.
    roots
        First node of each tree, and the number of nodes at the end; int32, shape
        ``(trees + 1,)``.
    leaf_start
        First entry of each leaf, and the number of entries at the end; int32, shape
        ``(leaves + 1,)``.
    leaf_class
        Index in `classes`, ascending within a leaf; uint16, shape ``(entries,)``.
    leaf_count
        Training samples of that class in the leaf, at least 1, as often as they were drawn;
        int32, shape ``(entries,)``.
    classes
        Codes of the classes, ascending, int32, shape ``(classes,)``.
    n_features
        How many features pixels have, kept as `width`; None where that is not known.
    """

    feature: npt.NDArray[np.int16]
    threshold: npt.NDArray[np.int16]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    roots: npt.NDArray[np.int32]
    leaf_start: npt.NDArray[np.int32]
    leaf_class: npt.NDArray[np.uint16]
    leaf_count: npt.NDArray[np.int32]
    classes: npt.NDArray[np.int32]
    n_features: InitVar[int | None] = None
    """Not an array of the model file, which has it in the feature layout."""

    if TYPE_CHECKING:
        width: ClassVar[int | None]

    def __post_init__(self, n_features: int | None) -> None:
        object.__setattr__(self, "width", n_features)

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.roots) - 1

    @property
    def n_nodes(self) -> int:
        """Number of nodes of all trees."""
        return len(self.feature)

    @cached_property
    def leaf_votes(self) -> npt.NDArray[np.uint16]:
        """Index of the largest class of each leaf, ties to the lowest; shape ``(leaves,)``."""
        first, per_leaf = self.leaf_start[:-1], np.diff(self.leaf_start)
        largest = np.repeat(np.maximum.reduceat(self.leaf_count, first), per_leaf)
        candidates = np.where(self.leaf_count == largest, self.leaf_class, _UINT16.max)
        return np.minimum.reduceat(candidates, first).astype(np.uint16)

    @cached_property
    def leaf_shares(self) -> npt.NDArray[np.float64]:
        """Share of each entry in its leaf; shape ``(entries,)``.

        The same division as in scikit-learn's trees, so the same bits.
        """
        totals = np.add.reduceat(self.leaf_count.astype(np.int64), self.leaf_start[:-1])
        return self.leaf_count / np.repeat(totals, np.diff(self.leaf_start))

    @classmethod
    def from_sklearn(cls, fitted: Any) -> Forest:
        """Return the trees of a fitted ``RandomForestClassifier``.

        Features are whole numbers, so ``x <= t`` is the same as ``x <= floor(t)`` and integer
        thresholds lose nothing.

        Parameters
        ----------
        fitted
            Forest fitted on int16 values (given as float32) with whole numbers as labels,
            without weights of samples or classes.

        Raises
        ------
        ValueError
            If the arrays cannot number its nodes or features, or it was fitted with weights.
        """
        trees = [estimator.tree_ for estimator in fitted.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in trees)])
        if roots[-1] > np.iinfo(np.int32).max or fitted.n_features_in_ > _INT16.max:
            raise ValueError("the forest has more nodes or features than its arrays can number")
        parts = [_nodes(tree, int(root)) for tree, root in zip(trees, roots, strict=False)]
        feature, threshold, left, right = (np.concatenate(c) for c in zip(*parts, strict=True))
        leaves = [_leaves(tree) for tree in trees]
        entries, leaf_class, leaf_count = (np.concatenate(c) for c in zip(*leaves, strict=True))
        leaf_start = np.concatenate([[0], np.cumsum(entries)]).astype(np.int32)
        classes = np.asarray(fitted.classes_, np.int32)
        roots = roots.astype(np.int32)
        arrays = feature, threshold, left, right, roots, leaf_start, leaf_class, leaf_count
        return cls(*arrays, classes, int(fitted.n_features_in_))

    def faults(self, n_features: int) -> list[str]:
        """Return what would make walking the arrays unsafe or wrong, as text.

        The kernel does not check indices, so arrays from a file pass here first.

        Parameters
        ----------
        n_features
            Number of features that pixels will have.
        """
        found = self._faults_of_shape()
        return found or [*self._faults_of_nodes(n_features), *self._faults_of_leaves()]

    def _faults_of_shape(self) -> list[str]:
        found = []
        for field in fields(self):
            array, dtype = getattr(self, field.name), _DTYPES[field.name]
            if array.dtype != dtype or array.ndim != 1:
                found.append(f"{field.name} is {array.dtype} with {array.ndim} dimensions")
            elif field.name in _PER_NODE and len(array) != len(self.feature):
                found.append(f"{field.name} has {len(array)} nodes instead of {len(self.feature)}")
        if found:
            return found
        if self.n_trees < 1 or self.roots[0] != 0 or self.roots[-1] != self.n_nodes:
            return ["roots do not begin at 0 and end at the number of nodes"]
        if (np.diff(self.roots) < 1).any():
            return ["roots do not ascend"]
        if len(self.classes) < 1 or (np.diff(self.classes) < 1).any():
            return ["classes do not ascend"]
        return []

    def _faults_of_nodes(self, n_features: int) -> list[str]:
        found = []
        node = np.arange(self.n_nodes, dtype=np.int32)
        end = np.repeat(self.roots[1:], np.diff(self.roots))
        leaf = self.feature == LEAF
        if ((self.feature < LEAF) | (self.feature >= n_features)).any():
            found.append(f"a feature index lies outside the {n_features} features")
        for name, child in (("left", self.left), ("right", self.right)):
            # Children after their parent and within their tree: every walk ends in a leaf.
            if not np.where(leaf, child == node, (child > node) & (child < end)).all():
                found.append(f"an index in {name} leads out of its tree or in a circle")
        return found

    def _faults_of_leaves(self) -> list[str]:
        n_leaves, start = np.count_nonzero(self.feature == LEAF), self.leaf_start
        if len(start) != n_leaves + 1:
            return [f"leaf_start has {len(start) - 1} leaves instead of {n_leaves}"]
        n_entries = len(self.leaf_class)
        if len(self.leaf_count) != n_entries or start[0] != 0 or start[-1] != n_entries:
            return ["leaf_start does not begin at 0 and end at the number of entries"]
        if (np.diff(start) < 1).any():
            return ["leaf_start does not ascend: a leaf has no class"]
        found = []
        if (self.leaf_class >= len(self.classes)).any():
            found.append(f"a leaf votes for none of the {len(self.classes)} classes")
        ascends = np.diff(self.leaf_class.astype(np.int32)) > 0
        ascends[start[1:-1] - 1] = True  # from the last entry of a leaf to the first of the next
        if not ascends.all():
            found.append("the classes of a leaf do not ascend")
        if (self.leaf_count < 1).any():
            found.append("a class of a leaf has no sample")
        return found


_DTYPES: dict[str, np.dtype[Any]] = {
    "feature": np.dtype(np.int16),
    "threshold": np.dtype(np.int16),
    "left": np.dtype(np.int32),
    "right": np.dtype(np.int32),
    "roots": np.dtype(np.int32),
    "leaf_start": np.dtype(np.int32),
    "leaf_class": np.dtype(np.uint16),
    "leaf_count": np.dtype(np.int32),
    "classes": np.dtype(np.int32),
}


_PER_NODE = ("feature", "threshold", "left", "right")


def _nodes(tree: Any, root: int) -> tuple[npt.NDArray[Any], ...]:
    """Return feature, threshold, left and right of one tree, nodes counted from `root`."""
    leaf = tree.children_left < 0
    itself = np.arange(tree.node_count)
    threshold = np.clip(np.floor(tree.threshold), _INT16.min, _INT16.max)
    return (
        np.where(leaf, LEAF, tree.feature).astype(np.int16),
        np.where(leaf, 0, threshold).astype(np.int16),
        (root + np.where(leaf, itself, tree.children_left)).astype(np.int32),
        (root + np.where(leaf, itself, tree.children_right)).astype(np.int32),
    )


def _leaves(tree: Any) -> tuple[npt.NDArray[Any], ...]:
    """Return the number of entries of each leaf of one tree, and class and count of each entry.

    Trees hold the shares of the classes since scikit-learn 1.3, their weights before; both
    give the counts once they are brought to the weight of the node.
    """
    leaf = tree.children_left < 0
    values = tree.value[leaf, 0, :]
    weights = tree.weighted_n_node_samples[leaf, np.newaxis]
    exact = values / values.sum(axis=1, keepdims=True) * weights
    counts = np.rint(exact).astype(np.int32)
    if not np.allclose(counts, exact, rtol=1e-9, atol=1e-6):
        raise ValueError("the forest was fitted with weights; its leaves hold no whole counts")
    rows, classes = np.nonzero(counts)
    return np.bincount(rows), classes.astype(np.uint16), counts[rows, classes]
