"""Probabilities of training pixels by models that were not trained on their polygons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.protocol import Classifier, TrainingData
from oso_pipeline.learning.label_check import assign_folds

Floats = npt.NDArray[np.float64]
Fit = Callable[[TrainingData, int], Classifier]
"""Trains a classifier, given its data and a seed."""

_CHUNK = 20_000
"""Pixels predicted at once."""


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Probabilities of pixels whose class is known, by models that did not see their polygons.

    Parameters
    ----------
    shares
        Probabilities of the classes, float64, shape ``(pixel, class)``.
    classes
        Codes of the columns, ascending, int32, shape ``(class,)``.
    codes
        Class of each pixel, one of `classes`, int32, shape ``(pixel,)``.
    polygon_id
        Its polygon, int64, shape ``(pixel,)``.
    """

    shares: Floats
    classes: npt.NDArray[np.int32]
    codes: npt.NDArray[np.int32]
    polygon_id: npt.NDArray[np.int64]

    @cached_property
    def column(self) -> npt.NDArray[np.intp]:
        """Column of the class of each pixel, shape ``(pixel,)``."""
        return np.searchsorted(self.classes, self.codes)

    @cached_property
    def place(self) -> npt.NDArray[np.intp]:
        """Number of the polygon of each pixel, from 0, shape ``(pixel,)``."""
        return np.unique(self.polygon_id, return_inverse=True)[1]

    @cached_property
    def polygons(self) -> int:
        """Number of polygons."""
        return int(self.place.max(initial=-1)) + 1

    @cached_property
    def weights(self) -> Floats:
        """Weights of the pixels, 1 in sum for each polygon, float64, shape ``(pixel,)``."""
        found: Floats = 1.0 / np.bincount(self.place)[self.place]
        return found


def cross_fit(
    data: TrainingData, polygon_id: npt.NDArray[np.int64], folds: int, seed: int, fit: Fit
) -> OutOfFold:
    """Predict every training pixel by a model of the other folds.

    Folds are whole polygons, assigned class by class as in the label check. A fold is left out,
    and its pixels with it, where the others show fewer than two classes.

    Parameters
    ----------
    data
        What trains the model itself, without weights.
    polygon_id
        Polygon of each pixel, int64, shape ``(pixel,)``.
    folds
        At least 2.
    seed
        Seed of the folds and of their models.
    fit
        Trains in the same way as the model itself.
    """
    classes = np.unique(data.codes)
    fold = assign_folds(polygon_id, data.codes, folds, seed)
    shares = np.zeros((len(data.codes), len(classes)))
    known = np.zeros(len(data.codes), bool)
    for number in range(folds):
        others, own = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if not len(own) or len(np.unique(data.codes[others])) < 2:
            continue
        part = TrainingData(
            data.features[others], data.codes[others], data.layout, groups=polygon_id[others]
        )
        found = fit(part, derived_seed(seed, "confidence fold", number))
        columns = np.searchsorted(classes, found.classes)
        for start in range(0, len(own), _CHUNK):
            rows = own[start : start + _CHUNK]
            given = np.ascontiguousarray(data.features[rows].T)
            shares[np.ix_(rows, columns)] = found.probabilities(given).T
        known[own] = True
    return OutOfFold(shares[known], classes, data.codes[known], polygon_id[known])
