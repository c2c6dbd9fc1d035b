"""Calibrated confidence of classified pixels, ours and scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from bench.method import Prepared
from oso_pipeline.learning.confidence.calibration import venn_abers
from oso_pipeline.learning.confidence.class_sets import LEVELS, set_sizes
from oso_pipeline.learning.confidence.out_of_domain import PARTS, strangeness

_CLASSES, _PIXELS = 20, 65_536


def look_up(case: dict[str, Any]) -> Prepared:
    """Turn vote shares into probabilities in percent by a table, shape ``(pixel,)``."""
    share, right = _known()
    low, high = venn_abers(share, right, np.ones(len(share)))
    table = np.rint(100 * (low + high) / 2).astype(np.uint8)
    pixels = _pixels()
    return Prepared(lambda: table[pixels], len(pixels))


def isotonic(case: dict[str, Any]) -> Prepared:
    """Do the same by scikit-learn's isotonic regression."""
    share, right = _known()
    fitted = IsotonicRegression(out_of_bounds="clip").fit(share, right)
    pixels = _pixels()
    return Prepared(lambda: np.rint(100 * fitted.predict(pixels)), len(pixels))


def set_size(case: dict[str, Any]) -> Prepared:
    """Count the classes of each set, shape ``(pixel,)``."""
    shares, thresholds = _shares(), np.full((_CLASSES, len(LEVELS)), 0.2)
    return Prepared(lambda: set_sizes(shares, thresholds, 90), len(shares))


def out_of_domain(case: dict[str, Any]) -> Prepared:
    """Rank the entropy of the votes, shape ``(pixel,)``."""
    shares, quantiles = _shares(), np.linspace(0, 2, PARTS)
    return Prepared(lambda: strangeness(shares, quantiles), len(shares))


def _known() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    rng = np.random.default_rng(0)
    share = rng.integers(10, 101, 20_000)
    return share, rng.random(len(share)) < (share / 100) ** 0.7


def _pixels() -> npt.NDArray[np.uint16]:
    return np.random.default_rng(1).integers(10, 101, _PIXELS).astype(np.uint16)


def _shares() -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(2)
    votes = rng.multinomial(100, rng.dirichlet(np.full(_CLASSES, 0.2), _PIXELS))
    return votes / 100
