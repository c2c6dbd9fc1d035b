"""One run at a time in a run folder."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from types import TracebackType

import psutil

from oso_pipeline.core.errors import EnvironmentFailure, Problem


class RunLock:
    """Holds ``run.lock`` in the run folder while a run works there.

    A lock whose process on this machine is gone is taken over, so that the same command can
    simply be run again after a crash. A lock of another machine cannot be checked from here
    and is only removed by the user.
    """

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / "run.lock"

    def __enter__(self) -> RunLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        process = psutil.Process()
        mine = {
            "host": socket.gethostname(),
            "pid": process.pid,
            "started": process.create_time(),
        }
        for _ in range(2):
            try:
                handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            except FileExistsError:
                self._remove_if_abandoned()
                continue
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(mine, stream)
            return self
        raise EnvironmentFailure(
            Problem(
                "E-RUN-LOCK",
                "the run folder was taken by another run",
                str(self.path),
                "wait until the other run has ended",
            )
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.path.unlink(missing_ok=True)

    def _remove_if_abandoned(self) -> None:
        try:
            holder = json.loads(self.path.read_text(encoding="utf-8"))
            host, pid, started = holder["host"], int(holder["pid"]), float(holder["started"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            # The holder was killed while it wrote the lock: nobody can be working yet.
            self.path.unlink(missing_ok=True)
            return
        if host == socket.gethostname() and not _is_alive(pid, started):
            self.path.unlink(missing_ok=True)
            return
        raise EnvironmentFailure(
            Problem(
                "E-RUN-LOCK",
                f"another run works in this folder: process {pid} on {host}",
                str(self.path),
                "wait for it to end; if it is certainly gone, remove the lock file",
            )
        )


def _is_alive(pid: int, started: float) -> bool:
    """Tell whether the process that took the lock still runs; process numbers are reused."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
