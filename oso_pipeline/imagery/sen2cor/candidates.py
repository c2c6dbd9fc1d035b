"""Candidates of the search from the names of ESA's products, in whichever format they come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.sen2cor.names import (
    ProductName,
    as_seconds,
    observation_of,
    parse_baseline,
)

LEVEL_1 = "level 1"
"""Token of candidates of level 1, which are named and not read."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What the metadata of a product state; None for what they do not.

    Parameters
    ----------
    name
        The name of the product.
    tile
        The one tile of its granules.
    platform
        ``S2A``, ``S2B`` ...
    sensed
        Start of the datatake, UTC.
    baseline
        Processing baseline as it stands there.
    generated
        When the product was made, UTC.
    """

    name: ProductName | None
    tile: str | None
    platform: str | None
    sensed: datetime | None
    baseline: str | None
    generated: datetime | None

    def of(self, found: Candidate) -> Candidate:
        """Return a product as its metadata name it; the rest stays as it was found."""
        if self.name is not None:
            named = candidate_of(found.family, found.path, self.name, found.stem)
            found = replace(named, token=found.token)
        tile = self.tile or found.tile
        sensed = self.sensed or found.acquired
        platform = self.platform or found.platform or "S2"
        baseline = parse_baseline(self.baseline) or found.rank[:2]
        made = found.rank[2] if self.generated is None else as_seconds(self.generated)
        return replace(
            found,
            tile=tile,
            acquired=sensed,
            observation=observation_of(platform, tile, sensed),
            rank=(*baseline, made),
            platform=platform,
        )


def candidate_of(family: str, path: Path, name: ProductName, stem: str = "") -> Candidate:
    """Return a product as a candidate of the search."""
    return Candidate(
        path,
        family,
        name.text,
        name.tile,
        name.sensed,
        observation=observation_of(name.platform, name.tile, name.sensed),
        rank=(*(name.baseline or (0, 0)), as_seconds(name.made)),
        token=LEVEL_1 if name.level == "L1C" else "",
        stem=stem,
        platform=name.platform,
    )
