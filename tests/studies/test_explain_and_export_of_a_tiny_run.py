"""Explanations and training sets of a run of one tile that has blocks and no map yet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from pyproj import Transformer
from support.tile_factory import SIZE, TinyRun, tile_grid

import oso_pipeline as oso_package
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.learning.train_stage import STAGE as TRAIN
from oso_pipeline.prediction.stage import STAGE as PREDICT

TILE = "31TCJ"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    run = TinyRun(tmp_path_factory.mktemp("tiny"))
    run.standard_reference()
    run.sample()
    run.run(TRAIN)
    run.run(PREDICT)
    return run


@pytest.fixture
def opened(tiny: TinyRun) -> oso_package.Run:
    return oso_package.Run(tiny.run_dir, tiny.config)


def place_of(row: int, column: int) -> tuple[float, float]:
    """Return the middle of a pixel of the tile, on the map."""
    grid = tile_grid(TILE)
    to_map = Transformer.from_crs(grid.crs.epsg, 2154, always_xy=True)
    x, y = to_map.transform(*(grid.affine @ (column + 0.5, row + 0.5)))
    return float(x), float(y)


def test_the_answer_is_that_of_the_block(tiny: TinyRun, opened: oso_package.Run) -> None:
    layers = np.zeros((3, SIZE, SIZE), np.uint16)
    for task in tiny.stages["predict"]:
        block = task.job.block
        with rasterio.open(task.output()) as source:
            rows = slice(block.row, block.row + block.height)
            layers[:, rows, block.column : block.column + block.width] = source.read()
    for row, column in ((7, 9), (31, 40), (50, 20)):
        found = oso_package.explain_pixel(opened, *place_of(row, column))
        # The map turns against the tile, so the pixel under its centre may be a neighbour.
        assert abs(found.place.row - row) + abs(found.place.column - column) <= 2
        expected = layers[:, found.place.row, found.place.column].tolist()
        answer = found.answer
        assert [answer.label.code, answer.confidence, answer.validity] == expected
        assert found.place.map_row is None
        assert found.place.block
        assert sum(one.votes or 0 for one in found.votes) == 8
        assert len(found.used) == answer.validity
        assert {one.reason for one in found.hidden} <= {"cloud or shadow"}
        assert not {"outdated", "images_gone"} & {flag.code for flag in found.flags}
        assert found.series is not None
        assert [one.name for one in found.series.variables] == ["B4", "B8", "NDVI"]
        assert found.series.main.classes[0].samples > 0
        assert len(found.polygons) >= 5
        assert f"tile {TILE}" in found.to_text()


def test_a_pixel_without_a_clear_date(opened: oso_package.Run) -> None:
    found = oso_package.explain_pixel(opened, *place_of(1, 1))
    assert found.answer.label.code == 0
    assert found.votes == ()
    assert found.used == ()
    assert "no_date" in {flag.code for flag in found.flags}
    assert found.to_text().startswith("no class")
    with pytest.raises(InputDataError, match="E-EXPLAIN-OUTSIDE"):
        oso_package.explain_pixel(opened, *place_of(-20, 5))


def test_sets_hold_what_the_run_learned_from(opened: oso_package.Run, tmp_path: Path) -> None:
    samples = opened.samples
    content = json.loads(oso_package.export_dataset(opened, tmp_path / "table").read_text())
    table = pd.read_parquet(tmp_path / "table" / "samples.parquet")
    shared = [name for name in samples if name != "draw"]
    pd.testing.assert_frame_equal(table[shared], samples[shared])
    assert content["bands"] == ["B4", "B8"]
    oso_package.export_dataset(opened, tmp_path / "parcels", "npz")
    listed = pd.read_parquet(tmp_path / "parcels" / "parcels.parquet")
    assert listed["pixels"].sum() == len(samples)
    days = np.array(content["grid"], "datetime64[D]").astype(int)
    names = [f"B8_{day.replace('-', '')}" for day in content["grid"]]
    for row in listed.to_dict("records"):
        own = samples[samples["polygon_id"] == row["polygon_id"]]
        with np.load(tmp_path / "parcels" / row["file"], allow_pickle=False) as parcel:
            observed = zip(parcel["values"][:, :, 1], parcel["mask"] == 1, strict=True)
            filled = [np.interp(days, parcel["days"][m], values[m]) for values, m in observed]
        np.testing.assert_allclose(own[names], filled, atol=0.51)
    with pytest.raises(InputDataError, match="E-DATASET-FOLDER"):
        oso_package.export_dataset(opened, tmp_path / "parcels")
