"""Obstructions between land and satellite: clouds, shadows, cirrus, the swath's edge.

All are functions of map coordinates, so two tiles of one overpass see the same sky. Masks
are made at 20 m, as the edge and cloud masks of the products are coarser than 10 m.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import shapely

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.simulation.world.world import Floats, World, smooth_noise

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Overpass:
    """One passage of a satellite.

    Parameters
    ----------
    acquired
        Date and time of the images, UTC.
    platform
        ``SENTINEL2A``, ``SENTINEL2B`` or ``SENTINEL2C``.
    orbit
        Relative orbit; its swath covers the west (94) or the east (51) of the world.
    cloud_share
        Share of the world under clouds.
    """

    acquired: datetime
    platform: str
    orbit: int
    cloud_share: float

    @property
    def day_of_year(self) -> int:
        """Day of the year, 1 to 366."""
        return self.acquired.timetuple().tm_yday

    @property
    def name(self) -> str:
        """Name that is unique among the overpasses of a world, for seeds."""
        return f"{self.acquired:%Y%m%d}-{self.orbit}"

    def sun(self) -> tuple[float, float]:
        """Return zenith and azimuth of the sun in degrees, for 53 degrees north, Greenwich.

        Cooper's formula for the declination; good to a degree, which is enough here.
        """
        latitude = np.radians(53.0)
        turn = 2 * np.pi * (284 + self.day_of_year) / 365
        declination = np.radians(23.45) * np.sin(turn)
        hour = np.radians(15 * (self.acquired.hour + self.acquired.minute / 60 - 12))
        sine = np.sin(latitude) * np.sin(declination)
        cosine = sine + np.cos(latitude) * np.cos(declination) * np.cos(hour)
        zenith = np.arccos(cosine)
        azimuth = np.arctan2(
            np.sin(hour), np.cos(hour) * np.sin(latitude) - np.tan(declination) * np.cos(latitude)
        )
        return float(np.degrees(zenith)), float(np.degrees(azimuth) + 180) % 360


@dataclass(frozen=True)
class Sky:
    """The sky over a tile at one overpass, on the 20 m grid.

    Attributes
    ----------
    thickness
        Opacity of the clouds, 0 to 1.
    shadow
        Darkening by cloud shadows, 0 to 1.
    cirrus
        Reflectance added by high thin clouds.
    cloud_bits
        Why a pixel is not clear: bit 0 any reason, 1 a cloud, 2 and 3 how it was found, 4 near one,
        5 and 6 shadow of a cloud in and outside the image, 7 cirrus.
    edge
        Outside the swath.
    """

    thickness: Floats
    shadow: Floats
    cirrus: Floats
    cloud_bits: Bytes
    edge: Bools


def look_up(world: World, tile: str, overpass: Overpass) -> Sky:
    """Return the sky over a tile of the world at an overpass."""
    x, y = world.map_coordinates(tile, step=2)
    thickness = _clouds(world, overpass, x, y)
    cloud = thickness > 0
    dx, dy = shadow_shift(world, overpass)
    cast = _clouds(world, overpass, x - dx, y - dy)
    from_inside = shapely.contains_xy(world.outlines[tile], x - dx, y - dy)
    shaded = (cast > 0) & ~cloud
    cirrus = _cirrus(world, overpass, x, y)
    edge = outside_swath(world, overpass, x, y)

    cloud_bits = np.zeros(x.shape, dtype=np.uint8)
    cloud_bits[cloud | shaded] |= 1
    cloud_bits[cloud] |= 2
    # The blue threshold finds thick clouds, the comparison with earlier dates thin ones.
    cloud_bits[cloud & (thickness > 0.55)] |= 4
    cloud_bits[cloud & (thickness < 0.70)] |= 8
    cloud_bits[_dilated(cloud, 3) & ~cloud] |= 16
    cloud_bits[shaded & from_inside] |= 32
    cloud_bits[shaded & ~from_inside] |= 64
    cloud_bits[cirrus > 0.004] |= 128
    cloud_bits[edge] = 0
    return Sky(
        thickness, np.where(shaded, 0.55 * np.minimum(cast * 3, 1), 0), cirrus, cloud_bits, edge
    )


def shadow_shift(world: World, overpass: Overpass) -> tuple[float, float]:
    """Return how far east and north of its cloud a shadow falls, metres.

    Shadows fall away from the sun. The clouds are low for the size of the world, so that many
    shadows lie in the same image as their cloud.
    """
    zenith, azimuth = overpass.sun()
    base_m = world.extent_m * 0.09
    length = base_m * np.tan(np.radians(min(zenith, 72.0)))
    away = np.radians(azimuth + 180)
    return float(length * np.sin(away)), float(length * np.cos(away))


def outside_swath(world: World, overpass: Overpass, x: Floats, y: Floats) -> Bools:
    """Return which map coordinates lie outside the swath of the overpass.

    The edges of descending swaths run from north-north-east to south-south-west, and not
    exactly at the same place each time.
    """
    x0, y0, x1, y1 = world.bounds
    seed = derived_seed(world.spec.seed, "swath", overpass.name)
    wobble = 0.02 * (np.random.default_rng(seed).uniform() - 0.5) * (x1 - x0)
    across = x - (x0 + x1) / 2 - np.tan(np.radians(12.0)) * (y - (y0 + y1) / 2) - wobble
    reach = 0.30 * (x1 - x0)
    return across > reach if overpass.orbit == 94 else across < -reach


def _clouds(world: World, overpass: Overpass, x: Floats, y: Floats) -> Floats:
    """Return the opacity of clouds at map coordinates, 0 where there are none."""
    if overpass.cloud_share <= 0:
        return np.zeros(x.shape)
    seed = derived_seed(world.spec.seed, "clouds", overpass.name)
    length = world.extent_m / 3
    x0, y0, x1, y1 = world.bounds
    sample = np.meshgrid(np.linspace(x0, x1, 60), np.linspace(y0, y1, 60))
    field = smooth_noise(sample[0], sample[1], length, seed)
    base = float(np.quantile(field, 1 - overpass.cloud_share))
    height = smooth_noise(x, y, length, seed) - base
    return np.where(height > 0, np.clip(0.35 + 5 * height, 0, 1), 0)


def _cirrus(world: World, overpass: Overpass, x: Floats, y: Floats) -> Floats:
    """Return the reflectance that cirrus adds at map coordinates; a quarter of dates has some."""
    seed = derived_seed(world.spec.seed, "cirrus", overpass.name)
    if seed % 4:
        return np.zeros(x.shape)
    # Stretched along the wind.
    field = smooth_noise(x * 0.4 + y * 0.3, y - x * 0.6, world.extent_m / 3, seed)
    return np.clip((field - 0.55) * 0.15, 0, 0.03)


def _dilated(mask: Bools, radius: int) -> Bools:
    """Return `mask` grown by a disc of `radius` pixels."""
    grown = mask.copy()
    rows, columns = mask.shape
    padded = np.pad(mask, radius)
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            if down * down + right * right <= radius * radius:
                top, left = radius + down, radius + right
                grown |= padded[top : top + rows, left : left + columns]
    return grown
