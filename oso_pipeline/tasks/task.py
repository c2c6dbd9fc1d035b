"""Tasks: planned by a stage, run by a worker, and done when their outputs are committed.

Everything between processes is a `Task` or a `TaskResult`: paths and small values, never arrays.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from oso_pipeline.core.commit import digest, read_sidecar, require_sound
from oso_pipeline.core.differences import change, leaves
from oso_pipeline.core.file_lists import folder_of, is_list
from oso_pipeline.tasks.job import Input, Job

log = logging.getLogger(__name__)

Summary = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """Expected cost of a task; only for planning, never part of its identity.

    Parameters
    ----------
    pixels, bytes_read, memory_bytes
        Pixels handled, bytes decoded, and the peak memory of the process.
    core_seconds
        Processor time.
    decode_seconds
        The part of it that goes into decoding images.
    bytes_written
        Disk space of its outputs.
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
        Function that does the work, as ``package.module:function``; it takes the job and the task,
        publishes every output and returns a small summary.
    run_dir
        The run folder.
    outputs
        Paths relative to `run_dir`, all of them committed by the task.
    job
        Job of the task; its parameters and inputs determine the outputs.
    version
        Version of the algorithm; raising it outdates what older versions made, and all that
        was made from it.
    layout
        Version of the layout of the output files. Raising it has them made again under the same
        key, so that what was made from them stays.
    cost
        Estimate for planning.
    """

    stage: str
    name: str
    function: str
    run_dir: Path
    outputs: tuple[str, ...]
    job: Job = Job()
    version: int = 1
    layout: int = 1
    cost: Cost = Cost()

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that determine the outputs, as JSON values."""
        return self.job.params

    @property
    def inputs(self) -> dict[str, str]:
        """The digest of everything read, by name; that of another task's output is its key."""
        return self.job.inputs

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything that determines the outputs."""
        return {
            "stage": self.stage,
            "name": self.name,
            "version": self.version,
            "params": self.params,
            "inputs": self.inputs,
        }

    @cached_property
    def key(self) -> str:
        """SHA-256 of the recipe: two tasks with one key make the same outputs."""
        return digest(self.recipe)

    def output(self, index: int = 0) -> Path:
        """Return the absolute path of an output."""
        return self.run_dir / self.outputs[index]

    def path_of(self, read: Input) -> Path:
        """Return the absolute path of an input.

        Raises
        ------
        InputDataError
            If it is a file whose content is not what was committed.
        """
        path = self.run_dir / read.path
        require_sound(path)
        return path

    def commit_record(self) -> dict[str, Any] | None:
        """Return the commit record of the task if all its outputs are committed and current."""
        records = [_record_of(self.run_dir / output) for output in self.outputs]
        if records and all(r is not None and self._is_current(r) for r in records):
            return records[0]
        return None

    def state(self) -> TaskState:
        """Compare what is committed with what the task would make."""
        records = [_record_of(self.run_dir / output) for output in self.outputs]
        missing = [o for o, r in zip(self.outputs, records, strict=True) if r is None]
        if len(missing) == len(self.outputs):
            return TaskState("new", "never made")
        if missing:
            return TaskState("outdated", f"{missing[0]} is missing or damaged")
        for record in records:
            if record is None or self._is_current(record):
                continue
            if record.get("key") != self.key:
                return TaskState("outdated", _difference(record.get("recipe"), self.recipe))
            return TaskState(
                "outdated", f"layout of the file {record.get('layout', 1)} -> {self.layout}"
            )
        return TaskState("done", "up to date")

    def _is_current(self, record: Mapping[str, Any]) -> bool:
        return record.get("key") == self.key and record.get("layout", 1) == self.layout


def _record_of(output: Path) -> dict[str, Any] | None:
    """Return the commit record of an output; None without one, or if a listed folder is gone."""
    if is_list(output) and not folder_of(output).is_dir():
        return None
    return read_sidecar(output)


def decided(recipe: Mapping[str, Any], name: str) -> Any:
    """Return a parameter of a recipe that was read from a commit record."""
    return recipe["params"][name]


def family_of(recipe: Mapping[str, Any], but: str) -> str:
    """Return the digest that tasks have in common which differ in name and one parameter."""
    params = {name: value for name, value in recipe["params"].items() if name != but}
    shared = {part: value for part, value in recipe.items() if part != "name"}
    return digest({**shared, "params": params})


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
    """Result of a task, returned by a worker.

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


def _difference(old: object, new: Mapping[str, Any]) -> str:
    """Return one line on the changed part of a recipe; inputs first, since they are the cause."""
    if not isinstance(old, dict):
        return "made by an older version of the software"
    if old.get("version") != new["version"]:
        return f"algorithm version {old.get('version')} -> {new['version']}"
    for part, label in (("inputs", "input"), ("params", "parameter")):
        before, after = leaves(old.get(part) or {}), leaves(new[part])
        for name in sorted(before.keys() | after.keys()):
            if name not in after:
                return f"{label} {name} is gone"
            if name not in before:
                return f"{label} {name} is new"
            if before[name] != after[name]:
                if part == "inputs":
                    return f"input {name} changed"
                return f"parameter {name}: {change(before[name], after[name])}"
    return "recipe changed"
