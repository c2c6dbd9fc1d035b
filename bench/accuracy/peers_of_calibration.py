"""Other ways to calibrate a vote share, for comparison: temperature, Platt, isotonic."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

Floats = npt.NDArray[np.float64]
Method = Callable[[npt.NDArray[np.int64], npt.NDArray[np.bool_]], Floats]

_PERCENT = np.arange(101)


def isotonic(share: npt.NDArray[np.int64], right: npt.NDArray[np.bool_]) -> Floats:
    """Return the probability of each vote share by isotonic regression, shape ``(101,)``."""
    found = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(share, right)
    return np.asarray(found.predict(_PERCENT))


def temperature(share: npt.NDArray[np.int64], right: npt.NDArray[np.bool_]) -> Floats:
    """Return the same by one factor on the log-odds of the share (Guo and others 2017)."""
    return _sigmoid(_least_loss(share, right, 1))


def platt(share: npt.NDArray[np.int64], right: npt.NDArray[np.bool_]) -> Floats:
    """Return the same by a factor and an offset (Platt 1999)."""
    return _sigmoid(_least_loss(share, right, 2))


OTHERS: Mapping[str, Method] = {
    "isotonic": isotonic,
    "temperature": temperature,
    "Platt": platt,
}
"""By name."""


def _log_odds(share: npt.NDArray[np.int64]) -> Floats:
    return np.log((share + 0.5) / (100.5 - share))


def _sigmoid(parameters: Floats) -> Floats:
    factor, offset = [*parameters, 0.0][:2]
    return 1 / (1 + np.exp(-factor * _log_odds(_PERCENT) - offset))


def _least_loss(
    share: npt.NDArray[np.int64], right: npt.NDArray[np.bool_], n_parameters: int
) -> Floats:
    odds = _log_odds(share)

    def loss(parameters: Floats) -> float:
        value = parameters[0] * odds + (parameters[1] if n_parameters == 2 else 0)
        return float((np.logaddexp(0, value) - right * value).sum())

    found = minimize(loss, np.array([1.0, 0.0][:n_parameters]), method="BFGS")
    return np.asarray(found.x)
