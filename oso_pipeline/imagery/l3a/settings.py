"""Settings of the reader of monthly syntheses."""

from __future__ import annotations

from typing import Literal

from oso_pipeline.config.readers import ReaderSettings


class SynthesisSettings(ReaderSettings):
    """Theia monthly syntheses of Sentinel-2 (L3A), as folders or zips."""

    kind: Literal["l3a"] = "l3a"
    """Family of products."""
