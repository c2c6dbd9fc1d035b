"""The learners that are installed, by kind."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from inspect import get_annotations
from typing import Any

from oso_pipeline.config.learning import OF_NO_LEARNER, LearnerSettings
from oso_pipeline.core.errors import ConfigError, Problem
from oso_pipeline.core.plugins import plugin_of
from oso_pipeline.learners.protocol import BlockClassifier, Classifier, Learner

_OF_LEARNER = (
    "kind",
    "classifier",
    "late_settings",
    "fit",
    "training_need",
    "classifying_need",
    "software",
)
_OF_CLASSIFIER = (
    "kind",
    "confidence",
    "classes",
    "facts",
    "probabilities",
    "classify",
    "with_settings",
    "arrays",
    "from_arrays",
)

_DECLARED = ("kind", "classes", "probabilities", "arrays", "from_arrays")
"""Members of a classifier that the protocol only declares; it brings the others."""

_EXTRAS = {"torch": "deep"}
"""The extra of this package that brings a distribution."""


@cache
def learner_of(kind: str) -> Learner:
    """Return the learner of a kind.

    Raises
    ------
    ConfigError
        If it is not installed (``E-PLUGIN-KIND``), cannot be imported (``E-PLUGIN-LOAD``), or
        lacks a member of the protocol (``E-PLUGIN-FAULT``).
    """
    plugin = plugin_of("learners", kind)
    learner = plugin.load()
    if faults := _faults(kind, learner):
        raise ConfigError(
            Problem(
                "E-PLUGIN-FAULT",
                f"the learner {kind!r} cannot be used: {'; '.join(faults)}",
                plugin.member,
                "fix the package that offers it; see docs/write_your_own_learner.md",
            )
        )
    return learner


def model_settings(settings: LearnerSettings) -> dict[str, Any]:
    """Return the settings that make a model, as JSON values; without `kind`, which is beside."""
    late = learner_of(settings.kind).late_settings
    return settings.model_dump(mode="json", exclude={"kind", *OF_NO_LEARNER, *late})


def late_settings(settings: LearnerSettings) -> dict[str, Any]:
    """Return the settings that only count when a model is used, as JSON values."""
    late = learner_of(settings.kind).late_settings
    return settings.model_dump(mode="json", include=set(late))


def missing_software(settings: LearnerSettings) -> tuple[Problem, ...]:
    """Return an error for each distribution that training needs and that is not installed."""
    return tuple(
        Problem(
            "E-LEARNER-EXTRA",
            f"learning.kind {settings.kind} trains with the package {name}, which is not installed",
            None,
            f"pip install 'oso_pipeline[{_EXTRAS[name]}]', or take trained models: learning.model"
            if name in _EXTRAS
            else f"install {name}, or take trained models: learning.model",
        )
        for name in learner_of(settings.kind).software(settings)
        if not _is_installed(name)
    )


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _faults(kind: str, learner: Any) -> list[str]:
    """Return the missing members of a learner, by name; conformance tests check the rest."""
    lacks = [name for name in _OF_LEARNER if not hasattr(learner, name)]
    if lacks:
        return [f"it lacks {', '.join(lacks)}"]
    made: type[Classifier] = learner.classifier
    faults = []
    if missing := [name for name in _OF_CLASSIFIER if _is_missing(made, name)]:
        faults.append(f"its classifier lacks {', '.join(missing)}")
    for what, found in (("it", learner.kind), ("its classifier", getattr(made, "kind", kind))):
        if found != kind:
            faults.append(f"{what} says that its kind is {found!r}")
    return faults


def _is_missing(made: type[Classifier], name: str) -> bool:
    """Return whether a class lacks a member, or has inherited only the declaration of it."""
    for base in made.__mro__:
        if base in (Classifier, BlockClassifier):
            return name in _DECLARED
        if name in base.__dict__ or name in get_annotations(base):
            return False
    return True
