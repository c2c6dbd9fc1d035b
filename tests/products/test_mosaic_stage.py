from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from pyproj import Transformer
from rasterio.warp import Resampling, reproject
from rio_cogeo import cog_validate
from support.machine_tools import files_of_at_most

from oso_pipeline.core.commit import sidecar_of
from oso_pipeline.core.errors import ExitCode, InputDataError
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.products.cell_job import _open, make_cell
from oso_pipeline.products.layers import LAYERS, PixelType
from oso_pipeline.products.mosaic import Mosaic
from oso_pipeline.products.stage import STAGE
from oso_pipeline.products.tile_blocks import BlockCache, TileBlocks
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do

World = Any


def read(task: Task) -> tuple[np.ndarray, Any]:
    with rasterio.open(task.output()) as source:
        return source.read(1), source.profile


def expected_layer(world: World, profile: Any, band: int, nodata: int) -> np.ndarray:
    """Every map pixel by the definition, one at a time, with exact transforms only."""
    result = np.full((profile["height"], profile["width"]), nodata, np.int64)
    ways = {}
    for tile, grid in world.grids.items():
        there = Transformer.from_crs(2154, grid.crs.epsg, always_xy=True)
        back = Transformer.from_crs(grid.crs.epsg, 2154, always_xy=True)
        ways[tile] = there, back.transform(*(grid.affine @ (60, 60)))
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            x, y = profile["transform"] @ (column + 0.5, row + 0.5)
            best = math.inf
            for tile in sorted(world.grids):
                there, middle = ways[tile]
                c, r = ~world.grids[tile].affine @ there.transform(x, y)
                distance = math.dist(middle, (x, y))
                if 0 <= c < 120 and 0 <= r < 120 and distance < best:
                    best = distance
                    result[row, column] = world.bands[tile][band, int(r), int(c)]
    return result


@pytest.mark.parametrize(("layer", "band", "nodata"), [("class", 0, 0), ("validity", 2, 65535)])
def test_two_zones_meet_without_gap_overlap_or_shift(
    world: World, layer: str, band: int, nodata: int
) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    values, profile = read(world.plan(tasks).made(layer))
    assert profile["crs"].to_epsg() == 2154
    assert np.array_equal(values, expected_layer(world, profile, band, nodata))


def test_agrees_with_gdal_inside_the_tiles(world: World) -> None:
    """GDAL's own nearest neighbour (exact transform) as a second opinion."""
    tasks = world.predict_tasks()
    world.commit(tasks)
    values, profile = read(world.plan(tasks).made("class"))
    grid_of = {"crs": profile["crs"], "transform": profile["transform"]}
    agree = total = 0
    warped = {}
    for tile, grid in world.grids.items():
        warped[tile] = np.zeros(values.shape, np.uint16)
        reproject(
            world.bands[tile][0], warped[tile], src_transform=grid.affine,
            src_crs=f"EPSG:{grid.crs.epsg}", dst_transform=grid_of["transform"],
            dst_crs=grid_of["crs"], resampling=Resampling.nearest, tolerance=0, src_nodata=0,
        )  # fmt: skip
    ownership = Ownership(world.grids, 2154)
    columns, rows = np.meshgrid(np.arange(values.shape[1]) + 0.5, np.arange(values.shape[0]) + 0.5)
    owners = ownership.owner_of(*(profile["transform"] @ (columns, rows)))
    for index, tile in enumerate(ownership.tiles):
        mine = (owners == index) & (warped[tile] > 0)
        agree += int((values[mine] == warped[tile][mine]).sum())
        total += int(mine.sum())
    assert total > 20_000
    assert agree / total >= 0.999


@pytest.mark.parametrize("size", [17, 64, 333])
def test_windows_do_not_matter(world: World, size: int) -> None:
    from oso_pipeline.products.grid import map_grid, windows

    tasks = world.predict_tasks()
    world.commit(tasks)
    planned = world.plan(tasks)
    (task,) = planned.cells
    grid = map_grid(world.grids, 2154, 10.0)
    blocks = {tile: _open(task.job, task, tile, BlockCache()) for tile in world.grids}
    mosaic = Mosaic(grid, Ownership(world.grids, 2154), (0, 0, 65535), blocks, {})
    whole = np.zeros((3, *grid.shape), np.uint16)
    for part in windows(grid, size):
        whole[:, *part.toslices()] = mosaic.read(part)
    for band, layer in zip(whole, LAYERS, strict=True):
        assert np.array_equal(band, read(planned.made(layer))[0])


