"""The compiled walk against scikit-learn's own trees."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier

from oso_pipeline.learning.forest import LEAF, Forest
from oso_pipeline.prediction.kernel import classify, votes


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
    forest = RandomForestClassifier(n_estimators=7, random_state=seed, **parameters)
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


def test_neighbouring_extremes_are_told_apart() -> None:
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
    with pytest.raises(ValueError, match="more than the 1 features"):
        votes(forest, np.zeros((1, 3), np.int16))
