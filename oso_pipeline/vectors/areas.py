"""Areas of features in whatever coordinate system they were delivered."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer

_EQUAL_AREA = "EPSG:6933"


def hectares(geometries: npt.NDArray[np.object_], crs: CRS) -> npt.NDArray[np.float64]:
    """Return the areas of geometries in hectares, shape ``(n,)``; 0 where there is none.

    Planar areas of projected systems; those of degrees are taken on the cylindrical
    equal-area projection of the globe (EPSG:6933).
    """
    system = CRS.from_user_input(crs)
    if system.is_projected:
        metres = system.axis_info[0].unit_conversion_factor
        areas = shapely.area(geometries) * metres**2
    else:
        there = Transformer.from_crs(system, _EQUAL_AREA, always_xy=True)
        areas = shapely.area(
            shapely.transform(geometries, lambda xy: np.column_stack(there.transform(*xy.T)))
        )
    return np.nan_to_num(areas / 1e4, nan=0.0, posinf=0.0)
