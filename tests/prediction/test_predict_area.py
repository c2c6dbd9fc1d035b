"""Blocks of an area of interest: planned, read and classified inside only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import shapely
from support.tile_factory import SIZE, TinyRun, tile_grid

from oso_pipeline.core.errors import ConfigError
from oso_pipeline.learning.train_stage import STAGE as TRAIN
from oso_pipeline.prediction.stage import STAGE
from oso_pipeline.timeseries.reading.reader import BlockReader

AFFINE = tile_grid("31TCJ").affine
# In pixels: a corner cut off, no edge on a centre, and a hole.
SHAPE = shapely.Polygon(
    [(5.3, 9.2), (40.7, 9.2), (40.7, 30.9), (20.1, 44.6), (5.3, 30.2)],
    [[(12.2, 15.2), (18.9, 15.2), (18.9, 20.9), (12.2, 20.9)]],
)


def in_pixels(shape: Any) -> npt.NDArray[np.bool_]:
    row, column = np.indices((SIZE, SIZE))
    inside: npt.NDArray[np.bool_] = shapely.contains_xy(shape, column + 0.5, row + 0.5)
    return inside


def run_in(folder: Path, **sections: Any) -> TinyRun:
    run = TinyRun(folder, strips=False, sections=sections)
    run.standard_reference()
    run.sample()
    run.run(TRAIN)
    return run


def draw(path: Path, shape: Any, epsg: int = 2154) -> dict[str, Any]:
    placed = shapely.transform(shape, lambda xy: np.column_stack(AFFINE @ tuple(xy.T)))
    frame = geopandas.GeoDataFrame(geometry=[placed], crs=32631).to_crs(epsg)
    frame.to_file(path)
    return {"area": {"path": path}}


def layers(run: TinyRun) -> npt.NDArray[np.uint16]:
    found = np.zeros((3, SIZE, SIZE), np.uint16)
    for task in run.stages["predict"]:
        block = task.job.block
        rows = slice(block.row, block.row + block.height)
        columns = slice(block.column, block.column + block.width)
        with rasterio.open(task.output()) as source:
            found[:, rows, columns] = source.read()
    return found


def test_inside_as_in_the_full_map_and_nothing_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, inside = run_in(tmp_path), in_pixels(SHAPE)
    run.run(STAGE)
    full, samples = layers(run), [task.key for task in run.stages["samples"]]
    original, read = BlockReader.read, []

    def noted(self: BlockReader, block: Any, wanted: Any) -> Any:
        read.append(block)
        return original(self, block, wanted)

    monkeypatch.setattr(BlockReader, "read", noted)
    for pixels in (256, 1100, 4096):
        read.clear()
        sections = {"map": draw(tmp_path / "area.gpkg", SHAPE), "runtime": {"block_pixels": pixels}}
        run.config = run.configured(**sections)
        assert [task.key for task in run.plan_samples()] == samples  # labels outside still teach
        run.run(STAGE)
        np.testing.assert_array_equal(layers(run), np.where(inside, full, 0))
        rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
        for block in read:
            assert block.row >= rows[0] // 2 * 2
            assert block.column >= columns[0] // 2 * 2
            assert block.row + block.height <= rows[-1] + 2
            assert block.column + block.width <= columns[-1] + 2
        summary = STAGE.gather(run.stages["predict"]).summary
        assert summary["pixels"] == inside.sum()
        assert summary["outside_strata"] == 0
        assert sum(summary["classes"].values()) == inside.sum()


def test_only_blocks_with_a_pixel_of_the_area_are_planned(tmp_path: Path) -> None:
    area = draw(tmp_path / "area.gpkg", SHAPE)
    run = run_in(tmp_path, map=area, runtime={"block_pixels": 256})
    inside = in_pixels(SHAPE)
    expected = {
        f"31TCJ/r{row:05d}c{column:05d}"
        for row in range(0, SIZE, 16)
        for column in range(0, SIZE, 16)
        if inside[row : row + 16, column : column + 16].any()
    }
    assert {task.name for task in run.plan(STAGE)} == expected
    assert 0 < len(expected) < 16


def test_the_content_of_the_file_counts_its_place_does_not(tmp_path: Path) -> None:
    run = run_in(tmp_path, map=draw(tmp_path / "area.gpkg", SHAPE))
    (task,) = run.run(STAGE)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "area.gpkg").rename(tmp_path / "elsewhere" / "area.gpkg")
    run.config = run.configured(map={"area": {"path": tmp_path / "elsewhere" / "area.gpkg"}})
    assert [other.state().status for other in run.plan(STAGE)] == ["done"]
    run.config = run.configured(map=draw(tmp_path / "area.gpkg", SHAPE.buffer(3)))
    assert [other.state().why for other in run.plan(STAGE)] == ["input area changed"]
    run.config = run.configured(map={})
    assert task.key not in [other.key for other in run.plan(STAGE)]


def test_row_31_an_area_without_a_pixel_centre(tmp_path: Path) -> None:
    run = run_in(tmp_path, map=draw(tmp_path / "area.gpkg", shapely.box(7.1, 7.1, 7.4, 7.4)))
    with pytest.raises(ConfigError, match=r"E-AREA-EMPTY.*no pixel centre.*31TCJ"):
        run.plan(STAGE)
