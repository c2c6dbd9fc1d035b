"""The masks of a MUSCATE product, and which of their bits hide a pixel.

CLM holds bits of cloud and shadow, EDG what lies outside the swath, SAT a bit per saturated band,
MG2 geophysical bits; R1 are those at 10 m, R2 those at 20 m.
"""

from __future__ import annotations

from oso_pipeline.imagery.clear import ClearPolicy, ClearRule

MASKS = ("CLM_R1", "EDG_R1", "SAT_R1", "CLM_R2", "EDG_R2", "SAT_R2", "MG2_R1", "MG2_R2")
"""Every mask that is listed where it is there."""

TERRAIN_BITS = (4, 5, 6, 7)
"""Bits of MG2: topographic shadow, hidden by relief (MAJA 4 swaps these two), sun too low,
tangent sun. The other bits are water, cloud, snow and cloud shadow; snow is a class of land
cover and stays clear."""


def rules_of(policy: ClearPolicy) -> tuple[ClearRule, ...]:
    """Return the rules of a policy, those that hide most first.

    ``oso``: no bit of CLM, EDG or SAT of the 10 m bands. ``conservative``: besides no saturation
    of the 20 m bands and no terrain bit of MG2. Numbers of bits: as ``oso``, but only these bits
    of CLM count. Saturation is optional because some distributions leave it out; without it no
    pixel counts as saturated.
    """
    cloud = policy if isinstance(policy, tuple) else None
    rules = (ClearRule("CLM_R1", cloud), ClearRule("EDG_R1"), ClearRule("SAT_R1", needed=False))
    if policy == "conservative":
        return (*rules, ClearRule("MG2_R1", TERRAIN_BITS), ClearRule("SAT_R2", needed=False))
    return rules
