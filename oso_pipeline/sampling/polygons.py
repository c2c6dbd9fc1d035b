"""The reference polygons of a tile, and which pixels they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.parquet_pieces import pieces
from oso_pipeline.core.rasterise import NONE, Burner

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_DENSE = 64


@dataclass(frozen=True, eq=False)
class Polygons:
    """Reference polygons that may touch a tile.

    Parameters
    ----------
    table
        One row per polygon or part of one: ``polygon_id``, ``code``, ``stratum`` and the
        columns of the split.
    geometries
        In the coordinate system of the tile, shape ``(rows,)``.
    """

    table: pa.Table
    geometries: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.geometries)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pixels of a block that the tile owns, each with the polygon that holds its centre.

    Parameters
    ----------
    row, column
        Place in the grid of the tile, int64, shape ``(pixels,)``.
    polygon
        Row of the polygon in :class:`Polygons`, int64.
    """

    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    polygon: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)


class CandidateFinder:
    """Finds the candidates of a tile block by block; blocks of any shape give the same.

    Parameters
    ----------
    tile
        Name of the tile.
    ownership
        Owner of each pixel, with the grid of `tile`.
    polygons
        The polygons of the tile.
    """

    def __init__(self, tile: str, ownership: Ownership, polygons: Polygons) -> None:
        self.tile = tile
        self.grid: GeoBox = ownership.grids[tile]
        self._ownership = ownership
        self._burner = Burner(self.grid, polygons.geometries)

    def find(self, block: Block) -> Candidates:
        """Return the candidates of `block`, row by row; no image is opened for that."""
        burnt = self._burner.block(block)
        inside = burnt != NONE
        if inside.any():
            inside &= self._owned(block)
        return self._candidates(block, inside, burnt)

    def all_owned(self, block: Block, wanted: npt.NDArray[np.bool_]) -> Candidates:
        """Return the pixels of `block` that the tile owns; `NONE` where in no polygon.

        Parameters
        ----------
        block
            Part of the tile.
        wanted
            Requested pixels, shape ``(block.height, block.width)``.
        """
        return self._candidates(block, wanted & self._owned(block), self._burner.block(block))

    def _owned(self, block: Block) -> npt.NDArray[np.bool_]:
        return self._ownership.owns(self.tile, block.crop(self.grid))

    def _candidates(
        self, block: Block, chosen: npt.NDArray[np.bool_], burnt: npt.NDArray[np.int32]
    ) -> Candidates:
        row, column = np.nonzero(chosen)
        polygon = burnt[row, column].astype(np.int64)
        return Candidates(row + block.row, column + block.column, polygon)

    def owns_middle(self, geometries: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
        """Return which polygons have their middle, a point within, where the tile owns."""
        points = shapely.point_on_surface(geometries)
        epsg = self._ownership.epsg
        to_map = Transformer.from_crs(self.grid.crs.epsg, epsg, always_xy=True)
        x, y = to_map.transform(shapely.get_x(points), shapely.get_y(points))
        owner = self._ownership.owner_of(x, y)
        owned: npt.NDArray[np.bool_] = owner == self._ownership.tiles.index(self.tile)
        return owned


def read_polygons(reference: Path, grid: GeoBox, epsg: int, columns: Sequence[str]) -> Polygons:
    """Read the polygons around a tile, and no others.

    Parameters
    ----------
    reference
        GeoParquet with bounding boxes, in the coordinate system of the map.
    grid
        10 m grid of the tile.
    epsg
        Coordinate system of the map.
    columns
        Columns of the split.
    """
    names = ["polygon_id", "code", "stratum", *columns]
    frame = geopandas.read_parquet(
        reference, columns=[*names, "geometry"], bbox=_extent(grid, epsg)
    )
    geometries = np.asarray(frame.to_crs(grid.crs.epsg).geometry)
    touching = shapely.intersects(geometries, shapely.box(*grid.boundingbox.bbox))
    table = pa.table({name: frame[name].to_numpy()[touching] for name in names})
    return Polygons(table, geometries[touching])


def count_outside(reference: Path, grids: Sequence[GeoBox], epsg: int) -> dict[int, int]:
    """Return how many polygons per class lie outside the images of all tiles.

    Parameters
    ----------
    reference
        GeoParquet with a column ``bbox``; only small columns are read.
    grids
        10 m grids of the tiles.
    epsg
        Coordinate system of the map.
    """
    extents = [_extent(grid, epsg) for grid in grids]
    outside: list[npt.NDArray[np.bool_]] = []
    lost, codes = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
    for piece in pieces(reference, ["polygon_id", "code", "bbox"]):
        out = ~_inside_any(piece["bbox"], grids, extents, epsg)
        lost.append(piece["polygon_id"].to_numpy()[out])
        codes.append(piece["code"].to_numpy()[out])
        outside.append(out)
    ids, first = np.unique(np.concatenate(lost), return_index=True)
    gone = np.ones(len(ids), bool)
    if len(ids):  # of which no other part lies inside
        for piece, out in zip(pieces(reference, ["polygon_id"]), outside, strict=True):
            gone &= ~np.isin(ids, piece["polygon_id"].to_numpy()[~out])
    values, counts = np.unique(np.concatenate(codes)[first][gone], return_counts=True)
    return {int(code): int(count) for code, count in zip(values, counts, strict=True)}


def _inside_any(
    box: pa.StructArray,
    grids: Sequence[GeoBox],
    extents: Sequence[tuple[float, float, float, float]],
    epsg: int,
) -> npt.NDArray[np.bool_]:
    """Return which boxes on the map reach into a grid."""
    left, bottom, right, top = (
        pc.struct_field(box, name).to_numpy() for name in ("xmin", "ymin", "xmax", "ymax")
    )
    inside = np.zeros(len(box), bool)
    for grid, (west, south, east, north) in zip(grids, extents, strict=True):
        meets = (left <= east) & (right >= west) & (bottom <= north) & (top >= south)
        near = np.flatnonzero(meets & ~inside)
        if len(near):
            inside[near] = _touches(grid, epsg, left[near], bottom[near], right[near], top[near])
    return inside


def draw_numbers(
    seed: int,
    polygon_id: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    column: npt.NDArray[np.int64],
) -> npt.NDArray[np.uint64]:
    """Return a 64-bit number per pixel that looks random and depends on nothing else.

    The numbers are mixed as in SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable
    pseudorandom number generators").

    Parameters
    ----------
    seed
        Seed of the draw, different in each tile.
    polygon_id, row, column
        Unique number of each pixel, int64, shape ``(pixels,)``.
    """
    with np.errstate(over="ignore"):
        state = np.full(len(row), seed, np.uint64)
        for part in (polygon_id, row, column):
            state = _mixed((state ^ part.astype(np.uint64)) + _GOLDEN)
    return state


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * _MIX[0]
    state = (state ^ (state >> np.uint64(27))) * _MIX[1]
    return state ^ (state >> np.uint64(31))


def _extent(grid: GeoBox, epsg: int) -> tuple[float, float, float, float]:
    """Return bounds of a grid on the map, metres, with a margin for the curvature of its edges."""
    to_map = Transformer.from_crs(grid.crs.epsg, epsg, always_xy=True)
    west, south, east, north = grid.boundingbox.bbox
    left, bottom, right, top = to_map.transform_bounds(west, south, east, north, _DENSE)
    return left - 100.0, bottom - 100.0, right + 100.0, top + 100.0


def _touches(grid: GeoBox, epsg: int, *bounds: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which boxes on the map reach into a grid, by their own bounds there."""
    to_tile = Transformer.from_crs(epsg, grid.crs.epsg, always_xy=True)
    left, bottom, right, top = bounds
    corners = [to_tile.transform(x, y) for x in (left, right) for y in (bottom, top)]
    x, y = (np.stack(values) for values in zip(*corners, strict=True))
    west, south, east, north = grid.boundingbox.bbox
    overlap: npt.NDArray[np.bool_] = (
        (x.min(axis=0) < east)
        & (x.max(axis=0) > west)
        & (y.min(axis=0) < north)
        & (y.max(axis=0) > south)
    )
    return overlap
