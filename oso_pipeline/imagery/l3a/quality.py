"""The flags of a monthly synthesis, and which of their values hide a pixel.

FLG holds a value per pixel, not bits: 0 no data, 1 cloud on every date, 2 snow, 3 water, 4 land.
R1 are the flags at 10 m, R2 those at 20 m; the two are made from images of their resolution.
"""

from __future__ import annotations

from oso_pipeline.imagery.clear import ClearPolicy, ClearRule, refused_bits

MASKS = ("FLG_R1", "FLG_R2")
"""Every mask that is listed where it is there. Weights (WGT) and dates (DTS) are not read."""

HIDDEN = (0, 1)
"""Values that hide a pixel, as in iota2: no data and cloud. Snow is a class of land cover."""


def rules_of(policy: ClearPolicy) -> tuple[ClearRule, ...]:
    """Return the rules of a policy.

    ``oso``: neither no data nor cloud in the flags at 10 m. ``conservative``: nor in those at 20 m.

    Raises
    ------
    ValueError
        If the policy lists bits of a cloud mask, which flags do not have.
    """
    if isinstance(policy, tuple):
        raise ValueError(refused(policy))
    needed = MASKS if policy == "conservative" else MASKS[:1]
    return tuple(ClearRule(mask, values=HIDDEN) for mask in needed)


def refused(policy: ClearPolicy) -> str | None:
    """Return why a policy has no meaning for syntheses; None where it has one."""
    return refused_bits(policy, "monthly syntheses (L3A) have flags")


def meaning(asset: str, value: int) -> str:
    """Return in words why a value of the flags hides a pixel.

    Examples
    --------
    >>> meaning("FLG_R1", 1)
    'cloud'
    """
    return {0: "no data", 1: "cloud"}.get(value, f"flag {value}")
