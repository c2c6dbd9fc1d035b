"""Statistics of rounds: medians, ratios, exponents of growth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np


@dataclass(frozen=True)
class RoundStatistics:
    """Median, least and greatest of some rounds.

    Examples
    --------
    >>> RoundStatistics.of([3.0, 1.0, 2.0])
    RoundStatistics(median=2.0, least=1.0, greatest=3.0, rounds=3)
    """

    median: float
    least: float
    greatest: float
    rounds: int

    @classmethod
    def of(cls, figures: Sequence[float]) -> RoundStatistics:
        """Sum up the figures of at least one round."""
        return cls(float(median(figures)), min(figures), max(figures), len(figures))

    def to_json(self) -> dict[str, Any]:
        """Return the figures, rounded to what they can tell."""
        return {
            name: value if isinstance(value, int) else float(f"{value:.5g}")
            for name, value in asdict(self).items()
        }


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> RoundStatistics:
    """Return how many times the cost of ours theirs is, round by round.

    Rounds of one number ran next to each other, so what else the machine did then weighs on
    both.

    Examples
    --------
    >>> ratio([1.0, 2.0], [10.0, 10.0])
    RoundStatistics(median=7.5, least=5.0, greatest=10.0, rounds=2)
    """
    return RoundStatistics.of([b / a for a, b in zip(ours, theirs, strict=True)])


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return the power of the size that the cost grows with, by least squares of logarithms.

    Examples
    --------
    >>> round(exponent([1, 2, 4], [3, 6, 12]), 6)
    1.0
    """
    slope, _ = np.polyfit(np.log(sizes), np.log(costs), 1)
    return float(slope)
