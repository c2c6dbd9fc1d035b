"""First statistics of both domains, before any method starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation.domains import (
    Domains,
    Floats,
    Trainer,
    shares_of,
)
from oso_pipeline.adaptation.gate import (
    GateStatistics,
    PredictedSamples,
    class_discrepancy,
    confidence_drop,
)
from oso_pipeline.adaptation.shift_estimate import ShiftPosterior, estimate_shift
from oso_pipeline.learners.forest.bagging import BaggedForest

_MOST_SOURCE, _MOST_TARGET = 20_000, 5_000
"""Samples looked at: enough for statistics of a few tens of classes."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The baseline and what it shows.

    Parameters
    ----------
    baseline
        The plain forest of the past years.
    shift
        Delay of the target.
    statistics
        Statistics for the gate.
    target_shares
        Predictions of the baseline for all target samples, shape ``(sample, class)``.
    """

    baseline: BaggedForest
    shift: ShiftPosterior
    statistics: GateStatistics
    target_shares: Floats


def diagnose(domains: Domains, baseline: BaggedForest, trainer: Trainer) -> Diagnosis:
    """Compare the target with the baseline."""
    source, target = domains.source, domains.target
    rng = trainer.rng("diagnosis")
    rows = some_rows(len(source), _MOST_SOURCE, rng)
    some = some_rows(len(target), _MOST_TARGET, rng)
    shift = estimate_shift(
        baseline.forest, source.features[rows], source.codes[rows], target[some], trainer
    )
    unseen = baseline.out_of_bag_shares(source.features, rows)
    rows, unseen = rows[~np.isnan(unseen[:, 0])], unseen[~np.isnan(unseen[:, 0])]
    shares = shares_of(baseline.forest, target)
    labels = np.searchsorted(baseline.forest.classes, source.codes[rows])
    discrepancy = drop = 0.0
    if len(rows):
        discrepancy = class_discrepancy(
            PredictedSamples(source.features[rows], unseen, source.polygons[rows]),
            PredictedSamples(target, shares, domains.target_polygons),
        )
        drop = confidence_drop(unseen, labels, shares)
    polygons = len(np.unique(source.polygons))
    statistics = GateStatistics(shift.mean, discrepancy, drop, polygons)
    return Diagnosis(baseline, shift, statistics, shares)


def some_rows(n: int, most: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return at most `most` of the first `n` numbers, ascending."""
    if n <= most:
        return np.arange(n)
    return np.sort(rng.choice(n, most, replace=False))
