"""Differences between two years of the same land, apart from the crops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oso_pipeline.core.seeds import derived_seed


@dataclass(frozen=True)
class GrowingYear:
    """Weather and growth of a year.

    Parameters
    ----------
    name
        Goes into the seeds of what differs between years; empty for the year of the map.
    shift_days
        How much later than usual plants grow; negative: earlier.
    gain
        Factor of the reflectance of all bands, or of each of them.
    """

    name: str = ""
    shift_days: float = 0.0
    gain: tuple[float, ...] | float = 1.0

    def seed(self, seed: int, *purpose: str | int) -> int:
        """Return the seed of a purpose that differs between years."""
        return derived_seed(seed, *purpose, *filter(None, [self.name]))


USUAL_YEAR = GrowingYear()
"""The year of the map."""


def drawn_gain(seed: int, bands: int, spread: float) -> tuple[float, ...]:
    """Return a factor per band, 1 on average, with a standard deviation of `spread`."""
    return tuple(np.random.default_rng(seed).normal(1, spread, bands).tolist())
