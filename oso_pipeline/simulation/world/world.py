"""The land of the simulated world: fields, their land cover and their height.

Everything is a function of map coordinates (EPSG:2154), so tiles of different UTM zones see
the same land where they overlap. Fields are the Voronoi cells of a jittered, rotated grid.
"""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.core.tiles import Tile
from oso_pipeline.simulation.world.growing_year import USUAL_YEAR
from oso_pipeline.simulation.world.land_covers import OSO17, Codes, drawn_kinds
from oso_pipeline.simulation.world.spec import WorldSpec

MAP_EPSG = 2154
"""EPSG code of the map coordinates: RGF93 / Lambert-93."""

Floats = npt.NDArray[np.float64]

# From the highest to the lowest land; the share of each class in the number of fields. Rare
# classes are commoner than in France, so that a small world holds enough fields of each.
_SHARES = {
    53: 0.036, 45: 0.042, 34: 0.055, 36: 0.055, 32: 0.075, 31: 0.085, 211: 0.105, 221: 0.045,
    222: 0.050, 12: 0.230, 11: 0.150, 42: 0.065, 41: 0.045, 44: 0.036, 43: 0.045, 46: 0.036,
    51: 0.070,
}  # fmt: skip
CLASS_CODES: tuple[int, ...] = tuple(sorted(_SHARES))
"""Codes of the classes of the world: OSO 17."""

_ELONGATION = 1.7  # length of a field over its width
_ROTATION_DEG = 24.0
_JITTER = 0.25  # up to this much of a cell the nearest seed is within one cell (checked below)


MOST_APART_M = 200_000
"""Farthest corners of a world: there are fields in all of it, also where no tile is."""


def require_near(spec: WorldSpec) -> None:
    """Raise ValueError where tiles lie so far apart that the fields between fill the memory."""
    corners = []
    for name in spec.tiles:
        grid = Tile(name).geobox(spec.size_px)
        there = Transformer.from_crs(grid.crs.epsg, MAP_EPSG, always_xy=True)
        corners.append(there.transform(*(grid.affine @ (0, 0))))
    x, y = zip(*corners, strict=True)
    apart = float(np.hypot(max(x) - min(x), max(y) - min(y)))
    if not apart <= MOST_APART_M:
        most = MOST_APART_M / 1000
        raise ValueError(
            f"the tiles lie {apart / 1000:.0f} km apart, at most {most:.0f} are allowed"
        )


