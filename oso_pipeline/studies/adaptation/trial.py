"""One setting and one seed: every method learns from the same samples and is judged on the same."""

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
from oso_pipeline.studies.adaptation.setting import Deal, Setting, Shares, deals

Codes = npt.NDArray[np.int32]

BASELINE: MethodName = "none"
"""The method that all others are compared with: the forest of the past years."""
GATED = ("aligned", "student")
"""Methods that are meant to be used with the gate; the others are shown as they are."""


@dataclass(frozen=True)
class Contender:
    """A method as it is compared.

    Parameters
    ----------
    method
        Name of the method.
    anchors
        Whether it is told the perennial labels of the target season.
    """

    method: MethodName
    anchors: bool = True

    @property
    def name(self) -> str:
        """How it is shown; only the student does with labels and without."""
        return UNSUPERVISED if self.method == "student" and not self.anchors else self.method


UNSUPERVISED = "student, no label"
"""Name of the student that is told no label of the target season."""
CONTENDERS = (
    Contender("jitter", anchors=False),
    Contender("aligned", anchors=False),
    Contender("student", anchors=False),
    Contender("student"),
    Contender("cropmix"),
    Contender("cropmix+classifmix"),
)
"""All that are compared with the baseline."""


FOREST = ForestSettings(n_trees=64, min_samples_leaf=1)
"""The forest of all methods, where a study names no other."""


@dataclass(frozen=True)
class Protocol:
    """How methods are compared.

    Parameters
    ----------
    contenders
        Methods beside the baseline, which always takes part.
    learning
        The forest that all of them train.
    options
        Numbers that steer them.
    shares
        How samples are dealt.
    """

    contenders: tuple[Contender, ...] = CONTENDERS
    learning: ForestSettings = FOREST
    options: AdaptationOptions = field(default_factory=AdaptationOptions)
    shares: Shares = field(default_factory=Shares)


@dataclass(frozen=True)
class GateOfRun:
    """What the gate of one run saw, and what it decided.

    Parameters
    ----------
    statistics
        What it looked at; None where there was nothing.
    adapts
        Whether it was on.
    """

    statistics: GateStatistics | None
    adapts: bool

    @classmethod
    def of(cls, record: AdaptationRecord, options: AdaptationOptions) -> GateOfRun:
        """Return what `record` tells; off where there was nothing to look at."""
        statistics = record.gate.statistics
        return cls(statistics, statistics is not None and statistics.decision(options)[0])


@dataclass(frozen=True, eq=False)
class Trial:
    """What the methods of one setting and seed said about the samples that judge.

    Parameters
    ----------
    polygons, truth
        Polygon and class of each sample of the target, part after part.
    predicted
        Class of each of them by name of the contender; adapted whatever the gate says.
    gated
        The same where the gate decides, for the contenders that have one: those of the baseline
        in the parts in which it is off.
    bound
        Class by forests that learnt the labels of the other parts of the target.
    gates
        What the gate looked at in each part, by name of the contender.
    warnings
        What the adaptation of each contender warned of.
    """

    polygons: npt.NDArray[np.int64]
    truth: Codes
    predicted: dict[str, Codes]
    gated: dict[str, Codes]
    bound: Codes
    gates: dict[str, tuple[GateOfRun, ...]]
    warnings: dict[str, tuple[str, ...]]


def run_trial(setting: Setting, protocol: Protocol, seed: int) -> Trial:
    """Train and judge every contender of `protocol`, each part of the target in turn.

    A contender that needs labels of the target is left out where the setting has no perennial
    class. Deterministic: depends on the setting, the protocol and the seed.
    """
    parts = [
        _judged(setting, dealt, protocol, derived_seed(seed, setting.name, number))
        for number, dealt in enumerate(deals(setting, protocol.shares, seed))
    ]
    return Trial(
        np.concatenate([one.polygons for one in parts]),
        np.concatenate([one.truth for one in parts]),
        _joined([one.predicted for one in parts]),
        _joined([one.gated for one in parts]),
        np.concatenate([one.bound for one in parts]),
        {name: sum((one.gates[name] for one in parts), ()) for name in parts[0].gates},
        {name: sum((one.warnings[name] for one in parts), ()) for name in parts[0].warnings},
    )


def _judged(setting: Setting, dealt: Deal, protocol: Protocol, seed: int) -> Trial:
    """Return what the contenders say about one part."""
    features = setting.target.features[dealt.test]
    predicted: dict[str, Codes] = {}
    gated: dict[str, Codes] = {}
    gates: dict[str, tuple[GateOfRun, ...]] = {}
    warnings: dict[str, tuple[str, ...]] = {}
    for contender in fitting(setting, protocol.contenders):
        name = contender.name
        fitted = fit(setting, dealt, contender, protocol, seed)
        predicted[name] = fitted.predict(features)
        warnings[name] = fitted.record_.warnings
        if contender.method in GATED:
            gate = GateOfRun.of(fitted.record_, protocol.options)
            gates[name] = (gate,)
            gated[name] = predicted[name if gate.adapts else BASELINE]
    return Trial(
        setting.target.polygons[dealt.test],
        setting.target.labels[dealt.test],
        predicted,
        gated,
        upper_bound(setting, dealt, protocol, seed).predict(features),
        gates,
        warnings,
    )


def _joined(parts: Sequence[dict[str, Codes]]) -> dict[str, Codes]:
    return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}


def fitting(setting: Setting, contenders: Sequence[Contender]) -> tuple[Contender, ...]:
    """Return the contenders that a setting can be given to, the baseline first."""
    possible = [c for c in contenders if c.method != BASELINE]
    if not setting.perennial:
        possible = [c for c in possible if not c.anchors]
    return (Contender("none"), *possible)


def fit(
    setting: Setting, dealt: Deal, contender: Contender, protocol: Protocol, seed: int
) -> AdaptedForestClassifier:
    """Return the classifier of a contender, fitted without regard to its gate."""
    source, target = setting.source, setting.target
    estimator = AdaptedForestClassifier(
        method=contender.method,
        space=source.space,
        forest=protocol.learning,
        options=protocol.options,
        gate="always",
        random_state=seed,
    )
    known = dealt.anchors if contender.anchors else dealt.anchors[:0]
    return estimator.fit(
        source.features[dealt.source],
        source.labels[dealt.source],
        target=target.features[dealt.unlabelled],
        target_polygons=target.polygons[dealt.unlabelled],
        anchors=target.features[known],
        anchor_labels=target.labels[known],
        anchor_polygons=target.polygons[known],
        polygons=source.polygons[dealt.source],
        perennial_classes=setting.perennial,
    )


def upper_bound(
    setting: Setting, dealt: Deal, protocol: Protocol, seed: int
) -> AdaptedForestClassifier:
    """Return the forest that learns from the samples of the target season with their labels."""
    target, rows = setting.target, dealt.unlabelled
    estimator = AdaptedForestClassifier(
        method=BASELINE, space=target.space, forest=protocol.learning, random_state=seed
    )
    return estimator.fit(target.features[rows], target.labels[rows])
