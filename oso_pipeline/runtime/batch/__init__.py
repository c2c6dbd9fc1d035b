"""Batch systems: the jobs of a run, their scripts, and how they are submitted."""

from oso_pipeline.runtime.batch.submit import Submission, fitted

__all__ = ["Submission", "fitted"]
