"""Eco-climatic regions of a nation: strips from north to south with winding borders."""

from __future__ import annotations

import itertools

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.simulation.national.nation import NationSpec, ground
from oso_pipeline.simulation.world.world import MAP_EPSG, smooth_noise

_AROUND_M = 200_000.0
_STEP_M = 500.0
_WINDING_M = 12_000.0
_LEAST_TILES = 3  # of a region: tiles of one column lie too close for a border between them


def regions(spec: NationSpec) -> gpd.GeoDataFrame:
    """Return the regions, EPSG:2154: about as many patches lie in each, and all ground in one.

    Returns
    -------
    GeoDataFrame
        Columns `region` and the geometry.
    """
    count = max(1, min(spec.regions, len(spec.tiles) // _LEAST_TILES))
    patches = [ground(spec.patch(tile)) for tile in spec.tiles]
    left, low, right, high = shapely.total_bounds(patches) + np.array([-1, -1, 1, 1]) * _AROUND_M
    middles = np.sort([patch.centroid.x for patch in patches])
    groups = np.array_split(middles, count)
    between = [(a[-1] + b[0]) / 2 for a, b in itertools.pairwise(groups)]
    north = np.arange(low, high + _STEP_M, _STEP_M)
    lines = [np.full(north.size, left)]
    lines += [
        _winding(x, north, derived_seed(spec.seed, "region", n)) for n, x in enumerate(between)
    ]
    lines.append(np.full(north.size, right))
    shapes = [_between(west, east, north) for west, east in itertools.pairwise(lines)]
    names = [f"region_{n:02d}" for n in range(1, count + 1)]
    return gpd.GeoDataFrame({"region": names}, geometry=shapes, crs=f"EPSG:{MAP_EPSG}")


def _winding(x: float, north: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    noise = smooth_noise(np.full(north.size, x), north, 60_000.0, seed)
    return np.asarray(np.round(x + _WINDING_M * (noise - 0.5), 1))


def _between(
    west: npt.NDArray[np.float64], east: npt.NDArray[np.float64], north: npt.NDArray[np.float64]
) -> shapely.Polygon:
    up, down = np.stack([east, north], axis=1), np.stack([west, north], axis=1)[::-1]
    return shapely.Polygon(np.concatenate([up, down]))
