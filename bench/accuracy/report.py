"""Compares all entries on all real data and writes docs/accuracy.md."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench import PROJECT, WORK
from bench.accuracy import flanders
from bench.accuracy.page import FIGURES, PAGE, write
from bench.accuracy.peers import ENVIRONMENTS
from bench.accuracy.settings import CASES, SLOW, entries
from bench.environments import install
from oso_pipeline.studies.goal_runs import Surroundings
from oso_pipeline.studies.learners.result import LearnerComparison
from oso_pipeline.studies.learners.study import compare_entries

DATA = PROJECT.parent / "shared" / "data"


def measured(data: Path, work: Path, seeds: int, name: str) -> tuple[LearnerComparison, float]:
    """Return the comparison on one set of data, and the seconds it took."""
    started = time.perf_counter()
    (case,) = (one for one in CASES if one.name == name)
    around = Surroundings(say=lambda text: say(f"{name}: {text}"))
    samples, everything, request = case.samples(data, work), entries()[0], case.request(seeds)
    found = compare_entries(samples, everything, request, around)
    if case.leave_out:
        fast = [one for one in everything if one.name not in SLOW]
        elsewhere = replace(request, leave_out=case.leave_out)
        others = compare_entries(samples, fast, elsewhere, around)
        found = replace(found, plans=found.plans + others.plans[1:])
    return found, time.perf_counter() - started


def main() -> None:
    """Measure, and write page and figures unless only a part was requested."""
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the sample data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="data whose name holds this; writes nothing")
    options = parser.parse_args()
    work = WORK / "accuracy"
    install(say, ENVIRONMENTS)
    flanders.prepare(options.data, work)
    missing = entries()[1]
    for text in missing:
        say(text)
    names = [case.name for case in CASES if options.only in case.name]
    run = partial(measured, options.data, work, options.seeds)
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(run, names))
    if not options.only:
        facts: dict[str, Any] = {"missing": missing, "seconds": [spent for _, spent in found]}
        write([one for one, _ in found], facts)
        say(f"wrote {PAGE} and {FIGURES}")


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
