"""From the vote share of a class to the probability that it is right.

Venn-Abers predictors (Vovk and Petej 2014, Venn-Abers predictors, UAI, section 4) on vote shares
in whole percent, of which there are 101: the whole predictor is a table.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oso_pipeline.learning.confidence.out_of_fold import Floats, OutOfFold

PERCENTS = 101
"""Vote shares of 0 to 100 percent."""

Table = npt.NDArray[np.uint8]


def calibration_table(known: OutOfFold) -> Table:
    """Return the probability in percent of each vote share, uint8, shape ``(101,)``.

    All pixels count alike, as all pixels of a map do. Together they weigh as much as there are
    polygons, because the pixels of a polygon are right or wrong together.
    """
    best = known.shares.argmax(axis=1)
    share = percent_of(known.shares[np.arange(len(best)), best])
    right = known.classes[best] == known.codes
    weights = np.full(len(best), known.polygons / max(1, len(best)))
    low, high = venn_abers(share, right, weights)
    return percent_of(high / (1 - low + high)).astype(np.uint8)


def venn_abers(
    share: npt.NDArray[np.int64], right: npt.NDArray[np.bool_], weights: Floats
) -> tuple[Floats, Floats]:
    """Return the two probabilities that isotonic regression gives to each vote share.

    A new object is added to the known ones, once as wrong and once as right, and the isotonic
    regression of both is read at its share. By the formula of maximum and minimum over
    intervals (Barlow and others 1972, Statistical inference under order restrictions, section
    1.2) that is the greatest over all beginnings of the least mean over all ends of intervals
    around the share. They all contain the new object, which therefore joins every mean.

    Parameters
    ----------
    share
        Vote share of the known objects, 0 to 100, shape ``(object,)``.
    right
        Whether each was right.
    weights
        Their weights, of which the new object has 1.

    Returns
    -------
    low, high
        With the new object as wrong and as right, from 0 to 1, float64, shape ``(101,)``.
    """
    total = _sums(share, weights)
    hits = _sums(share, weights * right)
    low, high = np.empty(PERCENTS), np.empty(PERCENTS)
    for percent in range(PERCENTS):
        inside = total[None, percent + 1 :] - total[: percent + 1, None] + 1
        good = hits[None, percent + 1 :] - hits[: percent + 1, None]
        low[percent] = (good / inside).min(axis=1).max()
        high[percent] = ((good + 1) / inside).min(axis=1).max()
    return low, high


def percent_of(shares: Floats) -> npt.NDArray[np.int64]:
    """Return shares of 0 to 1 in whole percent, halves rounded up.

    Examples
    --------
    >>> percent_of(np.array([0.0, 0.285, 1.0])).tolist()
    [0, 29, 100]
    """
    return np.floor(100 * shares + 0.5 + 1e-9).astype(np.int64)


def _sums(share: npt.NDArray[np.int64], values: Floats) -> Floats:
    """Return the sums of `values` over shares below 0, 1 ... 101 percent, shape ``(102,)``."""
    return np.concatenate([[0.0], np.cumsum(np.bincount(share, values, PERCENTS))])
