"""Run the demo again and again under random faults, and look for anything lost.

Each loop begins with an empty or a damaged run folder, lets some attempts meet a fault, and
ends with an attempt that is left alone. After every attempt holds: a commit tells the truth
about its file. After the last one: every file has its commit, and all are those of a clean run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soak.commands import ALSO_ALLOWED, COMMANDS
from soak.contents import same_content
from soak.damage import DAMAGES
from soak.run import ATTACKS, CONFIG, Attempt, Ended, attempt, verify
from soak.table import write_figures
from support import ROOT
from support.commit_checks import Lost, check_commits, check_complete, compare, digests

ATTACKS |= COMMANDS
ALLOWED_CODES = {0, 5, 6, 130, 143}
"""Ends of an attempt that met a fault: well, with failed tasks, machine, signals; never a bug."""
DEATHS = {
    -signal.SIGKILL: {
        *("SIGKILL to the driver", "SIGKILL to the driver again", "hook kill"),
        *("hook kill in a commit", *(name for name in COMMANDS if name.startswith("SIGKILL"))),
    },
    -signal.SIGSEGV: {"hook segfault"},
}
"""How the driver itself may die, and of which attacks; it commits a file or two of its own."""


@dataclass
class Soak:
    """What has happened so far."""

    folder: Path
    draw: random.Random
    clean: dict[str, str]
    clean_seconds: float
    loops: int = 0
    attempts: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    versions: bool = False
    """Whether several versions of the package wrote into the run folder."""

    @property
    def run_dir(self) -> Path:
        """The run folder under attack."""
        return self.folder / "run"

    def loop(self) -> None:
        """Do one loop; what does not hold is noted and the folder kept."""
        self.loops += 1
        try:
            self._begin()
            for _ in range(self.draw.choice((1, 1, 2, 3))):
                self._damage()
                self._attack()
                check_commits(self.run_dir)
            self._end()
        except Lost as error:
            self.lost.append(f"loop {self.loops}: {error}")
            self.run_dir.rename(self.folder / f"lost-{self.loops}")

    def _begin(self) -> None:
        if not self.run_dir.exists() or self.draw.random() < 0.4:
            shutil.rmtree(self.run_dir, ignore_errors=True)
            self.run_dir.mkdir()
            self.versions = False
        else:  # something to do, from some stage on
            parts = ("inventory", "reference", "samples", "labels", "models", "blocks", "maps")
            for part in self.draw.sample(parts, self.draw.choice((1, 1, 2, 3))):
                shutil.rmtree(self.run_dir / part, ignore_errors=True)

    def _damage(self) -> None:
        for name in self.draw.sample(sorted(DAMAGES), self.draw.choice((0, 1, 1, 2))):
            damaged = DAMAGES[name](self.run_dir, self.draw)
            if damaged is None:  # nothing there yet to be damaged
                continue
            self.struck[name] += 1
            if name == "bit flipped":
                found = verify(self.folder)
                if found.code != 4 or str(damaged) not in found.output:
                    raise Lost(f"a flipped bit was not found: {damaged}\n{found.output}")
                repaired = verify(self.folder, "--repair")
                if repaired.code != 0:
                    raise Lost(f"verify --repair failed:\n{repaired.output}")

    def _attack(self) -> None:
        name = self.draw.choice(sorted(ATTACKS))
        plan = Attempt(self.folder, self.draw, self.clean_seconds)
        ended = ATTACKS[name](plan)
        self.attempts += 1
        self.codes[str(ended.code)] += 1
        self.versions |= name == "upgrade"
        self.struck.update({name: n for name, n in ended.struck.items() if n})
        if not is_allowed(name, ended):
            raise Lost(f"{name} ended with {ended.code}:\n{ended.output[-4000:]}")

    def _end(self) -> None:
        ended = attempt(self.folder)
        self.attempts += 1
        self.codes[str(ended.code)] += 1
        if ended.code != 0:
            raise Lost(f"the run left alone ended with {ended.code}:\n{ended.output[-4000:]}")
        check_commits(self.run_dir)
        check_complete(self.run_dir)
        found = verify(self.folder)
        if found.code != 0:
            raise Lost(f"verify of the finished run:\n{found.output}")
        compare(self.clean, digests(self.run_dir), self._is_same if self.versions else None)

    def _is_same(self, name: str) -> bool:
        """Tell whether a file differs from that of the clean run by the version alone."""
        return same_content(self.folder / "clean" / name, self.run_dir / name)

    def figures(self, minutes: float) -> dict[str, Any]:
        """Return what to write down."""
        return {
            "loops": self.loops,
            "attempts": self.attempts,
            "minutes": round(minutes, 1),
            "faults": dict(sorted(self.struck.items())),
            "exit_codes": dict(sorted(self.codes.items())),
            "lost": self.lost,
        }


def is_allowed(attack: str, ended: Ended) -> bool:
    """Tell whether a run may end so: by itself, or killed by an attack on it that struck."""
    if ended.code in ALLOWED_CODES | ALSO_ALLOWED.get(attack, set()):
        return True
    return attack in DEATHS.get(ended.code, ()) and any(ended.struck.values())


def prepare(folder: Path) -> tuple[dict[str, str], float]:
    """Make the demo's world and a clean run; return its digests and how long it took."""
    from oso_pipeline.simulation import WorldSpec
    from oso_pipeline.simulation.demo import prepare_demo

    plain = prepare_demo(folder, spec=WorldSpec()).one_year
    (folder / CONFIG).write_text(f"extends: {plain.name}\nrun_dir: run\n", encoding="utf-8")
    if not (folder / "clean").is_dir():
        shutil.rmtree(folder / "run", ignore_errors=True)
        started = time.monotonic()
        ended: Ended = attempt(folder)
        if ended.code != 0:
            raise Lost(f"the clean run failed:\n{ended.output}")
        (folder / "run").rename(folder / "clean")
        (folder / "seconds").write_text(str(time.monotonic() - started))
    return digests(folder / "clean"), float((folder / "seconds").read_text())


def commit() -> str:
    """Return the commit that is soaked."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main() -> int:
    """Soak for some minutes and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("soak"))
    parser.add_argument("--write", action="store_true", help="the figures, into the docs")
    asked = parser.parse_args()
    folder = asked.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    soak = Soak(folder, random.Random(asked.seed), *prepare(folder))
    begun, started = datetime.now(UTC), time.monotonic()
    while time.monotonic() - started < asked.minutes * 60:
        soak.loop()
        figures = soak.figures((time.monotonic() - started) / 60)
        figures |= {
            "commit": commit(),
            "seed": asked.seed,
            "begun": begun.isoformat(timespec="minutes"),
            "clean_run_seconds": round(soak.clean_seconds, 1),
            "cores": len(os.sched_getaffinity(0)),
        }
        (folder / "soak.json").write_text(json.dumps(figures, indent=1) + "\n")
        print(f"{soak.loops} loops, {sum(soak.struck.values())} faults, lost: {soak.lost}")
        sys.stdout.flush()
    if asked.write:
        write_figures(folder / "soak.json")
    return 1 if soak.lost else 0


if __name__ == "__main__":
    sys.exit(main())