class World:
    """The land that a :class:`~oso_pipeline.simulation.world.spec.WorldSpec` describes.

    Attributes
    ----------
    seeds
        Map coordinates of the centres of the fields, shape ``(field, 2)``, metres.
    kinds
        Land cover of each field: index in `land_covers.KINDS`, int16.
    heights
        Rank of each field from the lowest (0) to the highest land (1).
    year
        Weather and growth of the year.
    """

    year = USUAL_YEAR

    def __init__(self, spec: WorldSpec) -> None:
        self.spec = spec
        rng = np.random.default_rng(derived_seed(spec.seed, "world"))
        short = float(np.sqrt(spec.field_area_m2 / _ELONGATION))
        x0, y0, x1, y1 = self.bounds
        # Map metres -> cells: the map coordinate of the origin is the centre of the world.
        self._to_cells = (
            Affine.scale(1 / (short * _ELONGATION), 1 / short)
            @ Affine.rotation(-_ROTATION_DEG)
            @ Affine.translation(-(x0 + x1) / 2, -(y0 + y1) / 2)
        )
        reach = float(np.hypot(x1 - x0, y1 - y0)) / 2 + 6 * short
        self._half = (int(reach / (short * _ELONGATION)) + 3, int(reach / short) + 3)
        columns, rows = 2 * self._half[0] + 1, 2 * self._half[1] + 1
        jitter = rng.uniform(-_JITTER, _JITTER, (rows, columns, 2))
        grid_v, grid_u = np.mgrid[0:rows, 0:columns]
        self._seeds_uv = np.stack(
            [
                grid_u - self._half[0] + 0.5 + jitter[..., 0],
                grid_v - self._half[1] + 0.5 + jitter[..., 1],
            ],
            axis=-1,
        )
        u, v = self._seeds_uv.reshape(-1, 2).T
        self.seeds = np.stack(_apply(~self._to_cells, u, v), axis=1)
        codes, self.heights = self._settle(rng)
        crops = np.random.default_rng(derived_seed(spec.seed, "crops"))
        self.kinds = drawn_kinds(codes, crops)

    def _settle(self, rng: np.random.Generator) -> tuple[npt.NDArray[np.int16], Floats]:
        """Give each field a class by its height: exact shares inside the tiles."""
        x, y = self.seeds.T
        lie = smooth_noise(x, y, self.extent_m / 2, derived_seed(self.spec.seed, "relief"))
        lie = lie + rng.normal(0, 0.14, lie.size)  # neighbours differ, landscapes remain
        inside = shapely.contains_xy(self.footprint, x, y)
        ranks = np.searchsorted(np.sort(lie[inside]), lie) / inside.sum()
        shares = np.cumsum([*_SHARES.values()])
        order = np.array([*_SHARES], dtype=np.int16)
        index = np.searchsorted(shares / shares[-1], 1 - ranks, side="right")
        return order[np.minimum(index, order.size - 1)], np.clip(ranks, 0, 1)

    @property
    def codes(self) -> Codes:
        """Class of each field in OSO 17, int16."""
        return OSO17[self.kinds]

    @cached_property
    def grids(self) -> dict[str, GeoBox]:
        """The 10 m grid of each tile."""
        part = slice(self.spec.corner_px, self.spec.corner_px + self.spec.size_px)
        return {name: Tile(name).geobox()[part, part] for name in self.spec.tiles}

    @cached_property
    def outlines(self) -> dict[str, shapely.Polygon]:
        """Outline of each tile in map coordinates."""
        outlines = {}
        for name, grid in self.grids.items():
            left, bottom, right, top = grid.boundingbox
            corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
            to_map = _to_map(Tile(name).epsg)
            outlines[name] = shapely.Polygon(np.stack(to_map.transform(*corners.T), axis=1))
        return outlines

    @cached_property
    def footprint(self) -> shapely.Geometry:
        """All land that some tile sees, in map coordinates."""
        return shapely.union_all([*self.outlines.values()])

    @property
    def seed(self) -> int:
        """Seed of everything random."""
        return self.spec.seed

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Smallest and greatest map coordinates: x, y, x, y."""
        x0, y0, x1, y1 = self.footprint.bounds
        return x0, y0, x1, y1

    @property
    def extent_m(self) -> float:
        """The greater side of the bounds, metres."""
        x0, y0, x1, y1 = self.bounds
        return max(x1 - x0, y1 - y0)

    def map_coordinates(self, tile: str, pad: int = 0, step: int = 1) -> tuple[Floats, Floats]:
        """Return map coordinates ``(x, y)`` of the pixel centres of a tile.

        Parameters
        ----------
        tile
            Name of a tile of the world.
        pad
            Pixels to add around the tile.
        step
            1 for the 10 m grid, 2 for the 20 m grid.
        """
        grid = self.grids[tile]
        size = self.spec.size_px // step + 2 * pad
        centres = (np.arange(size) - pad + 0.5) * step
        columns, rows = np.meshgrid(centres, centres)
        x, y = _to_map(Tile(tile).epsg).transform(*_apply(grid.affine, columns, rows))
        return np.asarray(x), np.asarray(y)

    def field_at(self, x: Floats, y: Floats) -> npt.NDArray[np.int32]:
        """Return the index of the field at map coordinates: the one with the nearest centre.

        Nearest in the stretched and rotated grid of the fields. With jitter of at most a
        quarter of a cell, the own cell's centre is within 1.07 cells and those two cells away
        are beyond 1.25, so nine cells are enough.
        """
        u, v = _apply(self._to_cells, x, y)
        column, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
        best = np.full(u.shape, np.inf)
        field = np.zeros(u.shape, dtype=np.int32)
        rows, columns = self._seeds_uv.shape[:2]
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                i = np.clip(row + down + self._half[1], 0, rows - 1)
                j = np.clip(column + right + self._half[0], 0, columns - 1)
                seed = self._seeds_uv[i, j]
                distance = (u - seed[..., 0]) ** 2 + (v - seed[..., 1]) ** 2
                nearer = distance < best
                best = np.where(nearer, distance, best)
                field = np.where(nearer, (i * columns + j).astype(np.int32), field)
        return field

    def class_at(self, x: Floats, y: Floats) -> Codes:
        """Return the land cover at map coordinates, OSO 17."""
        return self.codes[self.field_at(x, y)]

    def outline_of_fields(self) -> npt.NDArray[np.object_]:
        """Return the polygon of each field in map coordinates, in the order of `codes`."""
        points = shapely.MultiPoint(self._seeds_uv.reshape(-1, 2))
        cells = np.array(shapely.voronoi_polygons(points, ordered=True).geoms)

        def to_map(uv: Floats) -> Floats:
            return np.stack(_apply(~self._to_cells, *uv.T), axis=1)

        return np.asarray(shapely.transform(cells, to_map), dtype=object)


def smooth_noise(x: Floats, y: Floats, wavelength_m: float, seed: int) -> Floats:
    """Return smooth noise between 0 and 1 at map coordinates.

    Value noise of three octaves: random values on square grids, blended with smoothstep.
    The same coordinates give the same value whatever array they come in.
    """
    total = np.zeros(np.shape(x))
    for octave in range(3):
        side = wavelength_m / 2**octave
        column, row = np.floor(x / side), np.floor(y / side)
        s, t = x / side - column, y / side - row
        s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
        i, j = column.astype(np.int64), row.astype(np.int64)
        corner = [_hashed(i + a, j + b, seed + octave) for b in (0, 1) for a in (0, 1)]
        top = corner[0] * (1 - s) + corner[1] * s
        bottom = corner[2] * (1 - s) + corner[3] * s
        total += (top * (1 - t) + bottom * t) / 2**octave
    return total / 1.75


def _hashed(i: npt.NDArray[np.int64], j: npt.NDArray[np.int64], seed: int) -> Floats:
    """Return a uniform number in [0, 1) for each pair of integers (splitmix64 finaliser)."""
    with np.errstate(over="ignore"):
        z = i.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ j.astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(seed)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / 2**53


def _apply(affine: Affine, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f


@cache
def _to_map(epsg: int) -> Transformer:
    return Transformer.from_crs(epsg, MAP_EPSG, always_xy=True)
