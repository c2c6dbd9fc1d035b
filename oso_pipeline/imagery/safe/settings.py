"""Settings of the reader of SAFE products."""

from __future__ import annotations

from typing import Literal

from oso_pipeline.config.readers import ReaderSettings


class SafeSettings(ReaderSettings):
    """Sentinel-2 L2A products of Sen2Cor in the SAFE format, as folders or zips."""

    kind: Literal["safe"] = "safe"
    """Family of products."""
