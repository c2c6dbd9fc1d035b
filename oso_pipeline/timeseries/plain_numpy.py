"""Plain NumPy definition of gap-filling, indices and gaps, one pixel after the other.

Slow and easy to read. The compiled kernels give the same numbers, bit for bit; property tests
hold them to it. Nothing else uses this module.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.families import FAMILIES
from oso_pipeline.core.formulas import evaluated, stored
from oso_pipeline.core.indices import INDICES, Index, term_of
from oso_pipeline.core.sensors import sensor_of
from oso_pipeline.timeseries.derived_plain import PLAIN
from oso_pipeline.timeseries.feature_layout import FeatureLayout

NODATA = -10_000
"""Every feature of a pixel without a clear date."""


def gapfill(
    values: npt.NDArray[np.int16],
    clear: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
    days_in: npt.NDArray[np.int32],
    days_out: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """Interpolate as :func:`oso_pipeline.timeseries.gapfill.gapfill` does."""
    _, n_bands, n_pixels = values.shape
    filled = np.full((len(days_out), n_bands, n_pixels), NODATA, dtype=np.int16)
    validity = np.zeros(n_pixels, dtype=np.uint16)
    for pixel in range(n_pixels):
        seen = np.flatnonzero(clear[:, pixel])
        validity[pixel] = len(seen)
        if len(seen) == 0:
            continue
        for date, day in enumerate(days_out):
            past = seen[days_in[seen] <= day]
            future = seen[days_in[seen] > day]
            if len(past) == 0:
                filled[date, :, pixel] = values[future[0], :, pixel]
            elif len(future) == 0:
                filled[date, :, pixel] = values[past[-1], :, pixel]
            else:
                before, after = past[-1], future[0]
                weight = np.float32(day - days_in[before]) / np.float32(
                    days_in[after] - days_in[before]
                )
                first = values[before, :, pixel].astype(np.float32)
                second = values[after, :, pixel].astype(np.float32)
                filled[date, :, pixel] = np.rint(first + (second - first) * weight)
    return filled, validity


def index_value(name: str, bands: dict[str, int]) -> int:
    """Return one index of one date from the stored integers of its bands."""
    if name == "brightness":
        return min(math.isqrt(sum(value * value for value in bands.values())), 32767)
    first, second = ("B8", "B4") if name == "NDVI" else ("B11", "B8")
    difference, total = bands[first] - bands[second], bands[first] + bands[second]
    if total == 0:
        return 0
    size = abs(difference) * 1000 // abs(total)
    return max(-32768, min(32767, size if (difference < 0) == (total < 0) else -size))


def formula_values(index: Index, bands: dict[str, npt.NDArray[np.int16]]) -> npt.NDArray[np.int16]:
    """Return an index that is defined by a formula, from stored values by common name."""
    reflectances = {name: values * np.float64(1e-4) for name, values in bands.items()}
    return stored(evaluated(term_of(index), reflectances), index.scale)


def block_features(
    values: npt.NDArray[np.int16],
    clear: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
    days_in: npt.NDArray[np.int32],
    layout: FeatureLayout,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """Compute as :func:`oso_pipeline.timeseries.features.block_features` does."""
    group = layout.series
    filled, validity = gapfill(values, clear, days_in, group.days)
    features = np.full((layout.size, values.shape[2]), NODATA, dtype=np.int16)
    reflectances = filled.reshape(-1, values.shape[2])
    features[: len(reflectances)] = reflectances
    n_dates, n_bands, sensor = len(group.days), len(group.bands), sensor_of(group.sensor)
    row = len(reflectances)
    for name, date in product(group.indices, range(n_dates)):
        bands = dict(zip(group.bands, filled[date], strict=True))
        if name in INDICES:
            for pixel in np.flatnonzero(validity):
                series = {band: int(values[pixel]) for band, values in bands.items()}
                features[row, pixel] = index_value(name, series)
        else:
            index = group.index(name)
            found = formula_values(index, {one: bands[sensor.named(one)] for one in index.bands})
            features[row] = np.where(validity > 0, found, NODATA)
        row += 1
    channels = [slice(band, n_bands * n_dates, n_bands) for band in range(n_bands)]
    channels += [slice(first, first + n_dates) for first in range(len(reflectances), row, n_dates)]
    for family, channel in product(group.derived, channels):
        for pixel in np.flatnonzero(validity):
            found = PLAIN[family](features[channel, pixel], group.days)
            features[row : row + len(found), pixel] = found
        row += FAMILIES[family].rows(n_dates)
    return features, validity


def longest_gap_days(
    clear: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
    days_in: npt.NDArray[np.int32],
    first_day: int,
    last_day: int,
) -> npt.NDArray[np.uint16]:
    """Measure as :func:`oso_pipeline.timeseries.gapfill.longest_gap_days` does."""
    gaps = np.full(clear.shape[1], last_day - first_day, dtype=np.uint16)
    for pixel in range(clear.shape[1]):
        seen = np.unique(days_in[np.flatnonzero(clear[:, pixel])]).astype(int)
        # Days outside the season only count by shortening the gap they bound.
        marks = [day for day in seen if first_day <= day <= last_day]
        steps = np.diff([first_day, *marks, last_day])
        gaps[pixel] = steps.max()
    return gaps
