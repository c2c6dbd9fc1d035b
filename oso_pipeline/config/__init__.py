"""The YAML schema and its loader."""

from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import SENTINEL2_BANDS, Config

__all__ = ["SENTINEL2_BANDS", "Config", "load_config"]
