"""The classifier: scikit-learn's contract, methods on a simulated delay, bad input, the record."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from oso_pipeline.adaptation import (
    METHODS,
    AdaptationOptions,
    AdaptationRecord,
    AdaptedForestClassifier,
    SeriesSpace,
)
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.forest.votes import probabilities

DAYS = tuple(range(0, 365, 15))
SPACE = SeriesSpace.plain(DAYS)
FEW = ForestSettings(n_trees=30, min_samples_leaf=1)
PEAK = {11: 100, 12: 150, 13: 200, 20: 250}


def year(n: int, delay: float, seed: int) -> tuple[Any, Any]:
    """Return int16 series with a peak whose day tells the class."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(list(PEAK), n)
    day = np.array([PEAK[label] for label in labels]) + delay + rng.normal(0, 8, n)
    series = 2000 + 6000 * np.exp(-(((np.array(DAYS) - day[:, None]) / 40) ** 2))
    return np.rint(series + rng.normal(0, 300, series.shape)).astype(np.int16), labels


def fitted(method: str = "student", delay: float = 25, **changes: Any) -> Any:
    X, y = year(700, 0, 0)
    target, truth = year(700, delay, 1)
    settings = {"space": SPACE, "forest": FEW, "random_state": 0, **changes.pop("settings", {})}
    made = AdaptedForestClassifier(method, **settings)
    perennial = np.flatnonzero(truth == 20)[:80]
    given = {"target": target, "anchors": target[perennial], "anchor_labels": truth[perennial]}
    return made.fit(X, y, **{**given, **changes})


def accuracy(made: AdaptedForestClassifier, delay: float = 25) -> float:
    features, truth = year(1500, delay, 2)
    return float((made.predict(features) == truth).mean())


@parametrize_with_checks(
    [AdaptedForestClassifier(forest=ForestSettings(n_trees=12, min_samples_leaf=1), random_state=0)]
)
def test_scikit_learn_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_delay_of_25_days_is_seen_and_fixed() -> None:
    naive, moved, taught = (fitted(m) for m in ("none", "aligned", "student"))
    assert accuracy(naive) < 0.65
    assert accuracy(moved) > 0.95
    assert accuracy(taught) > 0.95
    record = taught.record_
    assert record.gate.adapted
    assert record.shift.mean_days == pytest.approx(25, abs=4)
    assert 0 < record.shift.sd_days < 8
    assert sum(record.shift.weight) == pytest.approx(1)
    assert record.agreement > 0.9
    assert set(record.pseudo_labels) == {"11", "12", "13"}
    assert record.perennial_from_target == ("20",)


def test_no_difference_no_adaptation() -> None:
    made = fitted(delay=0)
    assert not made.record_.gate.adapted
    assert made.forest_ is made.baseline_
    assert made.record_.total_variation == 0


@pytest.mark.parametrize("engine", ["histogram", "sklearn"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_one_sound_forest(method: str, engine: str) -> None:
    few = FEW.model_copy(update={"engine": engine, "n_trees": 10})
    made = fitted(method, settings={"forest": few})
    assert made.forest_.faults(len(DAYS)) == []
    assert made.forest_.n_trees == 10
    features, _ = year(100, 25, 3)
    shares = probabilities(made.forest_, np.ascontiguousarray(features.T)).T
    np.testing.assert_array_equal(made.forest_.classes, made.classes_)
    np.testing.assert_allclose(made.predict_proba(features), shares)


def test_without_any_label_of_the_target_year() -> None:
    made = fitted(anchors=None, anchor_labels=None)
    assert accuracy(made) > 0.95
    assert made.forest_.n_trees == FEW.n_trees
    assert set(made.record_.pseudo_labels) == {"11", "12", "13", "20"}


def test_the_same_seed_gives_the_same_forest_whatever_the_threads() -> None:
    one, other = fitted(), fitted(settings={"n_jobs": 3})
    for name in Forest.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one.forest_, name), getattr(other.forest_, name))


