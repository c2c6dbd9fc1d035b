"""Class sets that hold the true class with a given probability (conformal prediction).

A class belongs to the set of a pixel if its score reaches a threshold. The score is the share of
the votes; thresholds follow from the scores that known pixels give to their own class (Vovk,
Gammerman and Shafer 2005, Algorithmic learning in a random world, section 4.5, by class;
Sadinle, Lei and Wasserman 2019, J. Am. Stat. Assoc. 114, shares as scores).

Pixels of a polygon are not exchangeable with those of another one, but polygons are. A polygon
counts once, each of its pixels with its part of that (Lee, Barber and Willett 2023,
arXiv:2306.06342, section 3). The promise is for a random pixel of a random polygon.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oso_pipeline.learning.confidence.out_of_fold import Floats, OutOfFold

LEVELS = tuple(range(50, 100))
"""Levels in percent for which thresholds are stored."""
OWN = 30
"""Calibration polygons that a class needs for a threshold of its own."""

_TIE = 1 / 200
"""Weight of the squares that break ties: less than a vote of 100 trees."""


def scores(shares: Floats) -> Floats:
    """Return the scores of classes, shape as `shares`, ``(pixel, class)``.

    The share, and among equal shares the higher the less the others agree. Ties would make
    sets larger than promised: votes of 100 trees have 101 values.
    """
    found: Floats = shares - _TIE * np.square(shares).sum(axis=1, keepdims=True)
    return found


def set_thresholds(known: OutOfFold) -> Floats:
    """Return the least score of a class in a set, float64, shape ``(class, level)``.

    A class with `OWN` polygons has thresholds of its own. The others share those of all pixels
    of such classes or, where these have fewer than `OWN` polygons in all, of all pixels.
    Minus infinity where polygons are too few for a level: the class is in every set.
    """
    column = known.column
    rows = np.arange(len(column))
    own_score = scores(known.shares)[rows, column]
    polygons = np.array(
        [len(np.unique(known.place[column == one])) for one in range(len(known.classes))]
    )
    rare = polygons[column] < OWN
    if len(np.unique(known.place[rare])) < OWN:
        rare = np.ones(len(column), bool)
    shared = _quantiles(own_score[rare], known.weights[rare])
    return np.stack(
        [
            shared
            if count < OWN
            else _quantiles(own_score[column == one], known.weights[column == one])
            for one, count in enumerate(polygons)
        ]
    )


def set_sizes(shares: Floats, thresholds: Floats, level: int) -> npt.NDArray[np.int64]:
    """Return how many classes the set of each pixel has, shape ``(pixel,)``; 0 is possible.

    Parameters
    ----------
    shares
        Probabilities, shape ``(pixel, class)``.
    thresholds
        As of :func:`set_thresholds`.
    level
        One of `LEVELS`.
    """
    # Sums in another order differ in the last bits.
    reached = scores(shares) >= thresholds[:, LEVELS.index(level)] - 1e-9
    return np.count_nonzero(reached, axis=1)


def _quantiles(found: Floats, weights: Floats) -> Floats:
    """Return for each level the greatest score that few enough polygons lie below.

    The new polygon counts as one that lies below.
    """
    order = np.argsort(found, kind="stable")
    ascending, heavy = found[order], weights[order]
    # Equal scores lie together: none of them is below another.
    first = np.searchsorted(ascending, ascending, side="left")
    below = np.concatenate([[0.0], np.cumsum(heavy)])[first]
    polygons = round(float(heavy.sum()))
    result = np.full(len(LEVELS), -np.inf)
    for number, level in enumerate(LEVELS):
        allowed = (polygons + 1) * (100 - level) / 100 - 1
        fit = np.flatnonzero(below <= allowed + 1e-9)
        if allowed > -1e-9 and len(fit):
            result[number] = ascending[fit[-1]]
    return result
