"""The holder of a run folder, as written in a lock file."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.core import processes
from oso_pipeline.core.json_files import ODD_VALUES, read_object
from oso_pipeline.runtime.shard import Shard


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that works in a run folder.

    Parameters
    ----------
    role
        ``driver``, or the shard as ``shard 3/20``.
    host, pid
        Where it runs.
    space, ticks
        Where the number means something, and when the process began; see `core.processes`.
    job
        Its number in the batch system, where there is one.
    token
        Distinguishes the lock from others of the same process.
    recipe
        Identifier of the tasks of the holder, as `Config.recipe_id`; empty if unknown.
    """

    role: str
    host: str
    pid: int
    space: str = ""
    ticks: int | None = None
    job: str | None = None
    token: str = ""
    recipe: str = ""

    @classmethod
    def here(cls, shard: Shard | None, recipe: str = "") -> Holder:
        """Describe this process."""
        pid = os.getpid()
        job = os.environ.get("SLURM_JOB_ID") or os.environ.get("PBS_JOBID")
        role = "driver" if shard is None else f"shard {shard}"
        token, host = secrets.token_hex(8), socket.gethostname()
        ticks = processes.start_ticks(pid)
        return cls(role, host, pid, processes.space(), ticks, job, token, recipe)

    @classmethod
    def read(cls, path: Path) -> Holder | None:
        """Return who holds a lock, None where it cannot be read."""
        content = read_object(path)
        try:
            pid, role = content["pid"], str(content.get("role", "driver"))
            ticks, job = content.get("ticks"), content.get("job")
            if not _is_number(pid) or pid <= 0 or not (ticks is None or _is_number(ticks)):
                return None
            if role != "driver":
                Shard.parse(role.removeprefix("shard "))
            return cls(
                *(role, str(content["host"]), pid, str(content.get("space", "")), ticks),
                job=None if job is None else str(job),
                token=str(content.get("token", "")),
                recipe=str(content.get("recipe", "")),
            )
        except ODD_VALUES:
            return None

    @property
    def shard(self) -> Shard | None:
        """Which shard holds the lock; None for a driver."""
        return None if self.role == "driver" else Shard.parse(self.role.removeprefix("shard "))

    def __str__(self) -> str:
        """Return the holder as messages name it."""
        job = f", job {self.job}" if self.job else ""
        return f"{self.role}, process {self.pid} on {self.host}{job}"

    def differs_from(self, other: Holder | None) -> bool:
        """Return whether the tasks of another holder are known to be others."""
        return bool(other and other.recipe and self.recipe and other.recipe != self.recipe)

    def is_there(self) -> bool | None:
        """Return whether the process runs; None where that cannot be known from here."""
        if not self.space or self.space != processes.space():
            return None
        return processes.is_alive(self.pid, self.ticks)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
