"""Method ``student``: a forest trained on pseudo-labels of the target year, and on past years.

The class that the aligned forest predicts for a sample and its neighbours is a pseudo-label of
the annual classes if a second forest agrees; the perennial classes have labels of the target year.
A first student is trained on them and helps to select the pseudo-labels of the last one. Without
any label of the target year, half of the trees are those of the aligned forest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation.diagnosis import Diagnosis
from oso_pipeline.adaptation.domains import (
    Codes,
    Domains,
    Features,
    Floats,
    Labelled,
    Trainer,
    merged_forest,
    shares_of,
)
from oso_pipeline.adaptation.jitter import jittered_forest, moved_copies
from oso_pipeline.adaptation.methods import Adapted, counts_of
from oso_pipeline.adaptation.neighbourhoods import Neighbourhoods
from oso_pipeline.adaptation.pseudo_labels import PseudoLabels, select_pseudo_labels
from oso_pipeline.learners.forest.bagging import BaggedForest, Bagging
from oso_pipeline.learners.forest.forest import Forest

_COPIES = 2
_MOST_OF_TEACHER, _MOST_REMEMBERED = 50_000, 25_000
"""Samples of past years that teach the teachers and the student: both only evaluate, or are
reminded by, samples of the target year, of which there are fewer."""


def student(domains: Domains, diagnosis: Diagnosis, trainer: Trainer) -> Adapted:
    """Train teacher, second view and students."""
    options = trainer.options
    seen = domains.source.at_most(_MOST_OF_TEACHER, trainer.rng("seen by teachers"))
    teacher = jittered_forest("aligned", seen, diagnosis.shift, trainer)
    alike = Neighbourhoods.of(domains.target, options.pseudo_label_neighbours)
    taught = shares_of(teacher, domains.target)
    view = (
        second_view(seen, domains, diagnosis, trainer) if options.pseudo_label_agreement else None
    )
    chosen = select_pseudo_labels(domains, alike.mean(taught), teacher.classes, view, options)
    enough = well_anchored(domains, options.min_anchor_polygons)
    memory = remembered(domains, enough, diagnosis, trainer)
    for number in range(1, options.student_rounds):
        lesson = Lesson.of(domains, chosen, memory, options.source_weight)
        first = lesson.teach(f"student {number}", trainer, share_of_trees=0.5)
        own = lesson.unseen_shares(first, domains)
        shares = (taught + in_classes(own, first.forest.classes, teacher.classes)) / 2
        view = first.forest.classes[own.argmax(axis=1)] if options.pseudo_label_agreement else None
        chosen = select_pseudo_labels(domains, alike.mean(shares), teacher.classes, view, options)
    lesson = Lesson.of(domains, chosen, memory, options.source_weight)
    known = set(np.unique(domains.anchors.codes).tolist()) & domains.perennial
    return Adapted(
        _last(lesson, domains, diagnosis, trainer),
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
    """Return the perennial classes with enough polygons of the target year."""
    anchors = domains.anchors
    pairs = np.unique(np.stack([anchors.codes, anchors.polygons]), axis=1)
    return {code for code, n in counts_of(pairs[0]).items() if n >= least} & domains.perennial


def remembered(
    domains: Domains, enough: set[int], diagnosis: Diagnosis, trainer: Trainer
) -> tuple[Features, Codes]:
    """Return moved copies of past samples, without classes of enough anchors, and their codes."""
    past = domains.source.where(~np.isin(domains.source.codes, sorted(enough)))
    past = past.at_most(_MOST_REMEMBERED, trainer.rng("remembered by the student"))
    moved = moved_copies("student", past.features, _COPIES, diagnosis.shift, trainer)
    return moved, np.tile(past.codes, _COPIES)


@dataclass(frozen=True, eq=False)
class Lesson:
    """Training data of a student.

    Parameters
    ----------
    features, codes, weights
        Of past samples, pseudo-labels and anchors, in this order.
    pseudo
        Rows of the pseudo-labels in the lesson.
    targets
        Rows of the same samples among those of the target.
    """

    features: Features
    codes: Codes
    weights: Floats
    pseudo: npt.NDArray[np.intp]
    targets: npt.NDArray[np.intp]

    @classmethod
    def of(
        cls,
        domains: Domains,
        chosen: PseudoLabels,
        memory: tuple[Features, Codes],
        weight_of_past: float,
    ) -> Lesson:
        """Put a lesson together; all past samples weigh `weight_of_past` of all pseudo-labels."""
        moved, codes = memory
        targets, anchors = np.flatnonzero(chosen.kept), domains.anchors
        weight = weight_of_past * max(len(targets), 1) / max(len(moved), 1)
        ones = np.ones(len(targets) + len(anchors))
        return cls(
            np.concatenate([moved, domains.target[targets], anchors.features]),
            np.concatenate([codes, chosen.codes[targets], anchors.codes]),
            np.concatenate([np.full(len(moved), weight), ones]),
            np.arange(len(moved), len(moved) + len(targets)),
            targets,
        )

    def teach(self, purpose: str, trainer: Trainer, share_of_trees: float) -> BaggedForest:
        """Train a forest on the lesson."""
        bagging = Bagging(self.weights)
        return trainer.bagged(purpose, self.features, self.codes, bagging, share_of_trees)

    def unseen_shares(self, taught: BaggedForest, domains: Domains) -> Floats:
        """Return what a student says of the target samples, of each by trees that have not seen it.

        Trees that learnt a pseudo-label repeat it and would only confirm it.
        """
        shares = shares_of(taught.forest, domains.target)
        unseen = taught.out_of_bag_shares(self.features, self.pseudo)
        evaluated = ~np.isnan(unseen[:, 0])
        shares[self.targets[evaluated]] = unseen[evaluated]
        return shares


def in_classes(shares: Floats, classes: Codes, wanted: Codes) -> Floats:
    """Return shares by the classes that are wanted; 0 where they are not among `classes`."""
    found = np.zeros((len(shares), len(wanted)))
    common = np.isin(classes, wanted)
    found[:, np.searchsorted(wanted, classes[common])] = shares[:, common]
    return found


def _last(lesson: Lesson, domains: Domains, diagnosis: Diagnosis, trainer: Trainer) -> Forest:
    """Return the forest to map with."""
    if len(domains.anchors):
        return lesson.teach("student", trainer, share_of_trees=1.0).forest
    aligned = jittered_forest(
        "aligned half", domains.source, diagnosis.shift, trainer, share_of_trees=0.5
    )
    return merged_forest([lesson.teach("student", trainer, share_of_trees=0.5).forest, aligned])
