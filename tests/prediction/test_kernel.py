"""The compiled walk against scikit-learn's own trees."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from support import PYTHONPATH
from support.learning_tools import LAYOUT, small_model

from oso_pipeline.learners.forest.classifier import ForestClassifier
from oso_pipeline.learners.forest.forest import LEAF, Forest
from oso_pipeline.learners.forest.settings import Vote
from oso_pipeline.learners.forest.votes import classify, probabilities, votes
from oso_pipeline.learners.protocol import BlockPixels, Classifier
from oso_pipeline.prediction.kernel import classify_block, classify_runs
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.plain_numpy import block_features as reference_features
from oso_pipeline.timeseries.series import BlockSeries

DERIVED = FeatureLayout((replace(LAYOUT.series, derived=("relative", "harmonics")),))


def votes_of_sklearn(
    fitted: RandomForestClassifier, pixels: npt.NDArray[np.int16]
) -> npt.NDArray[np.int64]:
    """Count what every scikit-learn tree answers by itself, shape (class, pixel)."""
    answers = np.array([t.predict(pixels.astype(np.float32)) for t in fitted.estimators_])
    return np.array([(answers == index).sum(axis=0) for index in range(len(fitted.classes_))])


def fitted(
    seed: int, n_features: int = 6, n_classes: int = 4, span: int = 32767, **parameters: object
) -> RandomForestClassifier:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(-span - 1, span + 1, (300, n_features)).astype(np.int16)
    pixels[0], pixels[1] = -32768, 32767
    labels = rng.choice(np.array([3, 7, 11, 210, 40000])[:n_classes], 300)
    parameters = {"n_estimators": 7, "random_state": seed, **parameters}
    forest = RandomForestClassifier(**parameters)
    return forest.fit(pixels.astype(np.float32), labels)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    leaf=st.sampled_from([1, 2, 5, 100, 299]),
    span=st.sampled_from([1, 3, 500, 32767]),
    size=st.integers(0, 300),
)
def test_votes_are_those_of_every_tree(seed: int, leaf: int, span: int, size: int) -> None:
    reference = fitted(seed, span=span, min_samples_leaf=leaf)
    pixels = np.random.default_rng(seed + 1).integers(-span - 1, span + 1, (size, 6))
    pixels = pixels.astype(np.int16)
    counts = votes(Forest.from_sklearn(reference), np.ascontiguousarray(pixels.T))
    assert counts.dtype == np.uint16
    expected = votes_of_sklearn(reference, pixels) if size else np.zeros((4, 0))
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("seed", range(5))
def test_values_at_and_beside_every_threshold(seed: int) -> None:
    reference = fitted(seed, n_features=2, min_samples_leaf=1)
    forest = Forest.from_sklearn(reference)
    at = forest.threshold[forest.feature != LEAF].astype(np.int32)
    values = np.unique(
        np.clip(np.concatenate([at - 1, at, at + 1, [-32768, 32767]]), -32768, 32767)
    )
    pixels = np.stack([values, values[::-1]], axis=1).astype(np.int16)
    np.testing.assert_array_equal(votes(forest, pixels.T), votes_of_sklearn(reference, pixels))


def test_neighbouring_extremes_are_distinguished() -> None:
    """Thresholds between -32768 and -32767 and between 32766 and 32767 survive rounding."""
    pixels = np.array([[-32768], [-32767], [32766], [32767]] * 5, np.int16)
    labels = np.array([1, 2, 3, 4] * 5)
    reference = RandomForestClassifier(5, bootstrap=False).fit(pixels.astype(np.float32), labels)
    code, confidence = classify(
        Forest.from_sklearn(reference), pixels.T, np.ones(len(pixels), np.uint16)
    )
    np.testing.assert_array_equal(code, labels)
    assert (confidence == 100).all()


def test_a_tied_leaf_votes_for_the_lowest_class() -> None:
    pixels = np.zeros((4, 1), np.int16)
    reference = RandomForestClassifier(3, bootstrap=False)
    reference.fit(pixels.astype(np.float32), [9, 5, 9, 5])
    forest = Forest.from_sklearn(reference)
    assert forest.n_nodes == forest.n_trees  # trees of one leaf
    np.testing.assert_array_equal(votes(forest, pixels.T), votes_of_sklearn(reference, pixels))
    assert set(classify(forest, pixels.T, np.ones(4, np.uint16))[0]) == {5}


def leaves(*answers: int) -> Forest:
    """Return trees of one leaf each that answer classes by index, whatever the pixel."""
    n = len(answers)
    node = np.arange(n, dtype=np.int32)
    return Forest(
        np.full(n, LEAF, np.int16),
        np.zeros(n, np.int16),
        node,
        node,
        np.arange(n + 1, dtype=np.int32),
        np.arange(n + 1, dtype=np.int32),
        np.array(answers, np.uint16),
        np.ones(n, np.int32),
        np.array([2, 4, 8], np.int32),
    )


@pytest.mark.parametrize(
    ("answers", "code", "confidence"),
    [
        ((2, 1, 1, 2), 4, 50),  # a tie of trees goes to the lowest code
        ((0, 1, 2), 2, 33),
        ((1, 1, 2), 4, 67),
        ((0,) * 5 + (1,) * 2 + (2,), 2, 63),  # 62.5 is rounded up
        ((0,) * 200, 2, 100),
    ],
)
def test_class_and_confidence(answers: tuple[int, ...], code: int, confidence: int) -> None:
    pixels = np.zeros((1, 3), np.int16)
    found = classify(leaves(*answers), pixels, np.array([1, 0, 300], np.uint16))
    assert found[0].tolist() == [code, 0, code]  # no clear date: class 0, confidence 0
    assert found[1].tolist() == [confidence, 0, confidence]
    assert (found[0].dtype, found[1].dtype) == (np.uint16, np.uint8)


def test_refuses_what_does_not_fit() -> None:
    forest = Forest.from_sklearn(fitted(0))
    with pytest.raises(ValueError, match="int16"):
        votes(forest, np.zeros((6, 3), np.int32))
    with pytest.raises(ValueError, match="with 6 features"):
        votes(forest, np.zeros((1, 3), np.int16))


SOFT = settings(max_examples=15, deadline=None)


@SOFT
@given(
    seed=st.integers(0, 2**31 - 1),
    leaf=st.sampled_from([1, 2, 5, 100, 299]),
    span=st.sampled_from([1, 3, 500, 32767]),
    size=st.integers(1, 300),
)
def test_soft_votes_are_the_probabilities_of_scikit_learn(
    seed: int, leaf: int, span: int, size: int
) -> None:
    """Many ties by small spans and pure leaves: the class is that of `predict` all the same."""
    reference = fitted(seed, span=span, min_samples_leaf=leaf)
    pixels = np.random.default_rng(seed + 1).integers(-span - 1, span + 1, (size, 6))
    pixels = pixels.astype(np.int16)
    forest, rows = Forest.from_sklearn(reference), np.ascontiguousarray(pixels.T)
    expected = reference.predict_proba(pixels.astype(np.float32))
    np.testing.assert_allclose(probabilities(forest, rows).T, expected, rtol=0, atol=1e-6)
    code, confidence = classify(forest, rows, np.ones(size, np.uint16), "soft")
    np.testing.assert_array_equal(code, reference.predict(pixels.astype(np.float32)))
    assert np.abs(confidence - 100 * expected.max(axis=1)).max() <= 0.5001


@pytest.mark.slow
def test_soft_votes_of_thousands_of_trees() -> None:
    reference = fitted(3, span=40, max_depth=3, max_features=1, n_estimators=2000)
    pixels = np.random.default_rng(4).integers(-40, 41, (130, 6)).astype(np.int16)
    forest = Forest.from_sklearn(reference)
    expected = reference.predict_proba(pixels.astype(np.float32))
    found = probabilities(forest, pixels.T)
    np.testing.assert_allclose(found.T, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(votes(forest, pixels.T), votes_of_sklearn(reference, pixels))
    code, _ = classify(forest, pixels.T, np.ones(130, np.uint16), "soft")
    np.testing.assert_array_equal(code, reference.predict(pixels.astype(np.float32)))


def test_hundreds_of_classes_and_more_nodes_than_16_bits_number() -> None:
    rng = np.random.default_rng(5)
    pixels = rng.integers(-32768, 32768, (30_000, 4)).astype(np.int16)
    labels = rng.integers(0, 300, len(pixels)) * 7 + 1
    reference = RandomForestClassifier(2, random_state=0, max_features=1)
    reference.fit(pixels.astype(np.float32), labels)
    forest = Forest.from_sklearn(reference)
    assert forest.n_nodes > 65_535
    some = pixels[:400]
    for vote in ("hard", "soft"):
        code, _ = classify(forest, some.T, np.ones(400, np.uint16), vote)
        np.testing.assert_array_equal(code, expected_classes(reference, some, vote))


@pytest.mark.parametrize("vote", ["hard", "soft"])
def test_chains_of_a_thousand_nodes(vote: Vote) -> None:
    """Each inner node lets one value go; trees of scikit-learn are never as deep."""
    depth, n_trees = 1000, 5
    feature = np.tile(np.append(np.tile([0, LEAF], depth), LEAF), n_trees).astype(np.int16)
    nodes = np.arange(2 * depth + 1)
    inner = (nodes % 2 == 0) & (nodes < 2 * depth)
    threshold = np.tile(np.where(inner, nodes // 2, 0), n_trees).astype(np.int16)
    first = np.repeat(np.arange(n_trees) * len(nodes), len(nodes))
    left = first + np.tile(np.where(inner, nodes + 1, nodes), n_trees)
    right = first + np.tile(np.where(inner, nodes + 2, nodes), n_trees)
    leaves = n_trees * (depth + 1)
    answers = np.tile(np.arange(depth + 1) % 3, n_trees).astype(np.uint16)
    forest = Forest(
        feature,
        threshold,
        left.astype(np.int32),
        right.astype(np.int32),
        (np.arange(n_trees + 1) * len(nodes)).astype(np.int32),
        np.arange(leaves + 1, dtype=np.int32),
        answers,
        np.ones(leaves, np.int32),
        np.array([10, 20, 30], np.int32),
    )
    assert forest.faults(1) == []
    values = np.random.default_rng(0).permutation(np.arange(-5, depth + 50)).astype(np.int16)
    code, confidence = classify(forest, values[None], np.ones(len(values), np.uint16), vote)
    np.testing.assert_array_equal(code, forest.classes[np.clip(values, 0, depth) % 3])
    assert (confidence == 100).all()


@settings(max_examples=15, deadline=None)
@given(data=st.data(), vote=st.sampled_from(["hard", "soft"]))
def test_a_block_in_one_pass_is_staged_features_and_scikit_learn(data, vote: Vote) -> None:
    """Strata, runs, 20 m bands, pixels without a date: equal to the plain definition."""
    layout = data.draw(st.sampled_from([LAYOUT, DERIVED]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = (data.draw(st.integers(1, 9)), data.draw(st.integers(1, 40)))
    n_days = data.draw(st.integers(0, 6))
    n_pixels, n_halves = shape[0] * shape[1], -(-shape[0] // 2) * -(-shape[1] // 2)
    fine = rng.integers(0, 6000, (n_days, 1, n_pixels)).astype(np.int16)
    coarse = rng.integers(0, 6000, (n_days, 1, n_halves)).astype(np.int16)
    clear = (rng.random((n_days, n_pixels)) < data.draw(st.sampled_from([0.1, 0.7]))).view(np.uint8)
    days = layout.series.days[0] + np.sort(rng.integers(-10, 40, n_days)).astype(np.int32)
    slots = np.array(data.draw(st.permutations([0, -1])), np.int32)
    series = BlockSeries(shape, fine, coarse, slots, clear, days)
    plain, validity = reference_features(series.values, clear, days, layout)
    references = [
        fitted(number, n_features=layout.size, span=6000, min_samples_leaf=leaf)
        for number, leaf in enumerate([1, 20, 1])
    ]
    models = [ForestClassifier(Forest.from_sklearn(one), vote) for one in references]
    runs = [{0: models[0], 5: models[1]}, {5: models[2], -3: models[0]}]
    pixels = rng.permutation(n_pixels)[: data.draw(st.integers(0, n_pixels))]
    if data.draw(st.booleans()):
        pixels = np.sort(pixels)
    labels = rng.choice([0, 5, -3, 7], len(pixels))
    block = BlockPixels(series, layout, pixels, labels)
    layers = classify_runs(block, runs)
    staged, staged_validity = block_features(series, layout, pixels)
    np.testing.assert_array_equal(staged, plain[:, pixels])
    np.testing.assert_array_equal(staged_validity, validity[pixels])
    assert layers.shape == (2, 3, len(pixels))
    for run, found in zip(runs, layers, strict=True):
        np.testing.assert_array_equal(found, classify_block(block, run))
        known = np.isin(labels, list(run))
        np.testing.assert_array_equal(found[2], np.where(known, staged_validity, 0))
        assert not found[:2, ~known | (staged_validity == 0)].any()
        for label, model in run.items():
            mine = np.flatnonzero((labels == label) & (staged_validity > 0))
            rows = staged[:, mine]
            code, confidence = model.classify(rows, staged_validity[mine])
            np.testing.assert_array_equal(found[:2, mine], [code, confidence])
            if len(mine):
                fitted_one = references[models.index(model)]
                expected = expected_classes(fitted_one, rows.T, vote)
                np.testing.assert_array_equal(code, expected)


class Constant(Classifier):
    """Of another kind, without a kernel: always the same class."""

    kind = "constant"

    def __init__(self, code: int) -> None:
        self.code = code

    @property
    def classes(self) -> npt.NDArray[np.int32]:
        return np.array([self.code, 999], np.int32)

    def probabilities(self, features: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
        return np.repeat([[0.75], [0.25]], features.shape[1], axis=1)

    def arrays(self) -> dict[str, npt.NDArray[np.int32]]:
        return {"classes": self.classes}


def test_each_pixel_gets_the_kind_of_classifier_of_its_label() -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 6000, (4, 2, 200)).astype(np.int16)
    clear = (rng.random((4, 200)) < 0.5).view(np.uint8)
    days = LAYOUT.series.days[0] + np.arange(4, dtype=np.int32)
    labels = rng.integers(0, 4, 200)
    block = BlockPixels(BlockSeries.of(values, clear, days), LAYOUT, np.arange(200), labels)
    forest, other = small_model().classifier, Constant(7)
    runs: list[dict[int, Classifier]] = [{0: forest, 1: other}, {0: other, 2: forest}, {}]
    layers = classify_runs(block, runs)
    for run, found in zip(runs, layers, strict=True):
        for label in range(4):
            mine = labels == label
            alone = {label: run[label]} if label in run else {}
            expected = classify_block(block, alone)
            np.testing.assert_array_equal(found[:, mine], expected[:, mine])
    seen = (labels == 1) & clear.any(axis=0)
    assert (layers[0, :2, seen] == [7, 75]).all()


def expected_classes(
    reference: RandomForestClassifier, pixels: npt.NDArray[np.int16], vote: Vote
) -> npt.NDArray[np.int64]:
    if vote == "soft":
        return reference.predict(pixels.astype(np.float32))
    return reference.classes_[votes_of_sklearn(reference, pixels).argmax(axis=0)]


def test_blocks_refuse_what_does_not_fit() -> None:
    values, clear = np.zeros((2, 2, 6), np.int16), np.ones((2, 6), np.uint8)
    series = BlockSeries.of(values, clear, np.array([17532, 17540], np.int32))
    pixels, models = np.arange(6), {0: small_model().classifier}
    for wrong in (np.array([6]), np.array([-1])):
        with pytest.raises(ValueError, match="outside the block"):
            classify_block(BlockPixels(series, LAYOUT, wrong, np.zeros(1, int)), models)
    with pytest.raises(ValueError, match="labels"):
        BlockPixels(series, LAYOUT, pixels, np.zeros(5, int))
    for changed, words in (
        ({"slots": np.array([0, 2], np.int32)}, "not there"),
        ({"slots": np.array([0, -1], np.int32)}, "not there"),
        ({"slots": np.zeros(3, np.int32)}, "3 bands"),
        ({"clear": clear[:, :5]}, "clear is uint8"),
        ({"fine": values[:1]}, "fine is int16"),
        ({"fine": values.astype(np.int32)}, "fine is int32"),
        ({"days": np.array([5, 4], np.int32)}, "descend"),
    ):
        block = BlockPixels(replace(series, **changed), LAYOUT, pixels, np.zeros(6, int))
        with pytest.raises(ValueError, match=words):
            classify_block(block, models)


_COUNTED = """
import numpy as np
from support.learning_tools import LAYOUT, small_model
from oso_pipeline.learners.forest.classifier import ForestClassifier
from oso_pipeline.learners.protocol import BlockPixels
from oso_pipeline.prediction.kernel import classify_block
from oso_pipeline.learners.forest.votes import probabilities, votes
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.series import BlockSeries

