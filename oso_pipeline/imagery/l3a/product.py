"""A monthly synthesis whose metadata have been read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from oso_pipeline.imagery.clear import ClearPolicy, ClearRule
from oso_pipeline.imagery.l3a.quality import MASKS, rules_of
from oso_pipeline.imagery.muscate.format_product import FormatProduct
from oso_pipeline.imagery.muscate.names import ProductName
from oso_pipeline.imagery.protocol import Candidate

FAMILY = "l3a"
REFLECTANCE = "FRC"
"""Composite of reflectances corrected for slopes, as in the names of files."""

_MIXED = "SENTINEL2X"


def candidate_of(path: Path, name: ProductName, stem: str = "") -> Candidate:
    """Return a synthesis as a candidate of the search; its files at `path` begin with `stem`.

    Syntheses of one tile and date are one observation, whichever satellites took part. Of equal
    versions and profiles, that of several satellites is better. The candidate names no satellite,
    because a synthesis is no pass of one.
    """
    return Candidate(
        path,
        FAMILY,
        name.text,
        name.tile,
        name.acquired,
        observation=(name.zone, name.acquired.date().isoformat()),
        rank=(*name.rank, int(name.platform == _MIXED)),
        stem=stem,
    )


@dataclass(frozen=True)
class SynthesisProduct(FormatProduct):
    """A monthly synthesis: the weighted mean of the clear dates around that in its name."""

    family = FAMILY
    masks = MASKS

    @property
    def acquired(self) -> datetime:
        """The date in the name, which is the middle of the period: the 15th of the month."""
        return self.name.acquired

    def rules(self, policy: ClearPolicy) -> tuple[ClearRule, ...]:
        """Return which values of the flags hide a pixel."""
        return rules_of(policy)

    def not_valid(self) -> str | None:
        """Return None: a synthesis is never issued without images."""
        return None
