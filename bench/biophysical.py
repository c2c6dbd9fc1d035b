"""Measures the networks of LAI, FAPAR and FCOVER: ``python -m bench.biophysical``.

Simulated images of fields, all at 10 m, estimated as the stage of series does: network, definition
domain, limits and flags. The figure is the least processor time of many repetitions, on one thread,
since other work on the machine can only add to it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench import RESULTS
from bench.machine import describe
from bench.series import BANDS, simulate
from oso_pipeline.timeseries.biophysical import INPUT_BANDS, SCALES, estimate

RESULT = RESULTS / "biophysical.json"
GOAL_US = 0.02
_SIDE, _DATES = 256, 8


def least_seconds(work: Callable[[], Any], repeats: int) -> float:
    """Return the least processor time of some repetitions, after one to compile."""
    work()
    spent = []
    for _ in range(repeats):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return min(spent)


def measure(repeats: int) -> dict[str, float]:
    """Return microseconds per pixel and date of each variable."""
    scenes = simulate(_SIDE, _DATES)
    bands = np.array([BANDS.index(band) for band in INPUT_BANDS])
    images = [np.ascontiguousarray(image[bands]) for image in scenes.values]
    cosines = np.array([0.98, 0.76, -0.5])
    n_pixels = _SIDE**2 * _DATES
    found = {}
    for variable in SCALES:
        seconds = least_seconds(
            lambda variable=variable: [estimate(variable, image, cosines) for image in images],
            repeats,
        )
        found[variable] = round(1e6 * seconds / n_pixels, 4)
    return found


def main() -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.biophysical", description=__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    machine = describe()
    found = measure(parser.parse_args().repeats)
    result = {"machine": machine, "goal_us": GOAL_US, "us_per_pixel_date_and_variable": found}
    print(json.dumps(result, indent=1))
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
