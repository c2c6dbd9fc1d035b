"""Bands beside class, confidence and validity, against NumPy from the model's probabilities."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.learning_tools import LAYOUT, small_model
from support.minimal_config import MINIMAL_YAML, minimal_config

from oso_pipeline.config import load_config
from oso_pipeline.core.errors import ConfigError, InputDataError
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.learners.forest.classifier import ForestClassifier
from oso_pipeline.learners.forest.settings import Vote
from oso_pipeline.learners.protocol import BlockPixels
from oso_pipeline.learners.staged import staged_shares
from oso_pipeline.learning.model_file import Model
from oso_pipeline.prediction.band_request import BandRequest, check_bands
from oso_pipeline.prediction.kernel import classify_block, classify_with_bands
from oso_pipeline.prediction.legends import Legend
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.series import BlockSeries

OSO = load_nomenclature("oso23")
CODES = OSO.codes
OF_CLASSES = ("probabilities", "second_class", "margin")


def request_of(tmp_path: Any, **keys: Any) -> BandRequest:
    request = BandRequest.of(minimal_config(tmp_path / "run", nomenclature="oso23", map=keys))
    assert request is not None
    return request


def block_of(n_pixels: int = 700, seed: int = 3) -> BlockPixels:
    rng = np.random.default_rng(seed)
    n_bands = len(LAYOUT.series.bands)
    values = rng.integers(0, 6000, (5, n_bands, n_pixels)).astype(np.int16)
    clear = (rng.random((5, n_pixels)) < 0.3).view(np.uint8)
    days = LAYOUT.series.days[0] + np.arange(0, 50, 10, dtype=np.int32)
    pixels = rng.permutation(n_pixels)[: n_pixels - 50]
    labels = rng.choice([0, 4, 9], len(pixels))
    return BlockPixels(BlockSeries.of(values, clear, days), LAYOUT, pixels, labels)


def models_of(vote: Vote = "hard") -> dict[int, Model]:
    one, other = small_model(), small_model(seed=8)
    return {
        0: replace(one, classifier=ForestClassifier(one.classifier.forest, vote)),
        4: replace(other, classifier=ForestClassifier(other.classifier.forest, vote)),
    }


@pytest.mark.parametrize("vote", ["hard", "soft"])
def test_bands_are_those_of_numpy_from_the_probabilities(tmp_path: Any, vote: Vote) -> None:
    water = {code: 300 if code == 5 else 2 for code in CODES}
    legends = {"level1": "parents", "water": water}
    request = request_of(tmp_path, bands=[*OF_CLASSES][::-1], legends=legends)
    block, models = block_of(), models_of(vote)
    found = classify_with_bands(block, models, request)
    names = [band.name for band in request.bands]
    bands = dict(zip(names, found[3:], strict=True))
    classifiers = {label: model.classifier for label, model in models.items()}
    np.testing.assert_array_equal(found[:3], classify_block(block, classifiers))
    features, validity = block_features(block.series, LAYOUT, block.pixels)
    parents = OSO.level1_mapping
    for at, label in enumerate(block.labels):
        if label == 9 or validity[at] == 0:
            assert found[:3, at].tolist() == [0, 0, 0 if label == 9 else validity[at]]
            assert [bands[name][at] for name in ("margin", "second_class")] == [255, 0]
            assert bands["probability_5"][at] == 255
            assert bands["legend_level1"][at] == bands["legend_level1_confidence"][at] == 0
            continue
        model = classifiers[label]
        shares = model.probabilities(features[:, [at]])[:, 0]
        whole = dict.fromkeys(CODES, 0.0) | dict(zip(model.classes.tolist(), shares, strict=True))
        for code in CODES:
            assert bands[f"probability_{code}"][at] == int(100 * whole[code] + 0.5 + 1e-9)
        own = found[0, at]
        assert bands[f"probability_{own}"][at] == found[1, at]  # the confidence
        second = max((c for c in CODES if c != own), key=lambda code: (whole[code], -code))
        assert bands["second_class"][at] == (second if whole[second] > 0 else 0)
        assert bands["margin"][at] == int(100 * (whole[own] - whole[second]) + 0.5 + 1e-9)
        sums: dict[int, float] = {}
        for code in CODES:
            sums[parents[code]] = sums.get(parents[code], 0) + whole[code]
        best = max(sums, key=lambda code: (round(sums[code], 9), -code))
        assert bands["legend_level1"][at] == best
        assert bands["legend_level1_confidence"][at] == int(100 * sums[best] + 0.5 + 1e-9)
        wet = whole[5] > 1 - whole[5] + 1e-9
        assert bands["legend_water"][at] == (300 if wet else 2)


@pytest.mark.parametrize("vote", ["hard", "soft"])
def test_the_walk_hands_out_what_the_features_give(vote: Vote) -> None:
    block, classifier = block_of(), models_of(vote)[0].classifier
    assert isinstance(classifier, ForestClassifier)
    for one, other in zip(
        classifier.block_shares(block), staged_shares(block, classifier), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_pieces_of_a_block_make_the_same_bands(tmp_path: Any) -> None:
    request, block, models = request_of(tmp_path, bands=[*OF_CLASSES]), block_of(), models_of()
    whole = classify_with_bands(block, models, request)
    parts = np.array_split(np.arange(len(block.pixels)), 7)
    pieces = [classify_with_bands(block.take(part), models, request) for part in parts]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)


def test_without_bands_nothing_is_requested(tmp_path: Any) -> None:
    assert BandRequest.of(minimal_config(tmp_path / "run")) is None


def test_what_is_wrong_is_said_at_once(tmp_path: Any) -> None:
    whole = dict.fromkeys(CODES, 1)
    legends = {
        "unknown": {**whole, 99: 1},
        "partial": {code: 0 for code in CODES if code != 5},
        "Level 1": "parents",
    }
    keys = {"bands": ["chance"], "legends": legends}
    config = minimal_config(tmp_path / "run", nomenclature="oso23", map=keys)
    with pytest.raises(ConfigError) as caught:
        BandRequest.of(config)
    assert [problem.code for problem in caught.value.problems] == [
        "E-BAND-NAME",
        "E-LEGEND-CLASS",
        "E-LEGEND-CODE",
        "E-LEGEND-CLASS",
        "E-LEGEND-NAME",
    ]
    text = str(caught.value)
    assert "allowed: probabilities, second_class, margin" in text
    assert "classes 99 are not in the nomenclature" in text
    assert "classes 5 are not in the legend" in text
    plain = Nomenclature("plain", (replace(OSO.classes[0], level1=None),))
    config = minimal_config(tmp_path / "run", map={"legends": {"level1": "parents"}})
    (problem,) = check_bands(config, plain)
    assert problem.code == "E-LEGEND-PARENTS"


def test_a_band_is_named_once(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="bands: margin is given twice"):
        minimal_config(tmp_path / "run", map={"bands": ["margin", "margin"]})


def test_a_legend_is_named_once(tmp_path: Any) -> None:
    text = MINIMAL_YAML + "map:\n  legends:\n    crops: parents\n    crops: parents\n"
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match="crops"):
        load_config(tmp_path / "config.yaml", environ={})


def test_a_model_of_other_classes_is_refused() -> None:
    request = BandRequest(("margin",), (4, 5), (Legend("all", (1,), ((0, 1),)),))
    with pytest.raises(InputDataError, match="E-BAND-CLASSES"):
        classify_with_bands(block_of(), models_of(), request)
