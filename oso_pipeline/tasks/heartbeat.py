"""Heartbeat files of running tasks, for people who watch a run; no result depends on them."""

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
"""Folder in the run folder for the state of running processes; it holds no product."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
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
        Namespace in which the process number is valid; see `core.processes`.
    """

    stage: str
    task: str
    host: str
    pid: int
    since: float
    space: str = ""

    @classmethod
    def read(cls, path: Path) -> Heartbeat | None:
        """Return the heartbeat in a file; None if the file is gone or not complete."""
        content = read_object(path)
        try:
            stage, task, host = (str(content[name]) for name in ("stage", "task", "host"))
            pid, since, space = (
                int(content["pid"]),
                float(content["since"]),
                str(content.get("space", "")),
            )
            return cls(stage, task, host, pid, since, space) if pid > 0 else None
        except ODD_VALUES:
            return None


@contextmanager
def under_way(run_dir: Path, stage: str, task: str) -> Iterator[None]:
    """Keep a heartbeat file in the run folder while the body runs.

    One small file per process, so that any host that sees the folder can list the running tasks.
    If it cannot be written, the task runs without it.
    """
    host, pid = socket.gethostname(), os.getpid()
    path = run_dir / ACTIVITY / "under_way" / f"{host}.{pid}.json"
    with suppress(OSError):
        for folder in (path.parent.parent, path.parent):  # a run folder that vanished stays so
            folder.mkdir(exist_ok=True)
        beat = Heartbeat(stage, task, host, pid, time.time(), processes.space())
        path.write_text(json.dumps(asdict(beat)), encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def heartbeats(run_dir: Path, host: str | None = None) -> list[Heartbeat]:
    """Return the heartbeats in a run folder, oldest first; killed processes leave theirs behind.

    With `host`, only those of that host are read.
    """
    found = []
    names = "*.json" if host is None else f"{glob.escape(host)}.*.json"
    for path in (run_dir / ACTIVITY / "under_way").glob(names):
        beat = Heartbeat.read(path)
        if beat is not None:
            found.append(beat)
    return sorted(found, key=lambda beat: beat.since)


def live_heartbeats(run_dir: Path, longest_s: float, host: str | None = None) -> list[Heartbeat]:
    """Return the heartbeats whose process can still be there.

    A process on this host is looked up by its number; elsewhere a heartbeat older than
    `longest_s` seconds was left behind.
    """
    here = processes.space()
    return [
        beat
        for beat in heartbeats(run_dir, host)
        if (
            processes.is_alive(beat.pid)
            if beat.space and beat.space == here
            else time.time() - beat.since < longest_s
        )
    ]


def remove_heartbeats(run_dir: Path) -> None:
    """Remove all heartbeats; only call this while nobody else works in the folder."""
    for path in (run_dir / ACTIVITY / "under_way").glob("*.json"):
        path.unlink(missing_ok=True)
