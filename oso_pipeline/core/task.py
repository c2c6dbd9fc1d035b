"""Tasks: what a stage plans, what a worker does, and how it is known to be done.

A stage is three functions: ``plan`` lists its tasks and writes nothing, the task function
commits the outputs, ``gather`` sums up what was committed. Everything between processes is
a `Task` or a `TaskResult`: paths and small values, never arrays.
"""

from __future__ import annotations

import importlib
import logging
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from oso_pipeline.core.activity import under_way
from oso_pipeline.core.commit import (
    digest,
    read_sidecar,
    require_sound,
    withdraw_unless,
    write_sidecar,
)
from oso_pipeline.core.errors import EnvironmentFailure, ExitCode, OsoError, Problem
from oso_pipeline.core.memory_mark import MemoryWatch, out_of_memory

log = logging.getLogger(__name__)

ConfigT_co = TypeVar("ConfigT_co", covariant=True)
Summary = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a task is expected to need; only for planning, never part of its identity.

    Parameters
    ----------
    pixels, bytes_read, memory_bytes
        Pixels handled, bytes decoded, and the peak memory of the process.
    core_seconds
        Processor time.
    decode_seconds
        The part of it that goes into decoding images.
    bytes_written
        Room that what it leaves takes on disk.
    """

    pixels: int = 0
    bytes_read: int = 0
    memory_bytes: int = 0
    core_seconds: float = 0.0
    decode_seconds: float = 0.0
    bytes_written: int = 0


@dataclass(frozen=True)
class Task:
    """A small unit of work whose outputs follow from its identity.

    Parameters
    ----------
    stage, name
        Together the identity within a run, for example ``predict`` and ``31TCJ/r00000c00000``.
    function
        What does the work, as ``package.module:function``; it takes the task, publishes
        every output and returns a small summary.
    run_dir
        The run folder.
    outputs
        Paths relative to `run_dir`, all of them committed by the task.
    version
        Version of the algorithm; raising it outdates what older versions made.
    params
        The parameters that determine the outputs, as JSON values.
    inputs
        The digest of everything read, by name. Outputs of another task are named by that
        task's key.
    options
        What does not change the outputs: paths of inputs, memory limits, threads.
    cost
        Estimate for planning.
    """

    stage: str
    name: str
    function: str
    run_dir: Path
    outputs: tuple[str, ...]
    version: int = 1
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    cost: Cost = Cost()

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything that determines the outputs."""
        return {
            "stage": self.stage,
            "name": self.name,
            "version": self.version,
            "params": dict(self.params),
            "inputs": dict(self.inputs),
        }

    @cached_property
    def key(self) -> str:
        """SHA-256 of the recipe: two tasks with one key make the same outputs."""
        return digest(self.recipe)

    def output(self, index: int = 0) -> Path:
        """Return the absolute path of an output."""
        return self.run_dir / self.outputs[index]

    def input_path(self, relative: str) -> Path:
        """Return the absolute path of a file or folder that an earlier stage committed.

        Raises
        ------
        InputDataError
            If it is a file whose content is not what was committed.
        """
        path = self.run_dir / relative
        require_sound(path)
        return path

    def committed(self) -> dict[str, Any] | None:
        """Return the commit record of the task if all its outputs are committed and current."""
        records = [read_sidecar(self.run_dir / output) for output in self.outputs]
        if records and all(r is not None and r.get("key") == self.key for r in records):
            return records[0]
        return None

    def state(self) -> TaskState:
        """Compare what is committed with what the task would make."""
        records = [read_sidecar(self.run_dir / output) for output in self.outputs]
        missing = [o for o, r in zip(self.outputs, records, strict=True) if r is None]
        if len(missing) == len(self.outputs):
            return TaskState("new", "never made")
        if missing:
            return TaskState("outdated", f"{missing[0]} is missing or damaged")
        for record in records:
            if record is not None and record.get("key") != self.key:
                return TaskState("outdated", _difference(record.get("recipe"), self.recipe))
        return TaskState("done", "up to date")


