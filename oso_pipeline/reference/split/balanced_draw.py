"""Spatially balanced random samples.

Generalized random tessellation stratified sampling (Stevens and Olsen 2004, "Spatially
balanced sampling of natural resources", JASA 99, 262-278): places are ordered along a
quadtree whose quadrants are shuffled at every node, and a systematic sample with a random
start is taken along that order. Every unit has the same chance, and near units are seldom
drawn together.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.vectors.geometry import Floats, Rows

_LEVELS = 16
"""Quadrants of the last level are some 15 m wide in a country of 1000 km."""


def balanced_draw(x: Floats, y: Floats, size: int, seed: int) -> npt.NDArray[np.bool_]:
    """Draw a spatially balanced sample of `size` units.

    Parameters
    ----------
    x, y
        Places in metres, shape ``(n,)``; the draw depends on their order only where two
        units share a place.
    size
        Number of units to draw; all where it is `n` or more.
    seed
        Seed of this draw.

    Returns
    -------
    bool array of shape ``(n,)``
    """
    drawn = np.zeros(len(x), dtype=bool)
    if size >= len(x):
        return ~drawn
    start = np.random.default_rng(derived_seed(seed, "start")).random()
    steps = np.floor((np.arange(size) + start) * (len(x) / size)).astype(np.intp)
    drawn[tessellation_order(x, y, seed)[steps]] = True
    return drawn


def draw_up_to(
    x: Floats, y: Floats, amounts: Floats, limit: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Draw as many units as possible whose amounts add up to at most `limit`.

    One unit is drawn at least, even where it alone exceeds the limit.

    Parameters
    ----------
    x, y
        Places in metres, shape ``(n,)``.
    amounts
        Weight of each unit, positive, shape ``(n,)``.
    limit
        Most that the drawn ones may add up to.
    seed
        Seed of this draw.
    """
    total, size = float(amounts.sum()), len(x)
    drawn = np.ones(size, dtype=bool)
    while total > limit and size > 1:
        size = max(1, min(size - 1, int(size * limit / total)))
        drawn = balanced_draw(x, y, size, seed)
        total = float(amounts[drawn].sum())
    return drawn


def tessellation_order(x: Floats, y: Floats, seed: int) -> Rows:
    """Return the positions of the units along a quadtree with shuffled quadrants."""
    if len(x) == 0:
        return np.empty(0, dtype=np.intp)
    side = max(float(np.ptp(x)), float(np.ptp(y)), 1.0) * (1 + 1e-9)
    columns = ((x - x.min()) / side * 2**_LEVELS).astype(np.int64)
    rows = ((y - y.min()) / side * 2**_LEVELS).astype(np.int64)
    address = np.zeros(len(x), dtype=np.int64)
    for level in reversed(range(_LEVELS)):
        nodes, node = np.unique(address, return_inverse=True)
        rng = np.random.default_rng(derived_seed(seed, "quadrants", level))
        shuffled = rng.permuted(np.tile(np.arange(4), (len(nodes), 1)), axis=1)
        quadrant = 2 * (rows >> level & 1) + (columns >> level & 1)
        address = 4 * address + shuffled[node, quadrant]
    return np.argsort(address, kind="stable")
