"""Run a task on a worker, commit its outputs and return the result."""

from __future__ import annotations

import importlib
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from oso_pipeline.core.commit import withdraw_unless, write_sidecar
from oso_pipeline.core.descriptors import refusal, shortage
from oso_pipeline.core.errors import EnvironmentFailure, ExitCode, OsoError, Problem
from oso_pipeline.tasks.heartbeat import under_way
from oso_pipeline.tasks.memory_guard import MemoryWatch, out_of_memory
from oso_pipeline.tasks.task import Summary, Task, TaskResult


def do(task: Task, memory_bytes: float | None = None) -> TaskResult:
    """Run a task and commit its outputs; failures are returned, never raised.

    The sidecars are written last, after every output has been published and read back.

    Parameters
    ----------
    task
        Task to run.
    memory_bytes
        Memory limit, if this process is killed above it: then a task that has
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
                summary = _load(task.function)(lighter.job, lighter)
        record = {
            "key": task.key,
            "recipe": task.recipe,
            "layout": task.layout,
            "summary": summary,
            "software": {"oso_pipeline": version("oso_pipeline")},
        }
        for output in task.outputs:
            write_sidecar(task.run_dir / output, record)
    except Exception as error:  # noqa: BLE001 - a bug in one task must not stop the others
        said, exit_code = _message_of(error, task, memory_bytes)
        return _failure(task, said, exit_code, started)
    return TaskResult(
        task.stage,
        task.name,
        "done",
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
        peak_rss_bytes=_peak_rss_bytes(),
        summary=summary,
    )


def _message_of(error: Exception, task: Task, memory_bytes: float | None) -> tuple[str, int]:
    """Return what to say of an error, and its exit code."""
    match shortage(error) or error:
        case OsoError() as known:
            return str(known), int(known.exit_code)
        case OSError() as refused:
            return str(refusal(refused)), ExitCode.ENVIRONMENT
        case MemoryError():
            return str(out_of_memory(task, memory_bytes)), ExitCode.ENVIRONMENT
        case _:
            return "".join(traceback.format_exception(error)), ExitCode.BUG


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
            "restore its disk, or run again from the start",
        )
    )


def _load(function: str) -> Callable[[Any, Task], Summary]:
    module, _, name = function.partition(":")
    loaded: Callable[[Any, Task], Summary] = getattr(importlib.import_module(module), name)
    return loaded


def _failure(task: Task, error: str, exit_code: int, started: float) -> TaskResult:
    seconds = time.perf_counter() - started
    return TaskResult(
        task.stage, task.name, "failed", seconds=seconds, error=error, exit_code=int(exit_code)
    )


def _forget_peak() -> None:
    """Reset the memory peak of the process before a task, where the system allows it.

    Linux forgets it on this word; see `proc(5)`, ``clear_refs``.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_rss_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
