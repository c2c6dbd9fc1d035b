"""Tiny monthly syntheses for tests, whole or with one fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from support.muscate_factory import Muscate

OCTOBER = "SENTINEL2X_20181015-000000-000_L3A_T31TCJ_D_V1-1"
SEPTEMBER = OCTOBER.replace("201810", "201809")
_WHOLE = Muscate(
    OCTOBER,
    kinds=("FRC",),
    masks=tuple(f"{kind}_{group}" for kind in ("FLG", "DTS", "WGT") for group in ("R1", "R2")),
    mask_values={"FLG": 4},
    orbit="-1",
)


def synthesis(name: str = OCTOBER, **changes: Any) -> Muscate:
    """Return a synthesis to write: all land, of one reflectance."""
    return replace(_WHOLE, name=name, **changes)
