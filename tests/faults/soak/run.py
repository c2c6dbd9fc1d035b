"""Start the command in a process group of its own, and attack it while it runs."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from hook.fault_injection import POINTS
from support import ROOT

HOOK = Path(__file__).parents[1] / "hook"
CONFIG = "soak.yaml"
DEADLINE_S = 900
_OPTIONS = ("--workers", "2", "--set", "runtime.task_deadline_s=180")


@dataclass(frozen=True)
class Ended:
    """How an attempt ended, and which faults struck how often."""

    code: int
    output: str
    struck: Mapping[str, int]


@dataclass(frozen=True)
class Attempt:
    """What an attack needs to know."""

    folder: Path
    draw: random.Random
    clean_seconds: float

    def moment(self) -> float:
        """Draw when to strike, in seconds from the start of the command."""
        return self.draw.uniform(1.0, self.clean_seconds)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command of this checkout, with more variables."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **extra}


class Run:
    """A run of the demo that is at work."""

    def __init__(
        self,
        folder: Path,
        extra: Mapping[str, str] | None = None,
        file_size: int | None = None,
    ) -> None:
        def limit() -> None:
            if file_size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the run
        command = [sys.executable, "-m", "oso_pipeline.cli", "run", str(folder / CONFIG)]
        self.process = subprocess.Popen(
            [*command, *_OPTIONS],
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=environment(extra or {}),
            start_new_session=True,  # so that what outlives it can be found
            preexec_fn=limit,
        )

    def wait(self, seconds: float) -> bool:
        """Wait; return whether the run has ended."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children(recursive=True)
            return [child for child in children if _is_worker(child)]
        return []

    def end(self, struck: Mapping[str, int]) -> Ended:
        """Wait for the end, however long it takes within reason."""
        if not self.wait(DEADLINE_S):
            self.clear()
            return Ended(-100, f"no end within {DEADLINE_S} s", struck)
        self._output.seek(0)
        return Ended(self.process.returncode, self._output.read(), struck)

    def clear(self) -> None:
        """Kill what is left of the process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def attempt(folder: Path) -> Ended:
    """Run and leave alone."""
    return Run(folder).end({})


def verify(folder: Path, *options: str) -> Ended:
    """Run ``oso verify``."""
    command = [sys.executable, "-m", "oso_pipeline.cli", "verify", str(folder / "run"), *options]
    if not (folder / "run" / "config.yaml").exists():  # killed before it wrote its name
        return Ended(0, "", {})
    ended = subprocess.run(
        command, env=environment({}), capture_output=True, text=True, check=False
    )
    return Ended(ended.returncode, ended.stdout + ended.stderr, {})


def signal_driver(number: signal.Signals) -> Callable[[Attempt], Ended]:
    """Return an attack that sends a signal to the command."""

    def attack(plan: Attempt) -> Ended:
        run = Run(plan.folder)
        struck = Counter[str]()
        if not run.wait(plan.moment()):
            run.process.send_signal(number)
            struck[f"{number.name} to the driver"] += 1
        # What a killed driver leaves behind may go on while the next run begins.
        return run.end(struck)

    return attack


def kill_workers(plan: Attempt) -> Ended:
    """Kill some workers, one after the other."""
    run, struck = Run(plan.folder), Counter[str]()
    for _ in range(plan.draw.randint(1, 3)):
        if run.wait(plan.moment() / 2):
            break
        workers = run.workers()
        if workers:
            with suppress(psutil.NoSuchProcess):
                plan.draw.choice(workers).kill()
                struck["SIGKILL to a worker"] += 1
    return run.end(struck)


def pause(plan: Attempt) -> Ended:
    """Stop a worker or the driver for some seconds."""
    run, struck = Run(plan.folder), Counter[str]()
    if not run.wait(plan.moment()):
        workers = run.workers()
        victim = psutil.Process(run.process.pid)
        if workers and plan.draw.random() < 0.7:
            victim = plan.draw.choice(workers)
        with suppress(psutil.NoSuchProcess):
            name = "driver" if victim.pid == run.process.pid else "worker"
            victim.suspend()
            struck[f"SIGSTOP to the {name}, later SIGCONT"] += 1
            time.sleep(plan.draw.uniform(2, 12))
            victim.resume()
    return run.end(struck)


def freeze_worker(plan: Attempt) -> Ended:
    """Stop a worker for good: the deadline of its task must free the run."""
    run, struck = Run(plan.folder), Counter[str]()
    if not run.wait(plan.moment()):
        for worker in run.workers()[:1]:
            with suppress(psutil.NoSuchProcess):
                worker.suspend()
                struck["SIGSTOP to a worker for good"] += 1
    ended = run.end(struck)
    run.clear()
    return ended


def limit_files(plan: Attempt) -> Ended:
    """Let no file grow beyond some size: what a full disk does, at a random place."""
    size = int(10 ** plan.draw.uniform(3.5, 6.7))
    ended = Run(plan.folder, file_size=size).end({})
    failed = "failed" in ended.output or ended.code != 0
    return Ended(ended.code, ended.output, Counter({"file size limited": int(failed)}))


COMMIT_POINTS = ("before_rename", "after_rename", "before_sidecar")
"""Points within a commit."""


def inject(action: str, points: Sequence[str] = POINTS) -> Callable[[Attempt], Ended]:
    """Return an attack at a random point of the pipeline."""

    def attack(plan: Attempt) -> Ended:
        point = plan.draw.choice(points)
        often = plan.draw.choice(("0.02", "0.1", str(plan.draw.randint(1, 30))))
        with tempfile.TemporaryDirectory() as state:
            environment = {
                "FAULT": f"{point}:{action}:{often}",
                "FAULT_STATE": state,
                "FAULT_SEED": str(plan.draw.getrandbits(32)),
                "PYTHONPATH": os.pathsep.join([str(HOOK), str(ROOT)]),
            }
            ended = Run(plan.folder, environment).end({})
            note = Path(state) / "struck"
            times = len(note.read_text().splitlines()) if note.exists() else 0
        return Ended(ended.code, ended.output, Counter({f"{action} {point}": times}))

    return attack


ATTACKS: dict[str, Callable[[Attempt], Ended]] = {
    "SIGKILL to the driver": signal_driver(signal.SIGKILL),
    "SIGKILL to the driver again": signal_driver(signal.SIGKILL),
    "SIGTERM to the driver": signal_driver(signal.SIGTERM),
    "SIGINT to the driver": signal_driver(signal.SIGINT),
    "SIGKILL to workers": kill_workers,
    "pause": pause,
    "freeze": freeze_worker,
    "file size": limit_files,
    "hook kill": inject("kill"),
    "hook kill in a commit": inject("kill", COMMIT_POINTS),
    "hook segfault": inject("segfault"),
    "hook disk full": inject("disk_full"),
    "hook stale": inject("stale"),
}
