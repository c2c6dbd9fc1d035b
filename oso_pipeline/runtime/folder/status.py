"""How far a run is, who works on it and what failed: read from its folder alone.

So it works on any host that sees the folder, for any executor.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from oso_pipeline.core.commit import sidecar_of, temporary_beside
from oso_pipeline.core.json_files import ODD_VALUES, object_in, read_object
from oso_pipeline.core.regular_files import read_regular
from oso_pipeline.runtime.events import Event, StageEnded, StageStarted, TaskEnded
from oso_pipeline.runtime.folder.holder import Holder
from oso_pipeline.runtime.folder.lock import (
    file_stem,
    is_abandoned,
    lock_path,
    shard_locks,
    silence_s,
)
from oso_pipeline.runtime.planner import Planner, StagePlan
from oso_pipeline.runtime.shard import Shard
from oso_pipeline.tasks.heartbeat import ACTIVITY, Heartbeat, live_heartbeats
from oso_pipeline.tasks.stage import Stage
from oso_pipeline.tasks.task import Task, TaskResult, TaskState

WRITE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a driver or shard is with a stage.

    Parameters
    ----------
    stage
        The stage.
    todo, ended, failed
        Tasks that it has to do, has ended, and those of them that failed.
    seconds
        Time that it has spent on the stage.
    """

    stage: str
    todo: int
    ended: int
    failed: int
    seconds: float

    @property
    def rate(self) -> float:
        """Tasks per second."""
        return self.ended / max(self.seconds, 1e-3)

    @property
    def left_s(self) -> float | None:
        """Time until the stage is done at this rate; None before a task has ended."""
        return (self.todo - self.ended) / self.rate if self.ended else None


class ProgressFile:
    """Keeps a small progress file in ``activity``; follows a run."""

    def __init__(self, run_dir: Path, shard: Shard | None) -> None:
        self.path = run_dir / ACTIVITY / f"{file_stem(shard)}.json"
        self._now: dict[str, Progress] = {}
        self._began: dict[str, float] = {}
        self._written = 0.0

    def notice(self, event: Event) -> None:
        """Note the stage, count its tasks; the file follows once a second and at the end.

        Of stages that run together it shows the one that began first.
        """
        match event:
            case StageStarted(plan):
                self._began[plan.name] = time.monotonic()
                self._now[plan.name] = Progress(plan.name, len(plan.todo), 0, 0, 0.0)
                self._note()
            case TaskEnded(result):
                self._count(result)
            case StageEnded(plan):
                self._note(plan.name)
                del self._now[plan.name]
            case _:
                pass

    def _count(self, result: TaskResult) -> None:
        now = self._now[result.stage]
        seconds = time.monotonic() - self._began[result.stage]
        failed = now.failed + (result.status == "failed")
        self._now[now.stage] = Progress(now.stage, now.todo, now.ended + 1, failed, seconds)
        if time.monotonic() - self._written >= WRITE_EVERY_S:
            self._note()

    def _note(self, stage: str | None = None) -> None:
        progress = self._now[stage] if stage else next(iter(self._now.values()))
        self._written = time.monotonic()
        with suppress(OSError):  # only for watching
            self.path.parent.mkdir(exist_ok=True)
            draft = temporary_beside(self.path)
            draft.write_text(json.dumps(asdict(progress)), encoding="utf-8")
            draft.replace(self.path)


@dataclass(frozen=True, slots=True)
class Worker:
    """A driver or shard that holds a lock.

    Parameters
    ----------
    holder
        Who.
    silent_s
        Seconds since its last sign of life.
    alive
        Whether it is taken for alive.
    progress
        Its progress, if it has reported any.
    """

    holder: Holder
    silent_s: float
    alive: bool
    progress: Progress | None