@pytest.mark.fault(
    row=47, injected="order of blocks, threads of GDAL", outcome="maps equal byte for byte"
)
def test_bytes_depend_neither_on_blocks_nor_on_their_order_nor_on_threads(
    tmp_path: Path, world_in: Callable[[Path], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = []
    for folder, block_px, order in (("a", 40, 1), ("b", 40, -1), ("c", 120, 1), ("d", 26, 1)):
        monkeypatch.setenv("GDAL_NUM_THREADS", "ALL_CPUS" if folder == "d" else "1")
        world = world_in(tmp_path / folder)
        tasks = world.predict_tasks(block_px)[::order]
        world.commit(tasks)
        made_tasks = world.plan(tasks).all_made().values()
        contents.append(
            [(task.run_dir / output).read_bytes() for task in made_tasks for output in task.outputs]
        )
        assert not list(tmp_path.rglob(".*")), "temporary files are left behind"
    assert all(content == contents[0] for content in contents[1:])


def test_another_block_size_does_not_outdate_the_map(world: World) -> None:
    key = world.plan(world.predict_tasks(40))["class"].key
    assert world.plan(world.predict_tasks(60))["class"].key == key
    seeded = world.plan(world.predict_tasks(40), seed=1)
    assert seeded["class"].key != key
    cells = world.plan(world.predict_tasks(40)).cells
    assert [task.key for task in seeded.cells] == [task.key for task in cells], "only a tag differs"


def test_products_are_cogs_with_faithful_overviews(world: World) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    for task in world.plan(tasks, map={"resolution_m": 1.0}).all_made().values():
        valid, errors, warnings = cog_validate(task.output(), strict=True)
        assert valid, (errors, warnings)
        with rasterio.open(task.output()) as source:
            assert source.block_shapes == [(512, 512)]
            assert source.overviews(1)
            assert source.compression.name == "deflate"
            base = np.unique(source.read(1))
            levels = len(source.overviews(1))
        if task.name == "class":
            for level in range(levels):
                with rasterio.open(task.output(), overview_level=level) as overview:
                    assert set(np.unique(overview.read(1))) <= set(base)


def test_2_19_maps_are_the_same_whatever_the_run_is_called_and_wherever_its_data_lie(
    world: World,
) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    here = {n: task.output().read_bytes() for n, task in world.plan(tasks).all_made().items()}
    elsewhere = {
        "name": "renamed",
        "imagery": {"paths": ["/other/disk/images", "more"], "tiles": list(world.grids)},
        "reference": {"sources": [{"path": "/elsewhere/reference.gpkg"}]},
        "runtime": {"workers": 7},
    }
    for name, task in world.plan(tasks, **elsewhere).all_made().items():
        assert task.output().read_bytes() == here[name]


def test_metadata_says_what_the_map_is(world: World) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    planned = world.plan(tasks)
    expected = {"class": ("uint8", 0), "confidence": ("uint8", 0), "validity": ("uint16", 65535)}
    for name, (dtype, nodata) in expected.items():
        with rasterio.open(planned.made(name).output()) as source:
            tags = source.tags()
            assert (source.dtypes[0], source.nodata) == (dtype, nodata)
            assert source.descriptions[0] == LAYERS[name].description
        assert tags["OSO_RUN_ID"] == world.config().run_id
        assert tags["OSO_YEAR"] == "2018"
        assert tags["OSO_TILES"] == "30UYD 31UCU"
        assert tags["OSO_NOMENCLATURE"] == "oso17"
        assert tags["TIFFTAG_SOFTWARE"].startswith("oso_pipeline ")
        assert tags["TIFFTAG_COPYRIGHT"] == "Contains modified Copernicus Sentinel data 2018"
        assert "OSO_PARTIAL" not in tags
        assert "TIFFTAG_DATETIME" not in tags
    with rasterio.open(planned["class"].output()) as source:
        table = source.colormap(1)
    for one in load_nomenclature("oso17").classes:
        assert table[one.code] == (*one.rgb, 255)


def test_gdal_reads_the_attribute_table(world: World, tmp_path: Path) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    task = world.plan(tasks).made("class")
    # rasterio has no API for attribute tables; GDAL writes the table that it read beside a copy.
    copy = tmp_path / "copy.tif"
    rasterio.shutil.copy(task.output(), copy, driver="GTiff")
    table = ET.parse(tmp_path / "copy.tif.aux.xml").find(".//GDALRasterAttributeTable")
    assert table is not None
    names = [field.findtext("Name") for field in table.iter("FieldDefn")]
    values, _ = read(task)
    rows = [dict(zip(names, (f.text for f in row), strict=True)) for row in table.iter("Row")]
    oso = load_nomenclature("oso17")
    assert [int(row["Value"]) for row in rows] == list(oso.codes)
    for row in rows:
        one = oso.by_code[int(row["Value"])]
        assert (row["Class"], row["Class_fr"]) == (one.name_en, one.name_fr)
        assert (int(row["Red"]), int(row["Green"]), int(row["Blue"])) == one.rgb
        assert float(row["Count"]) == (values == one.code).sum()
    style = ET.parse(task.output(1))
    entries = style.findall("./pipe/rasterrenderer[@type='paletted']/colorPalette/paletteEntry")
    assert {int(e.get("value")): e.get("color") for e in entries} == {
        one.code: one.colour for one in oso.classes
    }


def test_codes_beyond_255_keep_value_and_colour(world: World, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("code,name,colour\n7,low,#010203\n300,high,#0a0b0c\n")
    for tile in world.bands:
        world.bands[tile][0] = np.where(world.bands[tile][1] % 2, 7, 300)
    tasks = world.predict_tasks()
    world.commit(tasks)
    task = world.plan(tasks, nomenclature=str(table)).made("class")
    with rasterio.open(task.output()) as source:
        assert source.dtypes[0] == "uint16"
        assert set(np.unique(source.read(1))) == {0, 7, 300}
        assert source.colormap(1)[300] == (10, 11, 12, 255)
    assert cog_validate(task.output())[0]


def test_a_missing_block_stops_the_map(world: World) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    used = next(t for t in tasks if t.name == "31UCU/r00040c00040")
    world.uncommit(used)
    (task,) = world.plan(tasks).cells
    with pytest.raises(InputDataError, match=r"E-MAP-HOLES(.|\n)*31UCU/r00040c00040") as caught:
        make_cell(task.job, task)
    assert caught.value.exit_code == ExitCode.INPUT
    assert "allow_partial" in str(caught.value)
    assert not task.output().exists()


def test_a_partial_map_says_so_and_is_made_again_when_the_block_comes(world: World) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    partial = {"map": {"allow_partial": True}}
    late = next(t for t in tasks if t.name == "31UCU/r00040c00040")
    world.uncommit(late)
    task = world.plan(tasks, **partial).made("validity")
    holed, profile = read(task)
    with rasterio.open(task.output()) as source:
        assert source.tags()["OSO_PARTIAL"].startswith("1 block missing, ")
    summary = STAGE.gather((task,)).summary["validity"]
    assert summary["missing_blocks"] == 1
    world.commit((late,))
    planned = world.plan(tasks, **partial)
    assert planned["validity"].state().status == "outdated"
    whole, _ = read(planned.made("validity"))
    assert summary["missing_pixels"] == int((holed != whole).sum()) > 0
    assert (holed[holed != whole] == 65535).all()
    assert np.array_equal(whole, expected_layer(world, profile, 2, 65535))


def test_stale_blocks_are_not_used(world: World) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    stale = sidecar_of(tasks[0].output())
    stale.write_text(stale.read_text().replace('"vote": "hard"', '"vote": "soft"'))
    (task,) = world.plan(tasks).cells
    with pytest.raises(InputDataError, match=r"30UYD/r00000c00000"):
        make_cell(task.job, task)


@pytest.mark.fault(
    row=24, injected="a committed block changed", outcome="the mosaic refuses it by name"
)
def test_a_damaged_block_is_named(world: World) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    victim = next(t for t in tasks if t.name == "31UCU/r00040c00040").output()
    content = bytearray(victim.read_bytes())
    content[-20] ^= 0xFF  # same size: the sidecar looks fine
    victim.write_bytes(content)
    (task,) = world.plan(tasks).cells
    with pytest.raises(InputDataError, match="E-MAP-BLOCK") as caught:
        make_cell(task.job, task)
    assert str(victim) in str(caught.value)
    assert len(caught.value.problems) == 2


def test_unknown_codes_are_refused_not_cut_to_a_byte(world: World) -> None:
    world.bands["31UCU"][0, 50:60, 50:60] = 300
    tasks = world.predict_tasks()
    world.commit(tasks)
    (task,) = world.plan(tasks).cells
    with pytest.raises(InputDataError, match=r"E-MAP-VALUES(.|\n)*300"):
        make_cell(task.job, task)


def test_a_band_that_the_blocks_lack_is_refused_by_name(world: World) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    (task,) = world.plan(tasks).cells
    second = {"second": PixelType("second", "uint8", 0, "mode")}
    blocks = _open(replace(task.job, layers=second), task, "31UCU", BlockCache())
    place = np.zeros(1, np.int32)
    with pytest.raises(InputDataError, match=r"E-MAP-BAND.*'second'.*class, confidence, val") as e:
        blocks.gather(place, place)
    assert "remove the block and run again" in str(e.value)
    assert not blocks.damaged


def test_bands_are_found_by_name_whatever_their_order(world: World) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks, order=("validity", "class", "confidence"))
    (task,) = world.plan(tasks).cells
    blocks = _open(task.job, task, "31UCU", BlockCache())
    values, _ = blocks.gather(np.arange(9, dtype=np.int32), np.arange(9, dtype=np.int32))
    assert np.array_equal(values, world.bands["31UCU"].diagonal(axis1=1, axis2=2)[:, :9])


def test_the_cache_of_blocks_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oso_pipeline.products.tile_blocks.CACHE_BYTES", 40 * 40 * 2 * 3 * 2)
    tasks = world.predict_tasks()
    world.commit(tasks)
    (task,) = world.plan(tasks).cells
    blocks: TileBlocks = _open(task.job, task, "31UCU", BlockCache())
    rows, columns = (axis.ravel().astype(np.int32) for axis in np.indices((120, 120)))
    values, covered = blocks.gather(rows, columns)
    assert covered.all()
    assert np.array_equal(values.reshape(3, 120, 120), world.bands["31UCU"])
    assert len(blocks._cache) <= 2


@pytest.mark.fault(
    row=13,
    injected="parts of the map beyond a limit on the size of files",
    outcome="exit 6, no part left; made after space is freed",
)
@pytest.mark.parametrize("most_bytes", [300, 3_000])
def test_a_full_disk_leaves_no_part_behind(world: World, most_bytes: int) -> None:
    tasks = world.predict_tasks()
    world.commit(tasks)
    planned = world.plan(tasks)
    with files_of_at_most(most_bytes):
        result = do(planned.cells[0])
    assert (result.status, result.exit_code) == ("failed", ExitCode.ENVIRONMENT), result.error
    assert planned.cells[0].commit_record() is None
    assert not list((world.run_dir / "mosaic").rglob(".*"))
    assert planned.made("class").commit_record() is not None


@pytest.mark.fault(
    row=13,
    injected="maps beyond a limit on the size of files",
    outcome="exit 6, no map left; made after space is freed",
)
@pytest.mark.parametrize("most_bytes", [1_000, 3_000, 6_000, 12_000])
def test_a_full_disk_leaves_nothing_behind(world: World, most_bytes: int) -> None:
    """A limit on the size of files makes writing fail as a full disk does."""
    world.bands["31UCU"][2] = np.random.default_rng(0).integers(0, 300, (120, 120))
    tasks = world.predict_tasks()
    world.commit(tasks)
    planned = world.plan(tasks)
    planned.make_cells()
    task = planned["validity"]
    with files_of_at_most(most_bytes):
        result = do(task)
    assert (result.status, result.exit_code) == ("failed", ExitCode.ENVIRONMENT), result.error
    assert not list((world.run_dir / "maps").iterdir())
    assert planned.made("validity").output().stat().st_size > 12_000
