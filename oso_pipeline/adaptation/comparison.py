"""One set of samples compared with the forest of another: shift, discrepancy, confidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation.domains import Features, Floats, Labelled, Trainer, shares_of
from oso_pipeline.adaptation.shift_estimate import ShiftPosterior, estimate_shift
from oso_pipeline.adaptation.signals import (
    LEAST_PER_CLASS,
    PredictedSamples,
    class_discrepancy,
    confidence_drop,
)
from oso_pipeline.learners.forest.bagging import BaggedForest

_MOST_SOURCE, _MOST_TARGET = 20_000, 5_000
"""Samples looked at: enough for statistics of a few tens of classes."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Statistics of a target against a source.

    Parameters
    ----------
    shift
        Delay of the target.
    discrepancy, confidence_drop
        See :func:`~oso_pipeline.adaptation.signals.class_discrepancy` and
        :func:`~oso_pipeline.adaptation.signals.confidence_drop`.
    target_shares
        Predictions for all target samples, float64, shape ``(sample, class)``.
    """

    shift: ShiftPosterior
    discrepancy: float
    confidence_drop: float
    target_shares: Floats


def compare(
    source: Labelled,
    taught: BaggedForest,
    target: Features,
    target_polygons: npt.NDArray[np.int64],
    trainer: Trainer,
    least_polygons: int = LEAST_PER_CLASS,
) -> Comparison:
    """Compare `target` with `source`, which trained the forest `taught`.

    `least_polygons` is that of :func:`~oso_pipeline.adaptation.signals.class_discrepancy`.
    """
    rng = trainer.rng("diagnosis")
    rows = some_rows(len(source), _MOST_SOURCE, rng)
    some = some_rows(len(target), _MOST_TARGET, rng)
    shift = estimate_shift(
        taught.forest, source.features[rows], source.codes[rows], target[some], trainer
    )
    unseen = taught.out_of_bag_shares(source.features, rows)
    rows, unseen = rows[~np.isnan(unseen[:, 0])], unseen[~np.isnan(unseen[:, 0])]
    shares = shares_of(taught.forest, target)
    labels = np.searchsorted(taught.forest.classes, source.codes[rows])
    discrepancy = drop = 0.0
    if len(rows):
        discrepancy = class_discrepancy(
            PredictedSamples(source.features[rows], unseen, source.polygons[rows]),
            PredictedSamples(target, shares, target_polygons),
            least_polygons,
        )
        drop = confidence_drop(unseen, labels, shares)
    return Comparison(shift, discrepancy, drop, shares)


def some_rows(n: int, most: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return at most `most` of the first `n` numbers, ascending."""
    if n <= most:
        return np.arange(n)
    return np.sort(rng.choice(n, most, replace=False))
