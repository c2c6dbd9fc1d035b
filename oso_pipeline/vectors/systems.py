"""Whether a coordinate system that a file names places anything, and whether it is known."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError

_WGS84 = 4326
_KNOWN = (
    *(2154, 9793, 9794, 27572, 27571, 27573, 27574, 27561, 27562, 27563, 27564),
    *range(3942, 3951),  # RGF93 v1 / CC42 to CC50
    *range(9842, 9851),  # the same of RGF93 v2b
    *(32630, 32631, 32632, 25830, 25831, 25832, 3035, 3857),
    *(2975, 5490, 32620, 2972, 4471),  # overseas
    *(4326, 4171, 4258, 4275),
)
"""EPSG codes of the systems in which data of France come."""
_SAME_M = 1.0
_NEAR_M = 10_000.0
_IDENTIFIED, _ALIKE = 70, 20
"""Confidence of PROJ that a system is one of its own: in all that counts, or by its name."""


def places(crs: CRS) -> bool:
    """Return whether coordinates of a system have a place on Earth.

    Those of engineering systems (``LOCAL_CS["Unknown"]``) and of heights do not.
    """
    # The hundreds of files of a nation name few systems, and a transformer is slow to make.
    return (crs.is_projected or crs.is_geographic) and _is_placed(crs.to_wkt())


@lru_cache(maxsize=64)
def _is_placed(wkt: str) -> bool:
    crs = CRS.from_wkt(wkt)
    try:
        Transformer.from_crs(crs, _WGS84, always_xy=True)
    except ProjError:
        return False
    return True


def near_miss(crs: CRS) -> str | None:
    """Return how a system differs from the known one that it resembles, as text.

    None where it is in the database of PROJ, leads to the same ground as one, or resembles none. A
    parameter that is misspelt in a ``.prj`` counts as absent, and moves polygons without a word.
    """
    return _near_miss(crs.to_wkt())


@lru_cache(maxsize=64)
def _near_miss(wkt: str) -> str | None:
    crs = CRS.from_wkt(wkt)
    if crs.to_authority(min_confidence=_IDENTIFIED) is not None:
        return None
    known = [CRS.from_epsg(code) for code in _KNOWN]
    apart = [_metres_apart(crs, one) for one in known]
    if min(apart) <= _SAME_M:
        return None
    nearest = known[int(np.argmin(apart))]
    alike = crs.to_authority(min_confidence=_ALIKE)
    if alike is not None and (named := CRS.from_authority(*alike)).name == crs.name:
        nearest = named
    elif min(apart) > _NEAR_M:
        return None
    metres = _metres_apart(crs, nearest)
    far = f"{metres:,.0f} m away" if math.isfinite(metres) else "elsewhere or nowhere"
    code = ":".join(nearest.to_authority() or ("EPSG", "?"))
    return f"resembles {nearest.name} ({code}), but puts the same coordinates {far}"


def _metres_apart(one: CRS, other: CRS) -> float:
    """Return how far apart two systems put the same coordinates, in the area of the other."""
    area = other.area_of_use
    if area is None or one.is_projected != other.is_projected:
        return math.inf
    lon = np.linspace(area.west, area.east, 5)[1:-1]
    lat = np.linspace(area.south, area.north, 5)[1:-1]
    try:
        x, y = Transformer.from_crs(_WGS84, other, always_xy=True).transform(lon, lat)
        places = [
            Transformer.from_crs(crs, _WGS84, always_xy=True).transform(x, y)
            for crs in (one, other)
        ]
    except ProjError:
        return math.inf
    if not np.isfinite(places).all():
        return math.inf
    (lon_1, lat_1), (lon_2, lat_2) = places
    return float(np.max(Geod(ellps="WGS84").inv(lon_1, lat_1, lon_2, lat_2)[2]))
