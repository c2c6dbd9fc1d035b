"""The parcels of a tile: their numbers and names, their shapes on its grid, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from pyproj import CRS

from oso_pipeline.config.series import Parcels as ParcelsSection
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.products.series.parcels_pixels import Outlines
from oso_pipeline.tasks.job import Input
from oso_pipeline.vectors.area_of_interest import boxes_in
from oso_pipeline.vectors.areas import hectares
from oso_pipeline.vectors.geometry import Geometries, finite, repaired
from oso_pipeline.vectors.values import WHOLE_NUMBER, written
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.window import Window, transformer

_CELL_PX = 16
_AROUND_PX = 2
_ROWS_AT_ONCE = 512
_LONG_EDGE_M, _LONG_EDGE_DEGREES = 1000.0, 0.01
"""Longer edges are cut before they travel to another system, where straight lines bend."""
_CLIP_M = 5000.0
"""Polygons end this far outside of the tile; more than the greatest erosion."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ParcelFile:
    """The file of the parcels as a task carries it: the content into its key, the path not.

    Parameters
    ----------
    vector
        The file and how it is read.
    id_field
        Column with the name of a parcel.
    digest
        SHA-256 of its content.
    """

    vector: VectorFile
    id_field: str
    digest: str

    @classmethod
    def of(cls, section: ParcelsSection) -> ParcelFile:
        """Return the file of a configuration.

        Raises
        ------
        InputDataError
            If it cannot be read (``E-PATH-READ``).
        """
        vector = vector_of(section)
        try:
            return cls(vector, section.id_field, vector.digest())
        except OSError as error:
            problems = Problems()
            message = f"series.parcels: cannot be read: {error.strerror}"
            problems.error("E-PATH-READ", message, section.path)
            raise InputDataError(*problems.errors) from error

    @property
    def file(self) -> Input:
        """The file as an input of a task."""
        return Input.file(self.vector.path, self.digest)

    def to_json(self) -> dict[str, str | None]:
        """Return how the file is read, as JSON values."""
        return {"layer": self.vector.layer, "crs": self.vector.crs, "id_field": self.id_field}


def vector_of(section: ParcelsSection) -> VectorFile:
    """Return the file of a section."""
    return VectorFile(section.path, section.layer, section.crs)


@dataclass(frozen=True)
class Place:
    """A tile, and how it and its neighbours share the map.

    Parameters
    ----------
    tile
        Its name.
    grid
        Its 10 m grid.
    ownership
        None where nothing is shared: all pixels of the grid count.
    """

    tile: str
    grid: GeoBox
    ownership: Ownership | None = None

    @property
    def window(self) -> Window:
        """The tile, in its own system."""
        left, bottom, right, top = self.grid.boundingbox.bbox
        return Window(left, bottom, right, top, int(self.grid.crs.epsg))

    def owned(self, part: GeoBox) -> Flags:
        """Return which pixels of a part of the tile count here, bool of ``part.shape``."""
        if self.ownership is None:
            return np.ones(tuple(part.shape), bool)
        return self.ownership.owns(self.tile, part)


@dataclass(frozen=True)
class Parcels:
    """Parcels whose bounds meet a tile, in ascending order of their numbers.

    Parameters
    ----------
    numbers
        Numbers of the features in the file, as GDAL counts them, int64.
    ids
        Names, text.
    shapes
        Repaired polygons in the system of the file.
    crs
        That system.
    outlines
        Their borders on the grid of the tile.
    areas_m2
        Areas, square metres.
    home
        Whether the parcel is listed with this tile: it owns a point inside.
    shared
        Whether another tile, or no tile, may own a part.
    cut
        Whether a corner lies where no tile is.
    """

    numbers: npt.NDArray[np.int64]
    ids: npt.NDArray[np.object_]
    shapes: Geometries
    crs: CRS
    outlines: Outlines
    areas_m2: npt.NDArray[np.float64]
    home: Flags
    shared: Flags
    cut: Flags

    def __len__(self) -> int:
        """Return the number of parcels."""
        return len(self.numbers)


def read_parcels(file: ParcelFile, place: Place, problems: Problems) -> Parcels | None:
    """Return the parcels of a file that meet a tile; None after errors.

    Problems found are those of `VectorFile.read`. Broken polygons are repaired and reported
    (``W-GEOMETRY-INVALID``).
    """
    frame = file.vector.read([file.id_field], problems, place.window)
    if frame is None:
        return None
    return parcels_of(frame, names_of(frame[file.id_field]), place, problems)


def names_of(values: Any) -> npt.NDArray[np.object_]:
    """Return the names of parcels as text; whole numbers have no decimals, missing ones are ''.

    Examples
    --------
    >>> names_of(["01", 7, 8.0, None, float("nan")]).tolist()
    ['01', '7', '8', '', '']
    """
    return np.array([_name(value) for value in values], dtype=object)


def _name(value: object) -> str:
    if value is None or value != value:
        return ""
    text = written(value)
    is_text = isinstance(value, str)
    return str(int(float(text))) if not is_text and WHOLE_NUMBER.fullmatch(text) else text


