"""Runs all settings in processes and writes the tables."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from bench import ONE_THREAD, PROJECT, WORK
from bench.accuracy.flanders import prepare
from bench.adaptation.page import FIGURES, PAGE, write
from bench.adaptation.settings import all_settings
from oso_pipeline.studies.adaptation.summary import SettingSummary, summarise
from oso_pipeline.studies.adaptation.trial import METHODS, Protocol, run_trial

DATA = PROJECT.parent / "shared" / "data"
REAL = ("year", "region", "site", "stress")
STUDENTS = tuple(one for one in METHODS if one.method == "student")
"""What is compared where the answer is known: with labels of the target, and without."""


def measured(data: Path, work: Path, n_seeds: int, name: str) -> SettingSummary:
    """Return one setting over its seeds."""
    setting = all_settings(data, work)[name]
    protocol = Protocol() if setting.kind in REAL else Protocol(methods=STUDENTS)
    return summarise(setting, [run_trial(setting, protocol, seed) for seed in range(n_seeds)])


def main() -> None:
    """Measure, and write the page and the results beside it unless only a part was requested."""
    parser = argparse.ArgumentParser(prog="python -m bench.adaptation")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the sample data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="settings whose name holds this; writes nothing")
    options = parser.parse_args()
    started = time.perf_counter()
    work = WORK / "adaptation"
    prepare(options.data, work)
    names = [name for name in all_settings(options.data, work) if options.only in name]
    os.environ.update(ONE_THREAD)  # for the workers: threads of linear algebra only wait here
    found: dict[str, SettingSummary] = {}
    spawned = get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=spawned) as pool:
        run = partial(measured, options.data, work, options.seeds)
        for done in as_completed([pool.submit(run, name) for name in names]):
            one = done.result()
            found[one.name] = one
            gains = {k: round(m.gain(True).overall, 1) for k, m in one.methods.items()}
            line = {"setting": one.name, "gap": round(one.gap, 1), **gains}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
    if not options.only:
        summaries = [found[name] for name in names]
        write(summaries, options.seeds)
        sys.stdout.write(f"wrote {PAGE} and {FIGURES}\n")
    sys.stdout.write(f"{time.perf_counter() - started:.0f} s\n")
