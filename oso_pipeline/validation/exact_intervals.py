"""Intervals of shares of polygons that need no spread: Clopper and Pearson's, for few polygons.

The bootstrap learns from how polygons differ. Where all are right it has no width, and where there
are few it is too narrow. Then a polygon counts as one draw, and the interval is that of a share of
so many draws (Clopper and Pearson 1934, Biometrika 26, 404-413): five of five right say 47.8 to
100 %. A share of pixels is taken as that share of the polygons, which need not be a whole number of
them; the quantiles of the beta distribution take it as it is (Korn and Graubard 1998, Survey
Methodology 24, 193-201).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy

from oso_pipeline.validation.intervals import (
    UNDEFINED,
    ClusteredPairs,
    Interval,
    ScoreIntervals,
    bootstrap,
)

FEW_POLYGONS = 10
"""With fewer polygons intervals are exact, and the class is named in a warning."""
RULE = (
    f"Bootstrap over polygons. With fewer than {FEW_POLYGONS} polygons, and where the bootstrap "
    "has no width, the exact interval of Clopper and Pearson with one draw per polygon; for "
    "kappa the same with the agreement by chance as it is; for the F-score, where precision or "
    "recall is exact, the harmonic means of their ends, so far apart that both hold together."
)
_NO_WIDTH = 1e-9
_WHOLE = Interval(0.0, 1.0)


def clopper_pearson(share: float, units: float, level: float) -> Interval:
    """Return the exact interval of a share.

    Parameters
    ----------
    share
        Observed share, 0 to 1.
    units
        Independent draws that it was found in; undefined without any.
    level
        Level of the interval, for example 0.95.

    Examples
    --------
    >>> found = clopper_pearson(1.0, 5, 0.95)
    >>> round(found.low, 3), found.high
    (0.478, 1.0)
    """
    if not units > 0 or np.isnan(share):
        return UNDEFINED
    tail = (1 - level) / 2
    right = min(max(share, 0.0), 1.0) * units
    wrong = units - right
    low = float(scipy.special.betaincinv(right, wrong + 1, tail)) if right > 0 else 0.0
    high = float(scipy.special.betaincinv(right + 1, wrong, 1 - tail)) if wrong > 0 else 1.0
    return Interval(low, high)


def paired_difference(gained: float, lost: float, units: float, level: float) -> Interval:
    """Return a conservative interval of ``gained - lost``, of draws of which both are shares.

    Each has its exact interval at half the error, so that both hold together (Bonferroni).

    Parameters
    ----------
    gained, lost
        Shares where only the one and only the other is right, 0 to 1.
    units, level
        As of `clopper_pearson`.
    """
    ends = [clopper_pearson(share, units, _together(level)) for share in (gained, lost)]
    (up_low, up_high), (down_low, down_high) = ((one.low, one.high) for one in ends)
    if up_low is None or up_high is None or down_low is None or down_high is None:
        return UNDEFINED
    return Interval(up_low - down_high, up_high - down_low)


def is_exact(bootstrapped: Interval, units: int) -> bool:
    """Return whether the exact interval takes the place of one of the bootstrap."""
    low, high = bootstrapped.low, bootstrapped.high
    if low is None or high is None:
        return False
    return units < FEW_POLYGONS or high - low < _NO_WIDTH


def score_intervals(
    pairs: ClusteredPairs, replicates: int, level: float, seed: int
) -> ScoreIntervals:
    """Return the intervals of all scores: of the bootstrap, or exact ones by `RULE`.

    Undefined with fewer than two polygons that a score could be measured in.

    Parameters
    ----------
    pairs, replicates, level, seed
        As of `bootstrap`.
    """
    found = bootstrap(pairs, replicates, level, seed)
    overall = float(pairs.confusion.scores.overall_accuracy)
    if is_exact(found.overall_accuracy, len(pairs.polygon_ids)):
        exact = clopper_pearson(overall, len(pairs.polygon_ids), level)
        found = replace(found, overall_accuracy=exact)
    if is_exact(found.kappa, len(pairs.polygon_ids)):
        exact = clopper_pearson(overall, len(pairs.polygon_ids), level)
        found = replace(found, kappa=_as_kappa(exact, pairs))
    classes = [_of_class(pairs, found, index, level) for index in range(len(pairs.codes))]
    precision, recall, f_score = zip(*classes, strict=True)
    return replace(found, precision=precision, recall=recall, f_score=f_score)


def _of_class(
    pairs: ClusteredPairs, found: ScoreIntervals, index: int, level: float
) -> tuple[Interval, Interval, Interval]:
    """Return the intervals of precision, recall and F-score of one class."""
    precision, recall, f_score = (
        intervals[index] for intervals in (found.precision, found.recall, found.f_score)
    )
    of_class = pairs.confusion.scores
    share, seen = float(of_class.precision[index]), int(pairs.polygons_per_prediction[index])
    share_recalled, held = float(of_class.recall[index]), int(pairs.polygons_per_class[index])
    # A narrow interval of what follows from two others cannot stand beside a wide one of these.
    if is_exact(f_score, min(seen, held)) or is_exact(precision, seen) or is_exact(recall, held):
        both = ((share, seen), (share_recalled, held))
        ends = [clopper_pearson(*one, _together(level)) for one in both]
        f_score = _harmonic(*(_WHOLE if one is UNDEFINED else one for one in ends))
    if seen < 2:
        precision = UNDEFINED
    elif is_exact(precision, seen):
        precision = clopper_pearson(share, seen, level)
    if is_exact(recall, held):
        recall = clopper_pearson(share_recalled, held, level)
    return precision, recall, f_score


def _as_kappa(overall: Interval, pairs: ClusteredPairs) -> Interval:
    """Return the kappas of two overall accuracies, the agreement by chance as it was found."""
    counts = pairs.confusion.counts
    chance = float(counts.sum(axis=0) @ counts.sum(axis=1)) / float(counts.sum()) ** 2
    if overall.low is None or overall.high is None or chance >= 1:
        return UNDEFINED
    return Interval((overall.low - chance) / (1 - chance), (overall.high - chance) / (1 - chance))


def _harmonic(one: Interval, other: Interval) -> Interval:
    def mean(a: float | None, b: float | None) -> float:
        return 2 * a * b / (a + b) if a and b else 0.0

    return Interval(mean(one.low, other.low), mean(one.high, other.high))


def _together(level: float) -> float:
    """Return the level at which two intervals have to hold for both to hold at `level`."""
    return 1 - (1 - level) / 2
