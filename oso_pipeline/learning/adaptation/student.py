"""Method ``student``: a forest taught by the target year, with the past years as a memory.

Predictions of the aligned forest on which a second forest agrees are labels of the annual
classes; the perennial classes have labels of the target year. Without any label of the target
year, half of the trees are those of the aligned forest.
"""

from __future__ import annotations

import numpy as np

from oso_pipeline.learning.adaptation.diagnosis import Diagnosis
from oso_pipeline.learning.adaptation.domains import (
    Codes,
    Domains,
    Labelled,
    Trainer,
    joined,
    shares_of,
)
from oso_pipeline.learning.adaptation.jitter import jittered_forest, moved_copies
from oso_pipeline.learning.adaptation.methods import Adapted, counts_of
from oso_pipeline.learning.adaptation.pseudo_labels import PseudoLabels, select_pseudo_labels
from oso_pipeline.learning.bagging import Bagging
from oso_pipeline.learning.forest import Forest

_COPIES = 2
_MOST_OF_TEACHER, _MOST_REMEMBERED = 50_000, 25_000
"""Samples of past years that teach the teachers and the student: both only judge, or are
reminded by, samples of the target year, of which there are fewer."""


def student(domains: Domains, diagnosis: Diagnosis, trainer: Trainer) -> Adapted:
    """Train teacher, second view and student."""
    seen = domains.source.at_most(_MOST_OF_TEACHER, trainer.rng("seen by teachers"))
    teacher = jittered_forest("aligned", seen, diagnosis.shift, trainer)
    chosen = select_pseudo_labels(
        domains,
        shares_of(teacher, domains.target),
        teacher.classes,
        second_view(seen, domains, diagnosis, trainer)
        if trainer.options.pseudo_label_agreement
        else None,
        trainer.options,
    )
    enough = well_anchored(domains, trainer.options.min_anchor_polygons)
    supervised = len(domains.anchors) > 0
    forest = teach(domains, chosen, enough, diagnosis, trainer)
    if not supervised:
        forest = joined(
            [
                forest,
                jittered_forest(
                    "aligned half", domains.source, diagnosis.shift, trainer, share_of_trees=0.5
                ),
            ]
        )
    known = set(np.unique(domains.anchors.codes).tolist()) & domains.perennial
    return Adapted(
        forest,
        chosen.agreement,
        counts_of(chosen.codes[chosen.kept]),
        tuple(sorted(enough)),
        tuple(sorted(known - enough)),
    )


def second_view(seen: Labelled, domains: Domains, diagnosis: Diagnosis, trainer: Trainer) -> Codes:
    """Return the classes that a forest without jitter sees, moved by the mean shift alone."""
    moved = trainer.space.shift(seen.features, diagnosis.shift.mean)
    forest = trainer.bagged("second view", moved, seen.codes).forest
    return forest.classes[shares_of(forest, domains.target).argmax(axis=1)]


def well_anchored(domains: Domains, least: int) -> set[int]:
    """Return the perennial classes with at least so many polygons of the target year."""
    anchors = domains.anchors
    pairs = np.unique(np.stack([anchors.codes, anchors.polygons]), axis=1)
    return {code for code, n in counts_of(pairs[0]).items() if n >= least} & domains.perennial


def teach(
    domains: Domains,
    chosen: PseudoLabels,
    enough: set[int],
    diagnosis: Diagnosis,
    trainer: Trainer,
) -> Forest:
    """Train on pseudo-labels and anchors of the target year and the moved past years."""
    past = domains.source.where(~np.isin(domains.source.codes, sorted(enough)))
    past = past.at_most(_MOST_REMEMBERED, trainer.rng("remembered by the student"))
    moved = moved_copies("student", past.features, _COPIES, diagnosis.shift, trainer)
    n_pseudo = int(chosen.kept.sum())
    weight_of_past = trainer.options.source_weight * max(n_pseudo, 1) / max(len(moved), 1)
    features = np.concatenate([moved, domains.target[chosen.kept], domains.anchors.features])
    codes = np.concatenate(
        [np.tile(past.codes, _COPIES), chosen.codes[chosen.kept], domains.anchors.codes]
    )
    weights = np.concatenate(
        [np.full(len(moved), weight_of_past), np.ones(n_pseudo + len(domains.anchors))]
    )
    share = 1.0 if len(domains.anchors) else 0.5
    return trainer.bagged("student", features, codes, Bagging(weights), share).forest


def no_anchors(n_features: int) -> Labelled:
    """Return an empty set of anchors."""
    return Labelled(
        np.empty((0, n_features), np.int16), np.empty(0, np.int32), np.empty(0, np.int64)
    )
