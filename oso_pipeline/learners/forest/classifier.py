"""The forest as a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from oso_pipeline.learners.forest.block_kernel import block_shares, classify_block
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.settings import Vote
from oso_pipeline.learners.forest.votes import classify, probabilities, votes
from oso_pipeline.learners.protocol import Arrays, BlockPixels, Layers, ShareClassifier, Shares
from oso_pipeline.timeseries.feature_layout import FeatureLayout


@dataclass(frozen=True, eq=False)
class ForestClassifier(ShareClassifier):
    """A forest and how its trees vote.

    Parameters
    ----------
    forest
        Trees whose :meth:`~oso_pipeline.learners.forest.forest.Forest.faults` are none.
    vote
        Hard: probabilities are the shares of the trees that voted for a class. Soft: the means
        of the shares in the leaves.
    """

    kind: ClassVar[str] = "forest"
    confidence: ClassVar[str] = "share of the votes of the trees for the class"

    forest: Forest
    vote: Vote = "hard"

    @property
    def classes(self) -> npt.NDArray[np.int32]:
        """Codes of the classes, ascending."""
        return self.forest.classes

    @property
    def facts(self) -> Mapping[str, int]:
        """Number of trees and of their nodes."""
        return {"trees": self.forest.n_trees, "nodes": self.forest.n_nodes}

    def arrays(self) -> Arrays:
        """Return the arrays of the forest."""
        return {item.name: getattr(self.forest, item.name) for item in fields(Forest)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, layout: FeatureLayout) -> Self:
        """Return the forest that has these arrays, which votes hard.

        Raises
        ------
        ValueError
            If an array is missing, or walking the forest would be unsafe or wrong.
        """
        missing = [item.name for item in fields(Forest) if item.name not in arrays]
        if missing:
            raise ValueError(f"the forest lacks {', '.join(missing)}")
        found = {item.name: arrays[item.name] for item in fields(Forest)}
        forest = Forest(**found, n_features=layout.size)
        if faults := forest.faults(layout.size):
            raise ValueError("; ".join(faults))
        return cls(forest)

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """Return the forest with the way of voting that `settings` name."""
        return replace(self, vote=settings["vote"])

    def probabilities(self, features: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
        """Return what each class gets of the votes, float64, shape ``(class, pixel)``."""
        if self.vote == "soft":
            return probabilities(self.forest, features)
        return votes(self.forest, features) / self.forest.n_trees

    def classify(
        self, features: npt.NDArray[np.int16], validity: npt.NDArray[np.uint16]
    ) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
        """Return class and confidence, see :func:`~oso_pipeline.learners.forest.votes.classify`."""
        return classify(self.forest, features, validity, self.vote)

    @classmethod
    def classify_block(cls, block: BlockPixels, runs: Sequence[Mapping[int, Self]]) -> Layers:
        """Classify pixels in one compiled pass; features never leave the cache.

        Raises
        ------
        ValueError
            If shapes do not fit, a pixel lies outside the block, or trees vote in two ways.
        """
        found = {one.vote for run in runs for one in run.values()}
        if len(found) > 1:
            raise ValueError("the forests of a block must vote in one way")
        forests = [{label: one.forest for label, one in run.items()} for run in runs]
        return classify_block(block, forests, found.pop() if found else "hard")

    def block_shares(self, block: BlockPixels) -> tuple[Layers, Shares]:
        """Classify pixels and return the votes of all classes, from the same walk."""
        return block_shares(block, self.forest, self.vote)
