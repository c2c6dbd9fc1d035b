"""Scores of held-out predictions, their intervals, and those of paired differences.

All scores follow from sums over samples: so a polygon is a row of sums, and a resample of polygons
a weighted sum of rows. The same resamples serve all entries, which makes differences paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.studies.learners.trial import Outcome, Repetition
from oso_pipeline.validation.calibration import BINS, Forecasts, reliability
from oso_pipeline.validation.confusion import scores

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.signedinteger]
REPLICATES = 1000
"""Resamplings behind an interval."""
LEVEL = 0.95
OVERALL, MACRO_F1, ECE, BRIER = "overall", "macro_f1", "ece", "brier"
SCORES = (OVERALL, MACRO_F1, ECE, BRIER)
_AT_ONCE = 100


@dataclass(frozen=True)
class Figure:
    """A score with its interval; None where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class PolygonSums:
    """Sums of one entry and seed, polygon by polygon.

    Parameters
    ----------
    sums
        Shape ``(polygon, sum)``: confusion matrix, then for each bin of confidence the number of
        samples, the sum of confidences and the number of right ones, then the Brier sum.
    n_classes
        Side of the matrix.
    """

    sums: sparse.csr_array
    n_classes: int

    @classmethod
    def of(cls, one: Repetition, truth: Places, place: Places, size: Shape) -> PolygonSums:
        """Return the sums of a repetition.

        Parameters
        ----------
        one
            The predictions.
        truth
            Place of the true class of each of its rows among the classes.
        place
            Polygon of each of its rows, numbered from 0.
        size
            Numbers of polygons and of classes.
        """
        n_cells = size.classes**2
        bins = bin_of(one.confidence)
        right = (one.predicted == truth).astype(np.float64)
        ones = np.ones(len(truth))
        columns = [truth * size.classes + one.predicted]
        columns += [n_cells + shift * BINS + bins for shift in range(3)]
        columns += [np.full(len(truth), n_cells + 3 * BINS)]
        values = [ones, ones, one.confidence, right, one.brier]
        entries = (np.concatenate(values), (np.tile(place, 5), np.concatenate(columns)))
        shape = size.polygons, n_cells + 3 * BINS + 1
        return cls(sparse.coo_array(entries, shape=shape).tocsr(), size.classes)

    def scores(self, times: Floats) -> dict[str, Floats]:
        """Return the scores with each polygon taken a number of times.

        Parameters
        ----------
        times
            Shape ``(replicate, polygon)``.

        Returns
        -------
        scores
            By name, shape ``(replicate,)``; ``f1`` of shape ``(replicate, class)``.
        """
        totals = np.asarray(times @ self.sums)
        n_cells = self.n_classes**2
        matrix = totals[:, :n_cells].reshape(-1, self.n_classes, self.n_classes)
        binned = totals[:, n_cells:-1].reshape(-1, 3, BINS)
        n = binned[:, 0].sum(axis=1)
        found = scores(matrix)
        present = matrix.sum(axis=2) > 0
        f1 = np.where(present, found.f_score, np.nan)
        return {
            OVERALL: found.overall_accuracy,
            MACRO_F1: np.where(present, f1, 0).sum(axis=1) / present.sum(axis=1),
            ECE: np.abs(binned[:, 1] - binned[:, 2]).sum(axis=1) / n,
            BRIER: totals[:, -1] / n,
            "f1": f1,
        }


@dataclass(frozen=True)
class Shape:
    """Numbers of polygons and classes."""

    polygons: int
    classes: int


@dataclass(frozen=True, eq=False)
class Resampled:
    """Scores of one entry, means over seeds: as they are, and in each resample.

    Parameters
    ----------
    values
        By name; classes are named by their code.
    replicates
        The same of each resample, shape ``(replicate,)``.
    """

    values: Mapping[str, float]
    replicates: Mapping[str, Floats]

    def figures(self) -> dict[str, Figure]:
        """Return the scores with percentile intervals."""
        return {name: _figure(value, self.replicates[name]) for name, value in self.values.items()}

    def less(self, other: Resampled) -> dict[str, Figure]:
        """Return the differences to another entry, resample by resample."""
        return {
            name: _figure(
                value - other.values[name], self.replicates[name] - other.replicates[name]
            )
            for name, value in self.values.items()
        }


