"""Attention over the dates of a series: trained with torch, kept as arrays, served compiled.

This module is read with every configuration; it imports the settings alone.
"""

from oso_pipeline.core.plugins import Plugin
from oso_pipeline.learners.attention.settings import AttentionSettings

PLUGIN = Plugin("attention", AttentionSettings, "oso_pipeline.learners.attention.learner:LEARNER")
"""Kind ``attention`` of section ``learning``."""
