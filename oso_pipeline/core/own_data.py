"""The data of PROJ and GDAL that came with the wheels win over those of another installation.

PostGIS, conda, QGIS and OSGeo4W set variables that lead every library of the machine to their
own data. A ``proj.db`` of another version makes every coordinate system unknown.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path

_DATA = ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA")
_PLUGINS = "GDAL_DRIVER_PATH"


def prefer_own_data(environ: MutableMapping[str, str] = os.environ) -> tuple[str, ...]:
    """Drop the variables that lead to data of another installation; return which these were.

    Only where rasterio brought its own: a build against the libraries of the system needs theirs.
    Call this before GDAL is first used.
    """
    foreign = tuple(name for name in (*_DATA, _PLUGINS) if name in environ)
    if not foreign or not _brings_own_data("rasterio"):
        return ()
    for name in foreign:
        del environ[name]
    if _PLUGINS in foreign:
        environ[_PLUGINS] = "disable"  # or GDAL looks for plug-ins in folders of the system
    return foreign


def _brings_own_data(package: str) -> bool:
    spec = find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or ()
    return any((Path(folder) / "proj_data" / "proj.db").exists() for folder in folders)
