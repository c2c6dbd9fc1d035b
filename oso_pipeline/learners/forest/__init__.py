"""Random forests: grown on binned features, kept as arrays, walked by compiled code.

This module is read with every configuration; it imports the settings alone.
"""

from oso_pipeline.core.plugins import Plugin
from oso_pipeline.learners.forest.settings import ForestSettings

PLUGIN = Plugin("forest", ForestSettings, "oso_pipeline.learners.forest.learner:LEARNER")
"""Kind ``forest`` of section ``learning``."""
