"""From folders of products to the inventory: what is used, what is skipped, and why."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.inventories import A, B, Context, make_config, run
from support.muscate_factory import Muscate

from oso_pipeline.config import Config
from oso_pipeline.core.commit import read_sidecar, write_sidecar
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.imagery.stage import STAGE, tile_layout
from oso_pipeline.runtime.folder.verification import repair, verify_run
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do
from oso_pipeline.timeseries.reading.rasters import OpenRasters


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("site", "tile", "count", "corner"),
    [
        ("flanders_2018", "31UDS", 118, (501360, 5629680)),
        pytest.param("flanders_2019", "31UES", 72, (574680, 5622440), marks=pytest.mark.slow),
    ],
)
def test_real_products_are_listed_completely(
    shared_data: Path, tmp_path: Path, site: str, tile: str, count: int, corner: tuple[int, int]
):
    table = list(csv.DictReader((shared_data / site / "products.csv").open()))
    config = make_config(tmp_path, (tile,), paths=[shared_data / site / "products"])
    season = config.season.model_copy(update={"start": date(2017, 1, 1), "end": date(2019, 12, 31)})
    config = config.model_copy(update={"season": season})
    inventory, summary = run(config)
    assert [a.product_id for a in inventory.acquisitions] == sorted(
        (row["product_id"] for row in table), key=lambda p: p.split("_")[1]
    )
    assert summary["found"] == summary["used"] == count
    assert not summary["warnings"]
    assert tuple(inventory.grid.shape) == (64, 64)
    assert (inventory.grid.affine.c, inventory.grid.affine.f) == corner
    assert inventory.grid.crs.epsg == 32631
    by_id = {row["product_id"]: row for row in table}
    for item in inventory.acquisitions:
        assert item.platform == by_id[item.product_id]["platform"]
        assert item.cloud_percent == float(by_id[item.product_id]["cloud_percent"])
        assert {(a.scale, a.offset, a.nodata) for a in item.bands.values()} == {(1e-4, 0, -10000)}
        assert len(item.bands) == 10
        assert (
            item.acquired.strftime("%Y-%m-%dT%H:%M:%SZ")
            == by_id[item.product_id]["acquisition_utc"]
        )


@pytest.mark.parametrize("depth", ["", "T31TCJ", "2018/january/T31TCJ"])
@pytest.mark.parametrize("zipped", [False, True])
def test_products_are_found_at_any_depth_as_folder_or_zip(images: Path, depth: str, zipped: bool):
    place = images / depth
    place.mkdir(parents=True, exist_ok=True)
    product = Muscate(A)
    _ = product.write_zip(place) if zipped else product.write(place)
    inventory, summary = run(make_config(images.parent))
    (item,) = inventory.acquisitions
    assert item.product_id == A
    assert all(asset.path.is_file() for asset in item.assets)
    assert summary["bytes"] == sum(asset.path.stat().st_size for asset in item.assets)
    if zipped:
        assert all((images.parent / "run/extracted" / A) == a.path.parent for a in item.assets)


def test_row_01_unknown_folders_are_listed_and_left_out(images: Path):
    Muscate(A).write(images)
    stranger = images / "my_pictures"
    stranger.mkdir()
    (stranger / "a.tif").write_bytes(b"x")
    inventory, summary = run(make_config(images.parent))
    assert [s.reason for s in inventory.skipped] == ["not_recognised"]
    (warning,) = summary["warnings"]
    assert "W-IMAGE-UNKNOWN" in warning
    assert "my_pictures" in warning


def test_row_01_only_unknown_folders_is_an_error(images: Path):
    stranger = images / "my_pictures"
    stranger.mkdir()
    (stranger / "a.tif").write_bytes(b"x")
    with pytest.raises(InputDataError, match="E-TILE-NO-IMAGE") as caught:
        STAGE.plan(Context(make_config(images.parent)))
    assert "my_pictures" in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("zipped", [False, True])
def test_row_02_a_renamed_product_keeps_the_name_of_its_metadata(images: Path, zipped: bool):
    if zipped:
        Muscate(A).write_zip(images).rename(images / "january.zip")
    else:
        Muscate(A).write(images, "january")
    inventory, _ = run(make_config(images.parent))
    assert [a.product_id for a in inventory.acquisitions] == [A]


def test_row_02_name_and_metadata_of_another_version(images: Path):
    # Seen in real deliveries: the folder says C_V1-0, the metadata D_V1-4.
    real = A.replace("C_V2-2", "D_V1-4")
    Muscate(real).write(images, A.replace("C_V2-2", "C_V1-0"))
    inventory, summary = run(make_config(images.parent))
    assert [(a.product_id, a.version) for a in inventory.acquisitions] == [(real, "1.4")]
    assert "W-IMAGE-RENAMED" in summary["warnings"][0]


def test_row_05_metadata_only_products_are_skipped(images: Path):
    Muscate(A).write(images)
    Muscate(B, valid=False).write(images)
    inventory, summary = run(make_config(images.parent))
    assert [(s.product_id, s.reason) for s in inventory.skipped] == [(B, "not_valid")]
    assert summary["skipped"] == {"not_valid": 1}


def test_row_15_scales_may_differ_and_are_kept_per_product(images: Path):
    Muscate(A).write(images)
    Muscate(B, scale="1000").write(images)
    inventory, summary = run(make_config(images.parent))
    assert [a.bands["B2"].scale for a in inventory.acquisitions] == [1e-4, 1e-3]
    assert "W-IMAGE-SCALES" in summary["warnings"][0]


def test_row_16_nodata_comes_from_the_metadata_of_each_product(images: Path):
    Muscate(A, nodata="0").write(images)
    Muscate(B, profile={"nodata": 1}).write(images)
    inventory, summary = run(make_config(images.parent))
    assert [a.bands["B2"].nodata for a in inventory.acquisitions] == [0, -10000]
    assert "W-IMAGE-NODATA-TAG" in summary["warnings"][0]


@pytest.mark.parametrize("platform", ["SENTINEL2C", "SENTINEL2D"])
def test_row_22_new_satellites(images: Path, platform: str):
    Muscate(A.replace("SENTINEL2A", platform)).write(images)
    inventory, _ = run(make_config(images.parent))
    assert inventory.acquisitions[0].platform == f"S2{platform[-1]}"


def test_row_23_the_highest_version_and_then_the_fullest_profile_is_used(images: Path):
    names = [
        A.replace("C_V2-2", end) for end in ("C_V1-9", "C_V1-10", "D_V3-0", "H_V3-0", "C_V3-0")
    ]
    for name in names:
        Muscate(name).write(images)
    inventory, summary = run(make_config(images.parent))
    assert [a.product_id for a in inventory.acquisitions] == [names[-1]]
    assert {s.reason for s in inventory.skipped} == {"older_version"}
    assert sum("W-IMAGE-VERSIONS" in text for text in summary["warnings"]) == 4


def test_row_23_an_older_version_serves_where_the_newer_is_incomplete(images: Path):
    Muscate(A).write(images)
    Muscate(A.replace("V2-2", "V3-0"), bands=("B2",)).write(images)
    inventory, _ = run(make_config(images.parent))
    assert [a.product_id for a in inventory.acquisitions] == [A]
    assert [s.reason for s in inventory.skipped] == ["incomplete"]


def test_row_24_two_products_of_one_day_are_both_used(images: Path):
    second = A.replace("105435-457", "105450-021")
    Muscate(second).write(images)
    Muscate(A).write(images)
    inventory, _ = run(make_config(images.parent))
    assert [a.product_id for a in inventory.acquisitions] == [A, second]


def test_row_25_products_outside_the_season_are_listed_but_not_opened(images: Path):
    Muscate(A).write(images)
    early = A.replace("20180105", "20171130")
    (images / early).mkdir()  # not even a whole product: nothing of it is read
    Muscate(A.replace("20180105", "20171205")).write(images)  # within the margin
    inventory, summary = run(make_config(images.parent))
    assert [a.acquired.date().isoformat() for a in inventory.acquisitions] == [
        "2017-12-05",
        "2018-01-05",
    ]
    assert summary["skipped"] == {"outside_season": 1}


def test_row_30_a_tile_without_products(images: Path):
    Muscate(A).write(images)
    config = make_config(images.parent, ("31TCJ", "30TYP"))
    with pytest.raises(InputDataError, match="E-TILE-NO-IMAGE") as caught:
        STAGE.plan(Context(config))
    assert "tile 30TYP has no product; products of 31TCJ were found" in str(caught.value)
    assert "allow_missing_tiles" in str(caught.value)
    allowed = make_config(images.parent, ("31TCJ", "30TYP"), allow_missing_tiles=True)
    assert [task.name for task in STAGE.plan(Context(allowed))] == ["31TCJ"]


def test_row_30_a_tile_whose_products_are_all_skipped(images: Path):
    Muscate(A, valid=False).write(images)
    (task,) = STAGE.plan(Context(make_config(images.parent)))
    result = do(task)
    assert result.exit_code == 4
    assert "E-TILE-NO-IMAGE" in (result.error or "")
    assert "too cloudy" in (result.error or "")
    inventory, _ = run(make_config(images.parent, allow_missing_tiles=True))
    assert inventory.acquisitions == ()


def test_row_58_a_missing_folder_of_images(tmp_path: Path):
    (tmp_path / "file").write_text("")
    config = make_config(tmp_path, paths=[tmp_path / "nowhere", tmp_path / "file"])
    with pytest.raises(InputDataError) as caught:
        STAGE.plan(Context(config))
    text = str(caught.value)
    assert str(tmp_path / "nowhere") in text
    assert "is a file, not a folder" in text
    assert "imagery.paths" in text


def test_row_60_names_of_tiles_are_normalised_and_unknown_ones_refused(images: Path):
    Muscate(A).write(images)
    for spelling in ("T31TCJ", "31tcj", " 31TCJ"):
        assert run(make_config(images.parent, (spelling,)))[0].tile == "31TCJ"
    with pytest.raises(ValueError, match="31TXX"):
        make_config(images.parent, ("31TXX",))


def test_row_61_tiles_of_three_zones_keep_their_own_coordinates(images: Path):
    tiles = ("30TYP", "31TCJ", "32TNM")
    for tile in tiles:
        Muscate(A.replace("31TCJ", tile)).write(images)
    context = Context(make_config(images.parent, tiles))
    for task, epsg in zip(STAGE.plan(context), (32630, 32631, 32632), strict=True):
        assert do(task).status == "done"
        grid = read_inventory(task.output()).grid
        assert grid.crs.epsg == epsg
        assert (grid.affine.c, grid.affine.f) == Tile(task.name).origin


def test_other_sensors_and_levels_are_skipped(images: Path):
    Muscate(A).write(images)
    Muscate(B.replace("SENTINEL2B", "VENUS-XS").replace("L2A", "L3A")).write(images)
    inventory, _ = run(make_config(images.parent))
    assert [s.reason for s in inventory.skipped] == ["not_supported"]


def test_planning_has_the_grid_before_and_after_the_inventory_is_made(images: Path):
    Muscate(A, profile={"tiled": True, "blockxsize": 16, "blockysize": 16}).write_zip(images)
    context = Context(make_config(images.parent))
    before = tile_layout(context, "31TCJ")
    assert not (images.parent / "run").exists()
    inventory, _ = run(context.config)
    assert before == inventory.layout == tile_layout(context, "31TCJ")
    assert before.block_shape == (16, 16)


def committed(config: Config) -> Task:
    (task,) = STAGE.plan(Context(config))
    assert do(task).status == "done"
    return task


def test_the_key_follows_the_products_and_not_the_clock(images: Path):
    home = Muscate(A).write(images)
    config = make_config(images.parent)
    task = committed(config)
    (home / f"{A}_FRE_B2.tif").touch()
    (again,) = STAGE.plan(Context(config))
    assert again.state().status == "done"

    (home / f"{A}_FRE_B2.tif").write_bytes((home / f"{A}_FRE_B3.tif").read_bytes() + b"0")
    (changed,) = STAGE.plan(Context(config))
    assert changed.key != task.key
    assert changed.state().why == f"input {A} changed"


def test_images_that_moved_renew_the_inventory_but_no_result(images: Path):
    Muscate(A).write(images)
    task = committed(make_config(images.parent))
    shutil.move(images, images.with_name("elsewhere"))
    (moved,) = STAGE.plan(
        Context(make_config(images.parent, paths=[images.with_name("elsewhere")]))
    )
    assert moved.key == task.key
    assert moved.state().status == "outdated"
    assert moved.commit_record() is None


def test_another_policy_renews_the_inventory_but_nothing_that_does_not_name_it(images: Path):
    """Its rules stand in the inventory; samples and blocks have the policy in their own keys."""
    Muscate(A).write(images)
    task = committed(make_config(images.parent))
    config = make_config(images.parent, clear=[1, 2])
    (other,) = STAGE.plan(Context(config))
    assert other.key == task.key
    assert other.state().status == "outdated"
    assert do(other).status == "done"
    assert read_inventory(other.output()).acquisitions[0].rules[0].bits == (1, 2)


def test_an_inventory_of_0_1_is_made_again_under_the_same_key(images: Path):
    Muscate(A).write(images)
    task = committed(make_config(images.parent))
    sidecar = read_sidecar(task.output())
    assert sidecar is not None
    write_sidecar(task.output(), {**sidecar, "layout": 1})
    assert task.state().why == "layout of the file 1 -> 3"
    assert task.commit_record() is None


def test_an_inventory_of_0_1_is_refused_by_name(tmp_path: Path):
    path = tmp_path / "31TCJ.parquet"
    header = {"tile": "31TCJ", "grid": {}, "block_shape": [1, 1]}
    table = pa.table({"product_id": [A], "scale": [10_000.0]})
    pq.write_table(table.replace_schema_metadata({"oso_pipeline": json.dumps(header)}), path)
    with pytest.raises(InputDataError, match=r"(?s)of format 1, expected 3.*oso run") as caught:
        read_inventory(path)
    assert str(path) in str(caught.value)


def test_a_product_outside_the_season_renews_the_inventory_but_no_result(images: Path):
    Muscate(A).write(images)
    task = committed(make_config(images.parent))
    Muscate(A.replace("20180105", "20160105")).write(images)
    (more,) = STAGE.plan(Context(make_config(images.parent)))
    assert more.key == task.key
    assert more.state().status == "outdated"


@pytest.mark.parametrize("write", [Muscate.write, Muscate.write_zip])
def test_an_inventory_is_written_with_the_same_bytes_again(
    images: Path, write: Callable[[Muscate, Path], Path]
):
    write(Muscate(A), images)
    config = make_config(images.parent)
    first = committed(config).output().read_bytes()
    assert committed(config).output().read_bytes() == first


def test_extracted_files_that_are_gone_are_extracted_again(images: Path):
    Muscate(A).write_zip(images)
    config = make_config(images.parent)
    assert committed(config).state().status == "done"
    shutil.rmtree(config.run_dir / "extracted")
    (task,) = STAGE.plan(Context(config))
    assert task.state().why == "extracted files are gone"
    assert run(config)[0].acquisitions


def test_1_8_the_headline_says_why_products_were_left_out(images: Path):
    Muscate(A).write(images)
    (Muscate(B).write(images) / f"{B}_FRE_B4.tif").unlink()
    for number in (1, 2):
        (images / f"{number}.zip").write_bytes(b"x")
    gathered = STAGE.gather((committed(make_config(images.parent)),))
    assert gathered.headline == "1 of 4 products used; left out: 2 not recognised, 1 incomplete"
    assert len(gathered.warnings) == 3


def test_1_8_nothing_is_said_of_what_is_not_left_out(images: Path):
    Muscate(A).write(images)
    headline = STAGE.gather((committed(make_config(images.parent)),)).headline
    assert headline == "1 of 1 products used"


def test_2_4_a_changed_file_of_an_archive_is_found_by_verify_and_by_what_reads_it(images: Path):
    Muscate(A).write_zip(images)
    config = make_config(images.parent)
    inventory, _ = run(config)
    path = inventory.acquisitions[0].bands["B4"].path
    content = path.read_bytes()
    assert not verify_run(config.run_dir).problems.errors
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    found = verify_run(config.run_dir)
    assert [(p.code, p.where) for p in found.problems.errors] == [("E-VERIFY-CONTENT", str(path))]
    rasters = OpenRasters(limit=5)
    with rasters.session(), pytest.raises(InputDataError, match="E-FILE-CHANGED") as caught:
        rasters.shape(path)
    assert str(path) in str(caught.value)

    repair(found)
    (task,) = STAGE.plan(Context(config))
    assert task.state().why == "extracted files are gone"
    run(config)
    assert path.read_bytes() == content
    assert not verify_run(config.run_dir).problems.errors


def test_gather_sums_up(images: Path):
    Muscate(A).write(images)
    Muscate(B, valid=False).write(images)
    summary = STAGE.gather((committed(make_config(images.parent)),)).summary
    assert (summary["found"], summary["used"], summary["skipped"]) == (2, 1, {"not_valid": 1})
    assert summary["bytes"] > 0


def test_a_damaged_inventory_is_refused(tmp_path: Path):
    (tmp_path / "31TCJ.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputDataError, match="oso verify RUN --repair"):
        read_inventory(tmp_path / "31TCJ.parquet")
