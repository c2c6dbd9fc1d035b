"""Libraries of the extra `series`, which are imported when a form needs them."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from oso_pipeline.core.errors import EnvironmentFailure, Problem

MODULES = {"netcdf": "netCDF4", "zarr": "zarr"}
"""Module that each form needs; COG needs none."""


def missing(form: str) -> Problem | None:
    """Return what is wrong where the library of a form is not installed (``E-SERIES-EXTRA``)."""
    module = MODULES.get(form)
    if module is None or find_spec(module) is not None:
        return None
    return Problem(
        "E-SERIES-EXTRA",
        f"series.formats names {form}, which needs the package {module}; it is not installed",
        hint="install the extra `series`: pip install 'oso_pipeline[series]'",
    )


def netcdf4() -> Any:
    """Return the module netCDF4, typed loosely: it is not installed everywhere.

    Raises
    ------
    EnvironmentFailure
        If it is not installed (``E-SERIES-EXTRA``).
    """
    return _module("netcdf")


def zarr() -> Any:
    """Return the module zarr, likewise.

    Raises
    ------
    EnvironmentFailure
        If it is not installed (``E-SERIES-EXTRA``).
    """
    return _module("zarr")


def _module(form: str) -> ModuleType:
    if (problem := missing(form)) is not None:
        raise EnvironmentFailure(problem)
    return import_module(MODULES[form])