def parcels_of(
    frame: geopandas.GeoDataFrame, ids: npt.NDArray[np.object_], place: Place, problems: Problems
) -> Parcels:
    """Return the parcels of a table, whose index holds their numbers."""
    order = np.argsort(np.asarray(frame.index, np.int64), kind="stable")
    found = np.asarray(frame.geometry)[order]
    found = np.where(shapely.is_missing(found), shapely.Polygon(), found)
    shapes, broken = repaired(found)
    if broken.any():
        message = f"{int(broken.sum())} of {len(frame)} parcels were not valid and are repaired"
        problems.warn("W-GEOMETRY-INVALID", message)
    crs = CRS.from_user_input(frame.crs)
    local = _on_grid(shapes, crs, place.grid)
    outlines = Outlines.of(local, place.grid)
    home, shared, cut = _whose(shapes, crs, outlines, place)
    return Parcels(
        np.asarray(frame.index, np.int64)[order],
        ids[order],
        shapes,
        crs,
        outlines,
        hectares(shapes, crs) * 1e4,
        home,
        shared,
        cut,
    )


def _on_grid(shapes: Geometries, crs: CRS, grid: GeoBox) -> Geometries:
    """Return polygons in the system of a tile, cut off far outside of it."""
    epsg = int(grid.crs.epsg)
    if crs == CRS.from_epsg(epsg):
        return shapes
    near = shapes.copy()
    box = next(boxes_in([grid], crs), None)
    if box is not None:
        margin = _CLIP_M / crs.axis_info[0].unit_conversion_factor
        margin = margin if crs.is_projected else 0.2  # degrees, 5 km up to 75 degrees north
        bounds = shapely.box(*box.buffer(margin).bounds)
        outside = ~shapely.covers(bounds, near) & ~shapely.is_empty(near)
        near[outside], _ = repaired(shapely.intersection(near[outside], bounds))
    there = transformer(crs, epsg)
    longest = _LONG_EDGE_M if crs.is_projected else _LONG_EDGE_DEGREES
    moved = shapely.transform(
        shapely.segmentize(near, longest), lambda xy: np.column_stack(there.transform(*xy.T))
    )
    moved[~finite(moved)] = shapely.Polygon()
    return np.asarray(moved, dtype=object)


def _whose(
    shapes: Geometries, crs: CRS, outlines: Outlines, place: Place
) -> tuple[Flags, Flags, Flags]:
    """Return which parcels are listed here, which are shared, and which leave all tiles."""
    n, rule = len(shapes), place.ownership
    if rule is None:
        return np.ones(n, bool), np.zeros(n, bool), np.zeros(n, bool)
    shared = _meet_foreign_cells(outlines, place)
    home, cut = ~shared, np.zeros(n, bool)
    there = transformer(crs, rule.epsg)
    some = np.flatnonzero(shared)
    points = shapely.point_on_surface(shapes[some])
    x, y = there.transform(shapely.get_x(points), shapely.get_y(points))
    owners = rule.owner_of(np.nan_to_num(x, posinf=0), np.nan_to_num(y, posinf=0))
    home[some] = owners == rule.tiles.index(place.tile)
    nowhere = some[owners < 0]
    if len(nowhere):
        home[nowhere] = _first_tile(shapes[nowhere], crs, rule) == rule.tiles.index(place.tile)
    corners, of_parcel = shapely.get_coordinates(shapes[some], return_index=True)
    if len(corners):
        outside = rule.owner_of(*there.transform(*corners.T)) < 0
        cut[some[of_parcel[outside]]] = True
    return home, shared, cut


def _first_tile(shapes: Geometries, crs: CRS, rule: Ownership) -> npt.NDArray[np.int64]:
    """Return the first tile by name whose box meets each parcel, -1 if there is none."""
    found = np.full(len(shapes), -1, np.int64)
    for index in reversed(range(len(rule.tiles))):
        for box in boxes_in([rule.grids[rule.tiles[index]]], crs):
            found[shapely.intersects(shapes, box)] = index
    return found


def _meet_foreign_cells(outlines: Outlines, place: Place) -> Flags:
    """Return which parcels come near a pixel that the tile does not own.

    Cells of 16 x 16 pixels are looked at, and two pixels around the box of a parcel: rather too
    many are found than one too few.
    """
    rows, columns = (int(size) for size in place.grid.shape)
    shape = -(-rows // _CELL_PX), -(-columns // _CELL_PX)
    foreign = np.zeros(shape, bool)
    for top in range(0, rows, _ROWS_AT_ONCE):
        owned = place.owned(place.grid[top : min(top + _ROWS_AT_ONCE, rows), :])
        down = np.logical_and.reduceat(owned, np.arange(0, len(owned), _CELL_PX), axis=0)
        whole = np.logical_and.reduceat(down, np.arange(0, columns, _CELL_PX), axis=1)
        first = top // _CELL_PX
        foreign[first : first + len(whole)] = ~whole
    sums = np.zeros((shape[0] + 1, shape[1] + 1), np.int64)
    sums[1:, 1:] = foreign.cumsum(axis=0).cumsum(axis=1)
    boxes = np.nan_to_num(outlines.boxes / 10.0, nan=-1e6).clip(-1e6, 1e6)
    low = np.floor(boxes[:, [1, 0]]).astype(np.int64) - _AROUND_PX
    high = np.ceil(boxes[:, [3, 2]]).astype(np.int64) + _AROUND_PX
    outside = (low < 0).any(axis=1) | (high > (rows, columns)).any(axis=1)
    low = (low.clip(0) // _CELL_PX).clip(0, shape)
    high = (-(-high.clip(0) // _CELL_PX)).clip(low, shape)
    among = sums[high[:, 0], high[:, 1]] - sums[low[:, 0], high[:, 1]]
    among += sums[low[:, 0], low[:, 1]] - sums[high[:, 0], low[:, 1]]
    return outside | (among > 0)
