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

from oso_pipeline.core import processes
from oso_pipeline.core.json_files import ODD_VALUES, read_object

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
    space
        Where the number of the process means something; see `core.processes`.
    """

    stage: str
    task: str
    host: str
    pid: int
    since: float
    space: str = ""

    @classmethod
    def read(cls, path: Path) -> Sign | None:
        """Return the sign in a file; None where it is gone, being written, or holds another."""
        told = read_object(path)
        try:
            stage, task, host = (str(told[name]) for name in ("stage", "task", "host"))
            pid, since, space = int(told["pid"]), float(told["since"]), str(told.get("space", ""))
            return cls(stage, task, host, pid, since, space) if pid > 0 else None
        except ODD_VALUES:
            return None


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
        sign = Sign(stage, task, host, pid, time.time(), processes.space())
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
        sign = Sign.read(path)
        if sign is not None:
            found.append(sign)
    return sorted(found, key=lambda sign: sign.since)


def living_signs(run_dir: Path, longest_s: float, host: str | None = None) -> list[Sign]:
    """Return the signs whose process can still be there.

    Where the process can be looked for from here, that tells; elsewhere a sign older than
    `longest_s` seconds was left behind.
    """
    here = processes.space()
    return [
        sign
        for sign in signs(run_dir, host)
        if (
            processes.is_alive(sign.pid)
            if sign.space and sign.space == here
            else time.time() - sign.since < longest_s
        )
    ]


def forget_signs(run_dir: Path) -> None:
    """Remove all signs; only call this while nobody else works in the folder."""
    for path in (run_dir / ACTIVITY / "under_way").glob("*.json"):
        path.unlink(missing_ok=True)
