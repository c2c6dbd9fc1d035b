"""Run cases in processes forked from this one, where all is imported and compiled.

Each case has a process, a folder, a limit on its time and its memory of its own: a case that
hangs or grows without end is ended from outside, and what it changed is gone with it.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from fuzz.case import Case, Kind
from fuzz.ground import Ground
from fuzz.outcome import FORBIDDEN, Outcome

CPU_SECONDS = {False: 20, True: 60}
"""Processor time of a case, and of a whole run."""
WALL_FACTOR = 6
"""The clock may show so many times the processor time: the machine has other work too."""
MEMORY_BYTES = 2_000_000_000
"""What a case may take beyond what the process had that it was forked from."""
IDLE_S = 20
"""A case that uses no processor for so long waits for something that never comes."""
_PAUSE_S = 0.01


@dataclass
class _Running:
    case: Case
    folder: Path
    process: psutil.Process
    began: float
    limit_s: float
    memory: int
    why: str = ""
    used_s: float = 0.0
    moved: float = field(default_factory=time.monotonic)

    def is_idle(self) -> bool:
        """Tell whether it has used no processor for long."""
        times = self.process.cpu_times()
        used = times.user + times.system
        if used > self.used_s:
            self.used_s, self.moved = used, time.monotonic()
        return time.monotonic() - self.moved > IDLE_S


class Pool:
    """Runs cases side by side.

    Parameters
    ----------
    ground
        What cases begin with.
    kinds
        By name.
    folder
        Gets a folder per case, removed at its end.
    processes
        How many cases at a time.
    """

    def __init__(
        self, ground: Ground, kinds: Mapping[str, Kind], folder: Path, processes: int
    ) -> None:
        self.ground, self.kinds, self.folder = ground, kinds, folder
        self.processes = processes
        self._running: dict[int, _Running] = {}
        self._number = 0

    def run(self, cases: Iterable[Case]) -> Iterator[tuple[Case, Outcome, float]]:
        """Run cases; yield each with its outcome and its seconds of a processor as it ends."""
        waiting = iter(cases)
        more = True
        while more or self._running:
            while more and len(self._running) < self.processes:
                case = next(waiting, None)
                if case is None:
                    more = False
                else:
                    self._begin(case)
            yield from self._ended()

    def _begin(self, case: Case) -> None:
        self._number += 1
        folder = self.folder / f"case-{self._number}"
        folder.mkdir(parents=True)
        seconds = CPU_SECONDS[self.kinds[case.kind].is_whole]
        pid = os.fork()
        if pid == 0:
            _child(case, self.kinds[case.kind], self.ground, folder, seconds)
        memory = psutil.Process().memory_info().rss + MEMORY_BYTES
        self._running[pid] = _Running(
            case, folder, psutil.Process(pid), time.monotonic(), seconds * WALL_FACTOR, memory
        )

    def _ended(self) -> Iterator[tuple[Case, Outcome, float]]:
        time.sleep(_PAUSE_S)
        for pid, running in list(self._running.items()):
            ended, status, used = os.wait4(pid, os.WNOHANG)
            if ended == 0:
                _limit(running)
                continue
            del self._running[pid]
            yield running.case, _outcome(running, status), used.ru_utime + used.ru_stime
            shutil.rmtree(running.folder, ignore_errors=True)
            _note(running.folder).unlink(missing_ok=True)


def _limit(running: _Running) -> None:
    """End a case that takes too long or too much."""
    with suppress(psutil.NoSuchProcess):
        if time.monotonic() - running.began > running.limit_s:
            running.why = f"hang: no end after {running.limit_s:.0f} s"
        elif running.process.memory_info().rss > running.memory:
            running.why = f"memory: more than {MEMORY_BYTES / 1e9:.0f} GB"
        elif running.is_idle():
            running.why = f"hang: nothing done for {IDLE_S} s"
        if running.why:
            os.kill(running.process.pid, signal.SIGKILL)


def _outcome(running: _Running, status: int) -> Outcome:
    if running.why:
        return Outcome(FORBIDDEN, running.why)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return Outcome(FORBIDDEN, "hang: no end within its processor time")
        return Outcome(FORBIDDEN, f"killed by {signal.Signals(number).name}")
    try:
        return Outcome(**json.loads(_note(running.folder).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return Outcome(FORBIDDEN, f"ended with status {status}, without a word")


def _note(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.outcome.json")


def _child(case: Case, kind: Kind, ground: Ground, folder: Path, seconds: int) -> None:
    """Do a case in a process of its own; never returns."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    os.environ["XDG_CACHE_HOME"] = str(folder.parent / "no-cache")
    try:
        outcome = kind.run(case, ground, folder)
    except BaseException:  # noqa: BLE001 - a fault of the fuzz itself, to be fixed
        outcome = Outcome(FORBIDDEN, "the fuzz itself failed", traceback.format_exc())
    text = json.dumps(outcome.to_json())
    _note(folder).write_text(text, encoding="utf-8")
    os._exit(0)
