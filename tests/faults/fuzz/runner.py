"""The fuzz: replay the corpus, then draw cases until there are enough; say what came of them."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz.case import Case, Kind, corpus, drawn, keep
from fuzz.ground import prepare
from fuzz.kinds import KINDS
from fuzz.outcome import Outcome
from fuzz.pool import Pool
from fuzz.table import ROOT, write_figures


@dataclass
class Counts:
    """What has happened so far."""

    kinds: Mapping[str, Kind]
    cases: int = 0
    whole: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    by_kind: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[Case, Outcome]] = field(default_factory=list)

    def add(self, case: Case, outcome: Outcome, seconds: float) -> None:
        """Count a case."""
        self.cases += 1
        self.whole += self.kinds[case.kind].is_whole
        self.by_kind.setdefault(case.kind, Counter())[outcome.kind] += 1
        self.outcomes[outcome.kind] += 1
        self.seconds[case.kind] += seconds
        if outcome.is_forbidden:
            self.bad.append((case, outcome))

    def figures(self) -> dict[str, Any]:
        """Return what to write down."""
        return {
            "cases": self.cases,
            "whole_runs": self.whole,
            "outcomes": dict(sorted(self.outcomes.items())),
            "by_kind": {name: dict(sorted(n.items())) for name, n in sorted(self.by_kind.items())},
            "forbidden": [f"{case}: {outcome.why}" for case, outcome in self.bad],
        }


def until(cases: Iterable[Case], ends: float) -> Iterator[Case]:
    """Yield cases until the clock shows `ends`."""
    return itertools.takewhile(lambda _: time.monotonic() < ends, cases)


def shared_memory() -> Path | None:
    """Return where files cost no flush, if this machine has room for them there."""
    place = Path("/dev/shm")
    try:
        if os.access(place, os.W_OK) and shutil.disk_usage(place).free > 2e9:
            return place
    except OSError:
        pass
    return None


def commit() -> str:
    """Return the commit that is fuzzed."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def show(case: Case, outcome: Outcome) -> None:
    """Print a case that ended as it must not."""
    said = "\n".join(f"    {line}" for line in outcome.said.splitlines()[-25:])
    print(f"FORBIDDEN {case}\n  {outcome.why}\n{said}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Fuzz for some minutes or cases; return 1 if anything ended as it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=20)
    length.add_argument("--cases", type=int, help="draw so many, however long it takes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", default="", help="kinds, separated by commas")
    parser.add_argument("--case", action="append", default=[], help="kind/target/damage/seed")
    parser.add_argument("--keep", action="store_true", help="bad cases, in the corpus")
    parser.add_argument("--write", action="store_true", help="the figures, into the docs")
    asked = parser.parse_args(arguments)
    kinds = {name: kind for name, kind in KINDS.items()
             if not asked.only or name in asked.only.split(",")}  # fmt: skip
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="oso-fuzz-", dir=shared_memory()) as name:
        ground = prepare(Path(name) / "ground")
        print(f"the ground is ready after {time.monotonic() - began:.0f} s", flush=True)
        counts = Counts(KINDS)
        pool = Pool(ground, KINDS, Path(name) / "cases", asked.processes)
        cases = map(Case.parse, asked.case)
        if not asked.case:
            known = [case for case in corpus() if case.kind in kinds]
            new = drawn(kinds, asked.seed)
            if asked.cases is None:
                new = until(new, began + 60 * asked.minutes)
            else:
                new = itertools.islice(new, asked.cases)
            cases = itertools.chain(known, new)
        shown = time.monotonic()
        for case, outcome, seconds in pool.run(cases):
            counts.add(case, outcome, seconds)
            if outcome.is_forbidden:
                show(case, outcome)
                if asked.keep:
                    keep(case, outcome.why)
            elif asked.case:
                print(f"{case}: {outcome.kind}")
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(f"{counts.cases} cases, {counts.whole} whole runs, "
                      f"{len(counts.bad)} forbidden", flush=True)  # fmt: skip
    figures = counts.figures()
    figures |= {
        "minutes": round((time.monotonic() - began) / 60, 1),
        "cores": asked.processes,
        "seed": asked.seed,
        "commit": commit(),
    }
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    for kind, total in counts.seconds.most_common():
        print(f"{kind}: {total / sum(counts.by_kind[kind].values()):.2f} s of a core for a case")
    if asked.write:
        write_figures(figures)
    return 1 if counts.bad else 0


if __name__ == "__main__":
    sys.exit(main())
