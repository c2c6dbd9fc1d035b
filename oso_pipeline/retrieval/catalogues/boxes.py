"""Boxes of tiles in longitude and latitude, for catalogues that know no tiles."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from pyproj import Transformer

from oso_pipeline.core.tiles import Tile

_PER_EDGE = 16


@lru_cache(maxsize=1024)
def box_of(tile: str) -> tuple[float, float, float, float]:
    """Return west, south, east and north of a tile, degrees; west is greater across 180 degrees.

    Examples
    --------
    >>> box_of("31TCJ")
    (0.4959, 43.2383, 1.8887, 44.2478)
    """
    grid = Tile(tile).geobox()
    edge = np.array(grid.boundary(_PER_EDGE))
    x, y = grid.affine @ (edge[:, 0], edge[:, 1])
    to_degrees = Transformer.from_crs(Tile(tile).epsg, 4326, always_xy=True)
    east, north = to_degrees.transform(x, y)
    if east.max() - east.min() > 180:
        west_edge, east_edge = east[east > 0].min(), east[east <= 0].max()
    else:
        west_edge, east_edge = east.min(), east.max()
    return (
        round(float(west_edge), 4),
        round(float(north.min()), 4),
        round(float(east_edge), 4),
        round(float(north.max()), 4),
    )
