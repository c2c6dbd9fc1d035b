"""Batch systems: the jobs of a run, their scripts, and how they are submitted."""

from oso_pipeline.runtime.batch.submit import Submission, settings_of

__all__ = ["Submission", "settings_of"]
