"""Fields of the simulated world as its databases contain them, with shared flaws."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import shapely

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.simulation.world.world import World
from oso_pipeline.simulation.writers.vector_files import Batch, Column, Geometries, concatenate

Indices = npt.NDArray[np.int64]

_AROUND_M = 150.0
"""Databases do not end where the images end."""
_LEAST_KNOWN = 12
_SEA_LEVEL = 0.02
"""Water on the lowest two hundredths of the land is the sea."""


class KnownLand:
    """The fields that images show, and those just around, in the order of the world.

    Attributes
    ----------
    world
        Where they lie.
    outlines
        Polygon of every field of the world in map coordinates.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.outlines = world.outline_of_fields()
        self._near = shapely.intersects(self.outlines, shapely.buffer(world.footprint, _AROUND_M))
        x, y = world.seeds.T
        self._seen = shapely.contains_xy(world.footprint, x, y)

    def rng(self, *what: str | int) -> np.random.Generator:
        """Return the random numbers of a part of a database."""
        return np.random.default_rng(derived_seed(self.world.spec.seed, "databases", *what))

    def fields(self, codes: Iterable[int], database: str, share: float = 1.0) -> Indices:
        """Return the fields of some classes that a database contains.

        Parameters
        ----------
        codes
            Classes, OSO 17.
        database
            Each contains other fields.
        share
            Of the fields of each class; of those in the images not less than 12, if there are.
        """
        lot = self.rng(database, "known").uniform(size=self.world.codes.size)
        known = np.zeros(lot.size, dtype=bool)
        for code in codes:
            of_class = (self.world.codes == code) & self._near
            known |= of_class & (lot < share)
            seen = np.flatnonzero(of_class & self._seen)
            known[seen[np.argsort(lot[seen])[:_LEAST_KNOWN]]] = True
        return np.flatnonzero(known)

    def lakes_and_sea(self, share: float) -> tuple[Indices, Indices]:
        """Return the known fields of water by who draws them: BD TOPO lakes, land cover the sea.

        No field is in both databases: the rest of an overlap would be a second unit.
        """
        water = self.fields((51,), "water", share)
        at_sea = self.world.heights[water] < _SEA_LEVEL
        return water[~at_sea], water[at_sea]

    def inset(self, fields: Indices, metres: float) -> Geometries:
        """Return outlines that end `metres` inside the fields."""
        shapes = shapely.buffer(self.outlines[fields], -metres, join_style="mitre")
        return np.asarray(shapely.set_precision(shapes, 0.01), dtype=object)


def with_flaws(
    batch: Batch, rng: np.random.Generator, duplicates: int, invalid: int, slivers: int
) -> Batch:
    """Return polygons with what deliveries have in small numbers.

    Parameters
    ----------
    batch
        Polygons with an outline only, in two dimensions.
    rng
        Chooses them.
    duplicates, invalid, slivers
        How many features are repeated at the end, cross their own outline, or are repeated as a
        strip of 1 m under an identifier of their own, which is the first column.
    """
    chosen = rng.permutation(len(batch))[: duplicates + invalid + slivers]
    twice, crossed, narrow = np.split(chosen, [duplicates, duplicates + invalid])
    geometry = batch.geometry.copy()
    geometry[crossed] = [_bow_tie(polygon) for polygon in geometry[crossed]]
    x0, y0, _, y1 = shapely.bounds(batch.geometry[narrow]).T
    strips = shapely.box(x0, y0, x0 + 1.0, y1)
    columns = dict(batch.take(narrow).columns)
    identifier = next(iter(columns))
    columns[identifier] = _renamed(columns[identifier])
    flawed = Batch(geometry, batch.columns)
    return concatenate([flawed, flawed.take(twice), Batch(strips, columns)])


def _bow_tie(polygon: shapely.Polygon) -> shapely.Polygon:
    """Exchange two neighbouring corners so that the outline crosses itself."""
    corners = shapely.get_coordinates(polygon.exterior)
    for first in range(1, len(corners) - 2):
        order = np.arange(len(corners))
        order[[first, first + 1]] = order[[first + 1, first]]
        crossed = shapely.Polygon(corners[order])
        if not crossed.is_valid:
            return crossed
    raise ValueError("the outline of a triangle cannot cross itself")


def _renamed(identifiers: Column) -> npt.NDArray[np.str_]:
    """Return other identifiers of the same width: a 9 takes the place of the first zero."""
    assert isinstance(identifiers, np.ndarray)
    return np.array([text.replace("0", "9", 1) for text in identifiers], dtype=str)
