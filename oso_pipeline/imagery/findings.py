"""What a search of the folders of images finds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.imagery.acquisition import REASONS, Reason
from oso_pipeline.imagery.protocol import Candidate

_TILE_IN_PATH = re.compile(r"(?:^|[^A-Z0-9])T?(\d{2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V])(?![A-Z0-9])")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A file or folder that may be a product and that no reader takes.

    Parameters
    ----------
    path
        Where it lies.
    reason
        Why it is left out, one of `REASONS`.
    detail
        Details of the finding.
    """

    path: Path
    reason: Reason = "not_recognised"
    detail: str = REASONS["not_recognised"]


@dataclass(frozen=True)
class Findings:
    """Result of a search.

    Parameters
    ----------
    candidates
        Products, in the order of their paths.
    unrecognised
        Archives, and folders with images, that no reader recognises.
    """

    candidates: tuple[Candidate, ...]
    unrecognised: tuple[Unknown, ...]

    def of_tile(self, tile: str) -> tuple[Candidate, ...]:
        """Return the products of one tile."""
        return tuple(c for c in self.candidates if c.tile == tile)

    def unrecognised_of(self, tile: str, is_first: bool) -> tuple[Unknown, ...]:
        """Return what is not recognised and may belong to `tile`.

        A path that names no tile is listed once, with the first tile of the configuration.
        """
        named = {one: _TILE_IN_PATH.findall(str(one.path)) for one in self.unrecognised}
        return tuple(
            one
            for one, tiles in named.items()
            if (tiles and tiles[-1] == tile) or (not tiles and is_first)
        )
