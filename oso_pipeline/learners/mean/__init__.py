"""The mean of several learners, which are trained on the same pixels.

This module is read with every configuration; it imports the settings alone.
"""

from oso_pipeline.core.plugins import Plugin
from oso_pipeline.learners.mean.settings import MeanSettings

PLUGIN = Plugin("mean", MeanSettings, "oso_pipeline.learners.mean.learner:LEARNER")
"""Kind ``mean`` of section ``learning``."""
