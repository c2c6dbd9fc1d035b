"""Faults at named points of the pipeline, for tests only; the package knows nothing of this.

``FAULT=point[@pattern]:action[:nth|:probability]``, several of them separated by ``;``.

* Points, in the order in which a task meets them: ``in_unit``, ``before_write``, ``after_write``,
  ``before_rename``, ``after_rename``, ``before_sidecar``.
* The pattern is a shell pattern on ``stage/name`` of the task for ``in_unit`` and
  ``before_sidecar``, on the name of the final file elsewhere.
* ``nth`` counts the visits of all processes that share ``FAULT_STATE``, a folder; without it
  the first visit is meant. A probability has a dot: ``0.05``. It needs no folder, and its draws
  follow from ``FAULT_SEED`` and the number of the process.

As a module of its own it is put into every process of a run by ``sitecustomize``.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

POINTS = (
    "in_unit",
    "before_write",
    "after_write",
    "before_rename",
    "after_rename",
    "before_sidecar",
)


class Unpicklable(RuntimeError):
    """An error that cannot travel between processes."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _stale() -> None:
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


def _hog() -> None:
    """Take memory in steps that a nanny has time to see."""
    held = []
    while True:
        held.append(bytearray(os.urandom(1) * 50_000_000))
        time.sleep(0.1)


def _unpicklable() -> None:
    raise Unpicklable("an error that holds a lock")


ACTIONS: dict[str, Callable[[], Any]] = {
    "kill": _kill,
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(1),
    "stop": _stop,
    "hang": lambda: time.sleep(1e6),
    "pause": lambda: time.sleep(2.0),
    "disk_full": _disk_full,
    "stale": _stale,
    "hog": _hog,
    "unpicklable": _unpicklable,
}


@dataclass(frozen=True)
class Fault:
    """One fault: where, on what, which, and on which visit or how often."""

    point: str
    pattern: str
    action: str
    nth: int = 1
    probability: float | None = None

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read ``point[@pattern]:action[:nth|:probability]``."""
        where, _, rest = text.strip().partition(":")
        point, _, pattern = where.partition("@")
        action, _, often = rest.partition(":")
        if point not in POINTS or action not in ACTIONS:
            raise ValueError(f"{text!r}: points are {POINTS}, actions {tuple(ACTIONS)}")
        if "." in often:
            return cls(point, pattern or "*", action, probability=float(often))
        return cls(point, pattern or "*", action, nth=int(often or 1))

    def strikes(self) -> bool:
        """Count this visit and tell whether it is the one."""
        if self.probability is not None:
            return _draws().random() < self.probability
        return _visit(f"{self.point}-{self.action}") == self.nth


@functools.cache
def _draws() -> random.Random:
    return random.Random(f"{os.environ.get('FAULT_SEED', '0')}/{os.getpid()}")


def _visit(name: str) -> int:
    """Return the number of this visit, from 1, over all processes."""
    folder = Path(os.environ["FAULT_STATE"])
    number = 1
    while True:
        try:
            os.close(os.open(folder / f"{name}-{number}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            number += 1
        else:
            return number


def _note(text: str) -> None:
    """Leave word that a fault struck; the process may not live to tell."""
    if "FAULT_STATE" in os.environ:
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
        handle = os.open(Path(os.environ["FAULT_STATE"]) / "struck", flags)
        os.write(handle, f"{text}\n".encode())
        os.close(handle)


def install(text: str) -> None:
    """Patch the points of the pipeline in this process."""
    from oso_pipeline.core import commit
    from oso_pipeline.tasks import worker

    faults = [Fault.parse(part) for part in text.split(";") if part.strip()]

    def visit(point: str, subject: str) -> None:
        for fault in faults:
            if fault.point == point and fnmatchcase(subject, fault.pattern) and fault.strikes():
                _note(f"{fault.point} {fault.action} {subject}")
                ACTIONS[fault.action]()

    def loaded(load: Callable[[str], Any]) -> Callable[[str], Any]:
        def wrapped(function: str) -> Any:
            work = load(function)

            def with_fault(job: Any, task: Any) -> Any:
                visit("in_unit", f"{task.stage}/{task.name}")
                return work(job, task)

            return with_fault

        return wrapped

    def flushed(flush: Callable[[Path], None]) -> Callable[[Path], None]:
        def wrapped(path: Path) -> None:
            if path.is_dir():
                visit("after_rename", path.name)
                flush(path)
            else:
                visit("after_write", _final_name(path))
                flush(path)
                visit("before_rename", _final_name(path))

        return wrapped

    def staging(staged: Callable[[Path], Any]) -> Callable[[Path], Any]:
        @contextlib.contextmanager
        def wrapped(final: Path) -> Iterator[Path]:
            with staged(final) as temporary:
                visit("before_write", final.name)
                yield temporary

        return wrapped

    def committing(write: Callable[..., None]) -> Callable[..., None]:
        def wrapped(path: Path, record: Any) -> None:
            recipe = record["recipe"]
            visit("before_sidecar", f"{recipe['stage']}/{recipe['name']}")
            write(path, record)

        return wrapped

    commit.staged = staging(commit.staged)
    commit._flush = flushed(commit._flush)
    worker._load = loaded(worker._load)
    worker.write_sidecar = committing(worker.write_sidecar)


def _final_name(temporary: Path) -> str:
    """Return ``name`` of ``.name.host.pid.random.tmp``."""
    return temporary.name[1:].partition(f".{socket.gethostname()}.")[0]
