"""Labelled samples: rows, classes with enough polygons, coordinates as features."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.timeseries.feature_layout import FeatureLayout

LAYOUT = FeatureLayout.optical(("B4",), (date(2018, 1, 1),))


def samples(where: bool = True) -> LabelledSamples:
    return LabelledSamples(
        "two fields and a pond",
        LAYOUT,
        np.array([[5], [6], [7], [8]], np.int16),
        np.array([1, 1, 1, 2], np.int32),
        np.array([10, 10, 11, 12]),
        {1: "field", 2: "pond"},
        {"region": np.array(["a", "a", "b", "b"])},
        np.array([[0.0, 9.0], [1.0, 9.0], [2.0, 9.0], [4.0, 9.0]]) if where else None,
    )


def test_a_class_needs_polygons_not_samples() -> None:
    kept = samples().with_polygons(2)
    assert kept.classes == {1: "field"}
    assert kept.features.ravel().tolist() == [5, 6, 7]
    assert kept.columns["region"].tolist() == ["a", "a", "b"]
    assert kept.coordinates is not None
    assert kept.coordinates.shape == (3, 2)


def test_coordinates_are_two_features_more() -> None:
    more = samples().with_coordinates()
    assert more.layout.size == 3
    assert more.features[:, 1].tolist() == [0, 7500, 15_000, 30_000]
    assert more.features[:, 2].tolist() == [0, 0, 0, 0]
    assert more.layout.names[1:] == ("position_x", "position_y")
    with pytest.raises(ValueError, match="no coordinates"):
        samples(where=False).with_coordinates()


def test_lengths_must_agree() -> None:
    one = samples()
    with pytest.raises(ValueError, match="features of shape"):
        LabelledSamples("x", LAYOUT, one.features.T, one.codes, one.polygons, {})
    with pytest.raises(ValueError, match="columns of"):
        LabelledSamples("x", LAYOUT, one.features, one.codes, one.polygons[:2], {})
