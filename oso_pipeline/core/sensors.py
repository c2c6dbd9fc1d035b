"""Sensors as plain data: their bands, what these see, and how finely.

Configuration, readers and kernels stand on this one table. A band is requested by its name;
what holds for several sensors, such as an index, names bands by their common name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Band:
    """A band of a sensor.

    Parameters
    ----------
    name
        As the sensor's data name it, ``B8A``.
    common_name
        As the STAC extension ``eo`` names it, ``nir08``; the same for like bands of all sensors.
    resolution_m
        Side of a pixel, metres.
    wavelength_nm
        Centre of the band, nanometres.
    """

    name: str
    common_name: str
    resolution_m: int
    wavelength_nm: float


@dataclass(frozen=True)
class Sensor:
    """A sensor.

    Parameters
    ----------
    name
        Its name in layouts of features and in the names of these.
    bands
        Its bands, in the order of the features.
    """

    name: str
    bands: tuple[Band, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the bands."""
        return tuple(band.name for band in self.bands)

    def at(self, resolution_m: int) -> tuple[str, ...]:
        """Return the names of the bands of a resolution."""
        return tuple(band.name for band in self.bands if band.resolution_m == resolution_m)

    def resolution_m(self, name: str) -> int:
        """Return the resolution of a band, metres.

        Raises
        ------
        ValueError
            If the sensor has no such band.
        """
        for band in self.bands:
            if band.name == name:
                return band.resolution_m
        raise ValueError(f"{self.name} has no band {name}, it has {', '.join(self.names)}")

    def named(self, common_name: str) -> str:
        """Return the name of the band with a common name.

        Raises
        ------
        ValueError
            If the sensor has no such band.
        """
        for band in self.bands:
            if band.common_name == common_name:
                return band.name
        known = ", ".join(band.common_name for band in self.bands)
        raise ValueError(f"{self.name} has no band {common_name}, it has {known}")


SENTINEL2 = Sensor(
    "sentinel2",
    (
        Band("B2", "blue", 10, 492.4),
        Band("B3", "green", 10, 559.8),
        Band("B4", "red", 10, 664.6),
        Band("B5", "rededge071", 20, 704.1),
        Band("B6", "rededge075", 20, 740.5),
        Band("B7", "rededge078", 20, 782.8),
        Band("B8", "nir", 10, 832.8),
        Band("B8A", "nir08", 20, 864.7),
        Band("B11", "swir16", 20, 1613.7),
        Band("B12", "swir22", 20, 2202.4),
    ),
)
"""The bands of the MultiSpectral Instrument that see the ground, wavelengths of Sentinel-2A."""

SENSORS: Mapping[str, Sensor] = {sensor.name: sensor for sensor in (SENTINEL2,)}
"""Every sensor, by name."""


def sensor_of(name: str) -> Sensor:
    """Return a sensor by its name.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in SENSORS:
        raise ValueError(f"unknown sensor {name!r}, known are {', '.join(SENSORS)}")
    return SENSORS[name]
