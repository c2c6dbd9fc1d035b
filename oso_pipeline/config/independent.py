"""Section ``validation.independent``: a set that took no part in the production."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from oso_pipeline.config.reference import CRS_PATTERN
from oso_pipeline.config.section import Section


class IndependentSet(Section):
    """Points or polygons with a class that took no part in the production."""

    path: Path
    """Any vector file. Parts inside training polygons of the map are left out."""
    layer: str | None = None
    """Layer, for a file with several layers."""
    code_field: str = "code"
    """Column with the class."""
    crosswalk: Path | dict[str | int, int | None] | None = None
    """From the values of `code_field` to codes of the nomenclature, as for polygons."""
    crs: str | None = Field(None, pattern=CRS_PATTERN)
    """Coordinate system of a file without one, for example EPSG:2154."""
    compare: dict[str, Path] = Field({})
    """Other maps of the same classes, by name, evaluated at the same pixels, for example the map of
    another run or of the year before. The difference has its own confidence interval."""
