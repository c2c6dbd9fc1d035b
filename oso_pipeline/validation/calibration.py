"""How far probabilities agree with frequencies: calibration error, its floor, Brier score.

Expected calibration error: the mean over ten bins of equal width of the difference between mean
probability and share of right pixels, weighted by pixels (Guo, Pleiss, Sun and Weinberger 2017,
On calibration of modern neural networks, ICML, equation 3). It is above 0 by chance even for a
perfect forecaster; the floor is its mean for one with the same probabilities and polygons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.validation.accuracy import Predictions

BINS = 10
_DRAWS = 200

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Probabilities of validation pixels, and whether their classes are right.

    Parameters
    ----------
    probability
        Of the predicted class, 0 to 1, float64, shape ``(pixel,)``.
    right
        Whether it is that of the reference, shape ``(pixel,)``.
    polygon_id
        Polygon, int64, shape ``(pixel,)``.
    """

    probability: Floats
    right: npt.NDArray[np.bool_]
    polygon_id: npt.NDArray[np.int64]


def calibration(predictions: Predictions, seed: int) -> dict[str, Any]:
    """Return how reliable vote share and calibrated probability are on validation pixels.

    Raises
    ------
    ValueError
        If the predictions have none.
    """
    if predictions.forecast is None:
        raise ValueError("the models have no calibration")
    right = predictions.predicted == predictions.code
    share, probability = (
        reliability(Forecasts(percent / 100, right, predictions.polygon_id), seed)
        for percent in predictions.forecast
    )
    return {"share": share, "probability": probability}


def reliability(forecasts: Forecasts, seed: int) -> dict[str, Any]:
    """Return calibration error, floor, Brier score and the reliability curve.

    Returns
    -------
    dict
        ``error`` and ``floor``; ``floor_high``, which a perfect forecaster exceeds in one of
        forty draws; ``brier``; ``mean_probability`` and ``right``; ``within_polygons``, see
        `shared_luck`; ``curve``: for each bin with pixels ``pixels``, ``polygons``,
        ``probability`` and ``right``.
    """
    probability, right = forecasts.probability, forecasts.right.astype(np.float64)
    place = np.unique(forecasts.polygon_id, return_inverse=True)[1]
    luck = shared_luck(forecasts)
    rng = np.random.default_rng(derived_seed(seed, "calibration floor"))
    perfect = [
        calibration_error(probability, _drawn(probability, place, luck, rng)) for _ in range(_DRAWS)
    ]
    number = _bin_of(probability)
    curve = [
        {
            "pixels": int(own.sum()),
            "polygons": len(np.unique(place[own])),
            "probability": float(probability[own].mean()),
            "right": float(right[own].mean()),
        }
        for own in (number == one for one in range(BINS))
        if own.any()
    ]
    return {
        "error": calibration_error(probability, right),
        "floor": float(np.mean(perfect)),
        "floor_high": float(np.quantile(perfect, 0.975)),
        "brier": float(np.square(probability - right).mean()),
        "mean_probability": float(probability.mean()),
        "right": float(right.mean()),
        "within_polygons": luck,
        "curve": curve,
    }


def calibration_error(probability: Floats, right: Floats) -> float:
    """Return the expected calibration error; shapes ``(pixel,)``.

    Examples
    --------
    >>> calibration_error(np.array([0.75, 0.75]), np.array([1.0, 0.0]))
    0.25
    """
    difference = np.bincount(_bin_of(probability), probability - right, BINS)
    return float(np.abs(difference).sum() / len(probability))


def shared_luck(forecasts: Forecasts) -> float:
    """Return how far pixels of a polygon are right or wrong together, 0 to 1.

    In the model of the floor all pixels of a polygon depend on one random number with this
    probability, otherwise each has its own. The covariance of two pixels is then this
    probability times what it is with one number, min(p, q) - pq; the estimate is the ratio
    of the sums of both over all pairs of pixels of a polygon. 1 where no polygon has two pixels.
    """
    p = forecasts.probability
    place = np.unique(forecasts.polygon_id, return_inverse=True)[1]
    order = np.lexsort((p, place))
    p, place = p[order], place[order]
    residual = forecasts.right[order] - p
    counts = np.bincount(place)
    first = np.cumsum(counts) - counts
    later = counts[place] - 1 - (np.arange(len(p)) - first[place])
    sums = np.bincount(place, p)
    # Sums over ordered pairs; of ascending p the earlier of two is the lesser.
    together = 2 * float((p * later).sum()) - float((sums**2).sum() - (p**2).sum())
    seen = float((np.bincount(place, residual) ** 2).sum() - (residual**2).sum())
    return float(np.clip(seen / together, 0, 1)) if together > 1e-9 else 1.0


def _drawn(
    probability: Floats, place: npt.NDArray[np.intp], luck: float, rng: np.random.Generator
) -> Floats:
    """Return which pixels a perfect forecaster has right, 0 or 1, shape ``(pixel,)``."""
    polygons = int(place.max()) + 1
    shared = rng.random(polygons) < luck
    number = np.where(shared[place], rng.random(polygons)[place], rng.random(len(place)))
    found: Floats = (number < probability).astype(np.float64)
    return found


def _bin_of(probability: Floats) -> npt.NDArray[np.int64]:
    return np.minimum((probability * BINS + 1e-9).astype(np.int64), BINS - 1)
