"""Warnings of the stages of a run, on the terminal."""

from __future__ import annotations

from collections.abc import Collection

from oso_pipeline.cli.console import err
from oso_pipeline.core.wording import counted
from oso_pipeline.runtime.events import Event, RunEnded, StageEnded

SHOWN = 20
"""Warnings shown at most; the rest is counted."""


class WarningLines:
    """Prints each warning once, when the stage that found it has ended.

    Parameters
    ----------
    warned
        Warnings that were printed before.
    """

    def __init__(self, warned: Collection[str] = ()) -> None:
        self._seen = set(warned)
        self._found = 0

    def notice(self, event: Event) -> None:
        """Print the new warnings of a stage, and at the end how many were not shown."""
        match event:
            case StageEnded(gathered=gathered):
                for text in gathered.warnings:
                    self._show(text)
            case RunEnded() if (more := self._found - SHOWN) > 0:
                err.print(f"and {counted(more, 'more warning')}, see log.jsonl and report.html")
            case _:
                pass

    def _show(self, text: str) -> None:
        if text in self._seen:
            return
        self._seen.add(text)
        self._found += 1
        if self._found <= SHOWN:
            err.print(text, markup=False)
