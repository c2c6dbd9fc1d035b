"""Attention over dates: the kernel against NumPy, the folded network against the plain one."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from support.attention import DATES, SEVERAL, random_classifier, random_network

from oso_pipeline.config.loader import load_config
from oso_pipeline.core.errors import ConfigError, InputDataError
from oso_pipeline.learners import conformance, registry
from oso_pipeline.learners.attention.network import Trained, members_of, plain_probabilities
from oso_pipeline.learners.attention.places import Places
from oso_pipeline.learners.attention.settings import AttentionSettings
from oso_pipeline.learners.attention.task import Task
from oso_pipeline.learners.conformance import CODES, LAYOUT, Subject
from oso_pipeline.learners.protocol import BlockPixels, Extent, TrainingData
from oso_pipeline.learners.registry import learner_of, missing_software
from oso_pipeline.learners.staged import classify_staged, staged_shares
from oso_pipeline.learning.train_stage import STAGE
from oso_pipeline.timeseries.feature_layout import FeatureGroup, FeatureLayout
from oso_pipeline.timeseries.series import BlockSeries

OPTICAL = FeatureLayout.optical(("B4", "B8"), DATES, ("NDVI",))
DEFAULTS = AttentionSettings()
CONFIGS = Path(__file__).parents[2] / "configs"


def drawn(layout: FeatureLayout, n_pixels: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(-200, 6000, (layout.size, n_pixels)).astype(np.int16)


def unfolded(network: Trained, layout: FeatureLayout, values: np.ndarray) -> np.ndarray:
    """The network as in the paper: embedding, layer norm, position, heads, then layers."""
    places, parts = Places.of(layout), []
    for n, series in enumerate(places.series):
        width = len(network.embeddings[n])
        x = np.moveaxis(values[series.rows], 2, 0)  # pixel, date, channel
        y = x @ network.embeddings[n][:, :-1].T + network.embeddings[n][:, -1]
        y = (y - y.mean(axis=2, keepdims=True)) / np.sqrt(y.var(axis=2, keepdims=True) + 1e-5)
        z = network.gains[n] * y + series.position(width)
        scores = z @ network.queries[n].T
        share = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        heads = np.split(z, share.shape[2], axis=2)
        answers = [np.einsum("pt,ptk->pk", share[..., h], own) for h, own in enumerate(heads)]
        parts.append(np.concatenate(answers, axis=1))
    out = np.concatenate([*parts, values[places.static].T], axis=1)
    for weights, constants in network.layers[:-1]:
        out = np.maximum(out @ weights.T + constants, 0)
    weights, constants = network.layers[-1]
    score = np.exp(out @ weights.T + constants)
    return np.asarray((score / score.sum(axis=1, keepdims=True)).T)


@pytest.mark.parametrize("layout", [OPTICAL, SEVERAL], ids=["optical", "several groups"])
def test_what_is_kept_answers_as_the_network_of_the_paper(layout: FeatureLayout) -> None:
    made, features = random_classifier(layout, (2, 5, 9)), drawn(layout, 40)
    parts = made.arrays()
    values = (features - parts["centre"][:, None]) / parts["spread"][:, None].astype(np.float64)
    expected = [unfolded(random_network(layout, 3, seed), layout, values) for seed in range(2)]
    assert np.ptp(expected[0], axis=1).min() > 0.1
    found = plain_probabilities(parts, Places.of(layout), features)
    np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=2e-6)


@pytest.mark.parametrize("n_pixels", [1, 300])
def test_compiled_code_answers_as_numpy(n_pixels: int) -> None:
    made, features = random_classifier(OPTICAL, (2, 5, 9, 11, 12)), drawn(OPTICAL, n_pixels)
    expected = plain_probabilities(made.arrays(), Places.of(OPTICAL), features)
    np.testing.assert_allclose(made.probabilities(features), expected, atol=2e-6)


@pytest.mark.slow
def test_compiled_code_takes_several_groups_and_static_features() -> None:
    made, features = random_classifier(SEVERAL, (2, 5, 9)), drawn(SEVERAL, 200)
    expected = plain_probabilities(made.arrays(), Places.of(SEVERAL), features)
    np.testing.assert_allclose(made.probabilities(features), expected, atol=2e-6)


@pytest.mark.slow
def test_a_block_has_the_classes_of_its_features() -> None:
    rng = np.random.default_rng(2)
    n_days, n_pixels = 5, 333
    values = rng.integers(0, 6000, (n_days, 2, n_pixels)).astype(np.int16)
    clear = (rng.random((n_days, n_pixels)) < 0.4).view(np.uint8)
    days = OPTICAL.series.days[0] + np.arange(0, 10 * n_days, 10, dtype=np.int32)
    pixels = rng.permutation(n_pixels)[:250]
    labels = rng.choice([0, 4, 9], len(pixels))
    block = BlockPixels(BlockSeries.of(values, clear, days), OPTICAL, pixels, labels)
    one, other = random_classifier(OPTICAL, (2, 5, 9)), random_classifier(OPTICAL, (1, 3, 8), 1)
    runs = [{0: one, 4: other}, {4: one}]
    found = type(one).classify_block(block, runs)
    assert (found == classify_staged(block, runs)).all()
    assert (found[:, 0] > 0).any()
    layers, shares = one.block_shares(block)
    expected_layers, expected = staged_shares(block, one)
    assert (layers == expected_layers).all()
    assert (shares == expected).all()
    with pytest.raises(ValueError, match="other features"):
        type(one).classify_block(block, [{0: random_classifier(SEVERAL, (2, 5, 9))}])


@pytest.mark.parametrize(
    "check",
    [
        conformance.probabilities_sum_to_one,
        conformance.class_and_confidence_follow,
        conformance.other_features_are_refused,
        conformance.arrays_are_all_there_is,
        conformance.altered_arrays_are_refused,
        conformance.settings_are_a_section,
        conformance.needs_are_numbers,
    ],
)
def test_a_network_that_was_not_trained_conforms(check: Any) -> None:
    subject = Subject("attention")
    vars(subject)["made"] = random_classifier(LAYOUT, CODES)
    check(subject)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights1", np.inf, "weights1 holds numbers that are not finite"),
        ("keys0", -1e20, "keys0 holds numbers beyond 100000"),
        ("spread", 0.0, "spread holds numbers below 1"),
        ("codes", 7, "codes do not ascend"),
    ],
)
def test_arrays_with_wrong_numbers_are_refused(name: str, value: float, message: str) -> None:
    made = random_classifier(OPTICAL, (2, 5, 9))
    arrays = {key: array.copy() for key, array in made.arrays().items()}
    arrays[name].flat[0] = value
    with pytest.raises(ValueError, match=message):
        type(made).from_arrays(arrays, OPTICAL)


def test_the_largest_numbers_that_are_accepted_give_probabilities() -> None:
    made = random_classifier(OPTICAL, (2, 5, 9))
    rng = np.random.default_rng(0)
    arrays = {
        name: array if name == "codes" else rng.choice(np.float32([-1e5, 1e5]), array.shape)
        for name, array in made.arrays().items()
    }
    arrays["spread"] = np.ones_like(arrays["spread"])
    features = np.full((OPTICAL.size, 3), 32_767, np.int16)
    found = type(made).from_arrays(arrays, OPTICAL).probabilities(features)
    assert np.allclose(found.sum(axis=0), 1)


def test_a_model_of_other_dates_or_of_another_learner_is_refused() -> None:
    made = random_classifier(OPTICAL, (2, 5, 9))
    fewer = FeatureLayout.optical(("B4", "B8"), DATES[:4], ("NDVI",))
    with pytest.raises(ValueError, match=r"offsets0 has shape \(2, 4, 5\), expected \(2, 4, 4\)"):
        type(made).from_arrays(made.arrays(), fewer)
    with pytest.raises(ValueError, match=r"centre, spread, root0, .* is missing"):
        type(made).from_arrays({"codes": made.classes, "feature": made.classes}, OPTICAL)
    with pytest.raises(ValueError, match="more is no part"):
        type(made).from_arrays({**made.arrays(), "more": made.classes}, OPTICAL)
    static = FeatureLayout((FeatureGroup("terrain", ("height",), None),))
    with pytest.raises(ValueError, match="needs features with dates"):
        type(made).from_arrays(made.arrays(), static)


def data(codes: list[int], groups: list[int] | None = None) -> TrainingData:
    features = np.ascontiguousarray(drawn(OPTICAL, len(codes)).T)
    names = None if groups is None else np.array(groups, np.int64)
    return TrainingData(features, np.array(codes, np.int32), OPTICAL, groups=names)


def test_whole_polygons_are_held_out_and_no_class_loses_all() -> None:
    codes = [1] * 40 + [2] * 40 + [3] * 4
    groups = [n // 4 for n in range(84)]
    task = Task.of(data(codes, groups), replace_settings(hold_out=0.2))
    out = task.held_out(np.random.default_rng(0))
    by_polygon = out.reshape(-1, 4)
    assert (by_polygon.all(axis=1) | ~by_polygon.any(axis=1)).all()
    assert by_polygon[:10, 0].sum() == by_polygon[10:20, 0].sum() == 2
    assert not out[80:].any()


def test_rare_classes_count_as_the_settings_say() -> None:
    codes = [1] * 90 + [2] * 10
    for how, ratio in {"none": 1, "root": 3, "full": 9}.items():
        weights = Task.of(data(codes), replace_settings(class_weights=how)).weights
        assert weights[-1] / weights[0] == pytest.approx(ratio)
        assert weights.mean() == pytest.approx(1)


def test_the_dates_of_a_channel_share_centre_and_spread() -> None:
    task = Task.of(data([1, 2] * 20), DEFAULTS)
    own = task.data.features[:, Places.of(OPTICAL).series[0].rows[:, 1]].astype(float)
    at = Places.of(OPTICAL).series[0].rows[:, 1]
    assert np.allclose(task.centre[at], own.mean())
    assert np.allclose(task.spread[at], own.std())


@pytest.mark.parametrize(
    ("codes", "message"),
    [([4] * 9, "9 training pixels of 1 class,"), ([1, 2, 3], "3 training pixels of 3 classes,")],
)
def test_too_few_pixels_or_classes_are_refused(codes: list[int], message: str) -> None:
    with pytest.raises(InputDataError, match="E-LEARNER-PIXELS") as caught:
        learner_of("attention").fit(data(codes), DEFAULTS, seed=0)
    assert message in str(caught.value)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_of_it(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(registry, "version", none_of_it)
    (torch, _) = missing_software(DEFAULTS)
    assert torch.code == "E-LEARNER-EXTRA"
    assert "trains with the package torch, which is not installed" in torch.message
    assert "pip install 'oso_pipeline[deep]'" in str(torch.hint)
    with pytest.raises(ConfigError, match="E-LEARNER-EXTRA"):
        learner_of("attention").fit(data([1, 2] * 9), DEFAULTS, seed=0)
    found = STAGE.check(load_config(CONFIGS / "attention.yaml"))
    assert "E-LEARNER-EXTRA" in {problem.code for problem in found}


@pytest.mark.parametrize(
    "wrong", [{"width": 100}, {"hidden": (6, 8)}, {"heads": 6}, {"hidden": (8,)}]
)
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"multiple|at least 2"):
        AttentionSettings(**wrong)


def test_needs_grow_with_members_and_pixels() -> None:
    learner, extent = learner_of("attention"), Extent(481, 23, 230_000)
    small, large = (replace_settings(members=n) for n in (1, 4))
    one, four = (learner.classifying_need(extent, settings).seconds for settings in (small, large))
    assert four == pytest.approx(4 * one)
    more = learner.training_need(replace(extent, pixels=460_000), small).seconds
    assert more > 1.3 * learner.training_need(extent, small).seconds


def test_members_are_told_apart() -> None:
    made = random_classifier(OPTICAL, (2, 5, 9))
    one, other = members_of(made.arrays())
    assert (one["keys0"] != other["keys0"]).any()
    assert made.facts["members"] == 2


def replace_settings(**changed: Any) -> AttentionSettings:
    return DEFAULTS.model_copy(update=changed)
