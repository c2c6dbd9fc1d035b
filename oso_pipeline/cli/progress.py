"""Show what a run does: bars on a terminal, plain lines elsewhere, JSON for machines."""

from __future__ import annotations

import time
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from oso_pipeline.cli.console import write_or_go_silent
from oso_pipeline.cli.tables import duration, pace
from oso_pipeline.core.wording import counted
from oso_pipeline.runtime.events import (
    Event,
    RunEnded,
    StageEnded,
    StageStarted,
    TaskEnded,
    TaskStraggles,
)
from oso_pipeline.runtime.folder.log_file import log_line, record_of
from oso_pipeline.runtime.planner import StagePlan
from oso_pipeline.tasks.task import TaskResult

PLAIN_LINE_EVERY_S = 30.0


def headline(plan: StagePlan) -> str:
    """Say in one line what a stage has to do and why."""
    todo = len(plan.todo)
    if not todo:
        return f"{plan.name}: nothing to do, {len(plan.tasks)} up to date"
    why, count = plan.reasons.most_common(1)[0]
    others = (
        f" and {counted(len(plan.reasons) - 1, 'other reason')}" if len(plan.reasons) > 1 else ""
    )
    return f"{plan.name}: {todo} of {len(plan.tasks)} to do ({count}: {why}{others})"


class PlainProgress:
    """Lines for logs and pipes: one per stage, and one every half minute."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._todo = self._ended = 0
        self._started = self._last = 0.0

    def notice(self, event: Event) -> None:
        """Say what a stage has to do, how far it is, what fails, and how long it took."""
        match event:
            case StageStarted(plan):
                self._todo, self._ended = len(plan.todo), 0
                self._started = self._last = time.monotonic()
                self._line(headline(plan))
            case TaskEnded(result):
                self._count(result)
            case TaskStraggles():
                self._line(f"  {event}")
            case StageEnded():
                self._end(event)
            case _:
                pass

    def _count(self, result: TaskResult) -> None:
        """Say from time to time how far the stage is; say every failure."""
        self._ended += 1
        now = time.monotonic()
        if result.status == "failed":
            self._line(f"  failed: {result.stage} {result.name}")
        if now - self._last >= PLAIN_LINE_EVERY_S and self._ended < self._todo:
            self._last = now
            seconds = now - self._started
            left = duration(seconds / self._ended * (self._todo - self._ended))
            self._line(f"  {self._ended}/{self._todo}, {pace(self._ended, seconds)}, {left} left")

    def _end(self, event: StageEnded) -> None:
        parts = [event.gathered.headline] if event.gathered.headline else []
        if self._todo:
            seconds = time.monotonic() - self._started
            failures = f", {event.failed} failed" if event.failed else ""
            parts.insert(0, f"{event.plan.name} took {seconds:.1f} s{failures}")
        if parts:
            self._line("  " + ": ".join(parts))

    def _line(self, text: str) -> None:
        write_or_go_silent(self._stream, text)


class BarProgress:
    """A bar per stage with rate and time left, for a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._bar: TaskID | None = None
        self._started = 0.0
        self._ended = 0

    def __enter__(self) -> BarProgress:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def notice(self, event: Event) -> None:
        """Add the bar of a stage and move it; name what fails or is slow above the bars."""
        match event:
            case StageStarted(plan):
                self._begin(plan)
            case TaskEnded(result):
                self._count(result)
            case TaskStraggles():
                self._progress.console.print(str(event), style="yellow", markup=False)
            case StageEnded(gathered=gathered) if gathered.headline:
                self._progress.console.print(f"  {gathered.headline}", markup=False)
            case _:
                pass

    def _begin(self, plan: StagePlan) -> None:
        self._progress.console.print(headline(plan), highlight=False)
        self._started, self._ended = time.monotonic(), 0
        self._bar = (
            self._progress.add_task(plan.name, total=len(plan.todo), rate="") if plan.todo else None
        )

    def _count(self, result: TaskResult) -> None:
        self._ended += 1
        if result.status == "failed":
            self._progress.console.print(f"failed: {result.stage} {result.name}", style="red")
        if self._bar is not None:
            rate = pace(self._ended, time.monotonic() - self._started)
            self._progress.update(self._bar, advance=1, rate=rate)


class JsonProgress:
    """One JSON object per line: stages and tasks, with seconds and memory."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def notice(self, event: Event) -> None:
        """Write what the log says of a stage or a task."""
        record = None if isinstance(event, RunEnded) else record_of(event)
        if record is not None:
            write_or_go_silent(self._stream, log_line(record))
