"""Sentinel-2 L2A products that STAC items describe."""

from oso_pipeline.core.plugins import Plugin
from oso_pipeline.imagery.stac.settings import StacSettings

PLUGIN = Plugin("stac", StacSettings, "oso_pipeline.imagery.stac.reader:StacReader")
