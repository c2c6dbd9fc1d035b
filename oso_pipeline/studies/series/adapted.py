"""Classifiers of series that learn from past years and are made to serve another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation import AdaptationOptions, AdaptationRecord, SeriesSpace
from oso_pipeline.config.learning import LearnerSettings, adaptable_kinds
from oso_pipeline.learners.forest.classifier import ForestClassifier
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.protocol import TrainingData
from oso_pipeline.studies.series.faults import listed, refuse
from oso_pipeline.studies.series.features import FeatureSpace
from oso_pipeline.studies.series.inputs import series_of, steering_of
from oso_pipeline.studies.series.labels import (
    Labels,
    Legend,
    group_names,
    numbered,
    partly_labelled,
)
from oso_pipeline.studies.series.series import Series

if TYPE_CHECKING:
    from oso_pipeline.studies.series.classifier import SeriesClassifier


@dataclass(frozen=True, eq=False)
class Target:
    """Samples of the year that is to be mapped.

    Parameters
    ----------
    features
        int16, shape ``(sample, feature)``.
    labels
        Label of each, where it is known.
    known
        Which labels are known, shape ``(sample,)``.
    groups
        Polygon of each; None where none is known.
    """

    features: npt.NDArray[np.int16]
    labels: Labels
    known: npt.NDArray[np.bool_]
    groups: Labels | None

    @classmethod
    def of(cls, space: FeatureSpace, series: Series, labels: Any, groups: Any) -> Target:
        """Return the observed samples of a target."""
        features, validity = space.features(series)
        given, known = partly_labelled(labels, len(series))
        names = None if groups is None else group_names(groups, len(series), "groups of the target")
        seen = validity > 0
        return cls(
            np.ascontiguousarray(features.T[seen]),
            given[seen],
            known[seen],
            None if names is None else names[seen],
        )

    def known_labels(self, like: Labels) -> Labels:
        """Return the labels that are known, numbers of the type of those of past years."""
        known = self.labels[self.known].tolist()
        return np.array(known, like.dtype if like.dtype.kind in "iu" or not known else None)


def target_of(
    model: SeriesClassifier, space: FeatureSpace, X: Any, labels: Any, groups: Any
) -> Target | None:
    """Return the year that is to be mapped; None where nothing is to be adapted.

    Raises
    ------
    InputDataError
        If a method needs it and there is none (``E-SERIES-TARGET``).
    """
    if model.method == "none":
        return None
    if X is None:
        refuse(
            "E-SERIES-TARGET",
            f"method {model.method!r} needs series of the year that is to be mapped",
            "give them as `target`, or set method='none'",
        )
    return Target.of(space, series_of(model, X), labels, groups)


def adapted_classifier(
    data: TrainingData,
    groups: Labels,
    target: Target,
    legend: Legend,
    model: SeriesClassifier,
    settings: LearnerSettings,
) -> tuple[ForestClassifier, AdaptationRecord]:
    """Return the forest of past years made to serve the target, and what was done.

    Raises
    ------
    InputDataError
        If the learner cannot adapt, or a method, gate or option is unknown
        (``E-SERIES-METHOD``).
    """
    from oso_pipeline.adaptation import AdaptedForestClassifier

    if not isinstance(settings, ForestSettings):
        refuse(
            "E-SERIES-METHOD",
            f"learner {settings.kind!r} cannot learn from past years; those that can: "
            f"{listed(adaptable_kinds())}",
            "choose another learner, or set method='none'",
        )
    known = target.known_labels(legend.labels)
    names = [groups] if target.groups is None else [groups, target.groups]
    polygons = numbered(*names)
    of_target = polygons[1] if target.groups is not None else None
    steering = steering_of(model)
    perennial = legend.known(steering.pop("perennial_classes", ()))
    try:
        made = AdaptedForestClassifier(
            method=model.method,  # type: ignore[arg-type]
            space=SeriesSpace.of(data.layout),
            forest=settings,
            gate=steering.pop("gate", "auto"),
            options=AdaptationOptions(**steering),
            random_state=model.seed_,
            n_jobs=model.n_jobs or 1,
        ).fit(
            data.features,
            data.codes,
            polygons=polygons[0],
            target=target.features,
            target_polygons=of_target,
            anchors=target.features[target.known],
            anchor_labels=legend.encoded(known),
            anchor_polygons=None if of_target is None else of_target[target.known],
            perennial_classes=perennial,
        )
    except (ValueError, TypeError) as error:
        refuse("E-SERIES-METHOD", f"adaptation: {error}", "see docs/adaptation.md")
    return ForestClassifier(made.forest_, settings.vote), made.record_
