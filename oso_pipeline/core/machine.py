"""How many cores and how much memory this process may use, also in a container or a batch job.

The kernel's control groups limit what the machine has; limits of a group hold for the groups
in it. Version 2 has one tree of groups, version 1 one for each resource.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path("/")
"""Where ``proc`` and ``sys`` lie; tests put another folder there."""


def cores() -> int:
    """Return how many cores this process may keep busy, at least one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # Of one core and a half, one is whole: a second worker would be stopped half of the time.
    shares = (math.floor(share) for share in _cpu_shares(ROOT))
    return max(1, min([allowed or 1, *shares]))


def memory_bytes() -> int:
    """Return how much memory the processes of this group may use together, in bytes."""
    return min([psutil.virtual_memory().total, *_memory_limits(ROOT)])


def _cpu_shares(root: Path) -> Iterator[float]:
    """Yield the cores that each limit allows."""
    for folder in _groups(root, None):
        quota, period = [*_words(folder / "cpu.max"), "", ""][:2]
        yield from _share(quota, period)
    for folder in _groups(root, "cpu"):
        files = folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"
        quota, period = ("".join(_words(file)) for file in files)
        yield from _share(quota, period)


def _share(quota: str, period: str) -> Iterator[float]:
    # Without a limit the quota is "max" (version 2) or "-1".
    if quota.isdecimal() and period.isdecimal() and int(period):
        yield int(quota) / int(period)


def _memory_limits(root: Path) -> Iterator[int]:
    """Yield the bytes that each limit allows; without a limit, a word or a huge number stands."""
    for controller, name in ((None, "memory.max"), ("memory", "memory.limit_in_bytes")):
        for folder in _groups(root, controller):
            limit = "".join(_words(folder / name))
            if limit.isdecimal() and int(limit):
                yield int(limit)


def _groups(root: Path, controller: str | None) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, innermost first.

    Parameters
    ----------
    root
        Folder with ``proc/self/cgroup`` and ``sys/fs/cgroup``.
    controller
        Resource of a tree of version 1; None for that of version 2.
    """
    for line in _lines(root / "proc" / "self" / "cgroup"):
        _, names, group = [*line.split(":", 2), "", ""][:3]
        if controller not in (names.split(",") if names else [None]):
            continue
        for tree in _trees(root, names, controller):
            # A container may read the path of its host here, and see its own group at the top.
            place = tree / group.strip("/")
            yield from (place, *(above for above in place.parents if above.is_relative_to(tree)))


def _trees(root: Path, names: str, controller: str | None) -> Iterator[Path]:
    top = root / "sys" / "fs" / "cgroup"
    if controller is None:
        yield from (top, top / "unified")
    else:
        yield from {top / names: None, top / controller: None}


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    with suppress(OSError, ValueError):
        return path.read_text(encoding="ascii").splitlines()
    return []
