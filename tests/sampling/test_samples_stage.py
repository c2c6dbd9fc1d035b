"""Samples: which pixels, whose, how many, with which features."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from unittest import mock

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from support.tile_factory import EPSG, SIZE, TinyRun, tile_grid

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import sidecar_of
from oso_pipeline.core.errors import ExitCode
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.reference.split.variants import variants
from oso_pipeline.sampling.draw_stage import STAGE as DRAW
from oso_pipeline.sampling.pixel_stage import STAGE as PIXELS
from oso_pipeline.sampling.stage import STAGE
from oso_pipeline.tasks.worker import do
from oso_pipeline.timeseries import plain_numpy as plain
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading.reader import BlockReader


@pytest.fixture
def tiny(tmp_path: Path) -> TinyRun:
    run = TinyRun(tmp_path)
    run.standard_reference()
    return run


def samples(run: TinyRun, tile: str = "31TCJ") -> geopandas.GeoDataFrame:
    table = pq.read_table(run.run_dir / "samples" / f"{tile}.parquet").to_pandas()
    points = geopandas.points_from_xy(table["x"], table["y"])
    return geopandas.GeoDataFrame(table, geometry=points, crs=tile_grid(tile).crs.epsg)


def test_columns_and_types(tiny: TinyRun) -> None:
    tiny.sample()
    table = pq.read_table(tiny.run_dir / "samples" / "31TCJ.parquet")
    layout = FeatureLayout.of(tiny.config)
    light = ["polygon_id", "x", "y", "code", "stratum", "season", "validity", "draw"]
    light.append("split_0")
    assert table.column_names == [*light, *layout.names]
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert [types[name] for name in light] == [
        "int64", "double", "double", "int32", "string", "int16", "uint16", "uint64", "string",
    ]  # fmt: skip
    assert {types[name] for name in layout.names} == {"int16"}


def test_every_clear_pixel_inside_a_polygon_is_there(tiny: TinyRun) -> None:
    """Centres inside polygons, found by shapely over the whole tile."""
    tiny.sample()
    polygons = geopandas.read_parquet(tiny.run_dir / "reference.parquet")
    grid = tile_grid("31TCJ")
    column, row = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    x, y = grid.affine @ (column.ravel(), row.ravel())
    clouds = []
    for number in range(6):
        with rasterio.open(tiny.folder / f"31TCJ_{number}" / "CLM_R1.tif") as source:
            clouds.append(source.read(1).ravel() > 0)
    clear = 6 - np.sum(clouds, axis=0)
    expected = set()
    for polygon in polygons.to_crs(grid.crs.epsg).itertuples():
        inside = shapely.contains_xy(polygon.geometry, x, y) & (clear > 0)
        expected |= {
            (polygon.polygon_id, polygon.code, *place)
            for place in zip(x[inside], y[inside], clear[inside], strict=True)
        }
    found = samples(tiny)[["polygon_id", "code", "x", "y", "validity"]]
    assert set(found.itertuples(index=False, name=None)) == expected
    assert len(found) == len(expected) > 500


def test_features_are_those_of_the_plain_definition(tiny: TinyRun) -> None:
    tiny.sample()
    layout = FeatureLayout.of(tiny.config)
    files = [tiny.folder / f"31TCJ_{number}" for number in range(6)]
    layers = {}
    for folder in files:
        for name in ("B4", "B8", "CLM_R1"):
            with rasterio.open(folder / f"{name}.tif") as source:
                layers[folder, name] = source.read(1)
    table = samples(tiny).iloc[::37]
    column, row = ~tile_grid("31TCJ").affine @ (table["x"].to_numpy(), table["y"].to_numpy())
    place = (row.astype(int), column.astype(int))
    values = np.array([[layers[f, band][place] for band in ("B4", "B8")] for f in files])
    clear = np.array([layers[f, "CLM_R1"][place] == 0 for f in files])
    days = np.array([17582 + 14 * number for number in range(6)], np.int32)  # 2018-02-20
    expected, _ = plain.block_features(
        values.astype(np.int16), clear.astype(np.uint8), days, layout
    )
    np.testing.assert_array_equal(table[list(layout.names)].to_numpy().T, expected)


@pytest.mark.parametrize("strips", [True, False])
def test_blocks_of_any_shape_give_the_same_bytes(tmp_path: Path, strips: bool) -> None:
    made = []
    for number, pixels in enumerate((256, 1000, 100_000)):
        runtime = {"block_pixels": pixels}
        run = TinyRun(tmp_path / f"{number}", strips=strips, sections={"runtime": runtime})
        run.standard_reference()
        (task,) = run.sample()
        made.append((task.key, task.output().read_bytes()))
    assert made[0] == made[1] == made[2]


def test_caps_keep_the_lowest_draws(tmp_path: Path) -> None:
    run = TinyRun(tmp_path)
    run.standard_reference()
    run.sample()
    everything = samples(run)
    run.config = run.configured(sampling={"max_train_pixels": 30, "max_validation_pixels": 11})
    with mock.patch("oso_pipeline.sampling.drawn._FIRST_TRIM", 50):
        run.sample()
    groups = everything.sort_values("draw").groupby(["code", "split_0"])
    limits = {"train": 30, "validation": 11}
    expected = {d for key, group in groups for d in group["draw"].head(limits[key[1]])}
    assert set(samples(run)["draw"]) == expected
    assert everything["draw"].is_unique


def test_folds_keep_what_any_fold_may_draw(tmp_path: Path) -> None:
    sampling = {"max_train_pixels": 20, "max_validation_pixels": 5}
    run = TinyRun(tmp_path, sections={"validation": {"folds": 2}})
    run.standard_reference()
    run.sample()
    everything = samples(run).sort_values("draw")
    run.config = run.configured(sampling=sampling)
    run.sample()
    assert variants(run.config) == ("map", "fold0", "fold1")
    expected = set(everything.groupby("code").head(20)["draw"])
    for fold in (0, 1):
        expected |= set(everything[everything["fold"] != fold].groupby("code").head(20)["draw"])
    assert set(samples(run)["draw"]) == expected


def test_least_validity(tiny: TinyRun) -> None:
    tiny.sample()
    before = samples(tiny)
    tiny.config = tiny.configured(sampling={"min_validity": 5})
    (task,) = tiny.sample()
    after = samples(tiny)
    assert set(after["draw"]) == set(before[before["validity"] >= 5]["draw"])
    record = task.commit_record()
    assert record is not None
    lost = sum(record["summary"]["not_clear"].values())
    assert sum(record["summary"]["candidates"].values()) - lost == len(after)


def test_row_27_a_pixel_never_clear_is_no_sample(tmp_path: Path) -> None:
    run = TinyRun(tmp_path, cloudy=(slice(0, 32), slice(0, 32)))
    run.standard_reference()
    run.sample()
    column, row = ~tile_grid("31TCJ").affine @ (samples(run)["x"], samples(run)["y"])
    assert not ((row < 32) & (column < 32)).any()
    assert (samples(run)["validity"] > 0).all()


def test_only_blocks_with_candidates_are_read(tmp_path: Path) -> None:
    run = TinyRun(tmp_path, sections={"runtime": {"block_pixels": 256}})
    run.reference([(0, 1, run.square(9, 3, 2)), (1, 2, run.square(41, 30, 1))])
    read = []
    original = BlockReader.read

    def noted(self: BlockReader, block: Block, wanted: Any) -> Any:
        read.append((block.row, block.column, block.height, block.width))
        return original(self, block, wanted)

    with mock.patch.object(BlockReader, "read", noted):
        run.sample()
    # Of a block only what lies around the candidates, from an even row and column on.
    assert read == [(8, 2, 3, 3), (40, 30, 2, 1)]


def test_a_pixel_counts_in_the_tile_that_owns_it(tmp_path: Path) -> None:
    """Two tiles that see the same ground share the pixels out by the exact owner."""
    run = TinyRun(tmp_path, tiles=("31TCJ", "31TDJ"))
    run.standard_reference()
    grids = {"31TCJ": tile_grid("31TCJ"), "31TDJ": tile_grid("31TCJ").translate_pix(20, 0)}
    twin = Ownership(grids, EPSG)
    with mock.patch("oso_pipeline.timeseries.reading.blocking.tile_layout") as layout:
        layout.side_effect = lambda _, tile: mock.Mock(grid=grids[tile], block_shape=(1, SIZE))
        run.sample()
    per_tile = [samples(run, tile) for tile in ("31TCJ", "31TDJ")]
    for index, table in enumerate(per_tile):
        there = table.to_crs(EPSG).geometry
        assert len(table) > 100
        assert (twin.owner_of(there.x, there.y) == index).all()
    places = [set(zip(t["x"], t["y"], strict=True)) for t in per_tile]
    assert not places[0] & places[1]


def test_row_38_lost_polygons_are_counted_per_class(tmp_path: Path) -> None:
    run = TinyRun(tmp_path)
    run.reference(
        [
            (0, 1, run.square(10, 10, 5)),
            (1, 2, run.square(20.6, 20.6, 0.3)),  # between pixel centres
            (2, 2, run.square(-40, 10, 5)),  # north of the image
            (3, 5, run.square(10, 5000, 5)),
            (4, 5, run.square(62, 62, 5)),  # reaches into the image
        ]
    )
    tasks = run.sample()
    gathered = STAGE.gather(tasks)
    summary = gathered.summary
    assert summary["outside_images"] == {"2": 1, "5": 1}
    assert summary["without_pixel"] == {"2": 1}
    assert sorted(set(samples(run)["polygon_id"])) == [0, 4]
    outside, tiny = gathered.warnings
    assert "W-POLYGON-UNUSED" in outside
    assert "2 polygons lie outside the images of all tiles" in outside
    assert "2: 1, 5: 1" in outside
    assert "1 polygons hold no pixel centre" in tiny


def test_a_tile_without_polygons_commits_an_empty_table(tmp_path: Path) -> None:
    run = TinyRun(tmp_path)
    run.reference([(0, 1, run.square(500, 500, 5))])
    (task,) = run.sample()
    assert len(samples(run)) == 0
    assert task.commit_record() is not None
    assert PIXELS.gather(run.stages["pixels"]).summary["blocks_read"] == 0


def test_cost_is_planned(tiny: TinyRun) -> None:
    tiny.plan_samples()
    costs = {name: tiny.stages[name][0].cost for name in ("draw", "pixels", "samples")}
    assert costs["draw"].pixels == costs["pixels"].pixels == SIZE * SIZE
    assert costs["pixels"].bytes_read > costs["samples"].bytes_read == 0
    assert all(cost.memory_bytes > 0 and cost.core_seconds > 0 for cost in costs.values())
    assert all(cost.bytes_written > 0 for cost in costs.values())


def test_cost_follows_the_draw_once_it_is_made(tiny: TinyRun) -> None:
    tiny.plan_samples()
    before = tiny.stages["samples"][0]
    tiny.sample()
    tiny.plan_samples()
    after = tiny.stages["samples"][0]
    drawn = DRAW.gather(tiny.stages["draw"]).summary["drawn"]
    assert after.cost.pixels == drawn != before.cost.pixels
    assert after.key == before.key


def test_samples_wait_for_all_parts_but_do_not_follow_their_keys(
    tmp_path: Path,
) -> None:
    keys = []
    for pixels in (256, 100_000):
        runtime = {"block_pixels": pixels}
        run = TinyRun(tmp_path / str(pixels), sections={"runtime": runtime})
        run.standard_reference()
        (task,) = run.plan_samples()
        parts = {o for name in ("draw", "pixels") for t in run.stages[name] for o in t.outputs}
        assert parts <= set(task.job.paths_read)
        keys.append(task.key)
    assert keys[0] == keys[1]


def test_rows_of_files_without_a_drawn_pixel_are_not_decoded(tmp_path: Path) -> None:
    run = TinyRun(tmp_path)
    run.reference([(0, 1, run.square(3, 3, 2)), (1, 2, run.square(41, 30, 2))])
    read = []
    original = BlockReader.read

    def noted(self: BlockReader, block: Block, wanted: Any) -> Any:
        read.append((block.row, block.height))
        return original(self, block, wanted)

    where = "oso_pipeline.timeseries.reading.pieces.GAP_PIXELS"
    with mock.patch.object(BlockReader, "read", noted), mock.patch(where, 20 * SIZE):
        run.sample()
    assert read == [(2, 3), (40, 3)]


@pytest.mark.parametrize("more", [0, 3])
def test_samples_do_not_depend_on_the_margin(tmp_path: Path, more: int) -> None:
    """Much of the tile is never clear, so that a small margin holds too few pixels."""
    limits = {"max_train_pixels": 60, "max_validation_pixels": None}
    run = TinyRun(tmp_path, cloudy=(slice(0, 64), slice(0, 40)), sections={"sampling": limits})
    run.standard_reference()
    made = []
    for pixels in (SIZE * SIZE, more):
        where = "oso_pipeline.sampling.drawn"
        with mock.patch(f"{where}.LEAST_MARGIN", pixels), mock.patch(f"{where}.MARGIN_SHARE", 0):
            (task,) = run.sample()
        record = task.commit_record()
        assert record is not None
        made.append((task.output().read_bytes(), record["summary"]["second_round"]))
        left = {one.name for one in (run.run_dir / "samples").iterdir()}
        assert left == {task.output().name, sidecar_of(task.output()).name}
    (expected, none), (found, some) = made
    assert found == expected
    assert some > none == 0


def test_parts_count_as_done_with_the_samples_though_they_are_gone(tiny: TinyRun) -> None:
    (task,) = tiny.sample()
    parts = (*tiny.stages["draw"], *tiny.stages["pixels"])
    for part in parts:
        for output in part.outputs:
            (tiny.run_dir / output).unlink()
    assert [part.state().status for part in parts] == ["done"] * len(parts)
    assert pickle.loads(pickle.dumps(parts[0])).whole is None
    task.output().unlink()
    assert {part.state().status for part in parts} == {"new"}


def test_a_damaged_part_is_refused_and_made_again(tiny: TinyRun) -> None:
    (task,) = tiny.sample()
    expected = task.output().read_bytes()
    task.output().unlink()
    (part,) = tiny.stages["pixels"]
    damaged = bytearray(part.output().read_bytes())
    damaged[len(damaged) // 2] ^= 1
    part.output().write_bytes(damaged)
    result = do(task)
    assert result.status == "failed"
    assert "E-FILE-CHANGED" in str(result.error)
    assert str(part.output()) in str(result.error)
    sidecar_of(part.output()).unlink()
    assert part.state().status == "new"
    refused = do(task)
    assert (refused.status, refused.exit_code) == ("failed", ExitCode.INPUT)
    assert "E-RUN-STAGE" in str(refused.error)
    assert "1 of 1 parts are missing" in str(refused.error)
    assert do(part).status == do(task).status == "done"
    assert task.output().read_bytes() == expected
