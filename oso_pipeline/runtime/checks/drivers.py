"""GDAL drivers that a run needs."""

from __future__ import annotations

import pyogrio
import rasterio

from oso_pipeline.core.errors import EnvironmentFailure, Problem

_RASTER_DRIVERS = {"GTiff": "read images", "COG": "write maps"}
_VECTOR_DRIVERS = {"ESRI Shapefile": "read databases", "GPKG": "read databases"}


def require_drivers() -> None:
    """Refuse to begin where GDAL lacks a format that a run reads or writes.

    Raises
    ------
    EnvironmentFailure
        As `driver_problems` finds.
    """
    if problems := driver_problems():
        raise EnvironmentFailure(*problems)


def driver_problems() -> list[Problem]:
    """Find formats that a run reads or writes and GDAL lacks (``E-RUN-DRIVER``).

    Builds of GDAL differ, and ``GDAL_SKIP`` takes formats away: better known now than when
    the maps are to be written.
    """
    with rasterio.Env() as environment:
        raster = environment.drivers()
    vector = pyogrio.list_drivers(read=True)
    requested = [(_RASTER_DRIVERS, raster, "rasterio"), (_VECTOR_DRIVERS, vector, "pyogrio")]
    return [
        Problem(
            "E-RUN-DRIVER",
            f"the GDAL of {library} has no driver {name}, needed to {purpose}",
            None,
            f"take it out of GDAL_SKIP if it is there, or install {library} as a wheel",
        )
        for drivers, there, library in requested
        for name, purpose in drivers.items()
        if name not in there
    ]