def resampled(samples: LabelledSamples, outcome: Outcome, seed: int = 0) -> Resampled:
    """Return the scores of an outcome; equal samples and seeds draw the same polygons."""
    codes = np.array(sorted(samples.classes))
    held = np.unique(np.concatenate([one.rows for one in outcome.repetitions]))
    polygons = np.unique(samples.polygons[held])
    shape = Shape(len(polygons), len(codes))
    sums_of_seeds = [
        PolygonSums.of(
            one,
            np.searchsorted(codes, samples.codes[one.rows]),
            np.searchsorted(polygons, samples.polygons[one.rows]),
            shape,
        )
        for one in outcome.repetitions
    ]
    rng = np.random.default_rng(derived_seed(seed, "learners bootstrap", samples.name))
    stacks = []
    for _ in range(0, REPLICATES, _AT_ONCE):
        drawn = rng.integers(0, len(polygons), (_AT_ONCE, len(polygons)))
        times = np.stack([np.bincount(one, minlength=len(polygons)) for one in drawn])
        stacks.append(_mean_scores(sums_of_seeds, times.astype(np.float64), codes))
    whole = _mean_scores(sums_of_seeds, np.ones((1, len(polygons))), codes)
    return Resampled(
        {name: float(values[0]) for name, values in whole.items()},
        {name: np.concatenate([stack[name] for stack in stacks]) for name in whole},
    )


def _mean_scores(
    sums_of_seeds: Sequence[PolygonSums], times: Floats, codes: npt.NDArray[np.integer]
) -> dict[str, Floats]:
    """Return scores, means over seeds; classes by code."""
    found = [one.scores(times) for one in sums_of_seeds]
    means = {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}
    f1 = means.pop("f1")
    return means | {str(code): f1[:, number] for number, code in enumerate(codes)}


def bin_of(confidence: Floats) -> npt.NDArray[np.intp]:
    """Return the bin of each confidence, 0 to 1.

    Examples
    --------
    >>> bin_of(np.array([0.0, 0.1, 0.99, 1.0])).tolist()
    [0, 1, 9, 9]
    """
    return np.minimum((confidence * BINS + 1e-9).astype(np.intp), BINS - 1)


def calibration_floor(samples: LabelledSamples, outcome: Outcome) -> float:
    """Return the calibration error that chance alone gives, the mean over seeds.

    As of :func:`~oso_pipeline.validation.calibration.reliability`.
    """
    codes = np.array(sorted(samples.classes))
    floors = [
        reliability(
            Forecasts(
                one.confidence,
                codes[one.predicted] == samples.codes[one.rows],
                samples.polygons[one.rows],
            ),
            seed,
        )["floor"]
        for seed, one in enumerate(outcome.repetitions)
    ]
    return float(np.mean(floors))


def overall_by_part(
    samples: LabelledSamples, outcome: Outcome, parts: npt.NDArray[np.str_]
) -> dict[str, float]:
    """Return the overall accuracy of each part that was left out, means over seeds."""
    codes = np.array(sorted(samples.classes))
    found: dict[str, list[float]] = {}
    for one in outcome.repetitions:
        right = codes[one.predicted] == samples.codes[one.rows]
        own = parts[one.rows]
        for part in np.unique(own):
            found.setdefault(str(part), []).append(float(right[own == part].mean()))
    return {part: float(np.mean(values)) for part, values in found.items()}


def _figure(value: float, replicates: Floats) -> Figure:
    if np.isnan(value):
        return Figure(None)
    defined = replicates[~np.isnan(replicates)]
    if len(defined) < 2 or np.ptp(defined) == 0:  # no spread was seen, which is not none
        return Figure(value)
    low, high = np.quantile(defined, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Figure(value, float(low), float(high))