@dataclass(frozen=True)
class Status:
    """A look at a run.

    Parameters
    ----------
    plans
        The stages of the configuration.
    workers
        Holders of the locks.
    heartbeats
        Tasks under way.
    failures
        Failed tasks that were not done since: error by stage and task.
    slow
        Tasks under way that were named as much slower than their peers, and how many seconds
        these took.
    """

    plans: list[StagePlan]
    workers: list[Worker]
    heartbeats: list[Heartbeat]
    failures: dict[tuple[str, str], str]
    slow: dict[Heartbeat, float] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is to do and nobody works."""
        return not self.workers and not any(plan.todo for plan in self.plans)


class Watch:
    """Watches a run; a finished task is checked again by the size of two files only."""

    def __init__(self, planner: Planner) -> None:
        self.planner = planner
        self._done: dict[tuple[str, str], tuple[str, list[tuple[int, int, int]]]] = {}

    def look(self) -> Status:
        """Return how the run stands now."""
        self.planner.forget()
        plans = [plan for stage in self.planner.stages if (plan := self._plan(stage)).tasks]
        run_dir = self.planner.run_dir
        todo = [(task.stage, task.name) for plan in plans for task in plan.todo]
        said = _failures(run_dir)
        failures = {task: said[task] for task in todo if task in said}
        longest = self.planner.config.runtime.task_deadline_s
        active = live_heartbeats(run_dir, longest)
        slow = _slow(run_dir)
        named = {beat: slow[key] for beat in active if (key := _attempt(asdict(beat))) in slow}
        return Status(plans, list(_workers(run_dir)), active, failures, named)

    def _plan(self, stage: Stage) -> StagePlan:
        tasks = self.planner.tasks(stage.name)
        return StagePlan(stage, tasks, tuple(self._state(task) for task in tasks))

    def _state(self, task: Task) -> TaskState:
        name = (task.stage, task.name)
        with suppress(OSError):
            marks = [_marks(task.run_dir / output) for output in task.outputs]
            if self._done.get(name) == (task.key, marks):
                return TaskState("done", "up to date")
            state = task.state()
            if state.status == "done":
                self._done[name] = (task.key, marks)
            return state
        return task.state()


def _marks(output: Path) -> tuple[int, int, int]:
    record = sidecar_of(output).stat()
    return record.st_mtime_ns, record.st_ino, output.stat().st_size


def _workers(run_dir: Path) -> Iterator[Worker]:
    for path in (lock_path(run_dir, None), *sorted(shard_locks(run_dir))):
        holder, silent = Holder.read(path), silence_s(path) if path.exists() else None
        if holder is None or silent is None:
            continue
        progress = _progress(run_dir / ACTIVITY / f"{file_stem(holder.shard)}.json")
        alive = not is_abandoned(path, holder)
        yield Worker(holder, max(0.0, silent), alive, progress)


def _progress(path: Path) -> Progress | None:
    content = read_object(path)
    try:
        todo, ended, failed = (int(content[name]) for name in ("todo", "ended", "failed"))
        return Progress(str(content["stage"]), todo, ended, failed, float(content["seconds"]))
    except ODD_VALUES:
        return None


def _failures(run_dir: Path) -> dict[tuple[str, str], str]:
    """Return the last word of the logs on each task whose last end was a failure."""
    last: dict[tuple[str, str], tuple[str, str | None]] = {}
    for entry in _entries(run_dir, "task_ended"):
        task = (str(entry.get("stage")), str(entry.get("task")))
        when = str(entry.get("ts"))
        if when >= last.get(task, ("", None))[0]:
            error = entry.get("error")
            last[task] = (when, None if error is None else str(error))
    return {task: error for task, (_, error) in last.items() if error}


def _slow(run_dir: Path) -> dict[tuple[object, ...], float]:
    """Return which attempts the logs name as slow, and how long the peers took."""
    found = {}
    for entry in _entries(run_dir, "straggler"):
        with suppress(*ODD_VALUES):
            found[_attempt(entry)] = float(entry["peers_s"])
    return found


def _attempt(content: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(content[name] for name in ("stage", "task", "host", "pid"))


def _entries(run_dir: Path, event: str) -> Iterator[dict[str, Any]]:
    """Yield the events of one kind from all logs of a run."""
    for path in (run_dir / "log.jsonl", *(run_dir / ACTIVITY).glob("shard-*.jsonl")):
        try:
            lines = read_regular(path).decode("utf-8", "replace").splitlines()
        except OSError:
            continue
        for line in lines:
            if f'"{event}"' in line:
                entry = object_in(line)  # which a kill may have cut
                if entry.get("event") == event:
                    yield entry
