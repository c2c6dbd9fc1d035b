"""Whether two years differ so much that adaptation is worth its risk, without labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation.domains import Features, Floats
from oso_pipeline.adaptation.options import AdaptationOptions

Gate = Literal["auto", "always", "never"]

_LEAST_PER_CLASS = 15
_EM_STEPS, _PULL = 100, 0.05


@dataclass(frozen=True)
class GateStatistics:
    """Statistics for the decision of the gate.

    Parameters
    ----------
    shift_days
        Mean delay of the target.
    discrepancy
        See :func:`class_discrepancy`.
    confidence_drop
        See :func:`confidence_drop`.
    source_polygons
        Polygons of past years that the samples come from.
    """

    shift_days: float
    discrepancy: float
    confidence_drop: float
    source_polygons: int

    def decision(self, options: AdaptationOptions) -> tuple[bool, str]:
        """Return whether the gate opens, and why."""
        if self.source_polygons < options.min_source_polygons:
            return False, (
                f"past years have {self.source_polygons} polygons, fewer than "
                f"{options.min_source_polygons}: they describe these fields, not the season"
            )
        if self.shows_a_shift(options):
            return True, "the target differs from the past years"
        return False, "the target does not differ from the past years enough to gain from it"

    def shows_a_shift(self, options: AdaptationOptions) -> bool:
        """Return whether the statistics reach the thresholds of `options`."""
        return (
            abs(self.shift_days) >= options.gate_min_shift_days
            or self.discrepancy >= options.gate_large_discrepancy
            or (
                self.discrepancy >= options.gate_min_discrepancy
                and self.confidence_drop >= options.gate_min_accuracy_drop
            )
        )


@dataclass(frozen=True, eq=False)
class PredictedSamples:
    """Samples with predictions of a forest that was not trained on them.

    Parameters
    ----------
    features
        Shape ``(sample, feature)``.
    shares
        Predictions, shape ``(sample, class)``.
    polygons
        Polygon of each; negative for a sample by itself.
    """

    features: Features
    shares: Floats
    polygons: npt.NDArray[np.int64]

    def of_class(self, number: int) -> tuple[Floats, int]:
        """Return the samples predicted as a class, and how many are independent of each other."""
        members = self.shares.argmax(axis=1) == number
        polygons = self.polygons[members]
        alone = polygons < 0
        count = int(alone.sum()) + len(np.unique(polygons[~alone]))
        return self.features[members].astype(np.float64), count


def class_discrepancy(source: PredictedSamples, target: PredictedSamples) -> float:
    """Return how far the means of the predicted classes lie apart, in variances.

    For each class that at least 15 polygons of both sides are predicted as: the mean over the
    features of the squared difference of the means over the pooled variance, less what chance
    gives, ``1/n_target + 1/n_source``. Pixels of one polygon are alike, so ``n`` counts polygons.
    Shares of classes have no part in it.

    Returns
    -------
    discrepancy
        Mean over these classes; 0 where there is none.
    """
    found = []
    for number in range(source.shares.shape[1]):
        (a, n_source), (b, n_target) = source.of_class(number), target.of_class(number)
        if min(n_source, n_target) < _LEAST_PER_CLASS:
            continue
        pooled = (len(a) * a.var(axis=0) + len(b) * b.var(axis=0)) / (len(a) + len(b))
        varying = pooled > 0
        apart = (a.mean(axis=0) - b.mean(axis=0)) ** 2
        if varying.any():
            noise = 1 / n_source + 1 / n_target
            found.append((apart[varying] / pooled[varying]).mean() - noise)
    return float(np.mean(found)) if found else 0.0


def confidence_drop(
    source_shares: Floats, source_class: npt.NDArray[np.integer], target_shares: Floats
) -> float:
    """Return the accuracy expected from the shares of the classes, less that of the confidences.

    The first is the accuracy per class on unseen source samples, weighted with the shares of
    the classes that expectation maximisation finds in the target (Saerens, Latinne and
    Decaestecker 2002, doi:10.1162/089976602753284446). The second is the share of the target
    whose confidence exceeds the threshold that as many source samples exceed as are right
    (average thresholded confidence: Garg et al. 2022, arXiv:2201.04234). Neither is an estimate
    of accuracy that is worth reporting; their difference shows that something changed.

    Parameters
    ----------
    source_shares, target_shares
        Predictions by a forest that has not seen the samples, shape ``(sample, class)``.
    source_class
        Column of the true class of each source sample.
    """
    right = source_shares.argmax(axis=1) == source_class
    n_classes = source_shares.shape[1]
    counts = np.bincount(source_class, minlength=n_classes)
    hits = np.bincount(source_class, right, minlength=n_classes)
    recall = np.divide(hits, counts, out=np.zeros(n_classes), where=counts > 0)
    priors = target_priors(target_shares, counts / counts.sum())
    confidence = source_shares.max(axis=1)
    threshold = np.quantile(confidence, 1 - right.mean())
    return float(recall @ priors - (target_shares.max(axis=1) > threshold).mean())


def target_priors(shares: Floats, source_priors: Floats) -> Floats:
    """Return the shares of the classes in the target by expectation maximisation."""
    known = np.where(source_priors > 0, source_priors, 1)
    priors = source_priors
    for _ in range(_EM_STEPS):
        belief = shares * (priors / known)
        total = belief.sum(axis=1, keepdims=True)
        belief = np.divide(belief, total, out=np.zeros_like(belief), where=total > 0)
        priors = (1 - _PULL) * belief.mean(axis=0) + _PULL * source_priors
        priors = priors / priors.sum()
    return priors
