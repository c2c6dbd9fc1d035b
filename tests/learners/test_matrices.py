"""A matrix that lies the wrong way, or is too narrow, is refused by name (4.2)."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest

from oso_pipeline.adaptation.domains import merged_forest, shares_of
from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.learners.forest.bagging import PLAIN, BaggedForest
from oso_pipeline.learners.forest.binning import bin_features
from oso_pipeline.learners.forest.classifier import ForestClassifier
from oso_pipeline.learners.forest.engines import fit_bagged_forest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.forest.votes import classify, probabilities, votes
from oso_pipeline.learners.protocol import TrainingData
from oso_pipeline.timeseries.feature_layout import FeatureLayout

N, WIDTH = 40, 6
LAYOUT = FeatureLayout.optical(("B4", "B8"), tuple(date(2018, m, 1) for m in (1, 2, 3)))
ROWS = np.random.default_rng(0).integers(0, 100, (N, WIDTH)).astype(np.int16)
CODES = (1 + (ROWS[:, 0] > 50)).astype(np.int32)


@pytest.fixture(scope="module", params=["histogram", "sklearn"])
def bagged(request: pytest.FixtureRequest) -> BaggedForest:
    settings = ForestSettings(n_trees=3, engine=request.param)
    return fit_bagged_forest(ROWS, CODES, settings, 0, 1, PLAIN)


def by_column(bagged: BaggedForest) -> list[Callable[[Any], object]]:
    forest = bagged.forest
    seen = np.ones(N, np.uint16)
    return [
        lambda f: votes(forest, f),
        lambda f: probabilities(forest, f),
        lambda f: classify(forest, f, seen),
        lambda f: ForestClassifier(forest).probabilities(f),
        lambda f: ForestClassifier(forest, "soft").classify(f, seen),
        lambda f: votes(merged_forest([forest, forest]), f),
        lambda f: votes(pickle.loads(pickle.dumps(forest)), f),  # as workers get it
        lambda f: from_file(forest).probabilities(f),
    ]


def from_file(forest: Any) -> ForestClassifier:
    return ForestClassifier.from_arrays(ForestClassifier(forest).arrays(), LAYOUT)


def by_row(bagged: BaggedForest) -> list[Callable[[Any], object]]:
    return [
        lambda f: shares_of(bagged.forest, f),
        lambda f: bagged.out_of_bag_shares(f, np.arange(3)),
        lambda f: TrainingData(f, CODES[: len(f)], LAYOUT),
    ]


def test_4_2_a_transposed_matrix_is_refused_by_name(bagged: BaggedForest) -> None:
    for function in by_column(bagged):
        function(np.ascontiguousarray(ROWS.T))
        with pytest.raises(ValueError, match=r"features: found int16 of shape \(40, 6\).*transp"):
            function(ROWS)
    for function in by_row(bagged):
        function(ROWS)
        with pytest.raises(ValueError, match="transposed"):
            function(np.ascontiguousarray(ROWS.T))


@pytest.mark.parametrize("width", [0, 1, WIDTH - 1, WIDTH + 1])
def test_4_2_another_width_is_refused_by_name(bagged: BaggedForest, width: int) -> None:
    rows = np.zeros((N, width), np.int16)
    for function in by_column(bagged):
        with pytest.raises(ValueError, match=r"features: .* with 6 features"):
            function(np.ascontiguousarray(rows.T))
    for function in by_row(bagged):
        with pytest.raises(ValueError, match=r"features: .* with 6 features"):
            function(rows)


@pytest.mark.parametrize("dtype", [np.int32, np.uint16, np.float32, np.bool_, object])
def test_4_2_another_type_is_refused_by_name(bagged: BaggedForest, dtype: Any) -> None:
    for function in by_column(bagged):
        with pytest.raises(ValueError, match=r"features: found .* expected int16"):
            function(ROWS.T.astype(dtype))
    for function in [*by_row(bagged), bin_features]:
        with pytest.raises(ValueError, match=r"features: found .* expected int16"):
            function(ROWS.astype(dtype))
    with pytest.raises(ValueError, match=r"features: found list"):
        votes(bagged.forest, ROWS.T.tolist())


def test_4_2_codes_and_validity_have_one_value_a_pixel(bagged: BaggedForest) -> None:
    with pytest.raises(ValueError, match="validity: found shape"):
        classify(bagged.forest, ROWS.T, np.ones(N - 1, np.uint16))
    with pytest.raises(ValueError, match="codes: found shape"):
        fit_bagged_forest(ROWS.T, CODES, ForestSettings(n_trees=1), 0)


def test_4_2_a_transposed_table_of_series_is_refused() -> None:
    space = SeriesSpace.plain((0, 10, 20), 2)
    for function in (lambda t: space.shift(t, 3.0), space.levels, space.by_band):
        function(ROWS)
        with pytest.raises(ValueError, match="transposed"):
            function(ROWS.T)
