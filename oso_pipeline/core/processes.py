"""Return whether a process is still there, without clocks and across containers.

A number of a process means something only in its PID namespace and until the machine is booted
again, and is given to another process later. Together with the start, counted in ticks since the
boot, it names one process for ever. A clock that is set again changes none of this.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
_STATE, _START = 0, 19  # fields of stat(5) behind the name of the program
_ENDED = ("Z", "X")


def space() -> str:
    """Return boot and PID namespace, in which a number names a process; "" where unknown."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink(_PROC / 'self/ns/pid')}"
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """Return when a process of this space began, in ticks since the boot; None if unknown."""
    fields = _fields(pid)
    return None if fields is None else int(fields[_START])


def is_alive(pid: int, ticks: int | None = None) -> bool:
    """Return whether a process of this space runs.

    Parameters
    ----------
    pid
        Its number.
    ticks
        When it began; None for any process of that number.
    """
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user, which /proc may hide
        pass
    fields = _fields(pid)
    if fields is None:
        return True
    return fields[_STATE] not in _ENDED and ticks in (None, int(fields[_START]))


def _fields(pid: int) -> list[str] | None:
    try:
        # The name may hold spaces and parentheses.
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()
    except OSError:
        return None
