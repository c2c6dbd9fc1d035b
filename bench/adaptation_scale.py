"""What adaptation costs at the size of a stratum, against training the plain forest.

    python -m bench.adaptation_scale [--source 200000 --target 20000 --trees 100]

Series are simulated: 36 dates, 10 bands and 3 indices, 468 features, 17 classes, the target 12
days later. Prints processor time of both trainings, their ratio and the peak of the memory. Linear
algebra has one thread, as in the workers of a run: idle threads would count as work.
"""

from __future__ import annotations

import argparse
import resource
import time
from datetime import date

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from oso_pipeline.adaptation import AdaptedForestClassifier, SeriesSpace
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.learners.forest.engines import fit_forest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.timeseries.feature_layout import FeatureLayout

BANDS = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
GRID = DateGrid(date(2018, 1, 1), date(2018, 12, 20), 10)
SPACE = SeriesSpace.of(FeatureLayout.optical(BANDS, GRID.dates, ("NDVI", "NDWI", "brightness")))
CLASSES = 17


def season(n: int, delay: float, seed: int) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Return features and codes of one season, int16 of shape ``(n, 468)`` and int32."""
    rng, shapes = np.random.default_rng(seed), np.random.default_rng(0)
    peak, width = shapes.uniform(60, 300, CLASSES), shapes.uniform(20, 60, CLASSES)
    height = shapes.uniform(-1500, 2500, (CLASSES, len(BANDS)))
    codes = rng.integers(0, CLASSES, n).astype(np.int32)
    table = np.zeros((n, SPACE.size), np.int16)
    for first in range(0, n, 10_000):
        some = codes[first : first + 10_000]
        day = peak[some] + delay + rng.normal(0, 30, len(some))
        bell = np.exp(-(((np.array(SPACE.days) - day[:, None]) / width[some][:, None]) ** 2))
        series = 2500 + bell[:, :, None] * height[some][:, None, :]
        series *= np.exp(rng.normal(0, 0.25, (len(some), 1, len(BANDS))))
        series += rng.normal(0, 900, series.shape)
        table[first : first + 10_000, : SPACE.n_series] = series.reshape(len(some), -1).clip(1)
    return np.asarray(SPACE.shift(table, 0)), codes + 1


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=int, default=200_000)
    parser.add_argument("--target", type=int, default=20_000)
    parser.add_argument("--trees", type=int, default=100)
    given = parser.parse_args()
    forest = ForestSettings(n_trees=given.trees)
    features, codes = season(given.source, 0, 1)
    target, truth = season(given.target, 12, 2)
    small = AdaptedForestClassifier("student", SPACE, ForestSettings(n_trees=2), random_state=0)
    small.fit(features[:500], codes[:500], target=target[:200])  # compiles the kernels
    start = time.process_time()
    fit_forest(features, codes, forest, 0)
    plain, before = time.process_time() - start, _peak_mb()
    for name, known in (("with anchors", truth >= 12), ("without any label", truth < 0)):
        start = time.process_time()
        made = AdaptedForestClassifier("student", SPACE, forest, gate="always", random_state=0)
        made.fit(
            features,
            codes,
            target=target[~known],
            anchors=target[known],
            anchor_labels=truth[known],
        )
        spent = time.process_time() - start
        right = (made.predict(target[~known]) == truth[~known]).mean()
        print(
            f"{name}: plain {plain:.1f} s, student {spent:.1f} s of processor time, "
            f"{spent / plain:.2f} times; peak {before:.0f} MB, {_peak_mb():.0f} MB; "
            f"shift {made.record_.shift.mean_days:.1f} d; right {right:.3f}",
            flush=True,
        )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
