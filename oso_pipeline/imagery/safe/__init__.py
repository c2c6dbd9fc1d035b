"""Sentinel-2 L2A products of Sen2Cor in the SAFE format."""

from oso_pipeline.core.plugins import Plugin
from oso_pipeline.imagery.safe.settings import SafeSettings

PLUGIN = Plugin("safe", SafeSettings, "oso_pipeline.imagery.safe.reader:SafeReader")
