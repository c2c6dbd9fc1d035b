"""A careful NumPy pipeline: gaps filled for all pixels at once, then scikit-learn.

The mask is shared by all bands, so places of the neighbouring clear dates are looked up once
and the values taken with ``take_along_axis``, a few thousand pixels at a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt

from bench.method import Prepared
from bench.series import GRID

_CHUNK = 16_384
_DAYS_OUT = np.array([np.datetime64(day) for day in GRID]).astype("M8[D]").astype(np.int64)


def fill(values: npt.NDArray, clear: npt.NDArray, days: npt.NDArray) -> npt.NDArray[np.int16]:
    """Return int16 ``(date, band, pixel)`` on the dates of the grid."""
    n_in = len(days)
    step = np.arange(n_in)[:, None]
    last = np.maximum.accumulate(np.where(clear, step, -1), axis=0)
    following = np.minimum.accumulate(np.where(clear, step, n_in)[::-1], axis=0)[::-1]
    # Number of acquisitions on or before each date of the grid.
    passed = np.searchsorted(days, _DAYS_OUT, side="right")
    before = np.concatenate([np.full_like(last[:1], -1), last])[passed]
    after = np.concatenate([following, np.full_like(last[:1], n_in)])[passed]
    before = np.where(before < 0, after, before).clip(0, n_in - 1)
    after = np.where(after >= n_in, before, after).clip(0, n_in - 1)
    span = (days[after] - days[before]).astype(np.float32)
    since = (_DAYS_OUT[:, None] - days[before]).astype(np.float32)
    weight = np.divide(since, span, out=np.zeros_like(span), where=span > 0)[:, None]
    first = np.take_along_axis(values, before[:, None], axis=0).astype(np.float32)
    second = np.take_along_axis(values, after[:, None], axis=0).astype(np.float32)
    return np.rint(first + (second - first) * weight).astype(np.int16)


def features(values: npt.NDArray, clear: npt.NDArray, days: npt.NDArray) -> npt.NDArray[np.int16]:
    """Return int16 ``(feature, pixel)``: bands of all dates, then NDVI, NDWI, brightness."""
    filled = fill(values, clear, days)
    real = filled.astype(np.float32)
    red, nir, swir = real[:, 2], real[:, 6], real[:, 8]
    with np.errstate(divide="ignore", invalid="ignore"):
        ndvi = np.nan_to_num(1000 * (nir - red) / (nir + red))
        ndwi = np.nan_to_num(1000 * (swir - nir) / (swir + nir))
    brightness = np.sqrt(np.square(real).sum(axis=1))
    indices = [np.trunc(i).clip(-32768, 32767).astype(np.int16) for i in (ndvi, ndwi, brightness)]
    return np.concatenate([filled.reshape(-1, filled.shape[2]), *indices])


def gapfill_features(case: dict[str, Any]) -> Prepared:
    """Fill the gaps and compute all features."""
    values, clear, days = _arrays(case)

    def work() -> npt.NDArray[np.int16]:
        parts = [features(values[..., s], clear[:, s], days) for s in _chunks(clear.shape[1])]
        return np.concatenate(parts, axis=1)

    return Prepared(work, clear.shape[1])


def classify(case: dict[str, Any]) -> Prepared:
    """Take a block from reflectances to classes, uint16 ``(pixel,)``."""
    values, clear, days = _arrays(case)
    forest = joblib.load(case["forest"])
    forest.set_params(n_jobs=1)

    def work() -> npt.NDArray[np.uint16]:
        classes = np.empty(clear.shape[1], np.uint16)
        for s in _chunks(clear.shape[1]):
            rows = features(values[..., s], clear[:, s], days).T.astype(np.float32)
            classes[s] = forest.classes_[forest.predict_proba(rows).argmax(axis=1)]
        return classes

    return Prepared(work, clear.shape[1])


def _arrays(case: dict[str, Any]) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    block = Path(case["block"])
    clear = np.load(block / "clear.npy") > 0
    return np.load(block / "values.npy"), clear, np.load(block / "days.npy").astype(np.int64)


def _chunks(pixels: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, pixels, _CHUNK)]