def test_floats_serve_as_well_as_int16() -> None:
    X, y = year(700, 0, 0)
    target, _ = year(700, 25, 1)
    made = AdaptedForestClassifier("aligned", SPACE, FEW, random_state=0)
    made.fit(X / 10_000, y.astype(str), target=target / 10_000)
    features, truth = year(800, 25, 2)
    assert (made.predict(features / 10_000) == truth.astype(str)).mean() > 0.95


def test_predictions_in_labelled_polygons_do_not_teach() -> None:
    polygons = np.full(700, -1)
    polygons[:300] = 77
    everywhere, elsewhere = fitted(), fitted(target_polygons=polygons, anchor_polygons=[77] * 80)
    counts = [sum(m.record_.pseudo_labels.values()) for m in (everywhere, elsewhere)]
    assert counts[1] < 0.7 * counts[0]


def test_few_anchor_polygons_keep_the_past_of_a_perennial_class() -> None:
    made = fitted(anchor_polygons=np.arange(80) // 8)
    assert made.record_.perennial_with_past == ("20",)
    options = AdaptationOptions(min_anchor_polygons=10)
    made = fitted(anchor_polygons=np.arange(80) // 8, settings={"options": options})
    assert made.record_.perennial_from_target == ("20",)


def test_record_survives_json() -> None:
    record = fitted().record_
    content = json.loads(json.dumps(record.to_json()))
    assert AdaptationRecord.from_json(content).to_json() == content
    profile = record.profiles[0]
    source, aligned, target = map(np.array, (profile.source, profile.aligned, profile.target))
    assert np.abs(aligned - target).mean() < 0.5 * np.abs(source - target).mean()
    assert "accuracy" not in json.dumps(content)


# ---- bad input -----------------------------------------------------------------------------


def test_no_target_at_all() -> None:
    made = fitted(target=None, anchors=None, anchor_labels=None)
    assert made.forest_ is made.baseline_
    assert "no target" in made.record_.gate.reason


def test_too_few_unlabelled_samples() -> None:
    made = fitted(target=year(20, 25, 1)[0])
    assert made.forest_ is made.baseline_
    assert any("only 20 unlabelled samples" in text for text in made.record_.warnings)


def test_source_and_target_identical() -> None:
    made = fitted(target=year(700, 0, 0)[0], settings={"gate": "always"})
    assert made.forest_ is made.baseline_
    assert any("are those of the past years" in text for text in made.record_.warnings)


def test_a_single_anchor_of_a_class_is_not_used() -> None:
    target, truth = year(700, 25, 1)
    one = np.flatnonzero(truth == 20)[:1]
    made = fitted(anchors=target[one], anchor_labels=truth[one])
    assert made.record_.anchor_samples == 0
    assert any("class 20 has 1 anchor" in text for text in made.record_.warnings)


def test_a_class_of_the_target_that_the_source_lacks() -> None:
    made = fitted(target_classes=[11, 99])
    assert made.record_.never_predicted == ("99",)
    assert any("99" in text and "never predicted" in text for text in made.record_.warnings)


def test_proportions_that_move_far_are_reported() -> None:
    made = fitted("aligned", delay=45)  # the baseline takes each class for the next one
    assert made.record_.total_variation > 0.2
    assert any("total variation" in text for text in made.record_.warnings)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": np.zeros((60, 3), np.int16)}, "have 3 features"),
        ({"target": np.full((60, len(DAYS)), np.nan)}, "NaN"),
        ({"anchor_labels": [20]}, "80 anchors have 1 labels"),
        ({"anchor_polygons": [1, 2]}, "polygons of shape"),
        ({"settings": {"method": "coral"}}, "multiple values|method must be"),
        ({"settings": {"gate": "maybe"}}, "gate must be"),
        ({"settings": {"space": SeriesSpace.plain((0, 5))}}, "2 columns"),
    ],
)
def test_refuses(changes: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        fitted(**changes)
