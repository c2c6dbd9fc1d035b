"""Settings of the reader of EOPF products."""

from __future__ import annotations

from typing import Literal

from oso_pipeline.config.readers import ReaderSettings


class EopfSettings(ReaderSettings):
    """Sentinel-2 L2A products of ESA in the Zarr format of EOPF, as folders or zips."""

    kind: Literal["eopf"] = "eopf"
    """Family of products."""
