"""Every method on the same splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.studies.learners.feature_sets import FeatureSet
from oso_pipeline.studies.learners.methods import Method, Predicted
from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.studies.learners.splits import Plan


@dataclass(frozen=True)
class Entry:
    """A method on a set of features.

    Parameters
    ----------
    name
        How it is shown.
    method, features
        What is trained, on what.
    """

    name: str
    method: Method
    features: FeatureSet


def entries_of(methods: Sequence[Method], sets: Sequence[FeatureSet]) -> tuple[Entry, ...]:
    """Return every method on every set; names tell sets apart where there are several."""
    return tuple(
        Entry(f"{method.name}, {one.name}" if len(sets) > 1 else method.name, method, one)
        for one in sets
        for method in methods
    )


@dataclass(frozen=True, eq=False)
class Repetition:
    """Predictions for the held-out samples of one seed.

    Parameters
    ----------
    rows
        The held-out samples, ascending.
    predicted
        Place of the predicted class among all classes, shape ``(row,)``.
    confidence
        Its probability.
    brier
        Sum over classes of the squared difference of probability and truth.
    """

    rows: npt.NDArray[np.intp]
    predicted: npt.NDArray[np.intp]
    confidence: npt.NDArray[np.float64]
    brier: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one entry did under one plan.

    Parameters
    ----------
    repetitions
        One per seed.
    train_seconds, pixel_seconds
        Medians over the splits.
    """

    repetitions: tuple[Repetition, ...]
    train_seconds: float
    pixel_seconds: float


def run_plan(
    samples: LabelledSamples,
    plan: Plan,
    entries: Sequence[Entry],
    done: Callable[[str], object],
) -> Mapping[str, Outcome]:
    """Train and test every entry on each split; `done` gets a line after each entry and seed."""
    outcomes = {}
    for entry in entries:
        own = entry.features.of(samples)
        repetitions, times = [], list[Predicted]()
        for seed, splits in enumerate(plan.repetitions):
            found = []
            for split in splits:
                drawn = derived_seed(seed, plan.name, split.part)
                found.append(
                    entry.method.predict(own.take(split.train), own.take(split.test), drawn)
                )
            rows = np.concatenate([split.test for split in splits])
            repetitions.append(_repetition(samples, rows, found))
            times += found
            done(f"{plan.name}: {entry.name}, seed {seed + 1} of {len(plan.repetitions)}")
        outcomes[entry.name] = Outcome(
            tuple(repetitions),
            median(one.train_seconds for one in times),
            median(one.pixel_seconds for one in times),
        )
    return outcomes


def _repetition(
    samples: LabelledSamples, rows: npt.NDArray[np.intp], found: Sequence[Predicted]
) -> Repetition:
    codes = np.array(sorted(samples.classes), np.int32)
    shares = np.zeros((len(rows), len(codes)))
    start = 0
    for one in found:
        end = start + len(one.probabilities)
        shares[start:end, np.searchsorted(codes, one.classes)] = one.probabilities
        start = end
    order = np.argsort(rows, kind="stable")
    rows, shares = rows[order], shares[order]
    truth = np.searchsorted(codes, samples.codes[rows])
    predicted = shares.argmax(axis=1)
    each = np.arange(len(rows))
    # sum((p - y)^2) = sum(p^2) - 2 p[truth] + 1, without a matrix of truths.
    brier = (shares**2).sum(axis=1) - 2 * shares[each, truth] + 1
    return Repetition(rows, predicted, shares[each, predicted], brier)
