"""The student's choices: neighbourhoods against scikit-learn, lessons, trees that have not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from sklearn.preprocessing import StandardScaler

from oso_pipeline.adaptation.domains import Domains, Labelled, Trainer, shares_of
from oso_pipeline.adaptation.neighbourhoods import Neighbourhoods
from oso_pipeline.adaptation.options import AdaptationOptions
from oso_pipeline.adaptation.pseudo_labels import PseudoLabels
from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.adaptation.student import Lesson, in_classes
from oso_pipeline.learners.forest.settings import ForestSettings


def series(n: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return np.rint(rng.normal(3000, 900, (n, 20)) * np.linspace(1, 2, 20)).astype(np.int16)


def test_neighbours_are_the_nearest_on_the_principal_axes_of_scikit_learn() -> None:
    target = series(1200)
    places = PCA(12).fit_transform(StandardScaler().fit_transform(target.astype(float)))
    apart = pairwise_distances(places)
    found = np.sort(Neighbourhoods.of(target, 7).nearest, axis=1)
    np.testing.assert_array_equal(found, np.sort(apart.argsort(axis=1)[:, :7], axis=1))


@pytest.mark.parametrize(("samples", "count"), [(119, 1), (250, 4), (5000, 10)])
def test_small_targets_have_few_neighbours(samples: int, count: int) -> None:
    alike = Neighbourhoods.of(series(samples), 10)
    assert alike.nearest.shape == (samples, count)
    shares = np.random.default_rng(0).dirichlet([1, 1, 1], samples)
    mean = alike.mean(shares)
    np.testing.assert_allclose(mean, shares[alike.nearest].mean(axis=1))
    if count == 1:
        np.testing.assert_array_equal(mean, shares)


def test_a_feature_that_never_varies_is_no_place() -> None:
    target = series(400)
    target[:, 3] = 77
    assert np.isfinite(Neighbourhoods.of(target, 4).mean(np.ones((400, 2)))).all()


def lesson_of(weight_of_past: float) -> tuple[Domains, Lesson]:
    past, target, anchors = series(50, 1), series(30, 2), series(8, 3)
    domains = Domains(
        Labelled(past, np.full(50, 1, np.int32), np.arange(50)),
        target,
        np.full(30, -1),
        Labelled(anchors, np.full(8, 3, np.int32), np.arange(8)),
        frozenset({3}),
    )
    kept = np.zeros(30, np.bool_)
    kept[::3] = True
    chosen = PseudoLabels(np.full(30, 2, np.int32), kept, None)
    return domains, Lesson.of(domains, chosen, (past, domains.source.codes), weight_of_past)


def test_past_samples_weigh_their_share_of_the_pseudo_labels() -> None:
    domains, lesson = lesson_of(0.3)
    assert lesson.weights[:50].sum() == pytest.approx(0.3 * 10)
    np.testing.assert_array_equal(lesson.weights[50:], 1)
    np.testing.assert_array_equal(lesson.codes, [1] * 50 + [2] * 10 + [3] * 8)
    np.testing.assert_array_equal(lesson.features[lesson.pseudo], domains.target[lesson.targets])


def test_a_pseudo_label_is_evaluated_by_trees_that_have_not_seen_it() -> None:
    """Labels by chance: trees repeat those that they learnt, and know nothing of the others."""
    target, codes = series(600, 2), np.random.default_rng(5).integers(1, 3, 600).astype(np.int32)
    kept = np.arange(600) < 400
    past, past_codes = series(2, 1), np.array([1, 2], np.int32)
    domains = Domains(
        Labelled(past, past_codes, np.arange(2)), target, np.full(600, -1),
        Labelled(past[:0], past_codes[:0], np.arange(0)), frozenset(),
    )  # fmt: skip
    lesson = Lesson.of(domains, PseudoLabels(codes, kept, None), (past, past_codes), 0.1)
    space = SeriesSpace.plain(tuple(range(20)))
    trainer = Trainer(space, ForestSettings(n_trees=60, min_samples_leaf=1), AdaptationOptions(), 0)
    taught = lesson.teach("test", trainer, 1.0)
    repeated = shares_of(taught.forest, target)
    evaluated = lesson.unseen_shares(taught, domains)
    assert (repeated[kept].argmax(axis=1) + 1 == codes[kept]).mean() > 0.95
    assert (evaluated[kept].argmax(axis=1) + 1 == codes[kept]).mean() < 0.65
    np.testing.assert_array_equal(evaluated[~kept], repeated[~kept])


def test_shares_are_brought_to_other_classes() -> None:
    shares = np.array([[0.2, 0.3, 0.5]])
    found = in_classes(shares, np.array([1, 4, 9], np.int32), np.array([1, 2, 9], np.int32))
    np.testing.assert_array_equal(found, [[0.2, 0, 0.5]])
