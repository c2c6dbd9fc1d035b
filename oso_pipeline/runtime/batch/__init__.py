"""Batch systems: the jobs of a run, their scripts, and how they are submitted."""

from oso_pipeline.runtime.batch.submit import Submission

__all__ = ["Submission"]
