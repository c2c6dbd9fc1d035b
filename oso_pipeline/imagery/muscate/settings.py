"""Settings of the reader of MUSCATE products."""

from __future__ import annotations

from typing import Literal

from oso_pipeline.config.readers import ReaderSettings


class MuscateSettings(ReaderSettings):
    """Theia/MUSCATE Sentinel-2 L2A products, as folders or zips."""

    kind: Literal["muscate"] = "muscate"
    """Family of products."""
    reflectance: Literal["FRE", "SRE"] = "FRE"
    """FRE is corrected for slopes. Use SRE only if FRE was not produced. The two are never
    mixed."""
