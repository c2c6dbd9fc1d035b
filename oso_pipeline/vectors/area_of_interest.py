"""The area of interest: the part of the tiles that is mapped.

A pixel of an image lies in the area if its centre does. That is decided on the grid of the
tile, never on a block or a map, so planning, prediction and mosaic agree on every pixel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from oso_pipeline.config.model import Area
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import InputDataError, Problem, Problems
from oso_pipeline.core.rasterise import Burner
from oso_pipeline.tasks.job import Input
from oso_pipeline.vectors.geometry import polygonal, repaired
from oso_pipeline.vectors.vector_files import VectorFile

Mask = npt.NDArray[np.bool_]
Bounds = tuple[float, float, float, float]

_EDGE_POINTS = 51
_SQUARE = 512
_PARTS_OF_TILE = 100
"""Edges are cut in pieces of a hundredth of a tile before they travel to another system: a
straight line bends there, over a kilometre by a few millimetres."""


@dataclass(frozen=True)
class Outline:
    """The area as its file has it.

    Parameters
    ----------
    geometry
        Valid and not empty.
    crs
        Coordinate system of the file.
    """

    geometry: shapely.Geometry
    crs: CRS


def file_of(area: Area) -> VectorFile:
    """Return the vector file of an area, which may consist of several files on disk."""
    return VectorFile(area.path, area.layer, area.crs)


def read_outline(area: Area, problems: Problems) -> Outline | None:
    """Return the union of all polygons of the file.

    Problems found are those of `VectorFile.read_regions`, no polygon at all (``E-AREA-EMPTY``),
    points or lines (``E-GEOMETRY-TYPE``); the result is then None. Broken polygons are repaired.
    """
    frame = file_of(area).read_regions([], problems)
    if frame is None:
        return None
    shapes = np.asarray(frame.geometry)
    present = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    odd = int(np.sum(shapely.is_empty(polygonal(present)))) if len(present) else 0
    if odd:
        message = f"{odd} of {len(shapes)} features of the area of interest are not polygons"
        problems.error(
            "E-GEOMETRY-TYPE", message, area.path, "an area needs polygons: buffer lines"
        )
        return None
    areas, _ = repaired(present)
    geometry = shapely.union_all(areas)
    if shapely.is_empty(geometry):
        message = f"the area of interest is empty: {len(shapes)} features, none with an area"
        problems.error("E-AREA-EMPTY", message, area.path, "draw a polygon, or remove map.area")
        return None
    return Outline(geometry, frame.crs)


class AreaMask:
    """Finds the pixels of a tile in the area of interest.

    Parameters
    ----------
    outline
        The area, in whatever system.
    grid
        10 m grid of the tile.
    """

    def __init__(self, outline: Outline, grid: GeoBox) -> None:
        self.grid = grid
        self.geometry = _within(outline, grid)
        shapely.prepare(self.geometry)

    def block(self, block: Block) -> Mask:
        """Return which pixel centres of `block` lie in the area.

        Returns
        -------
        bool array of shape ``(block.height, block.width)``
        """
        box = shapely.box(*block.crop(self.grid).boundingbox.bbox)
        shape = block.height, block.width
        if not shapely.intersects(self.geometry, box):
            return np.zeros(shape, bool)
        if shapely.contains(self.geometry, box):
            return np.ones(shape, bool)
        inside: Mask = self._burner.block(block) >= 0
        return inside

    def pixels(self, rows: npt.NDArray[np.int32], columns: npt.NDArray[np.int32]) -> Mask:
        """Return which pixels of the tile lie in the area, shape ``(n,)``, n at least 1.

        They should lie close together: memory goes with the rectangle around them.
        """
        top, left = int(rows.min()), int(columns.min())
        height, width = int(rows.max()) - top + 1, int(columns.max()) - left + 1
        return self.block(Block("", top, left, height, width))[rows - top, columns - left]

    def bounds_in(self, epsg: int) -> Bounds | None:
        """Return left, bottom, right and top of the area within the tile; None if it is empty."""
        if shapely.is_empty(self.geometry):
            return None
        there = Transformer.from_crs(self.grid.crs.epsg, epsg, always_xy=True)
        x, y = there.transform(*shapely.get_coordinates(self.geometry).T)
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    @cached_property
    def _burner(self) -> Burner:
        return Burner(self.grid, _in_squares(self.geometry, self.grid))


@dataclass(frozen=True, slots=True)
class AreaOfTask:
    """The area of interest as a task carries it: the content into its key, the path not.

    Parameters
    ----------
    area
        The file and how it is read.
    digest
        SHA-256 of its content.
    """

    area: Area
    digest: str

    @classmethod
    def of(cls, area: Area | None) -> AreaOfTask | None:
        """Return the area of a configuration; None where the whole tiles are mapped.

        Raises
        ------
        InputDataError
            Where the file cannot be read.
        """
        return None if area is None else cls(area, digest_of(area))

    @property
    def file(self) -> Input:
        """The file as an input of a task."""
        return Input.file(self.area.path, self.digest)

    def to_json(self) -> dict[str, str | None]:
        """Return how the file is read, as JSON values."""
        return {"layer": self.area.layer, "crs": self.area.crs}

    def mask(self, grid: GeoBox) -> AreaMask:
        """Return the mask of a tile."""
        return area_mask(self.area, self.digest, grid)


def digest_of(area: Area) -> str:
    """Return the SHA-256 over the content of the file.

    Raises
    ------
    InputDataError
        Where the file cannot be read.
    """
    try:
        return file_of(area).digest()
    except OSError as error:
        problem = Problem(
            "E-PATH-READ", f"map.area: cannot be read: {error.strerror}", str(area.path)
        )
        raise InputDataError(problem) from error


@lru_cache(maxsize=4)
def area_mask(area: Area, digest: str, grid: GeoBox) -> AreaMask:
    """Return the mask of a tile; cached, since every block of the tile needs it.

    Parameters
    ----------
    area
        Where the area is.
    digest
        Content of the file, so that a changed file is read again.
    grid
        10 m grid of the tile.

    Raises
    ------
    InputDataError
        Where the file cannot be used.
    """
    return AreaMask(_outline(area, digest), grid)


@lru_cache(maxsize=2)
def _outline(area: Area, digest: str) -> Outline:
    problems = Problems()
    outline = read_outline(area, problems)
    problems.raise_errors(InputDataError)
    if outline is None:
        raise ValueError(f"{area.path} was refused without a reason")
    return outline


def _within(outline: Outline, grid: GeoBox) -> shapely.Geometry:
    """Return the part of the area on a tile, in the coordinates of the tile.

    It is clipped before it is transformed: far points may be invalid in the system of the tile.
    """
    nowhere = shapely.MultiPolygon()
    box = next(boxes_in([grid], outline.crs), None)
    if box is None:
        return nowhere
    left, bottom, right, top = box.bounds
    step = min(right - left, top - bottom) / _PARTS_OF_TILE
    near = _area_of(shapely.intersection(outline.geometry, shapely.box(*box.buffer(step).bounds)))
    there = Transformer.from_crs(outline.crs, grid.crs.epsg, always_xy=True)
    moved = shapely.transform(
        shapely.segmentize(near, step), lambda xy: np.column_stack(there.transform(*xy.T))
    )
    moved, _ = repaired(np.array([moved]))
    return _area_of(shapely.intersection(moved[0], shapely.box(*grid.boundingbox.bbox)))


def _in_squares(geometry: shapely.Geometry, grid: GeoBox) -> npt.NDArray[np.object_]:
    """Cut an area in squares, since drawing a window takes the time of all vertices near it.

    The cuts run along the edges of pixels, so no centre lies on one.
    """
    rows, columns = grid.shape
    pieces: list[shapely.Geometry] = []
    for left in range(0, columns, _SQUARE):
        strip = grid[:, left : min(left + _SQUARE, columns)]
        within = _area_of(shapely.intersection(geometry, shapely.box(*strip.boundingbox.bbox)))
        if shapely.is_empty(within):
            continue
        for top in range(0, rows, _SQUARE):
            box = shapely.box(*strip[top : min(top + _SQUARE, rows), :].boundingbox.bbox)
            pieces.append(_area_of(shapely.intersection(within, box)))
    parts: npt.NDArray[np.object_] = shapely.get_parts(np.array(pieces, object))
    return parts


def _area_of(geometry: shapely.Geometry) -> shapely.Geometry:
    return polygonal(np.array([geometry]))[0]


def boxes_in(grids: Collection[GeoBox], crs: Any) -> Iterator[shapely.Geometry]:
    """Yield the box around each grid in a system; nothing for one that has no place there."""
    for grid in grids:
        way = Transformer.from_crs(grid.crs.epsg, crs, always_xy=True)
        try:
            left, bottom, right, top = grid.boundingbox.bbox
            bounds = way.transform_bounds(left, bottom, right, top, densify_pts=_EDGE_POINTS)
        except ProjError:
            continue
        if np.isfinite(bounds).all() and bounds[0] < bounds[2]:
            yield shapely.box(*bounds)
