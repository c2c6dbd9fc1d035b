"""Features as at most 256 bins each, for the histogram engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel
from oso_pipeline.learners.matrices import require_rows

MOST_BINS = 256
"""Bins are numbered in one byte."""

_COLUMNS = 32
_VALUES = 65536
_LOWEST = -32768


@dataclass(frozen=True, eq=False)
class BinnedFeatures:
    """The bin of each value of a set of training pixels.

    Bins are numbered along the values of a feature, so pixels are in the same order by bin as
    by value, except that values of one bin can no longer be distinguished. A feature with at most
    256 distinct values has a bin per value.

    Parameters
    ----------
    by_feature, by_pixel
        Number of the bin, uint8, shapes ``(feature, pixel)`` and ``(pixel, feature)``: large
        nodes read columns, branches with few pixels read rows.
    lowest, highest
        Least and greatest value found in each bin, int16, shape ``(feature, 256)``; 0 in bins
        that the feature does not use.
    """

    by_feature: npt.NDArray[np.uint8]
    by_pixel: npt.NDArray[np.uint8]
    lowest: npt.NDArray[np.int16]
    highest: npt.NDArray[np.int16]


def bin_features(features: npt.NDArray[np.int16]) -> BinnedFeatures:
    """Divide the values of each feature into bins with about equally many pixels.

    Parameters
    ----------
    features
        int16, shape ``(pixel, feature)``; some columns at a time are copied, never all.
    """
    require_rows(features, None)
    n_pixels, n_features = features.shape
    binned = BinnedFeatures(
        np.empty((n_features, n_pixels), np.uint8),
        np.empty((n_pixels, n_features), np.uint8),
        np.zeros((n_features, MOST_BINS), np.int16),
        np.zeros((n_features, MOST_BINS), np.int16),
    )
    for first in range(0, n_features, _COLUMNS):
        some = slice(first, first + _COLUMNS)
        columns, bins = np.ascontiguousarray(features[:, some].T), binned.by_feature[some]
        _bin_columns(columns, bins, binned.lowest[some], binned.highest[some])
        binned.by_pixel[:, some] = bins.T
    return binned


@kernel
def _bin_columns(columns, bins, lowest, highest):  # type: ignore[no-untyped-def]
    """Bin some features, each by the counts of its values."""
    counts = np.empty(_VALUES, np.int64)
    number = np.empty(_VALUES, np.uint8)
    for row in range(len(columns)):
        counts[:] = 0
        for value in columns[row]:
            counts[value - _LOWEST] += 1
        _edges(counts, columns.shape[1], number, lowest[row], highest[row])
        for pixel in range(columns.shape[1]):
            bins[row, pixel] = number[columns[row, pixel] - _LOWEST]


@kernel
def _edges(counts, n_pixels, number, lowest, highest):  # type: ignore[no-untyped-def]
    """Form bins from left to right, each with an equal share of the pixels left.

    A bin ends where its share is reached, or missed by less than by taking one more value; a
    frequent value so does not starve the bins beside it. Values that have a bin each left for
    them get it.
    """
    distinct_left = np.count_nonzero(counts)
    pixels_left = n_pixels
    current, inside = 0, 0
    for index in range(_VALUES):
        count = counts[index]
        if count == 0:
            continue
        if inside:
            bins_left = MOST_BINS - current
            share = (inside + pixels_left) / bins_left
            full = 2 * inside + count > 2 * share
            if current < MOST_BINS - 1 and (full or distinct_left < bins_left):
                current, inside = current + 1, 0
        if inside == 0:
            lowest[current] = index + _LOWEST
        highest[current] = index + _LOWEST
        number[index] = current
        inside += count
        pixels_left -= count
        distinct_left -= 1