values, clear = np.zeros((2, 2, 6), np.int16), np.ones((2, 6), np.uint8)
series = BlockSeries.of(values, clear, np.array([17532, 17540], np.int32))
model = small_model()
features, _ = block_features(series, LAYOUT)
for vote in ("hard", "soft"):
    block = BlockPixels(series, LAYOUT, np.arange(6), np.zeros(6, int))
    classify_block(block, {0: ForestClassifier(model.classifier.forest, vote)})
votes(model.classifier.forest, features), probabilities(model.classifier.forest, features)
from oso_pipeline.learners.forest import block_kernel
from oso_pipeline.learners.forest import compiled
from oso_pipeline.learners.forest import votes as voting
from oso_pipeline.learners.forest import walk
from oso_pipeline.timeseries.kernels import chunks
functions = [
    f for module in (compiled, block_kernel, voting, walk, chunks) for f in vars(module).values()
    if hasattr(f, "stats")
]
print(sum(sum(f.stats.cache_hits.values()) for f in functions))
print(sum(sum(f.stats.cache_misses.values()) for f in functions))
"""


def test_a_second_process_compiles_nothing() -> None:
    """A worker that starts later reads the kernels from the disk."""
    command = [sys.executable, "-c", _COUNTED]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    for _ in range(2):  # the first one compiles what no process before it needed
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    loaded, compiled = done.stdout.split()
    assert int(loaded) > 5
    assert int(compiled) == 0
