"""The log of a run in its folder: one event per line, as JSON."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oso_pipeline.runtime.events import (
    Event,
    RunEnded,
    RunStarted,
    StageEnded,
    StageStarted,
    TaskEnded,
    TaskStraggles,
)
from oso_pipeline.runtime.folder.lock import file_stem
from oso_pipeline.runtime.shard import Shard
from oso_pipeline.tasks.heartbeat import ACTIVITY
from oso_pipeline.tasks.task import TaskResult
from oso_pipeline.tasks.worker import vanished

logger = logging.getLogger(__name__)


class LogFile:
    """``log.jsonl`` of the run folder: every task that ran, appended, for people.

    Shards write ``activity/shard-....jsonl`` each: appends of several hosts to one file get
    lost on network file systems.
    """

    def __init__(self, run_dir: Path, shard: Shard | None = None) -> None:
        self.path = log_path(run_dir, shard)

    def notice(self, event: Event) -> None:
        """Append the event, unless nothing was to do."""
        if isinstance(event, StageStarted | StageEnded) and not event.plan.todo:
            return
        record = record_of(event)
        if record is not None:
            self._append(record)

    def _append(self, record: dict[str, Any]) -> None:
        line = log_line(record) + "\n"
        try:
            with open(self.path, "a", encoding="utf-8", opener=_without_waiting) as stream:
                stream.write(line)
        except FileNotFoundError as error:
            raise vanished("the run", self.path.parent) from error
        except OSError as error:
            # The log is for people; a full disk is reported by the tasks that write results.
            logger.warning("%s cannot be written: %s", self.path, error)


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; of a pipe in its place nobody may ever read."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


def log_path(run_dir: Path, shard: Shard | None = None) -> Path:
    """Return the log of a driver or of a shard."""
    if shard is None:
        return run_dir / "log.jsonl"
    return run_dir / ACTIVITY / f"{file_stem(shard)}.jsonl"


def log_line(record: dict[str, Any]) -> str:
    """Return a record as a line of JSON, with the time before it."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"ts": now, **record})


def record_of(event: Event) -> dict[str, Any] | None:
    """Return what a log says of an event; None where it says nothing."""
    match event:
        case StageStarted(plan):
            return {"event": "stage_begins", **plan.to_json()}
        case TaskEnded(result):
            return {"event": "task_ended", **_of_task(result)}
        case TaskStraggles():
            return {"event": "straggler", **_of_straggler(event)}
        case StageEnded(plan, failed, gathered, blocked):
            summary = {"headline": gathered.headline, "warnings": list(gathered.warnings)}
            ends = {"event": "stage_ends", "stage": plan.name, "failed": failed}
            return {**ends, "blocked": blocked, **summary}
        case RunEnded(outcome) if outcome.needs:
            stages = {name: needs.to_json() for name, needs in outcome.needs.items()}
            return {"event": "needs", "stages": stages}
        case RunStarted() | RunEnded():
            return None


def _of_task(result: TaskResult) -> dict[str, Any]:
    return {
        "stage": result.stage,
        "task": result.name,
        "status": result.status,
        "seconds": round(result.seconds, 3),
        "cpu_seconds": round(result.cpu_seconds, 3),
        "peak_rss_mb": result.peak_rss_bytes // 1_000_000,
        "error": result.error,
    }


def _of_straggler(event: TaskStraggles) -> dict[str, Any]:
    beat = event.heartbeat
    return {
        "stage": beat.stage,
        "task": beat.task,
        "host": beat.host,
        "pid": beat.pid,
        "seconds": round(event.seconds, 1),
        "peers_s": round(event.usual_s, 3),
    }
