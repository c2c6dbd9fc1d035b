"""Sentinel-2 L2A products of ESA in the Zarr format of EOPF."""

from oso_pipeline.core.plugins import Plugin
from oso_pipeline.imagery.eopf.settings import EopfSettings

PLUGIN = Plugin("eopf", EopfSettings, "oso_pipeline.imagery.eopf.reader:EopfReader")
