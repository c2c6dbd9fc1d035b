"""A simulated country of whole tiles that needs little disk space: content and paths.

Each tile is 10980 x 10980 pixels and has a year of images, but all of it is under clouds except a
patch in its middle, which holds a world of its own with all classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.core.tiles import TILE_SIZE_M, Tile
from oso_pipeline.simulation.world.schedule import main_orbit, overpasses, partial_passes
from oso_pipeline.simulation.world.sky import Overpass
from oso_pipeline.simulation.world.spec import WorldSpec
from oso_pipeline.simulation.world.world import MAP_EPSG, World

TILE_PX = TILE_SIZE_M // 10
_FIELD_AREA_M2 = 20_000.0
_PARTIAL_DATES = 2
_BETWEEN_M = 3_000.0
_SQUARE_M = 2_500.0


@dataclass(frozen=True)
class NationSpec:
    """Settings of the simulation.

    Parameters
    ----------
    tiles
        Names of the tiles.
    patch_px
        Side of the patch that is not under clouds, pixels; even.
    dates
        Acquisitions of each tile, at least 12.
    departments
        How many departments have databases as dense as real ones, on ground without images.
    squares
        Their size: squares of 2.5 km along each side.
    regions
        Number of eco-climatic regions; fewer where there are not three tiles for each.
    year
        Of the images and the databases.
    seed
        Everything random derives from it.
    """

    tiles: tuple[str, ...]
    patch_px: int = 640
    dates: int = 12
    departments: int = 6
    squares: int = 30
    regions: int = 10
    year: int = 2018
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.tiles or len(set(self.tiles)) < len(self.tiles):
            raise ValueError(f"tiles must be different and at least one, got {self.tiles}")
        if self.dates < 10 + _PARTIAL_DATES:
            raise ValueError(f"dates must be at least {10 + _PARTIAL_DATES}, got {self.dates}")

    @property
    def corner_px(self) -> int:
        """Row and column of a tile where its patch begins."""
        return (TILE_PX - self.patch_px) // 4 * 2

    def world(self, tile: str) -> World:
        """Return the land of the patch of a tile."""
        return World(
            WorldSpec(
                tiles=(tile,),
                size_px=self.patch_px,
                year=self.year,
                seed=derived_seed(self.seed, "nation", tile),
                field_area_m2=_FIELD_AREA_M2,
                dates_per_orbit=self.dates - _PARTIAL_DATES,
                partial_dates=_PARTIAL_DATES,
                corner_px=self.corner_px,
            )
        )

    def patch(self, tile: str) -> GeoBox:
        """Return the part of a tile's grid that is not under clouds."""
        part = slice(self.corner_px, self.corner_px + self.patch_px)
        return Tile(tile).geobox()[part, part]


def passes(world: World) -> list[Overpass]:
    """Return the overpasses of the one tile of a world, in order of time."""
    (tile,) = world.spec.tiles
    main = overpasses(world, main_orbit(world, tile))
    return sorted((*main, *partial_passes(world, tile)), key=lambda one: one.acquired)


def places_of_departments(spec: NationSpec) -> list[tuple[float, float]]:
    """Return the lower left corners of the departments, in Lambert-93.

    Each lies east of the patch of a tile, and no patch is near.
    """
    patches = [ground(spec.patch(tile)) for tile in spec.tiles]
    tree, side = shapely.STRtree(patches), spec.squares * _SQUARE_M
    free = []
    for patch in patches:
        _, low, right, high = patch.bounds
        x, y = right + _BETWEEN_M, (low + high - side) / 2
        around = shapely.box(x, y, x + side, y + side).buffer(_BETWEEN_M / 2)
        if not len(tree.query(around, predicate="intersects")):
            free.append((round(x), round(y)))
    if len(free) < spec.departments:
        raise ValueError(f"{len(free)} departments fit, not {spec.departments}")
    chosen = np.linspace(0, len(free) - 1, spec.departments).round().astype(int)
    return [free[number] for number in chosen]


def ground(grid: GeoBox) -> shapely.Polygon:
    """Return the outline of a grid in Lambert-93, straight between its corners."""
    left, bottom, right, top = grid.boundingbox
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    to_map = _to_map(int(grid.crs.to_epsg()))
    return shapely.Polygon(np.stack(to_map.transform(*corners.T), axis=1))


@cache
def _to_map(epsg: int) -> Transformer:
    return Transformer.from_crs(epsg, MAP_EPSG, always_xy=True)
