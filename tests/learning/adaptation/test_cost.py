"""What adaptation trains, counted: draws of trees, of which the cost of training is made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oso_pipeline.adaptation import AdaptedForestClassifier, SeriesSpace, domains
from oso_pipeline.learners.forest.bagging import PLAIN, BaggedForest, Bagging
from oso_pipeline.learners.forest.settings import ForestSettings

SPACE = SeriesSpace.plain((0, 40, 80, 120))
PLAIN_SAMPLES, NEW_SAMPLES, TREES = 200_000, 20_000, 2


@pytest.mark.parametrize("labelled", [4_000, 0])
def test_adapted_training_draws_at_most_three_times_the_samples_of_plain_training(
    labelled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    fit = domains.fit_bagged_forest

    def counting(
        features: Any,
        codes: Any,
        settings: ForestSettings,
        seed: int,
        threads: int = 1,
        bagging: Bagging = PLAIN,
    ) -> BaggedForest:
        drawn.append(bagging.draws_of(len(codes)) * settings.n_trees)
        return fit(features, codes, settings, seed, threads, bagging)

    monkeypatch.setattr(domains, "fit_bagged_forest", counting)
    rng = np.random.default_rng(0)
    codes = rng.integers(1, 6, PLAIN_SAMPLES)
    features = (codes[:, np.newaxis] * 300 + rng.normal(0, 100, (PLAIN_SAMPLES, 4))).astype("i2")
    target = features[:NEW_SAMPLES] + np.int16(40)
    AdaptedForestClassifier(
        "student", SPACE, ForestSettings(n_trees=TREES), gate="always", random_state=0
    ).fit(
        features,
        codes,
        target=target[labelled:],
        anchors=target[:labelled],
        anchor_labels=np.full(labelled, 5),
    )
    plain = PLAIN_SAMPLES * TREES
    assert drawn[0] == plain  # the baseline, which is kept
    assert len(drawn) > 3
    assert sum(drawn) <= 3 * plain
