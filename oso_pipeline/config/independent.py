"""Section ``validation.independent``: a set that took no part in the production."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from oso_pipeline.config.reference import CRS_PATTERN
from oso_pipeline.config.section import Section


class IndependentSet(Section):
    """Points or polygons with a class that took no part in the production."""

    path: Path
    """Any vector file. What lies in polygons that train the map is left out."""
    layer: str | None = None
    """Layer of a file that holds several."""
    code_field: str = "code"
    """Column with the class."""
    crosswalk: Path | dict[str | int, int | None] | None = None
    """From the values of `code_field` to codes of the nomenclature, as for polygons."""
    crs: str | None = Field(None, pattern=CRS_PATTERN)
    """Coordinate system, as EPSG:2154, of a file that names none."""
    compare: dict[str, Path] = Field({})
    """Other maps of the same classes, by name, judged at the very same pixels: that of another
    run, or of the year before. The difference comes with an interval of its own."""
