"""Intervals: bootstrap over polygons, and Student's t over repeated splits.

Pixels of one polygon are alike, so resampling pixels would make intervals far too narrow. The
bootstrap draws whole polygons (cluster bootstrap, Davison and Hinkley 1997, section 3.8), and
the intervals are the percentiles of the resampled scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy

from oso_pipeline.validation.confusion import Confusion, Floats, Scores, positions, scores

_MATRICES_AT_ONCE = 1 << 22
"""Cells of resampled matrices that are held in memory together."""


@dataclass(frozen=True)
class Interval:
    """Ends of an interval; None where it is undefined."""

    low: float | None
    high: float | None


UNDEFINED = Interval(None, None)


@dataclass(frozen=True)
class ClusteredPairs:
    """Counted pairs of codes, polygon by polygon: a sparse matrix ``[polygon, cell]``.

    Parameters
    ----------
    codes
        Codes of the classes, ascending.
    polygon_ids
        Distinct ids, ascending.
    polygon, cell, count
        The entries: index into `polygon_ids`, index into the flattened matrix
        ``[reference, prediction]``, number of pixels.
    """

    codes: tuple[int, ...]
    polygon_ids: npt.NDArray[np.int64]
    polygon: npt.NDArray[np.int64]
    cell: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        codes: Sequence[int],
        polygon_id: npt.ArrayLike,
        reference: npt.ArrayLike,
        predicted: npt.ArrayLike,
    ) -> ClusteredPairs:
        """Count pixels; three arrays of shape ``[pixel]``."""
        ordered = tuple(sorted(codes))
        cells = len(ordered) ** 2
        ids, polygon = np.unique(np.asarray(polygon_id, dtype=np.int64), return_inverse=True)
        pair = positions(ordered, reference) * len(ordered) + positions(ordered, predicted)
        entries, count = np.unique(polygon.astype(np.int64) * cells + pair, return_counts=True)
        return cls(ordered, ids, entries // cells, entries % cells, count.astype(np.int64))

    @cached_property
    def confusion(self) -> Confusion:
        """The matrix of all polygons together."""
        return Confusion(self.codes, self._matrix(self.count).astype(np.int64))

    @cached_property
    def polygons_per_class(self) -> npt.NDArray[np.int64]:
        """Number of polygons with pixels of each class of the reference, shape ``[class]``."""
        return self._polygons_with(self.cell // len(self.codes))

    @cached_property
    def polygons_per_prediction(self) -> npt.NDArray[np.int64]:
        """Number of polygons with pixels predicted as each class, shape ``[class]``."""
        return self._polygons_with(self.cell % len(self.codes))

    def aggregated(self, mapping: Mapping[int, int]) -> ClusteredPairs:
        """Return the pairs of the classes that `mapping` turns the codes into."""
        size = len(self.codes)
        table = np.array([mapping.get(code, -1) for code in self.codes], dtype=np.int64)
        reference, predicted = table[self.cell // size], table[self.cell % size]
        parents = tuple(sorted({mapping[code] for code in self.codes if code in mapping}))
        pair = positions(parents, reference) * len(parents) + positions(parents, predicted)
        entries, merged = np.unique(self.polygon * len(parents) ** 2 + pair, return_inverse=True)
        count = np.bincount(merged, weights=self.count, minlength=entries.size).astype(np.int64)
        cells = len(parents) ** 2
        return ClusteredPairs(parents, self.polygon_ids, entries // cells, entries % cells, count)

    def resampled(self, replicates: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
        """Yield stacks of matrices ``[replicate, reference, prediction]``, `replicates` in all.

        Each matrix is the sum over as many polygons as there are, drawn with replacement.
        """
        generator = np.random.default_rng(seed)
        number, size = len(self.polygon_ids), len(self.codes)
        at_once = max(1, _MATRICES_AT_ONCE // size**2)
        for start in range(0, replicates, at_once):
            stack = np.empty((min(at_once, replicates - start), size, size))
            for matrix in stack:
                drawn = generator.integers(0, number, number)
                times = np.bincount(drawn, minlength=number)
                matrix[:] = self._matrix(times[self.polygon] * self.count)
            yield stack

    def _polygons_with(self, place: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        pairs = np.unique(np.stack([self.polygon, place]), axis=1)
        return np.bincount(pairs[1], minlength=len(self.codes)).astype(np.int64)

    def _matrix(self, weight: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        size = len(self.codes)
        # Sums of whole numbers below 2**53 are exact in double precision.
        sums = np.bincount(self.cell, weights=weight.astype(np.float64), minlength=size**2)
        return np.asarray(sums, dtype=np.float64).reshape(size, size)


@dataclass(frozen=True)
class ScoreIntervals:
    """Intervals of the scores of a matrix; per class in the order of its codes."""

    overall_accuracy: Interval
    kappa: Interval
    precision: tuple[Interval, ...]
    recall: tuple[Interval, ...]
    f_score: tuple[Interval, ...]


def bootstrap(pairs: ClusteredPairs, replicates: int, level: float, seed: int) -> ScoreIntervals:
    """Return percentile intervals of all scores by resampling polygons.

    Resamples in which a score is undefined do not count for it. One polygon says nothing
    about the spread between polygons: with fewer than two polygons of a class (or in all)
    the interval is undefined.

    Parameters
    ----------
    pairs
        The validation pixels.
    replicates
        Number of resamples.
    level
        Share of resamples inside the interval, for example 0.95.
    seed
        The result is a function of the pairs and of it.
    """
    size = len(pairs.codes)
    if len(pairs.polygon_ids) < 2:
        none = (UNDEFINED,) * size
        return ScoreIntervals(UNDEFINED, UNDEFINED, none, none, none)
    parts = [scores(stack) for stack in pairs.resampled(replicates, seed)]
    enough = pairs.polygons_per_class >= 2

    def of_class(name: str) -> tuple[Interval, ...]:
        values = _joined(parts, name)
        return tuple(
            _percentiles(values[:, index], level) if enough[index] else UNDEFINED
            for index in range(size)
        )

    return ScoreIntervals(
        _percentiles(_joined(parts, "overall_accuracy"), level),
        _percentiles(_joined(parts, "kappa"), level),
        of_class("precision"),
        of_class("recall"),
        of_class("f_score"),
    )


@dataclass(frozen=True)
class RunInterval:
    """Mean and interval of one score over repeated splits.

    Parameters
    ----------
    values
        One value per run; None where the score is undefined.
    mean
        Mean of the defined values.
    interval
        ``mean -+ t * std / sqrt(n)``; undefined with fewer than two values, and where all are
        equal, which shows no spread rather than none.
    degrees_of_freedom
        Number of defined values less one.
    """

    values: tuple[float | None, ...]
    mean: float | None
    interval: Interval
    degrees_of_freedom: int


def student_interval(values: Sequence[float | None], level: float) -> RunInterval:
    """Return the interval of the mean by Student's t with one degree of freedom per run less one.

    The runs are splits of one set of polygons: the interval shows how much the choice of the
    split matters, not how well the polygons stand for the country.

    Examples
    --------
    >>> student_interval([0.80, 0.82, 0.81, 0.84, 0.83], 0.95).degrees_of_freedom
    4
    """
    defined = np.array([value for value in values if value is not None], dtype=np.float64)
    kept = tuple(values)
    freedom = max(defined.size - 1, 0)
    if defined.size == 0:
        return RunInterval(kept, None, UNDEFINED, freedom)
    mean = float(defined.mean())
    if np.ptp(defined) == 0:  # one value, or all alike
        return RunInterval(kept, mean, UNDEFINED, freedom)
    quantile = float(scipy.special.stdtrit(freedom, 0.5 + level / 2))
    half_width = quantile * float(defined.std(ddof=1)) / float(np.sqrt(defined.size))
    return RunInterval(kept, mean, Interval(mean - half_width, mean + half_width), freedom)


def _joined(parts: Sequence[Scores], name: str) -> Floats:
    return np.concatenate([getattr(part, name) for part in parts])


def _percentiles(values: Floats, level: float) -> Interval:
    defined = values[~np.isnan(values)]
    if defined.size == 0:
        return UNDEFINED
    low, high = np.quantile(defined, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high))
