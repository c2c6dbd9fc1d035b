"""Labelled pixels: drawn per class and stratum, for training and for validation of each variant."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.lowest_draws import groups_of
from oso_pipeline.reference.split.variants import training_rows, validation_rows
from oso_pipeline.sampling.drawn import Drawn, Role
from oso_pipeline.sampling.polygons import CandidateFinder, Polygons, draw_numbers


@dataclass(frozen=True)
class SamplingLimits:
    """How many pixels are taken per class and stratum; None takes all.

    Parameters
    ----------
    variants
        Train variants, each of which has its own draw.
    train, validation
        Most pixels for training and for validation.
    seed
        Seed of the draw in the tile, 64 bits.
    """

    variants: tuple[str, ...]
    train: int | None
    validation: int | None
    seed: int


@dataclass
class LabelledDraw:
    """Population of the labelled pixels of a tile.

    Parameters
    ----------
    finder
        Finds the pixels that the tile owns, and their polygons.
    polygons
        Polygons of the tile.
    limits
        Settings of the draw.
    """

    finder: CandidateFinder
    polygons: Polygons
    limits: SamplingLimits
    roles: tuple[Role, ...] = field(init=False)

    def __post_init__(self) -> None:
        table, limits = self.polygons.table, self.limits
        self._group = groups_of(np.asarray(table["code"]), np.asarray(table["stratum"]))
        self._ids = np.asarray(table["polygon_id"], np.int64)
        self.roles = tuple(
            Role(np.append(rows, False), limit)
            for variant in limits.variants
            for rows, limit in (
                (training_rows(table, variant), limits.train),
                (validation_rows(table, variant), limits.validation),
            )
        )

    @property
    def n_groups(self) -> int:
        """Number of classes in strata."""
        return int(self._group.max(initial=-1)) + 1

    def find(self, block: Block) -> Drawn:
        """Return the pixels of `block` that may be drawn; no image is opened for that."""
        found = self.finder.find(block)
        ids: npt.NDArray[np.int64] = self._ids[found.polygon]
        draw = draw_numbers(self.limits.seed, ids, found.row, found.column)
        return Drawn.of(found.row, found.column, found.polygon, self._group[found.polygon], draw)


def draw_seed(seed: int, what: str, tile: str) -> int:
    """Return the 64-bit seed of a draw in a tile."""
    text = f"{seed}/{what}/{tile}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
