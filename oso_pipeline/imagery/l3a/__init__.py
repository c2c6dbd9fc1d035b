"""Theia monthly syntheses of Sentinel-2 (L3A), made with WASP, in the format of MUSCATE."""

from oso_pipeline.core.plugins import Plugin
from oso_pipeline.imagery.l3a.settings import SynthesisSettings

PLUGIN = Plugin("l3a", SynthesisSettings, "oso_pipeline.imagery.l3a.reader:SynthesisReader")
