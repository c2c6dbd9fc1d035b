"""Settings of the reader of MUSCATE products."""

from __future__ import annotations

from typing import Literal

from oso_pipeline.config.readers import ReaderSettings


class MuscateSettings(ReaderSettings):
    """Theia/MUSCATE Sentinel-2 L2A products, as folders or zips."""

    kind: Literal["muscate"] = "muscate"
    """Which products the reader knows."""
    reflectance: Literal["FRE", "SRE"] = "FRE"
    """FRE is corrected for slopes; SRE only where FRE was not produced. Never mixed."""
