"""Samples of the target year that look alike, and what they are together taken for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from oso_pipeline.adaptation.domains import Features, Floats

_AXES = 12
_SAMPLES_PER_NEIGHBOUR = 60
"""Small targets have few samples of rare classes, whose neighbours are those of others."""


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """The nearest samples of each sample of the target, itself among them.

    A season moves all fields of a crop alike, so that series of one crop stay close to each other
    though they leave the place where past years had them: neighbours of the target year share
    their class more often than a forest of past years predicts it (cluster assumption; Zhou et al.
    2003, Learning with local and global consistency, Advances in Neural Information Processing
    Systems 16).

    Parameters
    ----------
    nearest
        Rows of the nearest samples, shape ``(sample, neighbour)``.
    """

    nearest: npt.NDArray[np.intp]

    @classmethod
    def of(cls, target: Features, most: int) -> Neighbourhoods:
        """Find at most `most` neighbours, one per 60 samples, by Euclidean distance.

        Distances are those on the 12 leading principal axes of the standardised features.
        """
        count = max(1, min(most, len(target) // _SAMPLES_PER_NEIGHBOUR))
        if count == 1:
            return cls(np.arange(len(target))[:, np.newaxis])
        places = principal_places(target)
        search = NearestNeighbors(n_neighbors=count).fit(places)
        return cls(search.kneighbors(places, return_distance=False))

    def mean(self, shares: Floats) -> Floats:
        """Return the mean of `shares` over each neighbourhood, shape ``(sample, class)``."""
        total = np.zeros_like(shares)
        for column in self.nearest.T:  # one neighbour at a time: all at once need much memory
            total += shares[column]
        return total / self.nearest.shape[1]


def principal_places(features: Features) -> Floats:
    """Return the samples on the leading principal axes, shape ``(sample, axis)``."""
    values = features.astype(np.float64)
    values -= values.mean(axis=0)
    deviation = values.std(axis=0)
    values *= np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    _, vectors = np.linalg.eigh(values.T @ values)
    return np.asarray(values @ vectors[:, ::-1][:, :_AXES])
