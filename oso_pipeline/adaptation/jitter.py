"""Method ``jitter``: a forest that has seen each series a little earlier, later, higher, lower."""

from __future__ import annotations

import numpy as np

from oso_pipeline.adaptation.diagnosis import Diagnosis
from oso_pipeline.adaptation.domains import Domains, Features, Labelled, Trainer
from oso_pipeline.adaptation.methods import Adapted
from oso_pipeline.adaptation.shift_estimate import ShiftPosterior
from oso_pipeline.learners.forest.bagging import Bagging
from oso_pipeline.learners.forest.forest import Forest

NO_SHIFT = ShiftPosterior(np.zeros(1), np.ones(1))
_COPIES, _MOST_COPIED = 4, 100_000


def jitter(domains: Domains, diagnosis: Diagnosis, trainer: Trainer) -> Adapted:
    """Train on moved copies of the past years, about where these are."""
    return Adapted(jittered_forest("jitter", domains.source, NO_SHIFT, trainer))


def jittered_forest(
    purpose: str,
    samples: Labelled,
    shift: ShiftPosterior,
    trainer: Trainer,
    share_of_trees: float = 1.0,
) -> Forest:
    """Train on several copies of all samples; trees draw as many as there are samples."""
    copies = max(1, min(_COPIES, _MOST_COPIED // max(1, len(samples))))
    features = moved_copies(purpose, samples.features, copies, shift, trainer)
    codes = np.tile(samples.codes, copies)
    draws = Bagging(draws=len(samples))
    return trainer.bagged(purpose, features, codes, draws, share_of_trees).forest


def moved_copies(
    purpose: str, features: Features, copies: int, shift: ShiftPosterior, trainer: Trainer
) -> Features:
    """Return copies one after the other, each sample delayed as `shift` allows, and jittered."""
    rng, space = trainer.rng(f"{purpose}/copies"), trainer.space
    levels = space.levels(features)
    moved = np.empty((copies * len(features), features.shape[1]), np.int16)
    for number in range(copies):
        days = rng.choice(shift.days, len(features), p=shift.weight)
        part = slice(number * len(features), (number + 1) * len(features))
        moved[part] = space.jitter(features, rng, trainer.options, levels, days)
    return moved
