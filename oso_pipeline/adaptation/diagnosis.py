"""First statistics of both domains, before any method starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oso_pipeline.adaptation.comparison import compare
from oso_pipeline.adaptation.domains import Domains, Floats, Trainer
from oso_pipeline.adaptation.gate import GateStatistics
from oso_pipeline.adaptation.placebo import placebo
from oso_pipeline.adaptation.shift_estimate import ShiftPosterior
from oso_pipeline.learners.forest.bagging import BaggedForest


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


def diagnose(
    domains: Domains, baseline: BaggedForest, trainer: Trainer, *, is_tested: bool = True
) -> Diagnosis:
    """Compare the target with the baseline and, where `is_tested`, the past with itself."""
    found = compare(domains.source, baseline, domains.target, domains.target_polygons, trainer)
    statistics = GateStatistics(
        found.shift.mean,
        found.discrepancy,
        found.confidence_drop,
        len(np.unique(domains.source.polygons)),
        placebo(domains, found.shift.mean, trainer) if is_tested else None,
        len(domains.anchors) > 0,
    )
    return Diagnosis(baseline, found.shift, statistics, found.target_shares)
