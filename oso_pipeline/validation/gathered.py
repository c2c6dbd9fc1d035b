"""Summary of a stage that measures accuracy."""

from __future__ import annotations

from oso_pipeline.tasks.stage import Gathered, summaries, warnings_of
from oso_pipeline.tasks.task import Task


def gathered_accuracy(tasks: tuple[Task, ...]) -> Gathered:
    """Return the summary of the one task, its warnings, the overall accuracy and its classes."""
    done = summaries(tasks)
    if not done:
        return Gathered()
    overall = done[0]["overall_accuracy"]
    low, high = overall["low"], overall["high"]
    interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
    covered = f" {done[0]['covered']}" if done[0].get("covered") else ""
    headline = f"overall accuracy {overall['estimate']:.3f}{interval}{covered}"
    return Gathered(done[0], warnings_of(done), headline)
