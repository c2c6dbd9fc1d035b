"""Show what a run does: bars on a terminal, plain lines elsewhere, JSON for machines."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from oso_pipeline.runtime.folder.lock import file_stem
from oso_pipeline.runtime.folder.stragglers import Straggler
from oso_pipeline.runtime.planner import StagePlan
from oso_pipeline.runtime.shard import Shard
from oso_pipeline.runtime.terminal import write_or_go_silent
from oso_pipeline.tasks.heartbeat import ACTIVITY
from oso_pipeline.tasks.task import TaskResult
from oso_pipeline.tasks.worker import vanished

logger = logging.getLogger(__name__)

PLAIN_LINE_EVERY_S = 30.0


def headline(plan: StagePlan) -> str:
    """Say in one line what a stage has to do and why."""
    todo = len(plan.todo)
    if not todo:
        return f"{plan.name}: nothing to do, {len(plan.tasks)} up to date"
    why, count = plan.reasons.most_common(1)[0]
    others = f" and {len(plan.reasons) - 1} other reasons" if len(plan.reasons) > 1 else ""
    return f"{plan.name}: {todo} of {len(plan.tasks)} to do ({count}: {why}{others})"


def _rate(done: int, seconds: float) -> str:
    return f"{done / max(seconds, 1e-3):.1f} tasks/s"


class PlainProgress:
    """Lines for logs and pipes: one per stage, and one every half minute."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._todo = self._ended = 0
        self._started = self._last = 0.0

    def stage_begins(self, plan: StagePlan) -> None:
        """Say what the stage has to do."""
        self._todo, self._ended = len(plan.todo), 0
        self._started = self._last = time.monotonic()
        self._line(headline(plan))

    def task_ended(self, result: TaskResult) -> None:
        """Say from time to time how far the stage is; say every failure."""
        self._ended += 1
        now = time.monotonic()
        if result.status == "failed":
            self._line(f"  failed: {result.stage} {result.name}")
        if now - self._last >= PLAIN_LINE_EVERY_S:
            self._last = now
            seconds = now - self._started
            left = seconds / self._ended * (self._todo - self._ended)
            rate = _rate(self._ended, seconds)
            self._line(f"  {self._ended}/{self._todo}, {rate}, about {left:.0f} s left")

    def stage_ends(self, plan: StagePlan, failed: int) -> None:
        """Say how long the stage took."""
        if self._todo:
            seconds = time.monotonic() - self._started
            failures = f", {failed} failed" if failed else ""
            self._line(f"  {plan.name} took {seconds:.1f} s{failures}")

    def straggles(self, straggler: Straggler) -> None:
        """Name a task that takes much longer than its peers."""
        self._line(f"  {straggler}")

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

    def stage_begins(self, plan: StagePlan) -> None:
        """Add the bar of the stage."""
        self._progress.console.print(headline(plan), highlight=False)
        self._started, self._ended = time.monotonic(), 0
        self._bar = (
            self._progress.add_task(plan.name, total=len(plan.todo), rate="") if plan.todo else None
        )

    def task_ended(self, result: TaskResult) -> None:
        """Move the bar."""
        self._ended += 1
        if result.status == "failed":
            self._progress.console.print(f"failed: {result.stage} {result.name}", style="red")
        if self._bar is not None:
            rate = _rate(self._ended, time.monotonic() - self._started)
            self._progress.update(self._bar, advance=1, rate=rate)

    def stage_ends(self, plan: StagePlan, failed: int) -> None:
        """Leave the bar as it is."""

    def straggles(self, straggler: Straggler) -> None:
        """Name a task that takes much longer than its peers, above the bars."""
        self._progress.console.print(str(straggler), style="yellow", markup=False)


class JsonProgress:
    """One JSON object per line: stages and tasks, with seconds and memory."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def stage_begins(self, plan: StagePlan) -> None:
        """Write the plan of the stage."""
        self._write("stage_begins", plan.as_json())

    def task_ended(self, result: TaskResult) -> None:
        """Write the outcome of a task."""
        self._write("task_ended", task_record(result))

    def stage_ends(self, plan: StagePlan, failed: int) -> None:
        """Write how many tasks failed."""
        self._write("stage_ends", {"stage": plan.name, "failed": failed})

    def straggles(self, straggler: Straggler) -> None:
        """Write which task takes much longer than its peers."""
        self._write("straggler", straggler_record(straggler))

    def _write(self, event: str, content: dict[str, Any]) -> None:
        line = json.dumps({"ts": _now(), "event": event, **content})
        write_or_go_silent(self._stream, line)


class LogFile:
    """``log.jsonl`` of the run folder: every task that ran, appended, for people.

    Shards write ``activity/shard-....jsonl`` each: appends of several hosts to one file get
    lost on network file systems.
    """

    def __init__(self, run_dir: Path, shard: Shard | None = None) -> None:
        self.path = log_path(run_dir, shard)

    def stage_begins(self, plan: StagePlan) -> None:
        """Note the plan of the stage."""
        if plan.todo:
            self._append({"event": "stage_begins", **plan.as_json()})

    def task_ended(self, result: TaskResult) -> None:
        """Note the outcome of a task."""
        self._append({"event": "task_ended", **task_record(result)})

    def stage_ends(self, plan: StagePlan, failed: int) -> None:
        """Note the end of the stage."""
        if plan.todo:
            self._append({"event": "stage_ends", "stage": plan.name, "failed": failed})

    def straggles(self, straggler: Straggler) -> None:
        """Note a task that takes much longer than its peers."""
        self._append({"event": "straggler", **straggler_record(straggler)})

    def needs(self, stages: dict[str, Any]) -> None:
        """Note what each stage was expected to take, and took."""
        self._append({"event": "needs", "stages": stages})

    def _append(self, content: dict[str, Any]) -> None:
        line = json.dumps({"ts": _now(), **content}) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(line)
        except FileNotFoundError as error:
            raise vanished("the run", self.path.parent) from error
        except OSError as error:
            # The log is for people; what a full disk means for the results, their tasks tell.
            logger.warning("%s cannot be written: %s", self.path, error)


def log_path(run_dir: Path, shard: Shard | None = None) -> Path:
    """Return the log of a driver or of a shard."""
    if shard is None:
        return run_dir / "log.jsonl"
    return run_dir / ACTIVITY / f"{file_stem(shard)}.jsonl"


def task_record(result: TaskResult) -> dict[str, Any]:
    """Return what the log says of a task."""
    return {
        "stage": result.stage,
        "task": result.name,
        "status": result.status,
        "seconds": round(result.seconds, 3),
        "cpu_seconds": round(result.cpu_seconds, 3),
        "peak_rss_mb": result.peak_rss_bytes // 1_000_000,
        "error": result.error,
    }


def straggler_record(straggler: Straggler) -> dict[str, Any]:
    """Return what the log says of a task that takes much longer than its peers."""
    sign = straggler.sign
    return {
        "stage": sign.stage,
        "task": sign.task,
        "host": sign.host,
        "pid": sign.pid,
        "seconds": round(straggler.seconds, 1),
        "peers_s": round(straggler.usual_s, 3),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
