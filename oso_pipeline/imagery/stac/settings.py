"""Settings of the reader of STAC items."""

from __future__ import annotations

from typing import ClassVar, Literal

from oso_pipeline.config.readers import ReaderSettings


class StacSettings(ReaderSettings):
    """Sentinel-2 L2A images that STAC items describe: items, item collections, catalogues."""

    files: ClassVar[tuple[str, ...]] = (".json", ".geojson", ".parquet")

    kind: Literal["stac"] = "stac"
    """Family of products."""
    remote: bool = False
    """Also read images on the web (https, s3): they are copied into the run folder first."""
