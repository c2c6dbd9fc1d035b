"""Mean, median and deviation of the pixels of parcels, exactly, in whole or in parts.

The values are the stored integers. Their sums are whole numbers, and the parts of a parcel that
lies in several blocks or tiles are combined as *histograms*: the distinct values and how often each
occurs. Adding these is exact and does not depend on the order, and no parcel, however large, has
more than 65,536 distinct values on a date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel
from oso_pipeline.products.series.parcels_pixels import ParcelPixels

MOST_VALUES = 65_536
"""Most distinct values of a stored variable: it has 8 or 16 bits."""
_FEW = 32
"""So few values are sorted by comparing, where they lie far apart."""
NO_FILL = 2**31 - 1
"""In place of the fill value of a variable without one."""

Longs = npt.NDArray[np.int64]
Planes = npt.NDArray[Any]


@dataclass(frozen=True)
class Sums:
    """What the statistics of parcels are computed from: whole numbers in stored units.

    Parameters
    ----------
    count
        Pixels with a value, int64, shape ``(parcel, step)``, as all here.
    total, squares
        Sum of the values, and of their squares.
    middle
        Sum of the two middle values: twice the median.
    """

    count: Longs
    total: Longs
    squares: Longs
    middle: Longs

    @classmethod
    def none(cls, n_parcels: int, steps: int) -> Sums:
        """Return the sums of parcels without a pixel."""
        return cls(*(np.zeros((n_parcels, steps), np.int64) for _ in range(4)))

    def put(self, parcels: npt.NDArray[np.intp] | int, other: Sums) -> None:
        """Write the sums of some parcels."""
        for mine, given in zip(self.parts, other.parts, strict=True):
            mine[parcels] = given

    @property
    def parts(self) -> tuple[Longs, Longs, Longs, Longs]:
        """The four arrays."""
        return self.count, self.total, self.squares, self.middle

    def statistics(self, scale: float, offset: float) -> Statistics:
        """Return mean, median and standard deviation in physical units.

        Parameters
        ----------
        scale, offset
            From stored to physical values: ``scale * stored + offset``.

        Notes
        -----
        The deviation is that of the population, the root of the mean squared distance from the
        mean. Squares are taken about the rounded mean, in whole numbers, so that nothing cancels.
        """
        n = np.maximum(self.count, 1)
        near = self.total // n
        about = self.squares - near * (2 * self.total - n * near)
        rest = (self.total - n * near) / n
        variance = about / n - rest * rest
        without = self.count == 0
        found = (
            self.total / n * scale + offset,
            self.middle / 2 * scale + offset,
            np.sqrt(np.maximum(variance, 0)) * abs(scale),
        )
        return Statistics(*(np.where(without, np.nan, one).astype(np.float32) for one in found))


@dataclass(frozen=True)
class Statistics:
    """Mean, median and deviation, float32, shape ``(parcel, step)``, NaN without a value."""

    mean: npt.NDArray[np.float32]
    median: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]

    def of(self, parcels: npt.NDArray[np.intp]) -> Statistics:
        """Return those of some parcels."""
        return Statistics(self.mean[parcels], self.median[parcels], self.std[parcels])


@dataclass(frozen=True)
class Histogram:
    """The values of a parcel by step, or of a part of it.

    Parameters
    ----------
    values
        Distinct stored values, ascending within a step, int32.
    counts
        How many pixels have each, int32.
    ends
        Where each step ends in them, int64, shape ``(step,)``.
    """

    values: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]
    ends: Longs

    @classmethod
    def merged(cls, parts: Sequence[Histogram]) -> Histogram:
        """Return the sum of histograms of the same steps, at least one; the order is free."""
        if len(parts) == 1:
            return parts[0]
        values = np.concatenate([part.values for part in parts])
        counts = np.concatenate([part.counts for part in parts])
        steps = np.concatenate([part.steps for part in parts])
        # One key for step and value: 32 bits for the latter, moved to begin at 0.
        keys = (steps << 32) + (values.astype(np.int64) + 2**31)
        order = np.argsort(keys, kind="stable")
        firsts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        total = np.add.reduceat(counts[order], firsts) if len(firsts) else counts
        kept = order[firsts]
        sizes = np.bincount(steps[kept], minlength=len(parts[0].ends))
        return cls(values[kept], total.astype(np.int32), np.cumsum(sizes))

    @property
    def steps(self) -> Longs:
        """The step of each value."""
        sizes = np.diff(self.ends, prepend=0)
        return np.repeat(np.arange(len(self.ends)), sizes)

    def sums(self) -> Sums:
        """Return the sums of the parcel, shape ``(1, step)``."""
        found = Sums.none(1, len(self.ends))
        _sum_histogram(self.values, self.counts, self.ends, found.parts)
        return found

    def of_steps(self, places: npt.NDArray[np.intp], steps: int) -> Histogram:
        """Return the histogram with its steps at `places`, ascending, among so many steps."""
        sizes = np.zeros(steps, np.int64)
        sizes[places] = np.diff(self.ends, prepend=0)
        return Histogram(self.values, self.counts, np.cumsum(sizes))


def sums_of(planes: Planes, fill: int | None, where: ParcelPixels) -> Sums:
    """Return the sums of parcels that lie wholly in a window.

    Parameters
    ----------
    planes
        Stored integers, shape ``(step, row, column)`` of the window.
    fill
        Stored value of pixels without a value; None if all have one.
    where
        Pixels of the parcels.
    """
    found = Sums.none(len(where.parcels), len(planes))
    flat = np.ascontiguousarray(planes).reshape(len(planes), -1)
    scratch = _scratch(where)
    _sum_pixels(flat, _fill(fill), where.starts, where.pixels, (scratch, found.parts))
    return found


def histograms_of(planes: Planes, fill: int | None, where: ParcelPixels) -> list[Histogram]:
    """Return the histogram of each of some parcels in a window; parameters as of `sums_of`."""
    flat = np.ascontiguousarray(planes).reshape(len(planes), -1)
    scratch, found = _scratch(where), list[Histogram]()
    for first, last in zip(where.starts[:-1], where.starts[1:], strict=True):
        most = len(flat) * min(int(last - first), MOST_VALUES)
        out = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(len(flat), np.int64)
        n = _count_pixels(flat, _fill(fill), where.pixels[first:last], scratch, out)
        found.append(Histogram(out[0][:n].copy(), out[1][:n].copy(), out[2]))
    return found


def _fill(fill: int | None) -> int:
    return NO_FILL if fill is None else fill


def _scratch(where: ParcelPixels) -> tuple[npt.NDArray[np.int32], ...]:
    """Return memory for the values of one parcel on one step, and how often each occurs."""
    most = int(where.counts.max(initial=1))
    distinct = min(most, MOST_VALUES)
    return (
        np.empty(most, np.int32),
        np.zeros(MOST_VALUES, np.int32),
        np.empty(distinct, np.int32),
        np.empty(distinct, np.int32),
    )


@kernel
def _runs(values, n, bins, out_values, out_counts):  # type: ignore[no-untyped-def]
    """Write the distinct values among the first n and their numbers; return how many there are."""
    if n == 0:
        return 0
    low = high = values[0]
    for i in range(1, n):
        low, high = min(low, values[i]), max(high, values[i])
    runs = 0
    spread = high - low
    if spread < len(bins) and (n > _FEW or spread <= 8 * n):
        for i in range(n):
            bins[values[i] - low] += 1
        for place in range(spread + 1):
            if bins[place] > 0:
                out_values[runs], out_counts[runs] = low + place, bins[place]
                bins[place] = 0
                runs += 1
        return runs
    for i in range(1, n):  # insertion sort: a few values far apart
        value, j = values[i], i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    for i in range(n):
        if i == 0 or values[i] != values[i - 1]:
            out_values[runs], out_counts[runs] = values[i], 0
            runs += 1
        out_counts[runs - 1] += 1
    return runs


@kernel
def _sum_runs(values, counts, first, last):  # type: ignore[no-untyped-def]
    """Return number, sum, sum of squares and twice the median of a histogram."""
    n, total, squares = np.int64(0), np.int64(0), np.int64(0)
    for i in range(first, last):
        value, count = np.int64(values[i]), np.int64(counts[i])
        n += count
        total += count * value
        squares += count * value * value
    lower, upper, middle = (n - 1) // 2, n // 2, np.int64(0)
    seen = np.int64(0)
    for i in range(first, last):
        after = seen + counts[i]
        if seen <= lower < after:
            middle += values[i]
        if seen <= upper < after:
            middle += values[i]
            break
        seen = after
    return n, total, squares, middle


@kernel
def _gather_values(plane, fill, pixels, values):  # type: ignore[no-untyped-def]
    """Write the values of pixels that have one; return how many."""
    n = 0
    for pixel in pixels:
        value = np.int32(plane[pixel])
        if value != fill:
            values[n] = value
            n += 1
    return n


@kernel
def _sum_pixels(planes, fill, starts, pixels, memory):  # type: ignore[no-untyped-def]
    (values, bins, run_values, run_counts), (count, total, squares, middle) = memory
    for parcel in range(len(starts) - 1):
        own = pixels[starts[parcel] : starts[parcel + 1]]
        for step in range(len(planes)):
            n = _gather_values(planes[step], fill, own, values)
            runs = _runs(values, n, bins, run_values, run_counts)
            found = _sum_runs(run_values, run_counts, 0, runs)
            count[parcel, step], total[parcel, step] = found[0], found[1]
            squares[parcel, step], middle[parcel, step] = found[2], found[3]


@kernel
def _count_pixels(planes, fill, pixels, scratch, out):  # type: ignore[no-untyped-def]
    (values, bins, run_values, run_counts), (out_values, out_counts, ends) = scratch, out
    end = 0
    for step in range(len(planes)):
        n = _gather_values(planes[step], fill, pixels, values)
        runs = _runs(values, n, bins, run_values, run_counts)
        out_values[end : end + runs] = run_values[:runs]
        out_counts[end : end + runs] = run_counts[:runs]
        end += runs
        ends[step] = end
    return end


@kernel
def _sum_histogram(values, counts, ends, out):  # type: ignore[no-untyped-def]
    count, total, squares, middle = out
    first = np.int64(0)
    for step in range(len(ends)):
        found = _sum_runs(values, counts, first, ends[step])
        count[0, step], total[0, step] = found[0], found[1]
        squares[0, step], middle[0, step] = found[2], found[3]
        first = ends[step]
