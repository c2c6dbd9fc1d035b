"""eo-learn: ``LinearInterpolationTask`` alone, without features and forest."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from eolearn.core import EOPatch, FeatureType
from eolearn.features.extra.interpolation import LinearInterpolationTask
from sentinelhub import CRS, BBox

from bench.method import Prepared
from bench.series import BANDS, GRID

_EPOCH = datetime(1970, 1, 1)


def interpolate(case: dict[str, Any]) -> Prepared:
    """Interpolate all bands of a block, float ``(date, band, pixel)``, NaN outside the series."""
    block = Path(case["block"])
    clear = np.load(block / "clear.npy")
    side = round(clear.shape[1] ** 0.5)
    values = np.moveaxis(np.load(block / "values.npy"), 1, 2)
    days = np.load(block / "days.npy")
    stamps = [_EPOCH + timedelta(days=int(day)) for day in days]
    patch = EOPatch(bbox=BBox((0, 0, 10 * side, 10 * side), CRS.UTM_31N), timestamps=stamps)
    patch[FeatureType.DATA, "bands"] = np.ascontiguousarray(
        values.reshape(len(days), side, side, len(BANDS)), dtype=np.float32
    )
    patch[FeatureType.MASK, "clear"] = clear.reshape(len(days), side, side, 1).astype(bool)
    task = LinearInterpolationTask(
        (FeatureType.DATA, "bands"),
        mask_feature=(FeatureType.MASK, "clear"),
        resample_range=[f"{day:%Y-%m-%d}" for day in GRID],
        bounds_error=False,
    )

    def answer(filled: EOPatch) -> np.ndarray:
        flat = filled[FeatureType.DATA, "bands"].reshape(len(GRID), -1, len(BANDS))
        return np.moveaxis(flat, 2, 1)

    return Prepared(lambda: task.execute(patch), clear.shape[1], answer=answer)
