"""Unlabelled pixels drawn by area: how the season went, whatever grows there.

Of each stratum the pixels with the lowest numbers are taken that no polygon holds which judges
the map. A block's pixels need to be looked at only if their number is below the highest that is
kept so far, so that few are read beyond those drawn; which are drawn depends on no block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.lowest_draws import lowest
from oso_pipeline.core.rasterise import NONE
from oso_pipeline.reference.split.variants import validation_rows
from oso_pipeline.sampling.collect import Pixels, publish_samples
from oso_pipeline.sampling.polygons import CandidateFinder, Candidates, Polygons, draw_numbers
from oso_pipeline.timeseries.feature_layout import FeatureLayout

IN_NO_POLYGON = -1
"""``polygon_id`` of a pixel outside all polygons."""

_FIRST_TRIM = 50_000
_HIGHEST = np.uint64(2**64 - 1)
StrataOf = Callable[[Block], npt.NDArray[np.int32]]
"""Returns the index of the stratum at each pixel of a block, negative outside."""


@dataclass(frozen=True)
class AreaLimits:
    """What is drawn.

    Parameters
    ----------
    variants
        Train variants; each has polygons of its own that are held out, and a draw of its own.
    strata
        Names of the strata, ascending.
    size
        Pixels drawn per stratum.
    seed
        Seed of the draw in the tile, 64 bits.
    """

    variants: tuple[str, ...]
    strata: tuple[str, ...]
    size: int
    seed: int


@dataclass
class AreaDraw:
    """Draws pixels of a tile block by block.

    Parameters
    ----------
    finder
        Tells which pixels the tile owns, and in which polygon they lie.
    polygons
        Polygons of the season of the map.
    strata_of
        Strata of the pixels.
    limits
        What is drawn.
    """

    finder: CandidateFinder
    polygons: Polygons
    strata_of: StrataOf
    limits: AreaLimits
    _parts: list[tuple[Pixels, npt.NDArray[np.int32]]] = field(default_factory=list)
    _held: int = 0
    _trim_at: int = _FIRST_TRIM

    def __post_init__(self) -> None:
        table = self.polygons.table
        self._held_out = [validation_rows(table, v) for v in self.limits.variants]
        shape = (len(self.limits.variants), len(self.limits.strata))
        self._highest = np.full(shape, _HIGHEST)

    def find(self, block: Block) -> tuple[Candidates, npt.NDArray[np.uint64]]:
        """Return the pixels of `block` that may be drawn, and their numbers."""
        self._block, self._labels = block, self.strata_of(block)
        place = self.finder.all_owned(block, self._labels >= 0)
        nobody = np.zeros(len(place), np.int64)
        draw = draw_numbers(self.limits.seed, nobody, place.row, place.column)
        stratum = self._strata_at(place)
        may = np.zeros(len(place), bool)
        for highest, held_out in zip(self._highest, self._held_out, strict=True):
            may |= (draw <= highest[stratum]) & ~_at(held_out, place.polygon)
        rows = np.flatnonzero(may)
        return place.take(rows), draw[rows]

    def add(self, pixels: Pixels) -> None:
        """Add usable pixels of the block that was asked for last."""
        if len(pixels):
            self._parts.append((pixels, self._strata_at(pixels.place)))
            self._held += len(pixels)
            if self._held >= self._trim_at:
                self._trim()
                self._trim_at = max(_FIRST_TRIM, 2 * self._held)

    def close_block(self) -> None:
        """Let what the block gave keep later blocks from looking at pixels in vain."""
        if self._parts:
            self._trim()

    def write(self, path: Path, season: int, layout: FeatureLayout) -> pa.Table:
        """Publish the pixels drawn, by row and column; equal pixels make equal bytes.

        Returns
        -------
        table
            ``polygon_id`` (`IN_NO_POLYGON` outside all), ``x, y, stratum, season, validity,
            draw`` and one int16 column per feature.
        """
        if self._parts:
            self._trim()
        pixels, stratum = self._parts[0] if self._parts else _nothing(layout)
        order = np.lexsort((pixels.place.column, pixels.place.row))
        pixels, stratum = pixels.take(order), stratum[order]
        known = np.asarray(self.polygons.table["polygon_id"], np.int64)
        ids = np.full(len(pixels), IN_NO_POLYGON)
        inside = pixels.place.polygon != NONE
        ids[inside] = known[pixels.place.polygon[inside]]
        content: dict[str, Any] = {
            "polygon_id": ids,
            "x": pixels.place.x,
            "y": pixels.place.y,
            "stratum": pa.array(np.array(self.limits.strata, object)[stratum], pa.string()),
            "season": np.full(len(pixels), season, np.int16),
            "validity": pixels.validity,
            "draw": pixels.draw,
        }
        for number, name in enumerate(layout.names):
            content[name] = np.ascontiguousarray(pixels.features[:, number])
        table = pa.table(content)

        publish_samples(path, table)
        return table

    def _strata_at(self, place: Candidates) -> npt.NDArray[np.int32]:
        return self._labels[place.row - self._block.row, place.column - self._block.column]

    def _trim(self) -> None:
        pixels = Pixels.joined([part for part, _ in self._parts])
        stratum = np.concatenate([label for _, label in self._parts])
        keep = np.zeros(len(pixels), bool)
        for highest, held_out in zip(self._highest, self._held_out, strict=True):
            free = ~_at(held_out, pixels.place.polygon)
            taken = lowest(pixels.draw, np.where(free, stratum, -1), self.limits.size)
            keep |= taken
            for label in np.unique(stratum[taken]):
                drawn = pixels.draw[taken & (stratum == label)]
                if len(drawn) == self.limits.size:
                    highest[label] = drawn.max()
        rows = np.flatnonzero(keep)
        self._parts = [(pixels.take(rows), stratum[rows])]
        self._held = len(rows)


def _at(held_out: npt.NDArray[np.bool_], polygon: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which pixels lie in a polygon that is held out; `NONE` is in none."""
    inside = polygon != NONE
    found = np.zeros(len(polygon), bool)
    found[inside] = held_out[polygon[inside]]
    return found


def _nothing(layout: FeatureLayout) -> tuple[Pixels, npt.NDArray[np.int32]]:
    return Pixels.none(layout), np.empty(0, np.int32)
