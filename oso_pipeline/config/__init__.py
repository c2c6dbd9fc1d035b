"""The YAML schema and its loader."""

from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import Config

__all__ = ["Config", "load_config"]
