"""Plain NumPy definition of the families of derived features, one series after the other.

Slow and easy to read, as `plain_numpy`, which uses it; single operations in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.families import PERCENTILES
from oso_pipeline.timeseries.kernels.harmonics import weights
from oso_pipeline.timeseries.kernels.statistics import place_of

Series = npt.NDArray[np.int16]


def relative(series: Series, days: npt.NDArray[np.int32]) -> Series:
    """Return ``1000 (x - mean) / deviation`` for each value of a series."""
    whole = series.astype(np.int64)
    count, total = len(whole), whole.sum()
    spread = np.float32(count * (whole**2).sum() - total**2)
    factor = np.float32(1000) / np.sqrt(spread) if spread else np.float32(0)
    return _rounded((count * whole - total).astype(np.float32) * factor)


def harmonics(series: Series, days: npt.NDArray[np.int32]) -> Series:
    """Return the mean, and amplitude, cosine and sine of each term."""
    found = [np.float32(series.sum(dtype=np.int64)) / np.float32(len(series))]
    sums = []
    for row in weights(days):
        total = np.float32(0)
        for value, weight in zip(series, row, strict=True):
            total += np.float32(value) * weight
        sums.append(total)
    for cosine, sine in zip(sums[::2], sums[1::2], strict=True):
        amplitude = np.sqrt(cosine * cosine + sine * sine)
        factor = np.float32(1000) / amplitude if amplitude else np.float32(0)
        found += [amplitude, cosine * factor, sine * factor]
    return _rounded(np.array(found, np.float32))


def statistics(series: Series, days: npt.NDArray[np.int32]) -> Series:
    """Return percentiles, amplitude, and the days of maximum and minimum since the first date."""
    ordered, found = np.sort(series).astype(np.float32), []
    for percentile in PERCENTILES:
        below, weight = place_of(percentile, len(series))
        one, other = ordered[below], ordered[min(below + 1, len(series) - 1)]
        found.append(one + (other - one) * weight)
    extremes = days[[series.argmax(), series.argmin()]] - days[0]
    return _rounded(np.array([*found, ordered[-1] - ordered[0], *extremes], np.float32))


PLAIN: Mapping[str, Callable[[Series, npt.NDArray[np.int32]], Series]] = {
    "relative": relative,
    "harmonics": harmonics,
    "statistics": statistics,
}
"""The families by name."""


def _rounded(values: npt.NDArray[np.float32]) -> Series:
    return np.rint(np.clip(values, -32768, 32767)).astype(np.int16)
