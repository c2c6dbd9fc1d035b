"""Input and output of an adaptation method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from oso_pipeline.adaptation.diagnosis import Diagnosis
from oso_pipeline.adaptation.domains import Codes, Domains, Trainer
from oso_pipeline.learners.forest.forest import Forest


@dataclass(frozen=True, eq=False)
class Adapted:
    """The forest of a method, and what it took.

    Parameters
    ----------
    forest
        Serves the year to be mapped as it is: one forest, one pass.
    agreement
        Share of the target samples on whose class two views agree; None without.
    pseudo_labels
        Target samples that taught, by class.
    without_past
        Perennial classes that are learnt from the target year alone.
    with_past
        Perennial classes with anchors that keep their samples of past years.
    """

    forest: Forest
    agreement: float | None = None
    pseudo_labels: Mapping[int, int] = field(default_factory=dict)
    without_past: tuple[int, ...] = ()
    with_past: tuple[int, ...] = ()


Method = Callable[[Domains, Diagnosis, Trainer], Adapted]


def counts_of(codes: Codes) -> dict[int, int]:
    """Return how often each code occurs, ascending."""
    found, counts = np.unique(codes, return_counts=True)
    return {int(code): int(count) for code, count in zip(found, counts, strict=True)}
