"""Which pixels of an acquisition are clear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

ClearPolicy = Literal["oso", "conservative"] | tuple[int, ...]
"""``oso``, ``conservative``, or the bits of CLM that count as cloud."""

TERRAIN_BITS = (4, 5, 6, 7)
"""Bits of MG2: topographic shadow, hidden by relief (MAJA 4 swaps these two), sun too low,
tangent sun. The other bits are water, cloud, snow and cloud shadow; snow is a class of land
cover and stays clear."""


def masks_of(policy: ClearPolicy) -> tuple[tuple[str, bool], ...]:
    """Return the masks that a policy looks at, and whether each has to be there.

    Saturation is optional because some distributions leave it out; without it no pixel counts
    as saturated.
    """
    masks = (("CLM_R1", True), ("EDG_R1", True), ("SAT_R1", False))
    if policy == "conservative":
        return (*masks, ("SAT_R2", False), ("MG2_R1", True))
    return masks


def clear_pixels(
    masks: Mapping[str, npt.NDArray[np.integer]], policy: ClearPolicy
) -> npt.NDArray[np.bool_]:
    """Return where the masks of an acquisition let a pixel count.

    Parameters
    ----------
    masks
        Masks by name as in :func:`masks_of`, all on one grid: CLM (cloud and shadow bits),
        EDG (outside the swath), SAT (one bit per saturated band), MG2 (terrain bits).
    policy
        ``oso``: no bit of CLM, EDG or SAT of the 10 m bands. ``conservative``: besides no
        saturation of the 20 m bands and no terrain bit of MG2. Numbers of bits: as ``oso``,
        but only these bits of CLM count.

    Returns
    -------
    clear
        Boolean, shape of the masks. No data in a band is not known here; see
        :class:`~oso_pipeline.timeseries.reader.BlockReader`.

    Raises
    ------
    ValueError
        If a mask that the policy needs is not given.
    """
    for name, needed in masks_of(policy):
        if needed and name not in masks:
            raise ValueError(f"policy {policy!r} needs the mask {name}")
    cloud = masks["CLM_R1"]
    if isinstance(policy, tuple):
        cloud = cloud & _bits(policy)
    clear: npt.NDArray[np.bool_] = (cloud == 0) & (masks["EDG_R1"] == 0)
    if "SAT_R1" in masks:
        clear &= masks["SAT_R1"] == 0
    if policy == "conservative":
        clear &= (masks["MG2_R1"] & _bits(TERRAIN_BITS)) == 0
        if "SAT_R2" in masks:
            clear &= masks["SAT_R2"] == 0
    return clear


def _bits(numbers: tuple[int, ...]) -> int:
    return sum(1 << number for number in set(numbers))
