"""The part of the map for which polygons are read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of the map, half-open: the upper and right edges belong to the next one.

    Parameters
    ----------
    x_min, y_min, x_max, y_max
        Edges in the coordinates of the map, metres; infinite ones bound nothing.
    epsg
        Coordinate system of the map.
    margin_m
        Margin read around it, metres; its features are counted by the next window.
    """

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    epsg: int
    margin_m: float = 0.0

    @classmethod
    def everywhere(cls, epsg: int) -> Window:
        """Return the window that holds all there is."""
        return cls(-math.inf, -math.inf, math.inf, math.inf, epsg)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Edges as left, bottom, right, top."""
        return self.x_min, self.y_min, self.x_max, self.y_max

    @property
    def is_bounded(self) -> bool:
        """Whether there is anything outside."""
        return all(math.isfinite(edge) for edge in self.bounds)

    def widened(self, metres: float) -> Window:
        """Return the window with a margin on every side."""
        return Window(
            self.x_min - metres,
            self.y_min - metres,
            self.x_max + metres,
            self.y_max + metres,
            self.epsg,
        )

    def bounds_in(self, crs: CRS) -> tuple[float, float, float, float] | None:
        """Return a box in another coordinate system that holds the window and its margin.

        The outline is densified, since straight edges of the map are curves elsewhere. None
        stands for everything: the window is unbounded, or cannot be expressed there.
        """
        if not self.is_bounded:
            return None
        bounds = self.widened(self.margin_m).bounds
        if CRS.from_user_input(crs) == CRS.from_epsg(self.epsg):
            return bounds
        try:
            there = transformer(self.epsg, crs)
            left, bottom, right, top = there.transform_bounds(*bounds, densify_pts=51)
        except ProjError:
            return None
        if not np.isfinite([left, bottom, right, top]).all() or left > right:
            return None
        # Maximum cut by the chords between the points of the outline.
        margin_x, margin_y = 1e-3 * (right - left), 1e-3 * (top - bottom)
        return left - margin_x, bottom - margin_y, right + margin_x, top + margin_y

    def owns(self, geometries: npt.NDArray[np.object_], crs: CRS) -> npt.NDArray[np.bool_]:
        """Return which features are counted here, so that none is counted by two windows.

        A feature belongs to the window that holds its first vertex; one without any vertex
        to every window, of which only an unbounded one ever reads it.
        """
        if not self.is_bounded or not len(geometries):
            return np.ones(len(geometries), dtype=bool)
        coordinates, rows = shapely.get_coordinates(geometries, return_index=True)
        owned = np.ones(len(geometries), dtype=bool)
        present, first = np.unique(rows, return_index=True)
        x, y = coordinates[first].T
        if CRS.from_user_input(crs) != CRS.from_epsg(self.epsg):
            x, y = transformer(crs, self.epsg).transform(x, y)
        owned[present] = (x >= self.x_min) & (x < self.x_max) & (y >= self.y_min) & (y < self.y_max)
        return owned


@lru_cache(maxsize=64)
def transformer(source: CRS | int, target: CRS | int) -> Transformer:
    """Return a transformer with axes as in GIS; making one takes longer than most of its uses."""
    return Transformer.from_crs(source, target, always_xy=True)
