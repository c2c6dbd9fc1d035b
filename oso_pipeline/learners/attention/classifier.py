"""Attention over dates as a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from oso_pipeline.learners.attention.faults import faults
from oso_pipeline.learners.attention.kernel import classify_pixels, shares_of_features
from oso_pipeline.learners.attention.packed import Packed, packed
from oso_pipeline.learners.attention.places import Places
from oso_pipeline.learners.matrices import require_columns
from oso_pipeline.learners.protocol import Arrays, BlockPixels, Layers, ShareClassifier, Shares
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import source_and_recipe


@dataclass(frozen=True, eq=False)
class AttentionClassifier(ShareClassifier):
    """Networks whose probabilities are averaged.

    Parameters
    ----------
    parts
        Arrays whose :func:`~oso_pipeline.learners.attention.faults.faults` are none.
    layout
        Meaning of the features.
    """

    kind: ClassVar[str] = "attention"

    parts: Arrays
    layout: FeatureLayout

    @property
    def classes(self) -> npt.NDArray[np.int32]:
        """Codes of the classes, ascending."""
        codes: npt.NDArray[np.int32] = self.parts["codes"]
        return codes

    @property
    def facts(self) -> Mapping[str, int]:
        """Number of networks, and of the numbers that each consists of."""
        members = len(self.parts["weights0"])
        own = (array.size for name, array in self.parts.items() if array.ndim > 1)
        return {"members": members, "numbers": sum(own) // members}

    def arrays(self) -> Arrays:
        """Return the arrays of all members, along axis 0, and what they share."""
        return dict(self.parts)

    @classmethod
    def from_arrays(cls, arrays: Arrays, layout: FeatureLayout) -> Self:
        """Return the classifier that has these arrays.

        Raises
        ------
        ValueError
            If an array is missing, of another type or shape, or not finite; all that is wrong.
        """
        if found := faults(arrays, layout):
            raise ValueError("; ".join(found))
        return cls(dict(arrays), layout)

    def probabilities(self, features: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
        """Return the mean probabilities of the networks, float64, shape ``(class, pixel)``."""
        require_columns(features, self.layout.size)
        shares = np.empty((len(self.classes), features.shape[1]), np.float32)
        shares_of_features(self._packed, np.ascontiguousarray(features), shares)
        return shares.astype(np.float64)

    @classmethod
    def classify_block(cls, block: BlockPixels, runs: Sequence[Mapping[int, Self]]) -> Layers:
        """Classify pixels from their images in compiled code, each network in one pass.

        Raises
        ------
        ValueError
            If shapes do not fit, a pixel lies outside the block, or a network is of other features.
        """
        layers = np.zeros((len(runs), 3, len(block.pixels)), np.uint16)
        for part, run in zip(layers, runs, strict=True):
            for label, one in run.items():
                rows = np.flatnonzero(block.labels == label)
                part[:, rows] = one._classified(block.take(rows), 0)[0]
        return layers

    def block_shares(self, block: BlockPixels) -> tuple[Layers, Shares]:
        """Classify pixels and return the probabilities of all classes, from the same pass."""
        layers, shares = self._classified(block, len(self.classes))
        return layers, shares.astype(np.float64)

    def _classified(
        self, block: BlockPixels, n_rows: int
    ) -> tuple[Layers, npt.NDArray[np.float32]]:
        """Return layers, and so many rows of the probabilities: none or all."""
        if self.layout != block.layout:
            raise ValueError("the network is of other features than the block")
        layers = np.zeros((3, len(block.pixels)), np.uint16)
        shares = np.zeros((n_rows, len(block.pixels)), np.float32)
        if len(block.pixels):
            source, plan = source_and_recipe(block.series, block.layout, block.pixels)
            classify_pixels(source, plan, self._packed, layers, shares)
        return layers, shares

    @cached_property
    def _packed(self) -> Packed:
        return packed(self.parts, Places.of(self.layout))
