"""Whether a pixel looks unlike every class of the training polygons.

The measure is the entropy of the probabilities: trees disagree where a pixel fits no class.
Distances from the training pixels (Mahalanobis, nearest neighbours, leaves) were no better on
real data, and need more than the probabilities (docs/confidence.md).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oso_pipeline.learning.confidence.out_of_fold import Floats, OutOfFold

PARTS = 100
"""Parts of the known pixels between the stored quantiles."""


def entropy(shares: Floats) -> Floats:
    """Return the entropy of the probabilities in nats, shape ``(pixel,)``.

    Parameters
    ----------
    shares
        Shape ``(pixel, class)``.

    Examples
    --------
    >>> entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).round(3).tolist()
    [0.0, 0.693]
    """
    logarithm = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    found: Floats = np.maximum(-(shares * logarithm).sum(axis=1), 0)
    return found


def entropy_quantiles(known: OutOfFold) -> Floats:
    """Return quantiles of the entropy of known pixels at 1 to 100 percent, shape ``(100,)``.

    Each polygon counts once, whatever the number of its pixels.
    """
    found = entropy(known.shares)
    order = np.argsort(found, kind="stable")
    total = np.cumsum(known.weights[order])
    wanted = total[-1] * np.arange(1, PARTS + 1) / PARTS
    rows = np.searchsorted(total, wanted - 1e-9).clip(max=len(order) - 1)
    return found[order[rows]]


def strangeness(shares: Floats, quantiles: Floats) -> npt.NDArray[np.int64]:
    """Return which percentage of known pixels has a lower entropy, 0 to 100, shape ``(pixel,)``.

    Of pixels of known classes 5 % have 95 or more, with ties fewer.
    """
    # Sums in another order differ in the last bits.
    return np.searchsorted(quantiles, entropy(shares) - 1e-9, side="left")
