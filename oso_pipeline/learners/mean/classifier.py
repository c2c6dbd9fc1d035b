"""The mean of classifiers as a classifier."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.errors import ConfigError
from oso_pipeline.learners.mean.settings import KIND
from oso_pipeline.learners.protocol import Arrays, Classifier
from oso_pipeline.learners.registry import learner_of
from oso_pipeline.timeseries.feature_layout import FeatureLayout

_MEMBERS = "members"
"""Array of the kinds and late settings of the members: JSON in UTF-8."""


@dataclass(frozen=True, eq=False)
class MemberClassifier:
    """A classifier of the mean, and the settings that count when it is used.

    Parameters
    ----------
    classifier
        With these settings.
    late
        Those that :attr:`~oso_pipeline.learners.protocol.Learner.late_settings` names.
    """

    classifier: Classifier
    late: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class MeanClassifier(Classifier):
    """Classifiers whose probabilities are averaged.

    Parameters
    ----------
    members
        At least one, all of the same classes.
    weights
        Positive, of each member; None weighs all alike.

    Raises
    ------
    ValueError
        If there is no member, their classes differ, or weights do not fit.
    """

    kind: ClassVar[str] = KIND
    confidence: ClassVar[str] = "mean over the learners of their probabilities of the class"

    members: tuple[MemberClassifier, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.members:
            raise ValueError("a mean needs a member")
        if any(not np.array_equal(one.classifier.classes, self.classes) for one in self.members):
            raise ValueError("the members of a mean know different classes")
        if self.weights is not None and (
            len(self.weights) != len(self.members)
            or not all(np.isfinite(one) and one > 0 for one in self.weights)
        ):
            raise ValueError(f"{self.weights} are not weights of {len(self.members)} members")

    @property
    def classes(self) -> npt.NDArray[np.int32]:
        """Codes of the classes, ascending."""
        return self.members[0].classifier.classes

    @property
    def facts(self) -> Mapping[str, int | float | str]:
        """Facts of the members, each with its number and kind before it."""
        return {
            f"{number} {one.classifier.kind} {name}": value
            for number, one in enumerate(self.members, 1)
            for name, value in one.classifier.facts.items()
        }

    def arrays(self) -> Arrays:
        """Return the arrays of each member with its number before them, and what they are of."""
        listed = [{"kind": one.classifier.kind, "late": dict(one.late)} for one in self.members]
        text = json.dumps(listed, sort_keys=True).encode()
        arrays = {_MEMBERS: np.frombuffer(text, np.uint8)}
        for number, one in enumerate(self.members):
            own = one.classifier.arrays().items()
            arrays |= {_prefix(number) + name: array for name, array in own}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays, layout: FeatureLayout) -> Self:
        """Return the mean of the members that have these arrays, all with equal weights.

        Raises
        ------
        ValueError
            If the array of the members is missing or cannot be read, a learner is not installed,
            or the arrays of a member are unsound.
        """
        members = []
        for number, (kind, late) in enumerate(_listed(arrays)):
            prefix = _prefix(number)
            own = {
                name.removeprefix(prefix): array
                for name, array in arrays.items()
                if name.startswith(prefix)
            }
            try:
                made = learner_of(kind).classifier.from_arrays(own, layout).with_settings(late)
            except ConfigError as error:
                raise ValueError(f"member {number + 1}: {error.problems[0].message}") from None
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"member {number + 1}: {error}") from None
            members.append(MemberClassifier(made, late))
        return cls(tuple(members))

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """Return the mean with the weights that `settings` name."""
        weights = settings["weights"]
        return replace(self, weights=None if weights is None else tuple(weights))

    def probabilities(self, features: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
        """Return the weighted mean over the members, float64, shape ``(class, pixel)``."""
        weights = self.weights or (1.0,) * len(self.members)
        total = weights[0] * self.members[0].classifier.probabilities(features)
        for weight, one in zip(weights[1:], self.members[1:], strict=True):
            total += weight * one.classifier.probabilities(features)
        total /= sum(weights)
        return total


def _prefix(number: int) -> str:
    return f"{number}_"


def _listed(arrays: Arrays) -> list[tuple[str, dict[str, Any]]]:
    """Return kind and late settings of each member."""
    found = arrays.get(_MEMBERS)
    if found is None or found.dtype != np.uint8 or found.ndim != 1:
        raise ValueError("the mean lacks the list of its members")
    try:
        content = json.loads(found.tobytes().decode())
        listed = [(one["kind"], one["late"]) for one in content]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("the list of the members of the mean cannot be read") from None
    if not all(isinstance(kind, str) and isinstance(late, dict) for kind, late in listed):
        raise ValueError("the list of the members of the mean cannot be used")
    if any(kind == KIND for kind, _ in listed):
        raise ValueError("a mean is no member of a mean")
    return listed
