"""Results of a comparison of learners as values and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.studies.learners.scores import (
    Figure,
    calibration_floor,
    overall_by_part,
    resampled,
)
from oso_pipeline.studies.learners.splits import Plan, columns_of
from oso_pipeline.studies.learners.trial import Entry, run_plan


@dataclass(frozen=True)
class EntrySummary:
    """Scores of one entry under one plan; shares, not percent.

    Parameters
    ----------
    name
        Of the entry.
    scores
        ``overall``, ``macro_f1``, ``ece``, ``brier``, and the F-score of each class by its code.
    gains
        Differences to the first entry, paired; empty for the first.
    ece_floor
        Calibration error that chance alone gives.
    parts
        Overall accuracy of each region or year that was left out.
    train_seconds, pixel_us
        Median time of a training, and microseconds per pixel on one core from features on.
    """

    name: str
    scores: Mapping[str, Figure]
    gains: Mapping[str, Figure]
    ece_floor: float
    parts: Mapping[str, float]
    train_seconds: float
    pixel_us: float


@dataclass(frozen=True)
class PlanSummary:
    """All entries under one way to hold samples out.

    Parameters
    ----------
    name
        Of the plan.
    n_samples, n_polygons
        Held-out samples and their polygons.
    entries
        The first is what the others are compared with.
    """

    name: str
    n_samples: int
    n_polygons: int
    entries: tuple[EntrySummary, ...]

    def entry(self, name: str) -> EntrySummary:
        """Return the entry of a name; KeyError where there is none."""
        found = {one.name: one for one in self.entries}
        return found[name]


@dataclass(frozen=True)
class LearnerComparison:
    """Comparison of learners on one set of samples.

    Parameters
    ----------
    name
        Of the samples.
    classes
        Names of the classes by code.
    polygons
        Number of polygons of each class by code.
    seeds, threads
        Repetitions, and threads of a training.
    plans
        One summary for each way to hold samples out.
    warnings
        What the reader should know.
    files
        Written files.
    """

    name: str
    classes: Mapping[int, str]
    polygons: Mapping[int, int]
    seeds: int
    threads: int
    plans: tuple[PlanSummary, ...]
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the content as JSON types."""
        content = asdict(self)
        del content["files"]
        for name in ("classes", "polygons"):
            content[name] = {str(code): value for code, value in content[name].items()}
        return content


def compared(
    samples: LabelledSamples,
    plan: Plan,
    entries: Sequence[Entry],
    done: Callable[[str], object],
) -> PlanSummary:
    """Run every entry under a plan and return the scores; the first is the baseline."""
    outcomes = run_plan(samples, plan, entries, done)
    held = np.unique(np.concatenate([split.test for split in plan.repetitions[0]]))
    column = plan.name.partition(" left out")[0]
    parts = columns_of(samples)[column] if plan.by_column else None
    baseline, found = None, []
    for name, outcome in outcomes.items():
        own = resampled(samples, outcome)
        found.append(
            EntrySummary(
                name,
                own.figures(),
                {} if baseline is None else own.less(baseline),
                calibration_floor(samples, outcome),
                {} if parts is None else overall_by_part(samples, outcome, parts),
                outcome.train_seconds,
                1e6 * outcome.pixel_seconds,
            )
        )
        baseline = baseline or own
    return PlanSummary(plan.name, len(held), len(np.unique(samples.polygons[held])), tuple(found))
