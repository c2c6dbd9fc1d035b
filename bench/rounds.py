"""Runs methods in turn: ours, peer, ours, peer, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import ONE_THREAD, PROJECT, WORK
from bench.figures import RoundStatistics, ratio


@dataclass(frozen=True)
class Entry:
    """A method of a comparison.

    Parameters
    ----------
    name
        As results and table call it.
    function
        ``module:function`` that prepares it, below ``bench.methods``.
    python
        Interpreter of its environment; None where it could not be installed.
    case
        What it is given: paths and sizes, JSON values.
    absent
        Why it cannot run.
    """

    name: str
    function: str
    python: Path | None
    case: Mapping[str, Any]
    absent: str = ""


@dataclass
class Run:
    """What was measured of a method; seconds are per round.

    Attributes
    ----------
    status
        ``ok``, or why there are no figures.
    """

    entry: Entry
    status: str = "ok"
    units: int = 0
    startup: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rss_before: int = 0
    rss_peak: int = 0
    result: np.ndarray | None = None

    @property
    def cpu_per_unit(self) -> list[float]:
        """Processor microseconds per unit, round by round."""
        return [1e6 * seconds / self.units for seconds in self.cpu]

    def to_json(self) -> dict[str, Any]:
        """Return all figures."""
        if self.status != "ok":
            return {"status": self.status}
        wall = [1e6 * seconds / self.units for seconds in self.wall]
        return {
            "status": "ok",
            "units": self.units,
            "cpu_us_per_unit": RoundStatistics.of(self.cpu_per_unit).to_json(),
            "wall_us_per_unit": RoundStatistics.of(wall).to_json(),
            "thousands_per_core_second": float(
                f"{1e3 / RoundStatistics.of(self.cpu_per_unit).median:.4g}"
            ),
            "startup_taken_off_s": self.startup,
            "peak_memory_mb": round(self.rss_peak / 1e6),
            "memory_before_mb": round(self.rss_before / 1e6),
            **({"note": self.note} if self.note else {}),
        }


class Failed(Exception):
    """A method that did not answer as it should."""


def compete(entries: Sequence[Entry], rounds: int, deadline_s: float = 900) -> dict[str, Run]:
    """Run the methods in turn, `rounds` times after a round of warming up.

    One that cannot be installed, fails, or does not answer for `deadline_s` seconds gets a
    status that says so; the others go on.
    """
    runs = {entry.name: Run(entry) for entry in entries}
    with ExitStack() as stack, tempfile.TemporaryDirectory(dir=_made(WORK)) as folder:
        servers: dict[str, _Server] = {}
        for entry in entries:
            try:
                servers[entry.name] = stack.enter_context(_served(entry, deadline_s))
                about = servers[entry.name].answer()
                runs[entry.name].units = about["units"]
                runs[entry.name].startup = about["startup"]
                runs[entry.name].note = about["note"]
            except Failed as error:
                servers.pop(entry.name, None)
                runs[entry.name].status = str(error)
        for _ in range(rounds):
            for name in [*servers]:
                _take(runs[name], servers, "round")
        for name in [*servers]:
            kept = Path(folder) / f"{name}.npy"
            _take(runs[name], servers, f"keep {kept}")
            if name in servers:
                runs[name].result = np.load(kept)
    return runs


def against(runs: Mapping[str, Run], ours: str, peer: str) -> RoundStatistics | None:
    """Return how many times our processor time a peer takes for a unit; None without figures."""
    if runs[ours].status != "ok" or runs[peer].status != "ok":
        return None
    return ratio(runs[ours].cpu_per_unit, runs[peer].cpu_per_unit)


def _take(run: Run, servers: dict[str, _Server], request: str) -> None:
    try:
        answer = servers[run.entry.name].ask(request)
    except Failed as error:
        run.status = str(error)
        del servers[run.entry.name]
        return
    if request == "round":
        run.wall.append(answer["wall"])
        run.cpu.append(answer["cpu"])
        run.rss_before = max(run.rss_before, answer["rss_before"])
        run.rss_peak = max(run.rss_peak, answer["rss_peak"])


class _Server:
    """The process of a method."""

    def __init__(self, process: subprocess.Popen[str], deadline_s: float) -> None:
        self._process = process
        self._deadline_s = deadline_s

    def ask(self, request: str) -> dict[str, Any]:
        """Send a request and return the answer."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Failed(f"its process ended: {error}") from error
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Wait for an answer."""
        assert self._process.stdout is not None
        alarm = threading.Timer(self._deadline_s, self._process.kill)
        alarm.start()
        line = self._process.stdout.readline()
        alarm.cancel()
        if not line:
            raise Failed(f"its process ended with code {self._process.wait()}")
        content: dict[str, Any] = json.loads(line)
        if "error" in content:
            raise Failed(content["error"])
        return content


@contextmanager
def _served(entry: Entry, deadline_s: float) -> Iterator[_Server]:
    if entry.python is None:
        raise Failed(f"not installed: {entry.absent}")
    command = [str(entry.python), "-m", "bench.method", f"bench.methods.{entry.function}"]
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    with (_made(WORK) / f"{entry.name.replace('/', '_')}.log").open("w") as log:
        process = subprocess.Popen(
            [*command, json.dumps(dict(entry.case))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": path}, cwd=PROJECT,
        )  # fmt: skip
        try:
            yield _Server(process, deadline_s)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def here() -> Path:
    """Return the interpreter of the project itself."""
    return Path(sys.executable)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
