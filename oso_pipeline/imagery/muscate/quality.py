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


_CLOUD = {1: "cloud", 2: "cloud", 3: "cloud", 4: "edge of a cloud", 5: "cloud shadow",
          6: "cloud shadow", 7: "cirrus"}  # fmt: skip
_TERRAIN = {4: "relief", 5: "relief", 6: "low sun", 7: "low sun"}
_BANDS = {"SAT_R1": ("B2", "B3", "B4", "B8"), "SAT_R2": ("B5", "B6", "B7", "B8A", "B11", "B12")}
"""The bands of a group, in the order of the bits of its mask of saturation."""


def meaning(asset: str, value: int) -> str:
    """Return in words why a value of a mask hides a pixel.

    Examples
    --------
    >>> meaning("CLM_R1", 35), meaning("EDG_R1", 1), meaning("SAT_R1", 8)
    ('cloud, cloud shadow', 'outside the swath', 'saturated (B8)')
    """
    bits = [bit for bit in range(value.bit_length()) if value >> bit & 1]
    if asset.startswith("EDG"):
        return "outside the swath"
    if asset in _BANDS:
        bands = [_BANDS[asset][bit] for bit in bits if bit < len(_BANDS[asset])]
        return f"saturated ({', '.join(bands)})" if bands else "saturated"
    names = _TERRAIN if asset.startswith("MG2") else _CLOUD
    found = dict.fromkeys(names[bit] for bit in bits if bit in names)
    return ", ".join(found) or "cloud or shadow"
