"""How right the methods are, in points, and how sure a difference between two of them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from oso_pipeline.studies.adaptation.trial import Codes
from oso_pipeline.validation.confusion import Confusion
from oso_pipeline.validation.exact_intervals import is_exact, paired_difference
from oso_pipeline.validation.intervals import UNDEFINED, Interval

REPLICATES = 2000
"""Resamplings behind an interval."""


@dataclass(frozen=True)
class Accuracy:
    """Scores of one set of predictions, in points (0 to 100); NaN where undefined.

    Parameters
    ----------
    overall, macro_f1, annual
        Overall accuracy, mean F-score of the classes of the reference, overall accuracy of the
        samples of annual classes alone.
    f1
        F-score by code.
    """

    overall: float
    macro_f1: float
    annual: float
    f1: dict[int, float]


def accuracy(
    truth: Codes, predicted: Codes, codes: Sequence[int], annual: Sequence[int]
) -> Accuracy:
    """Return the scores of `predicted`; `codes` are all that occur, ascending.

    Examples
    --------
    >>> a = accuracy(np.array([1, 1, 2, 2]), np.array([1, 2, 2, 2]), (1, 2), (2,))
    >>> a.overall, round(a.macro_f1, 1), a.annual
    (75.0, 73.3, 100.0)
    """
    found = Confusion.of(codes, truth, predicted).scores
    of_class = 100 * found.f_score
    present = np.isin(codes, truth)
    hidden = np.isin(truth, annual)
    right = predicted == truth
    return Accuracy(
        100 * float(right.mean()),
        float(of_class[present].mean()),
        100 * float(right[hidden].mean()) if hidden.any() else float("nan"),
        {code: float(of_class[i]) for i, code in enumerate(codes) if present[i]},
    )


def paired_interval(
    polygons: npt.NDArray[np.int64], gain: npt.NDArray[np.float64], level: float, seed: int
) -> Interval:
    """Return the interval of the mean of `gain` by resampling whole polygons.

    Parameters
    ----------
    polygons
        Polygon of each sample; a polygon may come from several seeds.
    gain
        Right after less right before, of each sample: -1, 0 or 1 (or any number).
    level, seed
        Share of resamples inside the interval; the result is a function of it all.

    Returns
    -------
    interval
        In the unit of `gain`; undefined with fewer than two polygons. With few polygons, and
        where all gain the same, as that of `paired_difference`.
    """
    ids, of_sample = np.unique(polygons, return_inverse=True)
    if len(ids) < 2:
        return UNDEFINED
    sums = np.bincount(of_sample, weights=gain, minlength=len(ids))
    sizes = np.bincount(of_sample, minlength=len(ids)).astype(np.float64)
    rng = np.random.default_rng(seed)
    means = np.empty(REPLICATES)
    for number in range(REPLICATES):
        picked = rng.integers(0, len(ids), len(ids))
        means[number] = sums[picked].sum() / sizes[picked].sum()
    found = _ends(means, level)
    if not is_exact(found, len(ids)):
        return found
    gained, lost = (float(np.clip(sign * gain, 0, 1).mean()) for sign in (1, -1))
    return paired_difference(gained, lost, len(ids), level)


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two methods on the same units.

    Parameters
    ----------
    better, worse
        Units on which the method is right and the baseline is not, and the other way round.
    p_value
        Two-sided mid-p: how probable so uneven a count is if both are right as often; 1 where
        the two never differ.
    """

    better: int
    worse: int
    p_value: float

    @classmethod
    def of(cls, better: int, worse: int) -> McNemar:
        """Return the test of two counts.

        Given ``better + worse``, `better` is binomial with a chance of one half if the methods
        are as good as each other. The exact two-sided test is conservative; its mid-p takes
        half of the probability of the very counts that were found (Fagerland, Lydersen and
        Laake 2013, BMC Medical Research Methodology 13:91).

        Examples
        --------
        >>> round(McNemar.of(7, 1).p_value, 4)
        0.0391
        """
        units, least = better + worse, min(better, worse)
        if not units:
            return cls(0, 0, 1.0)
        fewer = float(scipy.special.bdtr(least - 1, units, 0.5)) if least else 0.0
        # Where the counts are equal the two tails meet in them.
        p_value = fewer + (float(scipy.special.bdtr(least, units, 0.5)) if better != worse else 0.5)
        return cls(better, worse, p_value)


def mcnemar_of_polygons(polygons: npt.NDArray[np.int64], gain: npt.NDArray[np.float64]) -> McNemar:
    """Return McNemar's test with polygons as units.

    Samples of a polygon are alike, so that they are not units; a polygon is one. It is better where
    its samples, over all seeds, are right more often than those of the baseline. With one sample
    and one seed that is McNemar's test as it is known. It takes polygons to be independent of each
    other; a polygon counts one, whatever its size.

    Parameters
    ----------
    polygons, gain
        As of :func:`paired_interval`.
    """
    _, of_sample = np.unique(polygons, return_inverse=True)
    sums = np.bincount(of_sample, weights=gain)
    return McNemar.of(int((sums > 1e-9).sum()), int((sums < -1e-9).sum()))


def interval_over(values: npt.ArrayLike, level: float, seed: int) -> Interval:
    """Return the interval of the mean of a few values by resampling them.

    Too narrow where they depend on each other, as settings do that share fields; undefined
    where all are alike, which shows no spread rather than none.
    """
    given = np.asarray(values, np.float64)
    if len(given) < 2 or np.ptp(given) == 0:
        return UNDEFINED
    picked = np.random.default_rng(seed).integers(0, len(given), (REPLICATES, len(given)))
    return _ends(given[picked].mean(axis=1), level)


def ratio_interval(above: npt.ArrayLike, below: npt.ArrayLike, level: float, seed: int) -> Interval:
    """Return the interval of ``sum(above) / sum(below)`` by resampling the pairs."""
    pairs = np.stack([np.asarray(above, np.float64), np.asarray(below, np.float64)])
    size = pairs.shape[1]
    if size < 2:
        return UNDEFINED
    picked = np.random.default_rng(seed).integers(0, size, (REPLICATES, size))
    sums = pairs[:, picked].sum(axis=2)
    defined = sums[1] > 0
    return _ends(sums[0, defined] / sums[1, defined], level) if defined.any() else UNDEFINED


def in_points(interval: Interval) -> Interval:
    """Return an interval of shares as one of points, times 100."""
    return Interval(*(None if end is None else 100 * end for end in (interval.low, interval.high)))


def _ends(values: npt.NDArray[np.float64], level: float) -> Interval:
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high))
