"""Show what a run does: bars on a terminal, plain lines elsewhere, JSON for machines."""

from __future__ import annotations

import time
from dataclasses import dataclass
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
from oso_pipeline.cli.terminal_tables import pace
from oso_pipeline.core.wording import counted, duration
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
    """Return one line with the tasks of a stage and the reasons for them."""
    todo = len(plan.todo)
    if not todo:
        return f"{plan.name}: nothing to do, {len(plan.tasks)} up to date"
    why, count = plan.reasons.most_common(1)[0]
    others = (
        f" and {counted(len(plan.reasons) - 1, 'other reason')}" if len(plan.reasons) > 1 else ""
    )
    return f"{plan.name}: {todo} of {len(plan.tasks)} to do ({count}: {why}{others})"


@dataclass
class _Count:
    """How far a stage is."""

    todo: int
    began: float
    ended: int = 0


class PlainProgress:
    """Lines for logs and pipes: one per stage, and one every half minute."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._counts: dict[str, _Count] = {}
        self._last = 0.0

    def notice(self, event: Event) -> None:
        """Print tasks, progress, failures and duration of each stage."""
        match event:
            case StageStarted(plan):
                now = time.monotonic()
                self._last = self._last if self._counts else now
                self._counts[plan.name] = _Count(len(plan.todo), now)
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
        """Print the progress of the stages from time to time, and every failure."""
        self._counts[result.stage].ended += 1
        if result.status == "failed":
            self._line(f"  failed: {result.stage} {result.name}")
        if (now := time.monotonic()) - self._last < PLAIN_LINE_EVERY_S:
            return
        self._last = now
        for name, one in self._counts.items():
            if 0 < one.ended < one.todo:
                which = f"{name} " if len(self._counts) > 1 else ""
                seconds = now - one.began
                left = duration(seconds / one.ended * (one.todo - one.ended))
                rate = pace(one.ended, seconds)
                self._line(f"  {which}{one.ended}/{one.todo}, {rate}, {left} left")

    def _end(self, event: StageEnded) -> None:
        count = self._counts.pop(event.plan.name)
        parts = [event.gathered.headline] if event.gathered.headline else []
        if count.todo:
            failures = f", {event.failed} failed" if event.failed else ""
            blocked = f", {event.blocked} lack their input" if event.blocked else ""
            seconds = time.monotonic() - count.began
            parts.insert(0, f"{event.plan.name} took {seconds:.1f} s{failures}{blocked}")
        elif parts and self._counts:  # among lines of other stages
            parts.insert(0, event.plan.name)
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
        self._bars: dict[str, TaskID] = {}
        self._counts: dict[str, _Count] = {}

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
                which = f"{event.plan.name}: " if len(self._counts) > 1 else ""
                del self._counts[event.plan.name]
                self._progress.console.print(f"  {which}{gathered.headline}", markup=False)
            case StageEnded(plan):
                del self._counts[plan.name]
            case _:
                pass

    def _begin(self, plan: StagePlan) -> None:
        self._progress.console.print(headline(plan), highlight=False)
        self._counts[plan.name] = _Count(len(plan.todo), time.monotonic())
        if plan.todo:
            self._bars[plan.name] = self._progress.add_task(
                plan.name, total=len(plan.todo), rate=""
            )

    def _count(self, result: TaskResult) -> None:
        count = self._counts[result.stage]
        count.ended += 1
        if result.status == "failed":
            self._progress.console.print(f"failed: {result.stage} {result.name}", style="red")
        rate = pace(count.ended, time.monotonic() - count.began)
        self._progress.update(self._bars[result.stage], advance=1, rate=rate)


class JsonProgress:
    """One JSON object per line: stages and tasks, with seconds and memory."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def notice(self, event: Event) -> None:
        """Write what the log says of a stage or a task."""
        record = None if isinstance(event, RunEnded) else record_of(event)
        if record is not None:
            write_or_go_silent(self._stream, log_line(record))
