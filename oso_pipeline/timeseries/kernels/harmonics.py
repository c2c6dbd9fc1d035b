"""Derived features ``harmonics``: mean, amplitudes and phases of the course of a year.

A phase is an angle. Cut by a threshold it falls apart where it turns from 180 to -180 degrees, and
the classes of a late and of an early maximum lie on both sides of that. So a tree gets its cosine
and sine, which change little where the angle changes little, beside the amplitude.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.families import HARMONIC_TERMS
from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.kernels.rows import CHUNK
from oso_pipeline.timeseries.kernels.simd import WIDTH, everywhere, load, store
from oso_pipeline.timeseries.kernels.simd_sums import (
    add,
    add_product,
    angle_factor,
    length,
    mean,
    rounded,
    times,
)


def weights(days: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return what values on these days are multiplied by, shape ``(2 terms, date)``.

    A term is the mean of ``2 x cos(k a)`` and of ``2 x sin(k a)`` with angles `a` from the first
    date on; a full turn is the span of the grid and one mean step, so about a year where the season
    is a year. On dates in regular steps these are the coefficients of the discrete Fourier
    transform.
    """
    since = (days - days[0]).astype(np.float64)
    turn = max(1.0, since[-1]) * len(days) / max(1, len(days) - 1)
    angles = 2 * np.pi * np.arange(1, HARMONIC_TERMS + 1)[:, None] * since / turn
    both = np.stack([np.cos(angles), np.sin(angles)], axis=1).reshape(-1, len(days))
    return (2 / len(days) * both).astype(np.float32)


@kernel
def harmonics(series, table, row, features):  # type: ignore[no-untyped-def]
    """Write the mean, then amplitude, cosine and sine of each term, a row each from `row` on.

    Sums are in float32, date after date. Amplitudes and the mean have the unit of the channel,
    cosine and sine are multiplied by 1000; all are rounded half to even and kept within int16.

    Parameters
    ----------
    series, row, features
        As for `relative.relative`.
    table
        The :func:`weights`, flat.
    """
    count = np.int32(series.dates)
    for offset in range(0, CHUNK, WIDTH):
        total = everywhere(np.int32(0))
        for date in range(series.dates):
            total = add(total, load(features, _place(series, date) + offset))
        store(features, row * CHUNK + offset, rounded(mean(total, count)))
        for term in range(HARMONIC_TERMS):
            cosine, sine = everywhere(np.float32(0)), everywhere(np.float32(0))
            first = 2 * term * series.dates
            for date in range(series.dates):
                values = load(features, _place(series, date) + offset)
                cosine = add_product(cosine, values, table[first + date])
                sine = add_product(sine, values, table[first + series.dates + date])
            amplitude = length(cosine, sine)
            factor = angle_factor(amplitude)
            place = (row + 1 + 3 * term) * CHUNK + offset
            store(features, place, rounded(amplitude))
            store(features, place + CHUNK, rounded(times(cosine, factor)))
            store(features, place + 2 * CHUNK, rounded(times(sine, factor)))
    return row + 1 + 3 * HARMONIC_TERMS


@kernel
def _place(series, date):  # type: ignore[no-untyped-def]
    return (series.first + date * series.step) * CHUNK
