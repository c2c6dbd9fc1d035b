"""Cells of the map: however it is cut, the map is the same; and no more is made than must be."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.windows import Window
from rio_cogeo import cog_validate

from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.commit import sidecar_of, sweep_temporaries
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.tiles import Tile
from oso_pipeline.products import cells as cutting
from oso_pipeline.products.cells import Cell, cells_of
from oso_pipeline.products.grid import Locator, map_grid, window_in_tile
from oso_pipeline.products.pixel_kernels import pixels_of_owner
from oso_pipeline.products.tile_blocks import TileWindow
from oso_pipeline.tasks.worker import do

World = Any
FINE = {"map": {"resolution_m": 1.5}}


@pytest.fixture(scope="module")
def cut_in(tmp_path_factory: pytest.TempPathFactory, world_in: type) -> Callable[..., Any]:
    """Give the tasks of a map of 1.5 m, cut in cells of so many blocks."""
    world = world_in(tmp_path_factory.mktemp("fine"))
    tasks = world.predict_tasks()
    world.commit(tasks)

    def plan(side: int, **changes: Any) -> Any:
        before, cutting.CELL_BLOCKS = cutting.CELL_BLOCKS, side
        try:
            return world.plan(tasks, **FINE, **changes)
        finally:
            cutting.CELL_BLOCKS = before

    return plan


def contents(planned: Any) -> list[bytes]:
    return [
        (task.run_dir / output).read_bytes()
        for task in planned.all_made().values()
        for output in task.outputs
    ]


@pytest.mark.slow
@pytest.mark.fault(
    row=47, injected="cells of another size, in any order", outcome="maps equal byte for byte"
)
def test_bytes_depend_neither_on_cells_nor_on_their_order(cut_in: Callable[..., Any]) -> None:
    found = {}
    for side in (16, 1, 2):
        planned = cut_in(side)
        planned.cells = tuple(random.Random(side).sample(planned.cells, len(planned.cells)))
        found[side] = len(planned.cells), contents(planned)
    assert found[1][0] > found[2][0] > found[16][0] == 1
    assert found[1][1] == found[2][1] == found[16][1]


def test_maps_of_several_cells_are_cogs_whose_overviews_are_whole(
    cut_in: Callable[..., Any],
) -> None:
    for task in cut_in(2).all_made().values():
        assert cog_validate(task.output(), strict=True) == (True, [], [])
        with rasterio.open(task.output()) as source:
            number = len(source.overviews(1))
        for level in range(number):
            with rasterio.open(task.output(), overview_level=level) as source:
                assert (source.read(1) != source.nodata).mean() > 0.4


def test_3_2_a_colour_or_a_name_makes_only_the_files_again(
    cut_in: Callable[..., Any], tmp_path: Path
) -> None:
    """Of three layers that of the classes alone has colours; all three name the run."""
    before = cut_in(2)
    old = {layer: task.output().read_bytes() for layer, task in before.all_made().items()}
    lines = ["code,name,colour"]
    lines += [
        f"{c.code},other {c.code},#0102{c.code % 100:02d}"
        for c in load_nomenclature("oso17").classes
    ]
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
    after = cut_in(2, nomenclature=str(tmp_path / "mine.csv"))
    assert [task.key for task in after.cells] == [task.key for task in before.cells]
    assert {task.state().status for task in after.cells} == {"done"}
    assert after["class"].state().status == "outdated"
    for layer, task in after.all_made().items():
        content = task.output().read_bytes()
        assert content != old[layer]
        (tmp_path / "old.tif").write_bytes(old[layer])
        with rasterio.open(task.output()) as one, rasterio.open(tmp_path / "old.tif") as other:
            assert np.array_equal(one.read(1), other.read(1))
            if layer == "class":
                assert one.colormap(1)[211] == (1, 2, 0x11, 255)


def test_the_software_version_outdates_no_cell(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = world.predict_tasks()
    before = world.plan(tasks)
    monkeypatch.setattr("oso_pipeline.products.stage.__version__", "99.1")
    after = world.plan(tasks)
    assert [task.key for task in after.cells] == [task.key for task in before.cells]
    assert after["class"].key != before["class"].key


@pytest.mark.fault(
    row=24, injected="a committed part of the map changed", outcome="refused by name, made again"
)
def test_a_damaged_part_is_named(world: World) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    planned = world.plan(tasks)
    planned.make_cells()
    victim = planned.cells[0].output(2)
    sound = victim.read_bytes()
    victim.write_bytes(sound[:-20] + bytes([sound[-20] ^ 0xFF]) + sound[-19:])
    result = do(planned["validity"])
    assert result.status == "failed"
    assert "E-FILE-CHANGED" in (result.error or "")
    assert str(victim) in (result.error or "")
    assert not planned["validity"].output().exists()
    assert do(planned["class"]).status == "done", "the other layers are sound"
    sidecar_of(victim).unlink()
    planned.made("validity")
    assert victim.read_bytes() == sound


def test_empty_ground_between_tiles_is_no_task_and_takes_no_space(
    tmp_path: Path, world_in: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "CELL_BLOCKS", 1)
    world = world_in(tmp_path)
    far = Tile("32TNM").geobox(120)
    world.grids = {**world.grids, "32TNM": far}
    world.bands["32TNM"] = world.bands["31UCU"]
    tasks = world.predict_tasks()
    world.grids = {tile: world.grids[tile] for tile in ("30UYD", "31UCU")}
    near = [task for task in tasks if not task.name.startswith("32TNM")]
    two = world.plan(tuple(near))
    assert len(two.cells) == 1
    world.grids["32TNM"] = far
    ownership = Ownership(world.grids, 2154)
    grid = map_grid(world.grids, 2154, 10.0)
    blocks = {tile: [Block(tile, 0, 0, 120, 120)] for tile in world.grids}
    cells = cells_of(grid, world.grids, blocks, 1)
    assert grid.shape[0] * grid.shape[1] / 512**2 > 5000
    assert len(cells) < 12
    held = {
        (row // 512 * 512, column // 512 * 512)
        for tile, tile_grid in world.grids.items()
        for (row, _), (column, _) in [_first(grid, tile_grid)]
        if ownership.owns_any(tile, tile_grid)
    }
    assert held <= {(cell.row, cell.column) for cell in cells}


def _first(grid: GeoBox, tile_grid: GeoBox) -> tuple[tuple[int, int], tuple[int, int]]:
    from pyproj import Transformer

    way = Transformer.from_crs(tile_grid.crs.epsg, 2154, always_xy=True)
    column, row = ~grid.affine @ way.transform(*(tile_grid.affine @ (60, 60)))
    return (int(row), 0), (int(column), 0)


KILLS = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from oso_pipeline.core.commit import staged
from oso_pipeline.products.assembly import Part, assemble
from oso_pipeline.products.cell_layers import CellLayer
from oso_pipeline.products.cells import Cell
from oso_pipeline.products.layers import PixelType
from oso_pipeline.products.raster import RasterSpec

folder, pixels = Path(sys.argv[1]), PixelType("validity", "uint16", 65535, "average")
grid = GeoBox((2048, 1024), Affine(10, 0, 0, 0, -10, 0), "EPSG:2154")
parts = []
for row in (0, 1024):
    layer = CellLayer(grid[row : row + 1024, :], pixels, 1)
    for _ in range(2):
        layer.add(np.random.default_rng(row).integers(0, 900, (512, 1024)).astype(np.uint16))
    parts.append(Part(Cell(row, 0), folder / f"part{row}.tif"))
    layer.write(parts[-1].path)

def make(name):
    with staged(folder / name) as temporary:
        assemble(temporary, RasterSpec(grid, pixels, "validity"), [parts], 1)

make("whole.tif")
draw = random.Random(0)
for attempt in range(20):
    child = os.fork()
    if child == 0:
        while True:
            make(f"{attempt}.tif")
    time.sleep(draw.uniform(0.0, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.slow
@pytest.mark.fault(
    row=2,
    injected="SIGKILL at 20 random moments while a map is assembled",
    outcome="no file under its final name, or a complete one; temporary files are removed",
)
def test_killed_while_a_map_is_put_together(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLS, str(tmp_path)], check=True, timeout=120)
    whole = (tmp_path / "whole.tif").read_bytes()
    finals = list(tmp_path.glob("[0-9]*.tif"))
    assert all(file.read_bytes() == whole for file in finals)
    assert list(tmp_path.glob(".*.tmp")), "some were killed in the middle"
    assert sweep_temporaries(tmp_path) > 0
    assert not list(tmp_path.glob(".*"))


def test_3_14_the_map_is_forecast_by_what_the_tiles_cover(world: World) -> None:
    """Ground between tiles costs nothing, and a full tile what was measured."""
    world.grids = {tile: Tile(tile).geobox() for tile in ("30UYD", "32TNM")}
    tasks = tuple(
        world._task(block)
        for tile, grid in world.grids.items()
        for block in blocks_of(tile, (10980, 10980), (732, 10980))
    )
    planned = world.plan(tasks)
    pixels = 2 * 10980**2
    seconds = sum(task.cost.core_seconds for task in planned.cells)
    assert 0.15e-6 * pixels < seconds < 0.5e-6 * pixels
    assert all(task.cost.memory_bytes < 1e9 for task in planned.cells)
    for task in planned.layers.values():
        assert 0.05 < task.cost.core_seconds < 5
    assert max(planned["class"].job.grid.shape) > 50_000


@pytest.mark.parametrize(("resolution", "most"), [(10.0, 512), (2500.0, 1)])
def test_small_maps_down_to_a_pixel(world: World, resolution: float, most: int) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    planned = world.plan(tasks, map={"resolution_m": resolution})
    for task in planned.all_made().values():
        assert cog_validate(task.output(), strict=True) == (True, [], [])
        with rasterio.open(task.output()) as source:
            assert max(source.shape) <= most
            assert not source.overviews(1)
            assert (source.read(1) != source.nodata).any()


@pytest.mark.parametrize("window", [Window(0, 0, 130, 90), Window(37, 11, 64, 101)])
def test_pixels_of_a_tile_are_those_of_the_plain_formula(window: Window) -> None:
    tile_grid = Tile("31UCU").geobox(120)
    grid = map_grid({"31UCU": tile_grid}, 2154, 10.0)
    owners = (
        np.random.default_rng(0).integers(-1, 2, (window.height, window.width)).astype(np.int16)
    )
    locator = Locator(grid, tile_grid)
    cells, shares = locator.between(window)
    found = pixels_of_owner(owners, 1, locator.nodes(window), cells, shares, (120, 120))
    rows, columns = (np.clip(np.floor(p), 0, 119)[owners == 1] for p in locator.positions(window))
    assert np.array_equal(found[0], np.flatnonzero(owners.ravel() == 1))
    assert np.array_equal(found[1], rows)
    assert np.array_equal(found[2], columns)


def test_a_cell_asks_for_the_blocks_around_it_and_no_others() -> None:
    tile_grid = Tile("31UCU").geobox(2000)
    grid = map_grid({"31UCU": tile_grid}, 2154, 10.0)
    part = Cell(512, 1024).crop(grid, 1)
    window = TileWindow(*window_in_tile(part, tile_grid))
    positions = Locator(part, tile_grid).positions(Window(0, 0, 512, 512))
    for lines, exact in zip((window.rows, window.columns), positions, strict=True):
        assert lines.start <= exact.min() < exact.max() < lines.stop
        assert lines.stop - lines.start < 512 + 120
    top, left = window.rows.start // 100 * 100, window.columns.start // 200 * 200

    def held(row: int, column: int) -> bool:
        return window.may_hold(Path(f"r{row:05d}c{column:05d}.tif"), (100, 200))

    assert held(top, left)
    assert not held(top - 100, left)
    assert not held(top, left - 200)
    assert window.may_hold(Path("named otherwise.tif"), (100, 200))


def test_a_larger_block_left_behind_fills_in(world: World) -> None:
    """Blocks of one family hold the same values; a plan with smaller ones may find a large one."""
    large = world.predict_tasks(120)
    world.commit(large)
    expected = world.plan(large).made("class").output().read_bytes()
    small = world.predict_tasks(40)
    planned = world.plan(small)
    for task in planned.cells:
        sidecar_of(task.output()).unlink()
    assert planned.made("class").output().read_bytes() == expected


def test_a_cell_is_outdated_by_the_blocks_it_sees_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "CELL_BLOCKS", 1)
    tasks = world.predict_tasks()
    before = {task.name: task for task in world.plan(tasks, **FINE).cells}
    changed = tuple(
        task if task.name.startswith("31UCU") else _of_version(task, 2) for task in tasks
    )
    after = {task.name: task for task in world.plan(changed, **FINE).cells}
    same = {name for name in after if after[name].key == before[name].key}
    assert same == {name for name, task in after.items() if set(task.job.families) == {"31UCU"}}
    assert 0 < len(same) < len(after)


def _of_version(task: Any, version: int) -> Any:
    from dataclasses import replace

    return replace(task, version=version)
