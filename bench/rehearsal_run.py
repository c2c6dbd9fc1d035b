"""The commands of a rehearsal: each is done once, and what it took is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import PROJECT

Say = Callable[[str], None]


@dataclass(frozen=True)
class Took:
    """What a step took.

    Parameters
    ----------
    wall_s, core_s
        Seconds by the clock, and of all processors; of a function the clock alone.
    peak_mb
        Greatest memory of one process, megabytes.
    """

    wall_s: float
    core_s: float = 0.0
    peak_mb: int = 0

    def and_before(self, before: Took | None) -> Took:
        """Return both together, where an earlier try was interrupted."""
        if before is None:
            return self
        wall, core = self.wall_s + before.wall_s, self.core_s + before.core_s
        return Took(wall, core, max(self.peak_mb, before.peak_mb))


class Steps:
    """Runs steps that are not done yet, and keeps in a file what each took.

    Parameters
    ----------
    folder
        Where the file and the output of the commands lie.
    say
        Tells the user.
    """

    def __init__(self, folder: Path, say: Say) -> None:
        self._folder, self._say = folder, say
        self._file = folder / "steps.json"
        content = json.loads(self._file.read_text()) if self._file.exists() else {}
        self.took = {name: Took(**took) for name, took in content.get("took", {}).items()}
        self._done = set(content.get("done", []))

    def call(self, name: str, function: Callable[[], None]) -> None:
        """Call a function that goes on where it stopped, unless it is done."""
        if name in self._done:
            return
        self._say(name)
        began = time.perf_counter()
        try:
            function()
            self._done.add(name)
        finally:
            self._add(name, Took(time.perf_counter() - began))

    def oso(self, name: str, *commands: Sequence[str]) -> None:
        """Run commands of ``oso`` side by side, unless they are done.

        Raises
        ------
        SystemExit
            If one fails; its output is named.
        """
        if name in self._done:
            return
        self._say(f"{name}: " + " & ".join("oso " + " ".join(command) for command in commands))
        began, log = time.perf_counter(), self._folder / "output.log"
        codes: list[int] = []
        core = peak = 0.0
        with log.open("a", encoding="utf-8") as stream:
            started = [_started(command, stream.fileno()) for command in commands]
            for process in started:
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                codes.append(process.returncode)
                core += usage.ru_utime + usage.ru_stime
                peak = max(peak, usage.ru_maxrss / 1000)
        if not any(codes):
            self._done.add(name)
        self._add(name, Took(time.perf_counter() - began, core, round(peak)))
        if any(codes):
            raise SystemExit(f"{name} ended with code {max(codes)}; see {log}, then go on")

    def _add(self, name: str, took: Took) -> None:
        self.took[name] = took.and_before(self.took.get(name))
        content = {"done": sorted(self._done), "took": {k: asdict(v) for k, v in self.took.items()}}
        self._file.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _started(command: Sequence[str], stream: int) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-m", "oso_pipeline.cli", *command],
        stdout=stream,
        stderr=stream,
        env={**os.environ, "PYTHONPATH": path},
    )
