"""The map of an area of interest: that of the whole tiles, cut out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.windows import from_bounds

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.products.cell_job import make_cell
from oso_pipeline.products.cell_stage import block_of_task
from oso_pipeline.products.layers import LAYERS
from oso_pipeline.products.stage import STAGE
from oso_pipeline.tasks.task import Task
from oso_pipeline.vectors.area_of_interest import area_mask, digest_of

World = Any


def content(task: Task) -> dict[str, bytes]:
    return {output: (task.run_dir / output).read_bytes() for output in task.outputs}


@pytest.fixture
def area(tmp_path: Path, world_in: Callable[[Path], World]) -> Path:
    """Return a file with a disc that reaches across the border of the two zones."""
    grid = world_in(tmp_path / "grids").grids["31UCU"]
    frame = geopandas.GeoDataFrame(
        geometry=[shapely.Point(grid.affine @ (25.3, 60.2)).buffer(437)], crs=grid.crs.epsg
    )
    path = tmp_path / "area.gpkg"
    frame.to_crs(4326).to_file(path)
    return path


def planned(world: World, area: Path, block_px: int = 40) -> tuple[tuple[Task, ...], Any]:
    """Return the blocks with a pixel of the area and the tasks of the map."""
    config = world.config(map={"area": {"path": area}})
    digest = digest_of(config.map.area)

    def wanted(block: Block) -> bool:
        mask = area_mask(config.map.area, digest, world.grids[block.tile])
        return bool(mask.block(block).any())

    tasks = tuple(t for t in world.predict_tasks(block_px) if wanted(block_of_task(t)))
    return tasks, world.plan(tasks, map={"area": {"path": area}})


@pytest.mark.parametrize("layer", list(LAYERS))
def test_the_map_is_the_full_one_inside_and_nodata_outside(
    tmp_path: Path, world_in: Callable[[Path], World], area: Path, layer: str
) -> None:
    whole, part = world_in(tmp_path / "whole"), world_in(tmp_path / "part")
    whole.commit(whole.predict_tasks())
    tasks, maps = planned(part, area)
    assert 0 < len(tasks) < len(whole.predict_tasks())
    assert {block_of_task(task).tile for task in tasks} == set(part.grids)
    part.commit(tasks)
    with rasterio.open(maps.made(layer).output()) as source:
        found, bounds = source.read(1), source.bounds
        assert "OSO_PARTIAL" not in source.tags()
        x, y = source.transform @ tuple(np.indices(source.shape)[::-1] + 0.5)
    with rasterio.open(whole.plan(whole.predict_tasks()).made(layer).output()) as source:
        window = from_bounds(*bounds, source.transform)
        assert window == window.round_offsets().round_lengths()
        full = source.read(1, window=window)
        assert found.shape == full.shape
        assert found.size < source.read(1).size / 2
    summary = STAGE.gather((maps[layer],)).summary[layer]
    assert summary["missing_pixels"] == summary["missing_blocks"] == 0
    disc = geopandas.read_file(area).to_crs(2154).geometry[0]
    nodata = LAYERS[layer].nodata
    # The pixel of the image decides, whose centre lies within 7.1 m of that of the map.
    inside = shapely.contains_xy(shapely.buffer(disc, -8), x, y)
    outside = ~shapely.contains_xy(shapely.buffer(disc, 8), x, y)
    assert (found[inside] == full[inside]).all()
    assert (found[outside] == nodata).all()
    assert ((found == full) | (found == nodata)).all()
    assert inside.sum() > 3000


def test_bytes_do_not_depend_on_blocks(
    tmp_path: Path, world_in: Callable[[Path], World], area: Path
) -> None:
    contents = []
    for block_px in (26, 40, 120):
        world = world_in(tmp_path / str(block_px))
        tasks, maps = planned(world, area, block_px)
        world.commit(tasks)
        contents.append([content(task) for task in maps.all_made().values()])
    assert contents[0] == contents[1] == contents[2]


def test_a_missing_block_of_the_area_is_still_a_hole(world: World, area: Path) -> None:
    tasks, maps = planned(world, area)
    world.commit(tasks)
    world.uncommit(tasks[len(tasks) // 2])
    (task,) = maps.cells
    with pytest.raises(InputDataError, match="E-MAP-HOLES"):
        make_cell(task.job, task)


def test_a_changed_area_outdates_the_map(world: World, area: Path) -> None:
    tasks, maps = planned(world, area)
    world.commit(tasks)
    maps.made("class")
    frame = geopandas.read_file(area)
    frame.geometry = frame.to_crs(2154).buffer(-20).to_crs(4326)
    area.unlink()
    frame.to_file(area)
    assert planned(world, area)[1]["class"].state().status == "outdated"
