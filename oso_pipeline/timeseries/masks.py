"""Which pixels of an acquisition are clear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

ClearPolicy = Literal["oso", "conservative"] | tuple[int, ...]
"""``oso``, ``conservative``, or the bits of CLM that count as cloud."""

TERRAIN_BITS = (4, 5, 6, 7)
"""Bits of MG2: topographic shadow, hidden by relief (MAJA 4 swaps these two), sun too low,
tangent sun. The other bits are water, cloud, snow and cloud shadow; snow is a class of land
cover and stays clear."""


@dataclass(frozen=True)
class MaskRule:
    """A pixel counts only where the mask has none of these bits.

    Parameters
    ----------
    name
        Mask and resolution, ``CLM_R1``.
    bits
        The bits as a number, None for any bit.
    needed
        Whether the mask has to be there.
    """

    name: str
    bits: int | None = None
    needed: bool = True

    def allows(self, mask: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Return where a mask lets a pixel count."""
        return (mask if self.bits is None else mask & self.bits) == 0


def rules_of(policy: ClearPolicy) -> tuple[MaskRule, ...]:
    """Return the rules of a policy, those that hide most first.

    Saturation is optional because some distributions leave it out; without it no pixel counts
    as saturated.
    """
    cloud = _bits(policy) if isinstance(policy, tuple) else None
    rules = (MaskRule("CLM_R1", cloud), MaskRule("EDG_R1"), MaskRule("SAT_R1", needed=False))
    if policy == "conservative":
        terrain = MaskRule("MG2_R1", _bits(TERRAIN_BITS))
        return (*rules, terrain, MaskRule("SAT_R2", needed=False))
    return rules


def clear_pixels(
    masks: Mapping[str, npt.NDArray[np.integer]], policy: ClearPolicy
) -> npt.NDArray[np.bool_]:
    """Return where the masks of an acquisition let a pixel count.

    Parameters
    ----------
    masks
        Masks by name as in :func:`rules_of`, all on one grid: CLM (cloud and shadow bits),
        EDG (outside the swath), SAT (one bit per saturated band), MG2 (terrain bits).
    policy
        ``oso``: no bit of CLM, EDG or SAT of the 10 m bands. ``conservative``: besides no
        saturation of the 20 m bands and no terrain bit of MG2. Numbers of bits: as ``oso``,
        but only these bits of CLM count.

    Returns
    -------
    clear
        Boolean, shape of the masks. No data in a band is not known here; see
        :class:`~oso_pipeline.timeseries.reading.reader.BlockReader`.

    Raises
    ------
    ValueError
        If a mask that the policy needs is not given.
    """
    clear = np.ones(masks["CLM_R1"].shape if "CLM_R1" in masks else (), bool)
    for rule in rules_of(policy):
        if rule.name in masks:
            clear &= rule.allows(masks[rule.name])
        elif rule.needed:
            raise ValueError(f"policy {policy!r} needs the mask {rule.name}")
    return clear


def _bits(numbers: tuple[int, ...]) -> int:
    return sum(1 << number for number in set(numbers))