def tile_of(task: Task) -> str:
    """Return the first part of the task's name, which is the tile in stages done per tile."""
    return task.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class TaskState:
    """Whether a task has to run, and why."""

    status: Literal["new", "done", "outdated"]
    why: str


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What comes back from a worker.

    ``peak_rss_bytes`` is the greatest memory of the process during the task.
    """

    stage: str
    name: str
    status: Literal["done", "failed"]
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_rss_bytes: int = 0
    summary: Summary = field(default_factory=dict)
    error: str | None = None
    exit_code: int = 0


class PlanContext(Protocol[ConfigT_co]):
    """What a stage may look at while it plans."""

    @property
    def config(self) -> ConfigT_co:
        """The validated configuration."""
        ...

    @property
    def run_dir(self) -> Path:
        """The run folder, which may not exist yet."""
        ...

    def tasks(self, stage: str) -> tuple[Task, ...]:
        """Return the tasks of an earlier stage."""
        ...


class Stage(Protocol):
    """The contract between the rooms of the package and the run time."""

    @property
    def name(self) -> str:
        """Name of the stage, as users type it."""
        ...

    def plan(self, context: PlanContext[Any]) -> list[Task]:
        """List the tasks; decide from the config and what is committed, write nothing."""
        ...

    def gather(self, tasks: tuple[Task, ...]) -> Summary:
        """Sum up what the tasks committed, for the report and the progress line."""
        ...


def summaries(tasks: tuple[Task, ...] | list[Task]) -> list[Summary]:
    """Return the summaries that the committed ones among `tasks` left in their sidecars."""
    records = (task.committed() for task in tasks)
    return [record.get("summary", {}) for record in records if record is not None]


def do(task: Task, memory_bytes: float | None = None) -> TaskResult:
    """Run a task and commit its outputs; failures are returned, never raised.

    The sidecars are written last, after every output has been published and read back.

    Parameters
    ----------
    task
        What to do.
    memory_bytes
        What this process may use, where it is killed when it uses more: then a task that has
        cost a worker comes back with less memory to read into, and after a second one fails.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    _forget_peak()
    try:
        with _still_there(task.run_dir):
            for output in task.outputs:
                withdraw_unless(task.run_dir / output, task.key)
            with (
                under_way(task.run_dir, task.stage, task.name),
                MemoryWatch(task, memory_bytes) as lighter,
            ):
                summary = _load(task.function)(lighter)
        record = {
            "key": task.key,
            "recipe": task.recipe,
            "summary": summary,
            "software": {"oso_pipeline": version("oso_pipeline")},
        }
        for output in task.outputs:
            write_sidecar(task.run_dir / output, record)
    except OsoError as error:
        return _failure(task, str(error), int(error.exit_code), started)
    except OSError as error:
        return _failure(task, f"{type(error).__name__}: {error}", ExitCode.ENVIRONMENT, started)
    except MemoryError:
        problem = str(out_of_memory(task, memory_bytes))
        return _failure(task, problem, ExitCode.ENVIRONMENT, started)
    except Exception:  # noqa: BLE001 - a bug in one task must not stop the others
        return _failure(task, traceback.format_exc(), ExitCode.BUG, started)
    return TaskResult(
        task.stage,
        task.name,
        "done",
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
        peak_rss_bytes=_peak_rss_bytes(),
        summary=summary,
    )


@contextmanager
def _still_there(folder: Path) -> Iterator[None]:
    """Refuse, at the end, a folder that took the place of the run folder meanwhile.

    The folder is held open, as file systems give the number of a removed one to the next.
    """
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:  # the task makes it
        yield
        return
    try:
        yield
        try:
            same = os.path.samestat(os.fstat(held), folder.stat())
        except OSError:
            same = False
        if not same:
            raise vanished("a task", folder)
    finally:
        os.close(held)


def vanished(who: str, folder: Path) -> EnvironmentFailure:
    """Return the error of a run folder that is not there any more."""
    return EnvironmentFailure(
        Problem(
            "E-RUN-FOLDER",
            f"the run folder has vanished while {who} was at work",
            str(folder),
            "bring its disk back, or run again to begin anew",
        )
    )


def _load(function: str) -> Callable[[Task], Summary]:
    module, _, name = function.partition(":")
    loaded: Callable[[Task], Summary] = getattr(importlib.import_module(module), name)
    return loaded


def _failure(task: Task, error: str, exit_code: int, started: float) -> TaskResult:
    seconds = time.perf_counter() - started
    return TaskResult(
        task.stage, task.name, "failed", seconds=seconds, error=error, exit_code=int(exit_code)
    )


def _forget_peak() -> None:
    """Let the peak of memory be that of the task to come; where that is not known, the process's.

    Linux forgets it on this word; see `proc(5)`, ``clear_refs``.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_rss_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _difference(old: object, new: Mapping[str, Any]) -> str:
    """Say in one line which part of a recipe changed; inputs first, as they are the cause."""
    if not isinstance(old, dict):
        return "made by an older version of the software"
    if old.get("version") != new["version"]:
        return f"algorithm version {old.get('version')} -> {new['version']}"
    for part, label in (("inputs", "input"), ("params", "parameter")):
        before, after = _leaves(old.get(part) or {}), _leaves(new[part])
        for name in sorted(before.keys() | after.keys()):
            if name not in after:
                return f"{label} {name} is gone"
            if name not in before:
                return f"{label} {name} is new"
            if before[name] != after[name]:
                if part == "inputs":
                    return f"input {name} changed"
                return f"parameter {name}: {_short(before[name])} -> {_short(after[name])}"
    return "recipe changed"


def _leaves(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted names."""
    leaves: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            leaves |= _leaves(value, f"{prefix}{name}.")
        else:
            # What JSON gives back is a list where a tuple was written.
            leaves[f"{prefix}{name}"] = list(value) if isinstance(value, tuple) else value
    return leaves


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
