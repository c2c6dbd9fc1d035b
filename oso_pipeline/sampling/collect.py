"""Samples of a tile gathered block by block, never many more than are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from oso_pipeline.core.commit import verified
from oso_pipeline.core.lowest_draws import groups_of, lowest
from oso_pipeline.reference.split.variants import training_rows, validation_rows
from oso_pipeline.sampling.polygons import Candidates, Polygons
from oso_pipeline.timeseries.feature_layout import FeatureLayout

_FIRST_TRIM = 50_000


@dataclass(frozen=True)
class Limits:
    """How many pixels are kept per class and stratum; None keeps all.

    Parameters
    ----------
    variants
        Train variants, each of which has its own draw.
    train, validation
        Most pixels for training and for validation.
    """

    variants: tuple[str, ...]
    train: int | None
    validation: int | None


@dataclass(frozen=True, eq=False)
class Pixels:
    """Pixels with their features; arrays of one length, features ``(pixel, feature)``."""

    place: Candidates
    draw: npt.NDArray[np.uint64]
    validity: npt.NDArray[np.uint16]
    features: npt.NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.draw)

    def take(self, rows: npt.NDArray[np.intp]) -> Pixels:
        """Return some of the pixels."""
        return Pixels(
            self.place.take(rows), self.draw[rows], self.validity[rows], self.features[rows]
        )

    @classmethod
    def none(cls, layout: FeatureLayout) -> Pixels:
        """Return no pixels, with the features of `layout`."""
        nowhere = Candidates(*(np.empty(0, t) for t in (int, int, float, float, int)))
        nothing = np.empty((0, layout.size), np.int16)
        return cls(nowhere, np.empty(0, np.uint64), np.empty(0, np.uint16), nothing)

    @classmethod
    def joined(cls, parts: Sequence[Pixels]) -> Pixels:
        """Return the pixels of all `parts`."""
        place = Candidates(
            *(
                np.concatenate([getattr(part.place, f.name) for part in parts])
                for f in fields(Candidates)
            )
        )
        return cls(
            place,
            np.concatenate([part.draw for part in parts]),
            np.concatenate([part.validity for part in parts]),
            np.concatenate([part.features for part in parts]),
        )


@dataclass
class Collector:
    """Keeps, of all pixels added, those that some variant may draw.

    Parameters
    ----------
    polygons
        Polygons of the tile.
    limits
        How many pixels to keep.
    """

    polygons: Polygons
    limits: Limits
    _parts: list[Pixels] = field(default_factory=list)
    _held: int = 0
    _trim_at: int = _FIRST_TRIM

    def __post_init__(self) -> None:
        table = self.polygons.table
        group = groups_of(np.asarray(table["code"]), np.asarray(table["stratum"]))
        self._roles: list[tuple[npt.NDArray[np.int64], int | None]] = []
        for variant in self.limits.variants:
            for rows, limit in (
                (training_rows(table, variant), self.limits.train),
                (validation_rows(table, variant), self.limits.validation),
            ):
                self._roles.append((np.where(rows, group, -1), limit))

    def add(self, pixels: Pixels) -> None:
        """Add the pixels of a block."""
        if len(pixels):
            self._parts.append(pixels)
            self._held += len(pixels)
            if self._held >= self._trim_at:
                self._trim()
                self._trim_at = max(_FIRST_TRIM, 2 * self._held)

    def result(self) -> Pixels | None:
        """Return the pixels kept, by row and column; None if none was ever added."""
        if not self._parts:
            return None
        self._trim()
        pixels = self._parts[0]
        return pixels.take(np.lexsort((pixels.place.column, pixels.place.row)))

    def _trim(self) -> None:
        pixels = Pixels.joined(self._parts)
        keep = np.zeros(len(pixels), bool)
        for group, limit in self._roles:
            keep |= lowest(pixels.draw, group[pixels.place.polygon], limit)
        self._parts = [pixels.take(np.flatnonzero(keep))]
        self._held = len(self._parts[0])


def write_samples(
    path: Path, pixels: Pixels | None, polygons: Polygons, layout: FeatureLayout, season: int
) -> pa.Table:
    """Publish the samples of a tile as Parquet; equal samples make equal bytes.

    Returns
    -------
    table
        ``polygon_id, x, y, code, stratum, season, validity, draw``, the columns of the
        split, and one int16 column per feature.
    """
    if pixels is None:
        pixels = Pixels.none(layout)
    place = pixels.place
    known = polygons.table.take(place.polygon)
    content = {
        "polygon_id": known["polygon_id"].cast(pa.int64()),
        "x": place.x,
        "y": place.y,
        "code": known["code"].cast(pa.int32()),
        "stratum": known["stratum"].cast(pa.string()),
        "season": np.full(len(pixels), season, np.int16),
        "validity": pixels.validity,
        "draw": pixels.draw,
    }
    for name in known.column_names[3:]:
        content[name] = known[name].cast(pa.int8() if name == "fold" else pa.string())
    for number, name in enumerate(layout.names):
        content[name] = np.ascontiguousarray(pixels.features[:, number])
    table = pa.table(content)

    publish_samples(path, table)
    return table


def publish_samples(path: Path, table: pa.Table) -> None:
    """Write `table` to `path`, all or nothing, and read it back whole."""

    def write(temporary: Path) -> None:
        pq.write_table(table, temporary, compression="zstd", row_group_size=65_536)

    def check(temporary: Path) -> None:
        if not pq.ParquetFile(temporary).read().equals(table):
            raise OSError(f"{path} does not read back as it was written; is the disk sound?")

    verified(write, check, path)
