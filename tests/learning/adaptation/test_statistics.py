"""Shift estimate, gate and choice of pseudo-labels against SciPy and plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy, multivariate_normal
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from oso_pipeline.adaptation.gate import (
    GateStatistics,
    PredictedSamples,
    class_discrepancy,
    confidence_drop,
    target_priors,
)
from oso_pipeline.adaptation.options import AdaptationOptions
from oso_pipeline.adaptation.pseudo_labels import margins, surest
from oso_pipeline.adaptation.shift_estimate import ClassGaussians, information_of


def drawn(n: int = 600, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    codes = rng.choice([3, 5, 9], n, p=[0.5, 0.45, 0.05]).astype(np.int32)
    features = rng.normal(codes[:, None] * 300.0, 400, (n, 20)) * np.linspace(1, 3, 20)
    return np.rint(features).astype(np.int16), codes


def evaluated(features: Any, shares: Any) -> PredictedSamples:
    return PredictedSamples(features, shares, np.full(len(features), -1))


def test_information_is_that_of_scipy() -> None:
    shares = np.random.default_rng(0).dirichlet([0.3, 1, 2], 200)
    shares[0] = [1, 0, 0]
    expected = entropy(shares.mean(axis=0)) - entropy(shares, axis=1).mean()
    assert information_of(shares) == pytest.approx(expected, abs=1e-12)


def test_class_gaussians_are_those_of_scikit_learn_and_scipy() -> None:
    features, codes = drawn()
    scaled = StandardScaler().fit_transform(features.astype(float))
    axes = PCA(12).fit_transform(scaled)
    inside = np.concatenate([axes[codes == c] - axes[codes == c].mean(0) for c in (3, 5, 9)])
    pooled = inside.T @ inside / len(inside)
    found = ClassGaussians.of(features, codes).log_densities(features)
    for column, code in enumerate((3, 5, 9)):
        own = axes[codes == code]
        shrunk = np.clip(24 / len(own), 0.2, 1)
        covariance = (1 - shrunk) * np.cov(own.T, bias=True) + shrunk * pooled
        expected = multivariate_normal(own.mean(axis=0), covariance).logpdf(axes)
        np.testing.assert_allclose(found[:, column], expected, rtol=1e-3, atol=1e-3)


def test_likelihood_is_trimmed_and_shares_follow_the_samples() -> None:
    features, codes = drawn()
    gaussians = ClassGaussians.of(features, codes)
    densities = gaussians.log_densities(features)
    priors = gaussians.priors
    for _ in range(15):
        belief = np.exp(densities) * priors
        belief /= belief.sum(axis=1, keepdims=True)
        priors = 0.95 * belief.mean(axis=0) + 0.05 * gaussians.priors
    each = np.sort(np.log(np.exp(densities) @ priors))
    assert gaussians.trimmed_likelihood(features) == pytest.approx(each[60:].mean(), rel=1e-9)
    odd = features.copy()
    odd[:50] = 30_000  # a twelfth of outliers does not drag it down
    lost = gaussians.trimmed_likelihood(features) - gaussians.trimmed_likelihood(odd)
    assert lost < 1.5


def test_discrepancy_is_the_mean_over_classes_and_blind_to_their_shares() -> None:
    features, codes = drawn(4000)
    shares = np.eye(3)[np.searchsorted([3, 5, 9], codes)]
    moved = (features + 500).astype(np.int16)
    found = class_discrepancy(evaluated(features, shares), evaluated(moved, shares))
    expected = []
    for code in (3, 5, 9):
        own = features[codes == code].astype(float)
        expected.append((500**2 / own.var(axis=0)).mean() - 2 / len(own))
    assert found == pytest.approx(np.mean(expected), rel=1e-9)
    few = np.concatenate([np.flatnonzero(codes == 3)[:300], np.flatnonzero(codes == 9)])
    other, other_codes = drawn(4000, seed=1)
    other_shares = np.eye(3)[np.searchsorted([3, 5, 9], other_codes)]
    some = evaluated(features[few], shares[few])
    assert abs(class_discrepancy(some, evaluated(other, other_shares))) < 0.01


@pytest.mark.parametrize(("fields", "most"), [(10, 0.0), (60, 0.1)])
def test_pixels_of_a_field_are_no_evidence_of_their_own(fields: int, most: float) -> None:
    """Two draws of fields from one season."""
    rng = np.random.default_rng(3)

    def side() -> PredictedSamples:
        levels = rng.normal(3000, 500, (fields, 1, 20)) + rng.normal(0, 50, (fields, 40, 20))
        table = np.rint(levels.reshape(-1, 20)).astype(np.int16)
        return PredictedSamples(table, np.ones((len(table), 1)), np.repeat(np.arange(fields), 40))

    a, b = side(), side()
    assert abs(class_discrepancy(a, b)) <= most
    alone = [PredictedSamples(x.features, x.shares, np.full(len(x.features), -1)) for x in (a, b)]
    assert class_discrepancy(*alone) > class_discrepancy(a, b)


def test_confidence_drop_is_thresholded_confidence_and_feels_no_change_of_shares() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([1, 1, 1], 5000) ** 2
    shares /= shares.sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(3, p=row) for row in shares])
    assert abs(confidence_drop(shares, truth, shares)) < 0.03
    blurred = 0.5 * shares + 0.5 / 3
    right = shares.argmax(axis=1) == truth
    threshold = np.sort(shares.max(axis=1))[round((1 - right.mean()) * 5000)]
    recall = np.array([right[truth == c].mean() for c in range(3)])
    priors = target_priors(blurred, np.bincount(truth) / 5000)
    expected = recall @ priors - (blurred.max(axis=1) > threshold).mean()
    assert confidence_drop(shares, truth, blurred) == pytest.approx(expected, abs=2e-3)
    assert confidence_drop(shares, truth, blurred) > 0.3


def test_priors_are_found_for_calibrated_shares() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(2, 20_000, p=[0.8, 0.2])
    values = rng.normal(truth * 2.0, 1)
    likelihood = np.stack([np.exp(-(values**2) / 2), np.exp(-((values - 2) ** 2) / 2)], axis=1)
    shares = likelihood / likelihood.sum(axis=1, keepdims=True)  # posterior at equal shares
    found = target_priors(shares, np.array([0.5, 0.5]))
    np.testing.assert_allclose(found, [0.8, 0.2], atol=0.03)


@pytest.mark.parametrize(
    ("shift", "discrepancy", "drop", "opens"),
    [(4, 0, 0, True), (-4.1, 0, 0, True), (3.9, 0.3, 0.0, False), (0, 0.2, 0.05, True),
     (0, 0.19, 0.9, False), (0, 0.6, -0.5, True), (0, 0.59, 0.04, False)],
)  # fmt: skip
def test_gate_opens_as_written(shift: float, discrepancy: float, drop: float, opens: bool) -> None:
    statistics = GateStatistics(shift, discrepancy, drop, 30)
    assert statistics.decision(AdaptationOptions())[0] is opens


def test_a_few_fields_open_no_gate() -> None:
    opens, reason = GateStatistics(25, 3, 0.5, 29).decision(AdaptationOptions())
    assert not opens
    assert "29 polygons, fewer than 30" in reason


def test_surest_of_each_class() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([1, 1, 1, 1], 500)
    label, margin = shares.argmax(axis=1), margins(shares)
    ordered = np.sort(shares, axis=1)
    np.testing.assert_allclose(margin, ordered[:, -1] - ordered[:, -2])
    kept = surest(label, margin, 0.75)
    for code in range(4):
        own = label == code
        assert kept[own].sum() == np.ceil(0.75 * own.sum())
        assert margin[own & kept].min() >= margin[own & ~kept].max()
