"""Bands of calibrated models: from the tables pixel by pixel, and what asks for them in vain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from support.learning_tools import LAYOUT, small_model
from support.minimal_config import minimal_config

from oso_pipeline.config.confidence import CONFIDENCE_BANDS, Confidence
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.learners.protocol import BlockPixels
from oso_pipeline.learning.confidence.class_sets import LEVELS
from oso_pipeline.learning.confidence.tables import ConfidenceTables
from oso_pipeline.learning.model_file import Model
from oso_pipeline.learning.train_stage import STAGE
from oso_pipeline.prediction.band_request import BandRequest
from oso_pipeline.prediction.kernel import classify_with_bands
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.series import BlockSeries


def request_of(tmp_path: Path, **keys: Any) -> BandRequest:
    config = minimal_config(
        tmp_path / "run", nomenclature="oso23", map={"bands": [*CONFIDENCE_BANDS]}, **keys
    )
    request = BandRequest.of(config)
    assert request is not None
    return request


def calibrated(seed: int) -> Model:
    model = small_model(seed)
    rng = np.random.default_rng(seed)
    tables = ConfidenceTables(
        np.sort(rng.integers(0, 101, 101)).astype(np.uint8),
        rng.uniform(-0.1, 0.6, (len(model.classifier.classes), len(LEVELS))),
        np.sort(rng.uniform(0, 1.4, 100)),
        np.array([60], np.int64),
        {"vote": "hard"},
    )
    return replace(model, tables=tables)


def block_of(n_pixels: int = 120) -> BlockPixels:
    rng = np.random.default_rng(5)
    values = rng.integers(0, 6000, (5, len(LAYOUT.series.bands), n_pixels)).astype(np.int16)
    clear = (rng.random((5, n_pixels)) < 0.3).view(np.uint8)
    days = LAYOUT.series.days[0] + np.arange(0, 50, 10, dtype=np.int32)
    labels = rng.choice([0, 4, 9], n_pixels)
    return BlockPixels(BlockSeries.of(values, clear, days), LAYOUT, np.arange(n_pixels), labels)


def test_bands_follow_from_the_tables_of_the_model_of_each_pixel(tmp_path: Path) -> None:
    request, block = request_of(tmp_path, confidence={"level": 0.8}), block_of()
    assert [band.name for band in request.bands] == ["probability", "set_size", "out_of_domain"]
    models = {0: calibrated(0), 4: calibrated(8)}
    found = classify_with_bands(block, models, request)
    features, validity = block_features(block.series, LAYOUT, block.pixels)
    seen = 0
    for at, label in enumerate(block.labels):
        if label == 9 or validity[at] == 0:
            assert found[3:, at].tolist() == [255, 255, 255]
            continue
        model, seen = models[label], seen + 1
        assert model.tables is not None
        shares = model.classifier.probabilities(features[:, [at]])[:, 0]
        least = model.tables.thresholds[:, LEVELS.index(80)]
        within = [s - (shares**2).sum() / 200 >= t for s, t in zip(shares, least, strict=True)]
        entropy = -sum(s * np.log(s) for s in shares if s)
        assert found[3, at] == model.tables.probability[found[1, at]]
        assert found[4, at] == sum(within)
        assert found[5, at] == (model.tables.quantiles < entropy - 1e-9).sum()
    assert seen > 30


def test_pieces_of_a_block_make_the_same_bands(tmp_path: Path) -> None:
    request, block, models = request_of(tmp_path), block_of(), {0: calibrated(0), 4: calibrated(8)}
    whole = classify_with_bands(block, models, request)
    parts = np.array_split(np.arange(len(block.pixels)), 7)
    pieces = [classify_with_bands(block.take(part), models, request) for part in parts]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)


def test_a_model_without_calibration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="E-CONFIDENCE-MODEL") as caught:
        classify_with_bands(block_of(), {0: small_model()}, request_of(tmp_path))
    assert "train it again" in str(caught.value)


def test_the_level_enters_the_key_of_a_block_only_where_it_matters(tmp_path: Path) -> None:
    assert request_of(tmp_path).to_json()["set_level"] == 90
    other = BandRequest.of(
        minimal_config(
            tmp_path / "run",
            nomenclature="oso23",
            map={"bands": ["probability"]},
            confidence={"level": 0.8},
        )
    )
    assert other is not None
    assert "set_level" not in other.to_json()


def test_bands_ask_for_a_calibration_by_themselves(tmp_path: Path) -> None:
    plain = minimal_config(tmp_path / "run")
    assert plain.calibration is None
    banded = minimal_config(tmp_path / "run", map={"bands": ["set_size"]})
    assert banded.calibration == Confidence()
    assert minimal_config(tmp_path / "run", confidence={"folds": 5}).calibration is not None


def test_models_of_past_seasons_are_not_calibrated(tmp_path: Path) -> None:
    past = {"year": 2017, "imagery": {"paths": [tmp_path]}}
    keys = {"year": 2018, "adaptation": {"sources": [past]}}
    assert not STAGE.check(minimal_config(tmp_path / "run", **keys)).errors
    found = STAGE.check(minimal_config(tmp_path / "run", **keys, map={"bands": ["set_size"]}))
    assert [problem.code for problem in found.errors] == ["E-CONFIDENCE-ADAPTED"]


@pytest.mark.parametrize("level", [0.3, 0.995, 1, 0.905])
def test_a_level_without_thresholds_is_refused(level: float) -> None:
    with pytest.raises(ValidationError):
        Confidence(level=level)
