"""Theia/MUSCATE Sentinel-2 L2A products."""

from oso_pipeline.core.plugins import Plugin
from oso_pipeline.imagery.muscate.settings import MuscateSettings

PLUGIN = Plugin("muscate", MuscateSettings, "oso_pipeline.imagery.muscate.reader:MuscateReader")
