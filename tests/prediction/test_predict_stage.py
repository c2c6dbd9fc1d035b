"""Prediction of whole tiles: the map equals scikit-learn's trees on plain features."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from math import lcm
from pathlib import Path
from typing import Any
from unittest import mock

import geopandas
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from support.learning_tools import LAYOUT, small_model
from support.tile_factory import EPSG, SIZE, TinyRun, tile_grid

from oso_pipeline.core.blocks import blocks_of
from oso_pipeline.core.dates import days_since_epoch
from oso_pipeline.core.errors import ConfigError, ExitCode, InputDataError
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.rasterise import Burner
from oso_pipeline.learners.forest.votes import probabilities
from oso_pipeline.learning.model_file import Model, load_model, save_model
from oso_pipeline.learning.train_stage import STAGE as TRAIN
from oso_pipeline.prediction.band_request import BandRequest
from oso_pipeline.prediction.block_file import BANDS, write_block
from oso_pipeline.prediction.block_map import predict_pixels
from oso_pipeline.prediction.samples import predict_samples
from oso_pipeline.prediction.series_quality import (
    LONG_GAP_DAYS,
    count_quality,
    quality_warnings,
    total_quality,
)
from oso_pipeline.prediction.stage import STAGE
from oso_pipeline.sampling.pixel_stage import STAGE as PIXELS
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading import memory
from oso_pipeline.timeseries.reading.blocking import block_shape, most_pixels
from oso_pipeline.timeseries.reading.memory import WorkerMemory
from oso_pipeline.timeseries.reading.reader import BlockReader
from oso_pipeline.timeseries.series import BlockSeries

Array = npt.NDArray[Any]


def trained(folder: Path, **arguments: Any) -> TinyRun:
    run = TinyRun(folder, **arguments)
    run.standard_reference()
    run.sample()
    run.run(TRAIN)
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    run = trained(tmp_path_factory.mktemp("tiny"))
    run.run(STAGE)
    return run


def mosaic(run: TinyRun) -> Array:
    """Return the blocks of the tile put together; every pixel in exactly one."""
    layers, times = np.zeros((3, SIZE, SIZE), np.uint16), np.zeros((SIZE, SIZE), int)
    for task in run.stages["predict"]:
        block = task.job.block
        rows = slice(block.row, block.row + block.height)
        columns = slice(block.column, block.column + block.width)
        with rasterio.open(task.output()) as source:
            layers[:, rows, columns] = source.read()
        times[rows, columns] += 1
    assert (times == 1).all()
    return layers


def test_the_map_is_right_where_it_can_be(finished: TinyRun) -> None:
    code, confidence, validity = mosaic(finished)
    seen = validity > 0
    assert (code[seen] == finished.classes()[seen]).mean() > 0.99
    assert confidence[seen].min() >= 34
    assert confidence.max() == 100


def test_row_26_27_no_clear_date_is_nodata(finished: TinyRun) -> None:
    layers = mosaic(finished)
    assert (layers[:, :4, :4] == 0).all()
    assert (layers[0] == 0).sum() == (layers[2] == 0).sum() == 16
    gathered = STAGE.gather(finished.stages["predict"])
    summary = gathered.summary
    assert summary["nodata"] == 16
    assert "W-SERIES-NO-DATE] 16 of 4096 pixels" in " ".join(gathered.warnings)


def test_1_9_the_share_of_observations_that_are_0_in_every_band_is_reported():
    sound = {"classified": 10, "nodata": 0}
    assert quality_warnings(total_quality([sound])) == []
    found = {**sound, "blank": 5, "observed": 20}
    (text,) = quality_warnings(total_quality([found, sound, found]))
    assert "W-SERIES-ZERO" in text
    assert "10 observations, 25.0%" in text


def test_rows_18_26_29_quality_of_the_series_is_counted() -> None:
    first = days_since_epoch(LAYOUT.series.dates)[0]
    last = days_since_epoch(LAYOUT.series.dates)[-1]
    days = np.array([first, first + 30, last], np.int32)
    # No date, the first only, all, all but unwanted.
    clear = np.array([[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]], np.uint8)
    series = BlockSeries.of(np.zeros((3, 2, 4), np.int16), clear, days, clipped=5)
    validity = clear.sum(0).astype(np.uint16)
    gaps = np.array([last - first, last - first, max(30, last - first - 30)])
    counts = count_quality(series, np.array([True, True, True, False]), validity, LAYOUT)
    assert counts == {
        "classified": 2,
        "nodata": 1,
        "insufficient": 2,
        "long_gap": int((gaps[1:] > LONG_GAP_DAYS).sum()),
        "clipped": 5,
    }
    codes = [text[8:].partition("]")[0] for text in quality_warnings({**counts, "long_gap": 1})]
    assert codes == ["W-SERIES-CLIPPED", "W-SERIES-FEW-DATES", "W-SERIES-NO-DATE", "W-SERIES-GAP"]
    assert total_quality([counts, counts, {}])["insufficient"] == 4
    assert quality_warnings(total_quality([])) == []


def test_row_26_one_clear_date_is_a_class_with_validity_one() -> None:
    values = np.full((3, 2, 4), 500, np.int16)
    clear = np.array([[1, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]], np.uint8)
    series = BlockSeries.of(values, clear, np.array([17532, 17540, 17560], np.int32))
    layers = predict_pixels(series, np.zeros(4, np.int32), {0: small_model()}, LAYOUT)
    assert layers[2].tolist() == [1, 0, 1, 3]
    assert (layers[0] > 0).tolist() == [True, False, True, True]
    assert layers[1, 1] == 0


def test_row_27_no_image_at_all_is_nodata() -> None:
    series = BlockSeries.of(
        np.zeros((0, 2, 5), np.int16), np.zeros((0, 5), np.uint8), np.zeros(0, np.int32)
    )
    models = {0: small_model()}
    assert not predict_pixels(series, np.zeros(5, np.int32), models, LAYOUT).any()


def test_rows_without_a_value_take_no_bytes_of_a_block(tmp_path: Path) -> None:
    grid = tile_grid("31TCJ")[:4, :8]
    layers = {name: np.zeros((4, 8), np.uint16) for name in BANDS}
    layers["class"][3, 5] = 1
    write_block(tmp_path / "block.tif", layers, grid)
    with rasterio.open(tmp_path / "block.tif") as source:
        np.testing.assert_array_equal(source.read(), np.stack([*layers.values()]))
        places = [source.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=band) for band in (1, 2, 3)]
    assert [place is not None for place in places] == [True, False, False]


def test_samples_and_map_agree(finished: TinyRun) -> None:
    table = pq.read_table(finished.run_dir / "samples" / "31TCJ.parquet")
    models = {"all": load_model(finished.run_dir / "models" / "run0" / "all")}
    code, confidence = predict_samples(models, table)
    x, y = table["x"].to_numpy(), table["y"].to_numpy()
    column, row = ~tile_grid("31TCJ").affine @ (x, y)
    layers = mosaic(finished)[:, row.astype(int), column.astype(int)]
    np.testing.assert_array_equal(code, layers[0])
    np.testing.assert_array_equal(confidence, layers[1])
    np.testing.assert_array_equal(table["validity"].to_numpy(), layers[2])
    assert not predict_samples({"other": models["all"]}, table)[0].any()
    with pytest.raises(InputDataError, match="E-MODEL-FEATURES"):
        predict_samples(models, table.drop_columns([table.column_names[-1]]))


def test_block_file(finished: TinyRun) -> None:
    task = finished.stages["predict"][0]
    with rasterio.open(task.output()) as source:
        assert source.dtypes == ("uint16",) * 3
        assert source.descriptions == ("class", "confidence", "validity")
        assert source.crs.to_epsg() == 32631
        assert source.profile["compress"] == "deflate"
        assert source.transform == tile_grid("31TCJ").affine
    content = task.output().read_bytes()
    assert do(task).status == "done"
    assert task.output().read_bytes() == content


def test_more_bands_are_those_of_the_model_and_outdate_the_block(finished: TinyRun) -> None:
    model = load_model(finished.run_dir / "models" / "run0" / "all")
    codes = (*map(int, model.classifier.classes), 65000)
    request = BandRequest(("probabilities", "margin"), codes)
    task = finished.stages["predict"][0]
    more = replace(task, job=replace(task.job, bands=request))
    assert more.state().status == "outdated"
    assert "bands" in more.state().why
    more = replace(more, outputs=("more.tif",))
    assert do(more).status == "done"
    with rasterio.open(more.output()) as source, rasterio.open(task.output()) as before:
        names, bands = list(source.descriptions), source.read()
        np.testing.assert_array_equal(bands[:3], before.read())
    assert names[3:] == [f"probability_{code}" for code in codes] + ["margin"]
    table = pq.read_table(finished.run_dir / "samples" / "31TCJ.parquet")
    features = np.stack([table[name].to_numpy() for name in model.layout.names])
    shares = model.classifier.probabilities(features)
    column, row = ~tile_grid("31TCJ").affine @ (table["x"].to_numpy(), table["y"].to_numpy())
    found = bands[:, row.astype(int), column.astype(int)]
    np.testing.assert_array_equal(found[3:-2], np.floor(100 * shares + 0.5 + 1e-9))
    assert not found[-2].any()  # a class that the model does not know
    two = np.sort(shares, axis=0)[-2:]
    np.testing.assert_array_equal(found[-1], np.floor(100 * (two[1] - two[0]) + 0.5 + 1e-9))


@pytest.mark.parametrize("strips", [True, False])
def test_the_map_does_not_depend_on_blocks(finished: TinyRun, tmp_path: Path, strips: bool) -> None:
    expected = mosaic(finished)
    for pixels in (256, 1100):
        runtime = {"block_pixels": pixels}
        run = trained(tmp_path / f"{pixels}", strips=strips, sections={"runtime": runtime})
        tasks = run.run(STAGE)
        assert max(task.job.block.pixels for task in tasks) <= pixels
        np.testing.assert_array_equal(mosaic(run), expected)
        recipe, other = (
            dict(t.recipe["params"]) for t in (tasks[0], finished.stages["predict"][0])
        )
        assert recipe.pop("block") != other.pop("block")
        assert recipe == other


@pytest.mark.parametrize("strips", [True, False])
@pytest.mark.parametrize("pixels", [60, 1024])
def test_the_map_does_not_depend_on_how_much_is_read_at_once(
    finished: TinyRun, tmp_path: Path, strips: bool, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(tmp_path, strips=strips)
    (planned,) = run.plan(STAGE)
    sizes = []
    original = BlockReader.read

    def noted(self: BlockReader, block: Any, wanted: Any) -> BlockSeries:
        sizes.append(block.pixels)
        return original(self, block, wanted)

    # A worker that uses more than it may before it begins reads the least at once.
    monkeypatch.setattr(memory, "_LEAST_PIXELS", pixels)
    monkeypatch.setattr(BlockReader, "read", noted)
    task = replace(planned, job=replace(planned.job, memory_bytes=0))
    assert do(task).status == "done"
    assert max(sizes) <= pixels
    assert sum(sizes) == SIZE * SIZE
    expected = finished.stages["predict"][0]
    assert task.output().read_bytes() == expected.output().read_bytes()
    assert task.commit_record()["summary"] == expected.commit_record()["summary"]


def test_row_53_a_model_of_other_features_is_refused(tmp_path: Path) -> None:
    run = trained(tmp_path)
    folder = run.run_dir / "models" / "run0" / "all"
    model = load_model(folder)
    other = FeatureLayout.optical(("B8", "B4"), model.layout.series.dates, ("NDVI",))
    save_model(folder, Model(**{**model.__dict__, "layout": other}))
    result = do(run.plan(STAGE)[0])
    assert result.exit_code == ExitCode.INPUT
    for words in ("E-MODEL-FEATURES", "_20180301", "+B", str(folder)):
        assert words in str(result.error)


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    run = trained(tmp_path)
    path = run.run_dir / "models" / "run0" / "all" / "forest.npz"
    path.write_bytes(path.read_bytes()[:-100])
    result = do(run.plan(STAGE)[0])
    assert result.exit_code == ExitCode.INPUT
    assert "E-INPUT-MODEL" in str(result.error)


def test_each_stratum_has_its_own_model(tmp_path: Path) -> None:
    """West and east get a model each; a strip in the north lies in no stratum."""
    half, bottom = SIZE // 2, SIZE - 8
    run = TinyRun(tmp_path)
    affine = tile_grid("31TCJ").affine

    def part(first: int, last: int) -> shapely.Polygon:
        corners = [(first, 8), (last, 8), (last, 8 + bottom), (first, 8 + bottom)]
        return shapely.Polygon([affine @ corner for corner in corners])

    regions = geopandas.GeoDataFrame(
        {"region": ["east", "west"]}, geometry=[part(half, SIZE), part(0, half)], crs=32631
    )
    regions.to_file(tmp_path / "strata.gpkg")
    run.config = run.configured(strata={"path": tmp_path / "strata.gpkg", "field": "region"})
    run.standard_reference()
    frame = geopandas.read_parquet(run.run_dir / "reference.parquet")
    middle = frame.to_crs(32631).representative_point()
    frame["stratum"] = np.where(middle.x > (affine @ (half, 0))[0], "east", "west")
    run.write_reference(frame)
    run.sample()
    assert {task.name for task in run.run(TRAIN)} == {"run0/east", "run0/west"}
    run.run(STAGE)
    code, _, validity = mosaic(run)
    assert (code[:8] == 0).all()
    assert set(np.unique(code[8:, :half])) <= {0, 1, 5}
    assert set(np.unique(code[8:, half:])) <= {0, 1, 2}
    seen = validity > 0
    assert (code[seen] == run.classes()[seen]).mean() > 0.99
    assert STAGE.gather(run.stages["predict"]).summary["outside_strata"] == 8 * SIZE


def test_a_changed_strata_file_outdates_the_blocks(tmp_path: Path) -> None:
    test_each_stratum_has_its_own_model(tmp_path)
    run = TinyRun(tmp_path)
    run.config = run.configured(strata={"path": tmp_path / "strata.gpkg", "field": "region"})
    run.stages["reference"] = (
        Task("reference", "reference", "-", run.run_dir, ("reference.parquet",)),
    )
    run.plan_samples()
    run.plan(TRAIN)
    assert {task.state().status for task in run.plan(STAGE)} == {"done"}
    regions = geopandas.read_file(tmp_path / "strata.gpkg")
    regions.geometry = regions.buffer(1)
    regions.to_file(tmp_path / "strata.gpkg")
    assert {task.state().why for task in run.plan(STAGE)} == {"input strata changed"}


def test_only_blocks_with_owned_pixels_are_tasks(tmp_path: Path) -> None:
    """Of two overlapping tiles each predicts its part; together they miss nothing."""
    run = TinyRun(tmp_path, tiles=("31TCJ", "31TDJ"), sections={"runtime": {"block_pixels": 256}})
    run.standard_reference()
    grids = {"31TCJ": tile_grid("31TCJ"), "31TDJ": tile_grid("31TCJ").translate_pix(0, 16)}
    rule = Ownership(grids, EPSG)

    def layout(_: object, tile: str) -> mock.Mock:
        return mock.Mock(grid=grids[tile], block_shape=(16, 16))

    with (
        mock.patch("oso_pipeline.timeseries.reading.blocking.tile_layout", layout),
    ):
        run.plan_samples()
        run.plan(TRAIN)
        tasks = run.plan(STAGE)
    for tile, grid in grids.items():
        blocks = blocks_of(tile, (SIZE, SIZE), (16, 16))
        expected = [b.name for b in blocks if rule.owned(tile, b.crop(grid)).any()]
        assert [task.name for task in tasks if task.job.tile == tile] == [
            f"{tile}/{name}" for name in expected
        ]
        assert 0 < len(expected) < len(blocks)


def test_tasks_are_small_and_priced(finished: TinyRun) -> None:
    for task in finished.stages["predict"]:
        assert len(json.dumps(task.recipe)) < 4000
        assert task.cost.pixels == task.job.block.pixels
        assert min(task.cost.bytes_read, task.cost.memory_bytes) > 0
        assert task.cost.core_seconds > 0


@given(
    st.tuples(st.integers(2, 400), st.integers(2, 400)),
    st.tuples(st.integers(1, 64), st.integers(1, 400)),
    st.integers(256, 200_000),
)
def test_block_shape_is_even_within_limits_and_follows_the_file(
    grid: tuple[int, int], file_blocks: tuple[int, int], limit: int
) -> None:
    height, width = block_shape(grid, file_blocks, limit)
    assert height % 2 == width % 2 == 0
    assert height >= 2
    assert width >= 2
    assert height * width <= limit
    even = [size + size % 2 for size in grid]
    unit = [min(lcm(2, n), most) for n, most in zip(file_blocks, even, strict=True)]
    if file_blocks[1] >= grid[1] and 2 * even[1] <= limit and even[1] > 2 * unit[0]:
        assert width == even[1]  # strips are never cut across
    if unit[0] * unit[1] * 4 <= limit:
        assert height % file_blocks[0] == 0 or height == even[0]
        assert width % file_blocks[1] == 0 or width == even[1]


def test_blocks_fit_the_memory_of_a_worker(tmp_path: Path) -> None:
    run = TinyRun(tmp_path)
    layout = FeatureLayout.of(run.config)
    sizes = []
    for gigabytes in (0.25, 0.75, 1.5, 4):
        config = run.configured(runtime={"memory_per_worker_gb": gigabytes})
        worker = WorkerMemory.of(config, 40, layout, (1, 10980))
        sizes.append(most_pixels(config, worker))
        if gigabytes > 0.6:
            assert worker.needed(sizes[-1]) <= gigabytes * 0.81e9
    assert all(a <= b for a, b in pairwise(sizes))


@pytest.mark.parametrize("stage", [PIXELS, STAGE])
def test_row_62_a_block_that_exceeds_the_memory_is_refused(tmp_path: Path, stage: Any) -> None:
    run = trained(tmp_path)
    run.config = run.configured(runtime={"block_pixels": 10**9, "memory_per_worker_gb": 1})
    with pytest.raises(ConfigError, match=r"E-BLOCK-MEMORY.* GB") as caught:
        run.plan(stage)
    assert caught.value.exit_code == ExitCode.CONFIG
    proposed = int(str(caught.value).partition("block_pixels to ")[2].split()[0])
    run.config = run.configured(runtime={"block_pixels": proposed, "memory_per_worker_gb": 1})
    tasks = run.plan(stage)
    assert max(task.cost.memory_bytes for task in tasks) <= 1e9


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 20), st.integers(4, 20))
def test_burning_does_not_depend_on_the_window(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    grid = tile_grid("31TCJ")
    left, top = grid.affine @ (0, 0)
    corners = rng.integers(0, 128, (4, 3, 2)) * 5.0  # on pixel corners and centres
    shapes = np.array([shapely.Polygon(c * [1, -1] + [left, top]) for c in corners])
    with mock.patch("oso_pipeline.core.rasterise._SQUARE", 24):
        burner = Burner(grid, shapes)
        (whole,) = [burner.block(b) for b in blocks_of("31TCJ", (SIZE, SIZE), (SIZE, SIZE))]
        for block in blocks_of("31TCJ", (SIZE, SIZE), (2 * height, 2 * width)):
            rows = slice(block.row, block.row + block.height)
            columns = slice(block.column, block.column + block.width)
            np.testing.assert_array_equal(burner.block(block), whole[rows, columns])
    column, row = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    x, y = grid.affine @ (column.ravel(), row.ravel())
    points = shapely.points(x, y)
    near = np.zeros(len(x), bool)
    expected = np.full(len(x), -1)
    for number, shape in enumerate(shapes):
        near |= shapely.distance(shapely.boundary(shape), points) < 1e-6
        expected[shapely.contains_xy(shape, x, y)] = number
    np.testing.assert_array_equal(whole.ravel()[~near], expected[~near])


def test_soft_votes_change_the_map_and_need_no_other_forest(tmp_path: Path) -> None:
    run = trained(tmp_path)
    forests = [task.key for task in run.stages["train"]]
    hard = [task.key for task in run.plan(STAGE)]
    run.config = run.configured(learning={"n_trees": 8, "min_samples_leaf": 1, "vote": "soft"})
    assert [task.key for task in run.plan(TRAIN)] == forests
    assert not {task.key for task in run.plan(STAGE)} & set(hard)
    run.run(STAGE)
    table = pq.read_table(run.run_dir / "samples" / "31TCJ.parquet")
    model = load_model(run.run_dir / "models" / "run0" / "all")
    models = {"all": model.with_settings({"vote": "soft"})}
    code, confidence = predict_samples(models, table)
    column, row = ~tile_grid("31TCJ").affine @ (table["x"].to_numpy(), table["y"].to_numpy())
    layers = mosaic(run)[:, row.astype(int), column.astype(int)]
    np.testing.assert_array_equal([code, confidence], layers[:2])
    forest = models["all"].classifier.forest
    features = np.stack([table[name].to_numpy() for name in models["all"].layout.names])
    shares = probabilities(forest, features)
    assert np.abs(shares.max(axis=0) * 100 - confidence).max() <= 0.501
