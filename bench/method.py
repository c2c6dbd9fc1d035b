"""One method in a process of its own: ``python -m bench.method MODULE:FUNCTION CASE``.

Runs under the Python of the method's own environment, so it needs NumPy and nothing of
ours. It prepares the method, then answers requests, one JSON line each: ``round`` times
the work once, ``keep PATH`` saves what the last round returned.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_LEAST_SECONDS = 0.3
"""A round repeats short work until this much time has passed."""


@dataclass(frozen=True)
class Startup:
    """What a method that is a program of its own spends before it does any work.

    Parameters
    ----------
    wall, cpu
        Seconds, taken off every round.
    """

    wall: float
    cpu: float


@dataclass(frozen=True)
class Prepared:
    """A method that is ready to run.

    Parameters
    ----------
    work
        Does the work.
    units
        Pixels (or trees, or points) that the work handles: what the cost is divided by.
    startup
        What to take off every round.
    note
        Notes for readers of the results.
    answer
        Makes an array of what the work returned, so that results can be compared; not timed.
    warm_up
        What to run before the first round; the work itself where it is None.
    """

    work: Callable[[], Any]
    units: int
    startup: Startup = Startup(0.0, 0.0)
    note: str = ""
    answer: Callable[[Any], np.ndarray] = np.asarray
    warm_up: Callable[[], object] | None = None


def clock() -> tuple[float, float]:
    """Return wall and processor seconds, those of ended children included."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), time.process_time() + children.ru_utime + children.ru_stime


def resident_bytes(field: str) -> int:
    """Return ``VmRSS`` or ``VmHWM`` (the peak) of this process, 0 where /proc is absent."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith(field)), 0)


def _forget_peak() -> None:
    """Let the peak of this process start again from what is resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _round(prepared: Prepared) -> tuple[dict[str, Any], Any]:
    _forget_peak()
    before = resident_bytes("VmRSS")
    wall, cpu = clock()
    repeats = 0
    while repeats == 0 or clock()[0] - wall < _LEAST_SECONDS:
        result = prepared.work()
        repeats += 1
    after = clock()
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    answer = {
        "wall": (after[0] - wall) / repeats - prepared.startup.wall,
        "cpu": (after[1] - cpu) / repeats - prepared.startup.cpu,
        "repeats": repeats,
        "rss_before": before,
        "rss_peak": max(resident_bytes("VmHWM"), child),
    }
    return answer, result


def _serve(reply: Callable[[dict[str, Any]], None], function: str, case: dict[str, Any]) -> None:
    module, _, name = function.partition(":")
    prepared: Prepared = getattr(importlib.import_module(module), name)(case)
    (prepared.warm_up or prepared.work)()
    start = {"wall": prepared.startup.wall, "cpu": prepared.startup.cpu}
    reply({"units": prepared.units, "startup": start, "note": prepared.note})
    result: Any = None
    for line in sys.stdin:
        request, _, path = line.rstrip("\n").partition(" ")
        if request == "round":
            answer, result = _round(prepared)
            reply(answer)
        elif request == "keep":
            np.save(path, prepared.answer(result))
            reply({"kept": path})


def main() -> None:
    """Serve until the input ends; errors are reported in one line."""
    # Libraries that print must not disturb the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def reply(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    try:
        _serve(reply, sys.argv[1], json.loads(sys.argv[2]))
    except Exception as error:  # noqa: BLE001 - a peer may fail in any way, the bench goes on
        traceback.print_exc()
        reply({"error": f"{type(error).__name__}: {error}"[:500]})


if __name__ == "__main__":
    main()
