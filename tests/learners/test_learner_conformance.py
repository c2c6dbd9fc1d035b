"""The forest keeps what every learner promises; one that does not is found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from oso_pipeline.learners import conformance
from oso_pipeline.learners.conformance import CHECKS, ConformanceError, Subject
from oso_pipeline.learners.forest.classifier import ForestClassifier

SETTINGS: dict[str, dict[str, Any]] = {
    "hard": {"n_trees": 12},
    "soft": {"n_trees": 12, "vote": "soft", "min_samples_leaf": 1},
    "sklearn": {"n_trees": 12, "engine": "sklearn"},
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("settings", SETTINGS)
def test_forests_conform(check: Callable[[Subject], None], settings: str) -> None:
    check(Subject("forest", SETTINGS[settings]))


class Careless(ForestClassifier):
    """Takes any arrays, and classifies blocks otherwise than features."""

    @classmethod
    def from_arrays(cls, arrays: Any, layout: Any) -> Any:
        return cls(conformance.learner_of("forest").classifier.from_arrays(arrays, layout).forest)

    @classmethod
    def classify_block(cls, block: Any, runs: Any) -> Any:
        return super().classify_block(block, runs) + np.uint16(1)

    def probabilities(self, features: Any) -> Any:
        return 2 * super().probabilities(features)


@pytest.mark.parametrize("name", ["blocks_agree_with_features", "probabilities_sum_to_one"])
def test_a_careless_classifier_is_found_out(name: str) -> None:
    subject = Subject("forest", {"n_trees": 4})
    made = subject.made
    assert isinstance(made, ForestClassifier)
    vars(subject)["made"] = Careless(made.forest)
    with pytest.raises(ConformanceError):
        getattr(conformance, name)(subject)


def test_arrays_that_are_not_checked_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Subject("forest", {"n_trees": 4})
    forest = replace(subject.made).forest  # type: ignore[type-var, attr-defined]
    monkeypatch.setattr(
        ForestClassifier, "from_arrays", classmethod(lambda cls, arrays, layout: cls(forest))
    )
    with pytest.raises(ConformanceError, match="from_arrays accepts 'feature' missing"):
        conformance.altered_arrays_are_refused(subject)
