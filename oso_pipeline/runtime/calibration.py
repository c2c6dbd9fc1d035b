"""How fast this machine is, measured in half a minute, so that plans can estimate the time.

Estimates of core seconds in tasks are those of the machine of `NOMINAL`. Decoding images and
computing scale apart, because one depends on zlib and the other on the width of vectors.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from math import isfinite
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from oso_pipeline.core.commit import publish_json
from oso_pipeline.core.dates import DateGrid, days_since_epoch
from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.core.json_files import ODD_VALUES, read_object
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.learners.forest.engines import fit_forest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.forest.votes import classify
from oso_pipeline.tasks.task import Cost
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.series import BlockSeries

_SECONDS_EACH = 4.0
_RATES = ("decoded_bytes_per_s", "computed_pixels_per_s")
_COLUMNS, _ROWS, _STEP = 10_980, 256, 64
_DATES, _PIXELS, _SAMPLES, _CLASSES = 40, 16_384, 6_000, 20


@dataclass(frozen=True)
class Speed:
    """Of one core.

    Parameters
    ----------
    decoded_bytes_per_s
        Pixels of deflated strips decoded.
    computed_pixels_per_s
        Pixels of 40 dates filled, turned into features and classified by 100 trees.
    machine
        Where and when that was measured.
    """

    decoded_bytes_per_s: float
    computed_pixels_per_s: float
    machine: str

    def core_seconds(self, cost: Cost) -> float:
        """Return the core seconds that a task takes at this speed."""
        decoding = NOMINAL.decoded_bytes_per_s / self.decoded_bytes_per_s
        computing = NOMINAL.computed_pixels_per_s / self.computed_pixels_per_s
        return (
            cost.decode_seconds * decoding + (cost.core_seconds - cost.decode_seconds) * computing
        )


NOMINAL = Speed(310e6, 400e3, "one virtual core of an AMD EPYC")
"""Machine on which the cost estimates of tasks were measured."""


def measure() -> Speed:
    """Measure one core of this machine; takes about half a minute."""
    with tempfile.TemporaryDirectory() as folder:
        decoded = _decoding(Path(folder))
    computed = _computing()
    when = datetime.now(UTC).date().isoformat()
    return Speed(decoded, computed, f"{platform.node()} on {when}")


def remembered() -> Speed | None:
    """Return what was measured on this machine before, or None."""
    content = read_object(_memory())
    try:
        decoded, computed = (float(content[name]) for name in _RATES)
    except ODD_VALUES:
        return None
    is_sane = all(isfinite(rate) and rate > 0 for rate in (decoded, computed))
    return Speed(decoded, computed, str(content.get("machine"))) if is_sane else None


def remember(speed: Speed) -> None:
    """Keep a measurement for later plans of this user on this machine, where there is a home."""
    with suppress(OSError, EnvironmentFailure):  # no home, or none that can be written
        _memory().parent.mkdir(parents=True, exist_ok=True)
        publish_json(_memory(), asdict(speed))


def _memory() -> Path:
    # Without HOME and an entry in passwd this stays "~/.cache", which is looked for in vain.
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) / "oso_pipeline" / f"speed-{platform.node()}.json"


def _decoding(folder: Path) -> float:
    """Return the decoded bytes per second of core time of a deflated file in strips."""
    rng = np.random.default_rng(0)
    smooth = rng.integers(200, 3000, (_ROWS // 8, _COLUMNS // 8 + 1))
    fields = np.kron(smooth, np.ones((8, 8), int))[:_ROWS, :_COLUMNS]
    values = (fields + rng.integers(-40, 40, fields.shape)).astype(np.int16)
    path = folder / "band.tif"
    profile = {"width": _COLUMNS, "height": _ROWS, "count": 1, "dtype": "int16"}
    profile["transform"] = from_origin(0, 0, 10, 10)
    options = {"driver": "GTiff", "compress": "deflate", "blockysize": 1}
    with rasterio.open(path, "w", **profile, **options) as out:
        out.write(values, 1)

    def read() -> int:
        with rasterio.open(path, driver="GTiff") as source:
            for row in range(0, _ROWS, _STEP):
                source.read(1, window=Window(0, row, _COLUMNS, _STEP))
        return values.nbytes

    return _rate(read)


def _computing() -> float:
    """Return the pixels per second of core time from images to classes, without reading."""
    year = DateGrid(date(2018, 1, 1), date(2018, 12, 31), 10)
    layout = FeatureLayout.optical(SENTINEL2.names, year.dates, ("NDVI", "NDWI", "brightness"))
    known, codes = _fields(_SAMPLES, seed=0)
    features, _ = block_features(known, layout)
    settings = ForestSettings(n_trees=100, min_samples_leaf=5)
    forest = fit_forest(np.ascontiguousarray(features.T), codes, settings, seed=0)
    block, _ = _fields(_PIXELS, seed=1)

    def work() -> int:
        classify(forest, *block_features(block, layout))
        return _PIXELS

    return _rate(work)


def _fields(n_pixels: int, seed: int) -> tuple[BlockSeries, npt.NDArray[np.int32]]:
    """Return a year of pixels whose greenest week decides the class, 40 % of it cloudy."""
    rng = np.random.default_rng(seed)
    days = np.linspace(0, 360, _DATES).astype(np.int32)
    codes = rng.integers(1, _CLASSES + 1, n_pixels).astype(np.int32)
    peaks = 15 * codes + rng.normal(0, 12, n_pixels)
    green = np.exp(-(((days[:, np.newaxis] - peaks) / 45) ** 2))
    per_band = np.linspace(-1500, 3000, len(SENTINEL2.names))[:, np.newaxis]
    values = 2000 + per_band * green[:, np.newaxis] + rng.normal(0, 150, (_DATES, 10, n_pixels))
    clear = rng.random((_DATES, n_pixels)) > 0.4
    epoch = np.int32(days_since_epoch((date(2018, 1, 1),))[0])
    return BlockSeries.of(values.astype(np.int16), clear, days + epoch), codes


def _rate(work: Callable[[], int]) -> float:
    """Return the amount of work per second of core time, once everything is warm."""
    work()
    amount, began = 0, time.process_time()
    while time.process_time() - began < _SECONDS_EACH:
        amount += work()
    return amount / (time.process_time() - began)
