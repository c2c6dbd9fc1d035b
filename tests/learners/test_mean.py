"""The mean of learners: what it promises, what it adds up, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.config_files import GOOD, refused, write

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.conformance import CHECKS, LAYOUT, Subject, pixels
from oso_pipeline.learners.forest.learner import LEARNER as FOREST
from oso_pipeline.learners.mean.classifier import MeanClassifier
from oso_pipeline.learners.mean.learner import LEARNER
from oso_pipeline.learners.mean.settings import MeanSettings
from oso_pipeline.learners.protocol import Extent, TrainingData

HARD = {"kind": "forest", "n_trees": 5}
SOFT = {"kind": "forest", "n_trees": 4, "vote": "soft", "min_samples_leaf": 1}
BOTH: dict[str, Any] = {"members": [HARD, SOFT], "weights": [1.0, 3.0]}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_mean_conforms(check: Callable[[Subject], None]) -> None:
    check(Subject("mean", BOTH))


def test_it_is_the_weighted_mean_of_the_members_alone() -> None:
    settings = MeanSettings(**BOTH)
    features, codes = pixels(300, seed=0)
    data = TrainingData(np.ascontiguousarray(features.T), codes, LAYOUT)
    made = LEARNER.fit(data, settings, seed=7)
    noisy = np.random.default_rng(1).integers(0, 6000, (LAYOUT.size, 200)).astype(np.int16)
    alone = [
        FOREST.fit(data, one, derived_seed(7, "mean", number))
        .with_settings({"vote": one.vote})  # type: ignore[attr-defined]
        .probabilities(noisy)
        for number, one in enumerate(settings.members)
    ]
    assert np.allclose(made.probabilities(noisy), (alone[0] + 3 * alone[1]) / 4)
    equal = made.with_settings({"weights": None})
    assert np.allclose(equal.probabilities(noisy), (alone[0] + alone[1]) / 2)
    assert made.facts["2 forest trees"] == 4


def test_what_it_takes_is_the_sum() -> None:
    extent, settings = Extent(468, 23, 230_000), MeanSettings(**BOTH)
    whole = LEARNER.training_need(extent, settings), LEARNER.classifying_need(extent, settings)
    parts = [
        (FOREST.training_need(extent, one), FOREST.classifying_need(extent, one))
        for one in settings.members
    ]
    assert whole[0].seconds == pytest.approx(sum(one.seconds for one, _ in parts))
    assert whole[0].disk_bytes == sum(one.disk_bytes for one, _ in parts)
    classifying = sum(one.seconds for _, one in parts)
    assert classifying < whole[1].seconds < classifying + 1e-6
    assert whole[1].fixed_bytes == sum(one.fixed_bytes for _, one in parts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "list of one or more"),
        ("[{kind: mean, members: [{}]}]", "mean"),
        ("[{kind: oracle}]", "oracle"),
        ("[{n_tree: 3}]", "n_tree"),
        ("[{freeze: true}]", "freeze cannot be set of a member"),
        ("[{}], weights: [1, 2]", "found 2, expected one for each of the 1 members"),
        ("[{}], weights: [0]", "weights"),
        ("[{}, {}], weights: [1, -2]", "weights"),
        ("[{}], weights: [.inf]", "weights"),
    ],
)
def test_bad_settings_are_refused_at_load(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, f"{GOOD}learning: {{kind: mean, members: {text}}}\n")
    found = refused(path)
    assert words in "\n".join(map(str, found))
    assert all(str(path) in str(problem.where) for problem in found)


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    members = "[{n_tree: 3}, {kind: oracle}, {n_trees: 0}]"
    text = f"{GOOD}learning: {{kind: mean, members: {members}, weights: [1, 0, 1]}}\n"
    found = "\n".join(map(str, refused(write(tmp_path, text))))
    assert all(one in found for one in ("n_tree", "oracle", "n_trees", "weights"))


def test_arrays_that_name_other_members_are_refused() -> None:
    features, codes = pixels(60, seed=0)
    data = TrainingData(np.ascontiguousarray(features.T), codes, LAYOUT)
    made = LEARNER.fit(data, MeanSettings(**BOTH), seed=1)
    arrays = dict(made.arrays())
    for text, words in (
        ('[{"kind": "oracle", "late": {}}]', "oracle"),
        ('[{"kind": "mean", "late": {}}]', "no member of a mean"),
        ('[{"kind": "forest", "late": {}}]', "member 1"),
        ("[3]", "cannot be read"),
        ("[]", "needs a member"),
    ):
        changed = arrays | {"members": np.frombuffer(text.encode(), np.uint8)}
        with pytest.raises(ValueError, match=words):
            MeanClassifier.from_arrays(changed, LAYOUT)
