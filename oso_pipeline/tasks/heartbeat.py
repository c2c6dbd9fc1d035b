"""Signs of what is under way, for people who watch a run; nothing depends on them."""

from __future__ import annotations

import glob
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

ACTIVITY = "activity"
"""Folder in the run folder for what runs tell of themselves; nothing in it is a product."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A task that a process works on.

    Parameters
    ----------
    stage, task
        Which.
    host, pid
        Where.
    since
        When it began, in seconds since 1970 by the clock of the host.
    """

    stage: str
    task: str
    host: str
    pid: int
    since: float


@contextmanager
def under_way(run_dir: Path, stage: str, task: str) -> Iterator[None]:
    """Leave a sign in the run folder while the body runs.

    One small file per process, so that any host that sees the folder can tell who does what.
    Where it cannot be written the work goes on without.
    """
    host, pid = socket.gethostname(), os.getpid()
    path = run_dir / ACTIVITY / "under_way" / f"{host}.{pid}.json"
    with suppress(OSError):
        for folder in (path.parent.parent, path.parent):  # a run folder that vanished stays so
            folder.mkdir(exist_ok=True)
        sign = Sign(stage, task, host, pid, time.time())
        path.write_text(json.dumps(asdict(sign)), encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def signs(run_dir: Path, host: str | None = None) -> list[Sign]:
    """Return the signs in a run folder, oldest first; killed processes leave theirs behind.

    With `host`, only those of that host are read.
    """
    found = []
    names = "*.json" if host is None else f"{glob.escape(host)}.*.json"
    for path in (run_dir / ACTIVITY / "under_way").glob(names):
        with suppress(OSError, ValueError, TypeError):  # being written, or gone meanwhile
            found.append(Sign(**json.loads(path.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda sign: sign.since)


def living_signs(run_dir: Path, longest_s: float, host: str | None = None) -> list[Sign]:
    """Return the signs whose process can still be there.

    This host is asked for the process; on others a sign older than `longest_s` seconds was
    left behind.
    """
    here = socket.gethostname()
    return [
        sign
        for sign in signs(run_dir, host)
        if (
            psutil.pid_exists(sign.pid)
            if sign.host == here
            else time.time() - sign.since < longest_s
        )
    ]


def forget_signs(run_dir: Path) -> None:
    """Remove all signs; only call this while nobody else works in the folder."""
    for path in (run_dir / ACTIVITY / "under_way").glob("*.json"):
        path.unlink(missing_ok=True)
