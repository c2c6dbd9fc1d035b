"""Where shapes lie beside the tiles, and if they meet none, why that may be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from pyproj import CRS

from oso_pipeline.core.tiles import Tile
from oso_pipeline.vectors.area_of_interest import boxes_in

Shapes = npt.NDArray[np.object_]

_WGS84, _LAMBERT_93, _LAMBERT_2 = 4326, 2154, 27572
_REMEDY = "write x (east, longitude) before y (north, latitude), and name the right system"


@dataclass(frozen=True)
class Ground:
    """The tiles of a map.

    Parameters
    ----------
    tiles
        Their names.
    epsg
        Coordinate system of the map.
    """

    tiles: tuple[str, ...]
    epsg: int

    @property
    def grids(self) -> list[GeoBox]:
        """The grid of each whole tile."""
        return [Tile(name).geobox() for name in self.tiles]

    def boxes(self, crs: CRS) -> tuple[shapely.Polygon, ...]:
        """Return the box around each tile in a system; none where it has no place there."""
        return _boxes(self, crs.to_wkt())

    def meets(self, shapes: Shapes, crs: CRS) -> bool:
        """Return whether one of the shapes meets the box around a tile."""
        return any(bool(shapely.intersects(shapes, box).any()) for box in self.boxes(crs))


class Subject(NamedTuple):
    """Description of a position, as text.

    Parameters
    ----------
    lie, cover, meet
        How the sentences about it begin: ``the area of interest lies``, ``it covers``,
        ``it meets``.
    hint
        Hint if the reason is unknown.
    """

    lie: str
    cover: str
    meet: str
    hint: str


class Elsewhere(NamedTuple):
    """Why shapes meet no tile: the number of the finding, what to say and what to do."""

    code: str
    message: str
    hint: str


def elsewhere(
    shapes: Shapes, crs: CRS, subject: Subject, ground: Ground, whole: Shapes | None = None
) -> Elsewhere:
    """Return the message about shapes outside all tiles, with both boxes and a likely reason.

    Where `shapes` are but some of them, `whole` are boxes that hold all.
    The code is ``PLACE-COORDINATES`` if the shapes would meet a tile with swapped coordinates or
    in another system, else ``PLACE-OUTSIDE``.
    """
    boxes, system = ground.boxes(crs), _name(crs)
    covered = box_text(shapes if whole is None else whole)
    message = f"{subject.lie} outside all tiles: {subject.cover} {covered} "
    if boxes:
        message += f"in {system}, the tiles {box_text(boxes)}"
    else:
        there = ground.boxes(CRS.from_epsg(ground.epsg))
        message += f"in {system}, the tiles {box_text(there)} in EPSG:{ground.epsg}"
    if why := _explanation(shapes, crs, subject, ground):
        return Elsewhere("PLACE-COORDINATES", f"{message}; {why}", _REMEDY)
    return Elsewhere("PLACE-OUTSIDE", message, subject.hint)


def box_text(shapes: Sequence[shapely.Geometry] | Shapes) -> str:
    """Return the box around shapes, as text."""
    edges = [f"{value:.7g}" for value in shapely.total_bounds(np.asarray(shapes, dtype=object))]
    return f"x {edges[0]} to {edges[2]}, y {edges[1]} to {edges[3]}"


def _explanation(shapes: Shapes, crs: CRS, subject: Subject, ground: Ground) -> str | None:
    """Return how the coordinates would meet a tile, None if in no way that is known."""
    swapped = shapely.transform(shapes, lambda xy: xy[:, ::-1])
    codes = (_WGS84, ground.epsg, *(grid.crs.epsg for grid in ground.grids))
    for other in _distinct([crs, *map(CRS.from_epsg, (*codes, _LAMBERT_93, _LAMBERT_2))]):
        if ground.meets(shapes, other):
            return f"the system looks swapped: read in {_name(other)} {subject.meet} a tile"
        if ground.meets(swapped, other):
            return f"x and y look swapped: read as y, x in {_name(other)} {subject.meet} a tile"
    return None


def _distinct(systems: Iterable[CRS]) -> list[CRS]:
    return list({one.to_wkt(): one for one in systems}.values())


def _name(crs: CRS) -> str:
    code = crs.to_epsg()
    return crs.name if code is None else f"EPSG:{code}"


@lru_cache(maxsize=64)
def _boxes(ground: Ground, wkt: str) -> tuple[shapely.Polygon, ...]:
    return tuple(boxes_in(ground.grids, CRS.from_wkt(wkt)))
