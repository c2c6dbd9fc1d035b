"""A random forest as plain arrays: what the kernel walks and what the model file holds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

LEAF = -1
"""Value of :attr:`Forest.feature` at a leaf."""

_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees over int16 features, all nodes in one list.

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
    vote
        Index in `classes` of the class that a leaf votes for, uint16, shape ``(nodes,)``; 0 at
        inner nodes.
    roots
        First node of each tree, and the number of nodes at the end; int32, shape
        ``(trees + 1,)``.
    classes
        Codes of the classes, ascending, int32, shape ``(classes,)``.
    """

    feature: npt.NDArray[np.int16]
    threshold: npt.NDArray[np.int16]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    vote: npt.NDArray[np.uint16]
    roots: npt.NDArray[np.int32]
    classes: npt.NDArray[np.int32]

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.roots) - 1

    @property
    def n_nodes(self) -> int:
        """Number of nodes of all trees."""
        return len(self.feature)

    @classmethod
    def from_sklearn(cls, fitted: Any) -> Forest:
        """Return the trees of a fitted ``RandomForestClassifier``.

        Features are whole numbers, so ``x <= t`` is the same as ``x <= floor(t)`` and integer
        thresholds lose nothing. A leaf votes for its largest class, ties go to the lowest
        index: what ``tree.predict`` answers.

        Parameters
        ----------
        fitted
            Forest fitted on int16 values (given as float32) with whole numbers as labels.
        """
        trees = [estimator.tree_ for estimator in fitted.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in trees)])
        if roots[-1] > np.iinfo(np.int32).max or fitted.n_features_in_ > _INT16.max:
            raise ValueError("the forest has more nodes or features than its arrays can number")
        parts = [_arrays(tree, int(root)) for tree, root in zip(trees, roots, strict=False)]
        feature, threshold, left, right, vote = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        classes = np.asarray(fitted.classes_, np.int32)
        return cls(feature, threshold, left, right, vote, roots.astype(np.int32), classes)

    def faults(self, n_features: int) -> list[str]:
        """Return what would make walking the arrays unsafe or wrong, in words.

        The kernel does not check indices, so arrays from a file pass here first.

        Parameters
        ----------
        n_features
            Number of features that pixels will have.
        """
        found = self._faults_of_shape()
        return found or self._faults_of_nodes(n_features)

    def _faults_of_shape(self) -> list[str]:
        found = []
        for field in fields(self):
            array, dtype = getattr(self, field.name), _DTYPES[field.name]
            if array.dtype != dtype or array.ndim != 1:
                found.append(f"{field.name} is {array.dtype} with {array.ndim} dimensions")
            elif field.name not in ("roots", "classes") and len(array) != len(self.feature):
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
        if (self.vote[leaf] >= len(self.classes)).any():
            found.append(f"a leaf votes for none of the {len(self.classes)} classes")
        return found


_DTYPES: dict[str, np.dtype[Any]] = {
    "feature": np.dtype(np.int16),
    "threshold": np.dtype(np.int16),
    "left": np.dtype(np.int32),
    "right": np.dtype(np.int32),
    "vote": np.dtype(np.uint16),
    "roots": np.dtype(np.int32),
    "classes": np.dtype(np.int32),
}


def _arrays(tree: Any, root: int) -> tuple[npt.NDArray[Any], ...]:
    """Return feature, threshold, left, right and vote of one tree, nodes counted from `root`."""
    leaf = tree.children_left < 0
    itself = np.arange(tree.node_count)
    threshold = np.clip(np.floor(tree.threshold), _INT16.min, _INT16.max)
    return (
        np.where(leaf, LEAF, tree.feature).astype(np.int16),
        np.where(leaf, 0, threshold).astype(np.int16),
        (root + np.where(leaf, itself, tree.children_left)).astype(np.int32),
        (root + np.where(leaf, itself, tree.children_right)).astype(np.int32),
        np.where(leaf, tree.value[:, 0, :].argmax(axis=1), 0).astype(np.uint16),
    )
