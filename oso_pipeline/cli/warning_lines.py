"""Warnings of the stages of a run, on the terminal."""

from __future__ import annotations

from oso_pipeline.cli.console import err
from oso_pipeline.core.wording import counted
from oso_pipeline.runtime.events import Event, RunEnded, StageEnded

SHOWN = 20
"""Warnings shown at most; the rest is counted."""


class WarningLines:
    """Prints each warning once, when the stage that found it has ended."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def notice(self, event: Event) -> None:
        """Print the new warnings of a stage, and at the end how many were not shown."""
        match event:
            case StageEnded(gathered=gathered):
                for text in gathered.warnings:
                    self._show(text)
            case RunEnded() if (more := len(self._seen) - SHOWN) > 0:
                err.print(f"and {counted(more, 'more warning')}, see log.jsonl and report.html")
            case _:
                pass

    def _show(self, text: str) -> None:
        if text in self._seen:
            return
        self._seen.add(text)
        if len(self._seen) <= SHOWN:
            err.print(text, markup=False)
