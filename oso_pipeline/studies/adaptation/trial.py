"""One setting and one seed: all methods are trained and evaluated on the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation import (
    AdaptationOptions,
    AdaptationRecord,
    AdaptedForestClassifier,
)
from oso_pipeline.adaptation.estimator import MethodName
from oso_pipeline.adaptation.gate import GateStatistics
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.studies.adaptation.setting import SampleSplit, Setting, Shares, sample_splits

Codes = npt.NDArray[np.int32]

BASELINE: MethodName = "none"
"""The method that all others are compared with: the forest of the past years."""
GATED = ("aligned", "student")
"""Methods that are meant to be used with the gate; the others are shown as they are."""


@dataclass(frozen=True)
class ComparedMethod:
    """A method of the comparison.

    Parameters
    ----------
    method
        Name of the method.
    anchors
        Whether it gets the perennial labels of the target season.
    """

    method: MethodName
    anchors: bool = True

    @property
    def name(self) -> str:
        """Displayed name; the student is compared with and without labels."""
        return UNSUPERVISED if self.method == "student" and not self.anchors else self.method


UNSUPERVISED = "student, no label"
"""Displayed name of the student without labels of the target season."""
METHODS = (
    ComparedMethod("jitter", anchors=False),
    ComparedMethod("aligned", anchors=False),
    ComparedMethod("student", anchors=False),
    ComparedMethod("student"),
    ComparedMethod("cropmix"),
    ComparedMethod("cropmix+classifmix"),
)
"""All methods that are compared with the baseline."""


FOREST = ForestSettings(n_trees=64, min_samples_leaf=1)
"""The forest of all methods, unless a study names another one."""


@dataclass(frozen=True)
class Protocol:
    """How methods are compared.

    Parameters
    ----------
    methods
        Methods beside the baseline, which always takes part.
    learning
        The forest that all of them train.
    options
        Parameters of the methods.
    shares
        How samples are split.
    """

    methods: tuple[ComparedMethod, ...] = METHODS
    learning: ForestSettings = FOREST
    options: AdaptationOptions = field(default_factory=AdaptationOptions)
    shares: Shares = field(default_factory=Shares)


@dataclass(frozen=True)
class GateOfRun:
    """Statistics and decision of the gate in one run.

    Parameters
    ----------
    statistics
        Statistics of the gate; None if there were none.
    adapts
        Whether the gate was on.
    """

    statistics: GateStatistics | None
    adapts: bool

    @classmethod
    def of(cls, record: AdaptationRecord, options: AdaptationOptions) -> GateOfRun:
        """Return the gate in `record`; off if it has no statistics."""
        statistics = record.gate.statistics
        return cls(statistics, statistics is not None and statistics.decision(options)[0])


@dataclass(frozen=True, eq=False)
class Trial:
    """Predictions of all methods for the test samples of one setting and seed.

    Parameters
    ----------
    polygons, truth
        Polygon and class of each sample of the target, part after part.
    predicted
        Class of each of them by name of the method; adapted even if the gate is off.
    gated
        The same with the gate, for the methods that have one: predictions of the baseline in the
        parts in which the gate is off.
    bound
        Class by forests trained on the labels of the other parts of the target.
    gates
        Gate of each part, by name of the method.
    warnings
        Warnings of the adaptation, by name of the method.
    """

    polygons: npt.NDArray[np.int64]
    truth: Codes
    predicted: dict[str, Codes]
    gated: dict[str, Codes]
    bound: Codes
    gates: dict[str, tuple[GateOfRun, ...]]
    warnings: dict[str, tuple[str, ...]]


def run_trial(setting: Setting, protocol: Protocol, seed: int) -> Trial:
    """Train and evaluate every method of `protocol` on each part of the target in turn.

    A method that needs labels of the target is left out if the setting has no perennial
    class. Deterministic: depends on the setting, the protocol and the seed.
    """
    parts = [
        _evaluated(setting, split, protocol, derived_seed(seed, setting.name, number))
        for number, split in enumerate(sample_splits(setting, protocol.shares, seed))
    ]
    return Trial(
        np.concatenate([one.polygons for one in parts]),
        np.concatenate([one.truth for one in parts]),
        _concatenated([one.predicted for one in parts]),
        _concatenated([one.gated for one in parts]),
        np.concatenate([one.bound for one in parts]),
        {name: sum((one.gates[name] for one in parts), ()) for name in parts[0].gates},
        {name: sum((one.warnings[name] for one in parts), ()) for name in parts[0].warnings},
    )


def _evaluated(setting: Setting, split: SampleSplit, protocol: Protocol, seed: int) -> Trial:
    """Return the predictions of the methods for one part."""
    features = setting.target.features[split.test]
    predicted: dict[str, Codes] = {}
    gated: dict[str, Codes] = {}
    gates: dict[str, tuple[GateOfRun, ...]] = {}
    warnings: dict[str, tuple[str, ...]] = {}
    for method in fitting(setting, protocol.methods):
        name = method.name
        fitted = fit(setting, split, method, protocol, seed)
        predicted[name] = fitted.predict(features)
        warnings[name] = fitted.record_.warnings
        if method.method in GATED:
            gate = GateOfRun.of(fitted.record_, protocol.options)
            gates[name] = (gate,)
            gated[name] = predicted[name if gate.adapts else BASELINE]
    return Trial(
        setting.target.polygons[split.test],
        setting.target.labels[split.test],
        predicted,
        gated,
        upper_bound(setting, split, protocol, seed).predict(features),
        gates,
        warnings,
    )


def _concatenated(parts: Sequence[dict[str, Codes]]) -> dict[str, Codes]:
    return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}


def fitting(setting: Setting, methods: Sequence[ComparedMethod]) -> tuple[ComparedMethod, ...]:
    """Return the methods that can run on a setting, the baseline first."""
    possible = [c for c in methods if c.method != BASELINE]
    if not setting.perennial:
        possible = [c for c in possible if not c.anchors]
    return (ComparedMethod("none"), *possible)


def fit(
    setting: Setting, split: SampleSplit, method: ComparedMethod, protocol: Protocol, seed: int
) -> AdaptedForestClassifier:
    """Return the classifier of a method, fitted with the gate always on."""
    source, target = setting.source, setting.target
    estimator = AdaptedForestClassifier(
        method=method.method,
        space=source.space,
        forest=protocol.learning,
        options=protocol.options,
        gate="always",
        random_state=seed,
    )
    known = split.anchors if method.anchors else split.anchors[:0]
    return estimator.fit(
        source.features[split.source],
        source.labels[split.source],
        target=target.features[split.unlabelled],
        target_polygons=target.polygons[split.unlabelled],
        anchors=target.features[known],
        anchor_labels=target.labels[known],
        anchor_polygons=target.polygons[known],
        polygons=source.polygons[split.source],
        perennial_classes=setting.perennial,
    )


def upper_bound(
    setting: Setting, split: SampleSplit, protocol: Protocol, seed: int
) -> AdaptedForestClassifier:
    """Return the forest trained on the samples of the target season with their labels."""
    target, rows = setting.target, split.unlabelled
    estimator = AdaptedForestClassifier(
        method=BASELINE, space=target.space, forest=protocol.learning, random_state=seed
    )
    return estimator.fit(target.features[rows], target.labels[rows])
