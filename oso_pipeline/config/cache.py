"""Section ``imagery.cache``: copies of images that are slow to read."""

from __future__ import annotations

from pydantic import Field

from oso_pipeline.config.section import Section


class Cache(Section):
    """Copies of images that are slow to read in blocks, in `cache/` of the run folder."""

    max_gb: float | None = Field(None, ge=0)
    """Maximum size of all copies, in GB; past seasons have equal shares of it. Images in JPEG 2000
    beyond it are read where they are: 0 copies none. Those in Zarr stores have to fit. null sets no
    limit. The map does not depend on it."""
