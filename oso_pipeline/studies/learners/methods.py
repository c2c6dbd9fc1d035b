"""What is compared: learners with their settings, each on a set of features."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, ValidationError

from oso_pipeline.config.findings import section_findings
from oso_pipeline.config.learning import DEFAULT_KIND, AnyLearner, LearnerSettings
from oso_pipeline.config.nodes import Node, parse_yaml
from oso_pipeline.config.section import Section
from oso_pipeline.core.errors import ConfigError, Problems
from oso_pipeline.core.plugins import plugin_of
from oso_pipeline.learners.protocol import Classifier, TrainingData
from oso_pipeline.learners.registry import learner_of
from oso_pipeline.studies.learners.samples import LabelledSamples

_TIMED_PIXELS = 4096
"""Pixels that the time of one is measured on: held-out samples, repeated where there are fewer."""
_HINT = "write NAME, or 'NAME: {kind: forest, min_samples_leaf: 1}' with the keys of learning"


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a method says about held-out samples, and what that took.

    Parameters
    ----------
    classes
        Codes of the columns, ascending, shape ``(class,)``.
    probabilities
        Shape ``(sample, class)``.
    train_seconds
        Wall time of the training.
    pixel_seconds
        Time to classify a pixel on one core, from features on.
    """

    classes: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.floating]
    train_seconds: float
    pixel_seconds: float


class Method(Protocol):
    """Anything that learns from samples and predicts others."""

    @property
    def name(self) -> str:
        """How it is shown."""
        ...

    def predict(self, train: LabelledSamples, test: LabelledSamples, seed: int) -> Predicted:
        """Learn from `train` and return the probabilities of `test`, which it has not seen."""
        ...


@dataclass(frozen=True)
class LearnerMethod:
    """A learner of the package or of a plug-in.

    Parameters
    ----------
    name
        How it is shown.
    settings
        Section ``learning`` of its kind.
    threads
        Threads of the training.
    """

    name: str
    settings: LearnerSettings
    threads: int = 1

    def predict(self, train: LabelledSamples, test: LabelledSamples, seed: int) -> Predicted:
        """Train a classifier of `train` and apply it to `test`."""
        learner = learner_of(self.settings.kind)
        data = TrainingData(train.features, train.codes, train.layout, groups=train.polygons)
        started = time.perf_counter()
        made = learner.fit(data, self.settings, seed, self.threads)
        train_seconds = time.perf_counter() - started
        late = self.settings.model_dump(mode="json", include=set(learner.late_settings))
        classifier = made.with_settings(late)
        features = np.ascontiguousarray(test.features.T)
        return Predicted(
            classifier.classes,
            classifier.probabilities(features).T,
            train_seconds,
            _pixel_seconds(classifier, features),
        )


def _pixel_seconds(classifier: Classifier, features: npt.NDArray[np.int16]) -> float:
    """Return the shorter of two times to classify a pixel; code is compiled in the first."""
    several = np.resize(np.arange(features.shape[1]), _TIMED_PIXELS)
    block = np.ascontiguousarray(features[:, several])
    validity = np.ones(_TIMED_PIXELS, np.uint16)
    times = []
    for _ in range(2):
        started = time.perf_counter()
        classifier.classify(block, validity)
        times.append(time.perf_counter() - started)
    return min(times) / _TIMED_PIXELS


class _Section(Section):
    """Holds the section of one learner."""

    model_config = ConfigDict(defer_build=True)

    learning: AnyLearner


def settings_of(content: Mapping[str, Any], name: str) -> LearnerSettings:
    """Return the settings that the keys of section ``learning`` give.

    Raises
    ------
    ConfigError
        If the kind is not installed (``E-PLUGIN-KIND``), or a key or value does not fit
        (``E-CONFIG-KEY``, ``E-CONFIG-VALUE``).
    """
    kind = content.get("kind", DEFAULT_KIND)
    plugin_of("learners", str(kind))
    problems = Problems()
    try:
        return _Section.model_validate({"learning": {**content, "kind": kind}}).learning
    except ValidationError as error:
        text, where = json.dumps({"learning": dict(content)}, default=str), f"learner {name}"
        tree = parse_yaml(text, where, Path.cwd(), problems) or Node({}, where, Path.cwd())
        problems.extend(section_findings(error, tree, "docs/config.md lists the keys of learning"))
    raise ConfigError(*problems)


def learners_of(texts: Sequence[str]) -> dict[str, LearnerSettings]:
    """Return the learners that the command line names.

    Parameters
    ----------
    texts
        Each a kind, or ``NAME: {kind: KIND, key: value}``; forest where no kind is named.

    Raises
    ------
    ConfigError
        With everything that is wrong: no YAML (``E-CONFIG-YAML``), a name twice
        (``E-LEARNERS-NAME``), or as :func:`settings_of`.
    """
    problems, found = Problems(), dict[str, LearnerSettings]()
    for text in texts:
        node = parse_yaml(text, "--learner", Path.cwd(), problems)
        if node is None:
            continue
        plain = node.plain()
        entries = {plain: {"kind": plain}} if isinstance(plain, str) else plain
        if not isinstance(entries, dict) or not all(
            isinstance(value, dict) for value in entries.values()
        ):
            problems.error("E-LEARNERS-NAME", f"found the learner {text!r}", "--learner", _HINT)
            continue
        for name, content in entries.items():
            if name in found:
                problems.error("E-LEARNERS-NAME", f"two learners are named {name}", None, _HINT)
                continue
            try:
                found[str(name)] = settings_of(content, str(name))
            except ConfigError as error:
                problems.extend(error.problems)
    problems.raise_errors(ConfigError)
    return found
