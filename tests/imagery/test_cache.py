"""Copies of images: their numbers, which images have one, and what happens to a damaged one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import zarr
from rasterio.transform import from_origin
from support.inventories import make_config, run
from support.muscate_factory import Muscate
from support.safe_factory import SIZE, TILE, facts, scene

from oso_pipeline.config import Config
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import sidecar_of
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.imagery.acquisition import Asset
from oso_pipeline.imagery.cache import transcode as transcode_module
from oso_pipeline.imagery.cache.choice import choose
from oso_pipeline.imagery.cache.copies import BLOCK
from oso_pipeline.imagery.cache.reading import inventory_of
from oso_pipeline.imagery.cache.sources import fetch
from oso_pipeline.imagery.cache.stage import STAGE, copies_of_tiles
from oso_pipeline.imagery.cache.transcode import transcode
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.stage import STAGE as INVENTORY
from oso_pipeline.simulation.writers.safe import write_safe
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do
from oso_pipeline.timeseries.reading.rasters import OpenRasters
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec

DAYS = (5, 15, 25)


class Planned:
    """Plans both stages; what reads images is as given."""

    def __init__(self, config: Config, **later: tuple[Any, ...]) -> None:
        self.config, self.run_dir = config, config.run_dir
        readers = ("pixels", "samples", "predict", "series", "quicklooks")
        self.later = {**dict.fromkeys(readers, ()), **later}

    def tasks(self, stage: str) -> tuple[Task, ...]:
        if stage in self.later:
            return self.later[stage]
        return tuple({"inventory": INVENTORY, "cache": STAGE}[stage].plan(self))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A tile with three SAFE products of 16 x 16 pixels."""
    for day in DAYS:
        sensed = facts().sensed.replace(day=day)
        write_safe(tmp_path / "images", facts(sensed=sensed), scene(100 * day))
    return make_config(tmp_path, (TILE,))


def limited(config: Config, max_gb: float | None) -> Config:
    imagery = config.imagery.model_copy(
        update={"cache": config.imagery.cache.model_copy(update={"max_gb": max_gb})}
    )
    return config.model_copy(update={"imagery": imagery})


def made(config: Config) -> list[Task]:
    run(config)
    tasks = STAGE.plan(Planned(config))
    for task in tasks:
        result = do(task)
        assert result.status == "done", result.error
    return tasks


def write(path: Path, driver: str, pixels: np.ndarray, **options: Any) -> np.ndarray:
    """Write a raster; return its numbers as GDAL reads them."""
    profile = {
        "driver": driver, "width": pixels.shape[1], "height": pixels.shape[0], "count": 1,
        "dtype": pixels.dtype, "crs": "EPSG:32631", "transform": from_origin(3e5, 4.9e6, 10, 10),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile, **options) as file:
        file.write(pixels, 1)
    with rasterio.open(path) as file:
        found: np.ndarray = file.read(1)
    return found


@pytest.mark.parametrize(
    ("name", "driver", "dtype", "options"),
    [
        ("a.jp2", "JP2OpenJPEG", "uint16", {"BLOCKXSIZE": 160, "BLOCKYSIZE": 160}),
        ("a.jp2", "JP2OpenJPEG", "uint8", {"BLOCKXSIZE": 512, "BLOCKYSIZE": 512}),
        ("a.tif", "GTiff", "float32", {"blockysize": 1}),
        ("a.tif", "GTiff", "int16", {"tiled": True, "blockxsize": 400, "blockysize": 400}),
    ],
)
def test_a_copy_has_the_numbers_and_the_grid(
    tmp_path: Path, name: str, driver: str, dtype: str, options: dict[str, Any]
) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 250, (520, 290)).astype(dtype)
    lossless = {"QUALITY": "100", "REVERSIBLE": "YES"} if driver == "JP2OpenJPEG" else {}
    expected = write(tmp_path / name, driver, pixels, **options, **lossless)
    np.testing.assert_array_equal(expected, pixels)
    transcode(str(tmp_path / name), driver, tmp_path / "copy.tif")
    with rasterio.open(tmp_path / name) as source, rasterio.open(tmp_path / "copy.tif") as copy:
        np.testing.assert_array_equal(copy.read(1), expected)
        assert copy.dtypes == source.dtypes
        assert (copy.crs, copy.transform) == (source.crs, source.transform)
        assert copy.block_shapes == [(BLOCK, BLOCK)]


def test_a_copy_has_the_numbers_of_an_array_of_zarr(tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 9000, (600, 600)).astype("uint16")
    store = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    array = store.create_array("b02", shape=(600, 600), chunks=(300, 300), dtype="uint16")
    array[:] = pixels
    size = sum(path.stat().st_size for path in (tmp_path / "a.zarr" / "b02").glob("[0-9]*"))
    asset = Asset(f'ZARR:"{tmp_path}/a.zarr":/b02', 10, scale=1e-4, size_bytes=size)
    fetch(asset, tmp_path / "copy.tif")
    with rasterio.open(tmp_path / "copy.tif") as copy:
        np.testing.assert_array_equal(copy.read(1), pixels)
    (tmp_path / "a.zarr" / "b02" / "1.1").unlink()
    with pytest.raises(InputDataError, match="E-IMAGE-CHANGED"):
        fetch(asset, tmp_path / "another.tif")


def test_blocks_of_the_source_are_read_once_and_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.tif", "GTiff", np.zeros((1400, 352), "uint16"), tiled=True,
          blockxsize=352, blockysize=352)  # fmt: skip
    read, seen = transcode_module._read, list[tuple[int, int]]()

    def noted(image: Any, row: int, n_rows: int) -> Any:
        seen.append((row, n_rows))
        return read(image, row, n_rows)

    monkeypatch.setattr(transcode_module, "_read", noted)
    transcode(str(tmp_path / "a.tif"), "GTiff", tmp_path / "copy.tif")
    of_source = [one for one in seen if one[1] == 352]
    assert of_source == [(0, 352), (352, 352), (704, 352), (1056, 352)]


def test_a_damaged_byte_of_a_copy_never_changes_a_pixel(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    pixels = (1000 + rng.integers(0, 40, (300, 300))).astype("uint16")
    write(tmp_path / "a.tif", "GTiff", pixels)
    transcode(str(tmp_path / "a.tif"), "GTiff", tmp_path / "copy.tif")
    whole = (tmp_path / "copy.tif").read_bytes()
    asset = Asset("a.tif", 10, scale=1e-4, cached=str(tmp_path / "copy.tif"))
    outcomes = {"equal": 0, "error": 0}
    for at in rng.integers(0, len(whole), 120).tolist():
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "copy.tif").write_bytes(damaged)
        rasters = OpenRasters(4)
        try:
            with rasters.session():
                found = rasters.read(asset.path, rasterio.windows.Window(0, 0, 300, 300))
        except InputDataError:
            outcomes["error"] += 1
        else:
            np.testing.assert_array_equal(found, pixels)
            outcomes["equal"] += 1
        rasters.close()
    assert outcomes["error"] > 100


def test_each_image_is_copied_once_and_read_from_its_copy(config: Config) -> None:
    planned = STAGE.plan(Planned(config))
    assert len(planned) == len(DAYS), "before there is an inventory"
    tasks = made(config)
    assert [task.key for task in tasks] == [task.key for task in planned]
    assert all(len(task.outputs) == 11 for task in tasks)
    again = STAGE.plan(Planned(config))
    assert [task.state().status for task in again] == ["done"] * len(DAYS)
    copied, _ = run(config)
    direct, _ = run(limited(config, 0))
    assert copied.block_shape == direct.block_shape == (SIZE, SIZE)
    block, spec = Block(TILE, 0, 0, SIZE, SIZE), ReadSpec.of(config)
    cached = [asset for item in copied.acquisitions for asset in item.assets]
    assert all(asset.path.suffix == ".tif" and asset.path.is_file() for asset in cached)
    one, other = (BlockReader(listed, spec).read(block) for listed in (copied, direct))
    np.testing.assert_array_equal(one.fine, other.fine)
    np.testing.assert_array_equal(one.coarse, other.coarse)
    np.testing.assert_array_equal(one.clear, other.clear)
    assert STAGE.gather(tuple(again)).headline.startswith("3 images, ")


def test_images_in_tiff_have_no_copies_and_their_inventory_does_not_say_so(tmp_path: Path) -> None:
    Muscate().write(tmp_path / "images")
    config = make_config(tmp_path)
    listed, _ = run(config)
    assert STAGE.plan(Planned(config)) == []
    (item,) = listed.acquisitions
    assert "cached" not in item.to_row()["bands"]
    assert copies_of_tiles(Planned(config)) == {}


def test_the_limit_copies_the_first_dates_alone(config: Config) -> None:
    whole = choose(config, Readers.of(config.imagery.readers), _found(config))
    assert len(whole.copied) == len(DAYS)
    size = sum(one.bytes_written for one in whole.copied)
    some = limited(config, 0.7 * size / 1e9)
    tasks = made(some)
    assert [task.name.split("_")[2][:8] for task in tasks] == ["20180105", "20180115"]
    listed, _ = run(some)
    kinds = [{asset.path.suffix for asset in item.assets} for item in listed.acquisitions]
    assert kinds == [{".tif"}, {".tif"}, {".jp2"}]
    problems = INVENTORY.check(some)
    assert [problem.code for problem in problems.warnings if "CACHE" in problem.code] == [
        "W-CACHE-SIZE"
    ]
    assert INVENTORY.plan(Planned(some))[0].key == INVENTORY.plan(Planned(config))[0].key


def test_no_limit_but_zero_says_nothing(config: Config) -> None:
    for one in (config, limited(config, 0)):
        assert not [p for p in INVENTORY.check(one).warnings if "CACHE" in p.code]
    assert STAGE.plan(Planned(limited(config, 0))) == []


def test_what_can_only_be_read_from_a_copy_has_to_fit(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oso_pipeline.imagery.safe.reader.SafeReader.cached", "zarr")
    with pytest.raises(InputDataError, match="E-CACHE-SIZE"):
        INVENTORY.plan(Planned(limited(config, 0)))
    assert [p.code for p in INVENTORY.check(limited(config, 1e-6)).errors] == ["E-CACHE-SIZE"]
    assert len(INVENTORY.plan(Planned(limited(config, None)))) == 1


def test_copies_are_not_made_again_for_what_is_done(config: Config) -> None:
    tasks = made(config)
    for task in tasks:
        for number in range(len(task.outputs)):
            sidecar_of(task.output(number)).unlink()
    (done, todo), nobody = (_Reader(committed) for committed in (True, False)), ()
    for later, status in (((done,), "done"), ((done, todo), "new"), (nobody, "done")):
        planned = STAGE.plan(Planned(config, predict=later))
        assert {task.state().status for task in planned} == {status}
        assert {task.commit_record() is not None for task in planned} == {status == "done"}


class _Reader:
    name = f"{TILE}/r00000c00000"

    def __init__(self, committed: bool) -> None:
        self.committed = committed

    def commit_record(self) -> dict[str, Any] | None:
        return {} if self.committed else None


def test_a_missing_or_outdated_copy_is_named(config: Config) -> None:
    tasks = made(config)
    (inventory,) = INVENTORY.plan(Planned(config))
    copies = copies_of_tiles(Planned(config))[TILE]
    read = Input.of(inventory)
    listed = inventory_of(inventory, read, copies)
    with pytest.raises(InputDataError, match="copies of images are outdated"):
        inventory_of(inventory, read, replace(copies, key="another"))
    lost = tasks[1].output(3)
    lost.unlink()
    with pytest.raises(InputDataError) as caught:
        BlockReader(listed, ReadSpec.of(config))
    assert [problem.code for problem in caught.value.problems] == ["E-CACHE-GONE"]
    assert str(lost) in str(caught.value)
    tasks[1].output(0).unlink()
    with pytest.raises(InputDataError, match="E-CACHE-GONE"):
        inventory_of(inventory, read, copies)
    assert [t.state().status for t in STAGE.plan(Planned(config, predict=(_Reader(False),)))] == [
        "done", "outdated", "done",
    ]  # fmt: skip


def test_a_source_that_changed_or_vanished_is_named(config: Config, tmp_path: Path) -> None:
    listed, _ = run(config)
    asset = listed.acquisitions[0].bands["B4"]
    source = Path(asset.href)
    whole = source.read_bytes()
    for content, code in ((whole[:-40], "E-IMAGE-CHANGED"), (bytes(len(whole)), "E-IMAGE-CUT")):
        source.write_bytes(content)
        with pytest.raises(InputDataError, match=code):
            fetch(asset, tmp_path / "copy.tif")
    source.unlink()
    with pytest.raises(InputDataError, match="E-IMAGE-VANISHED"):
        fetch(asset, tmp_path / "copy.tif")
    assert not list(tmp_path.glob("*copy.tif*"))


def test_copies_are_made_again_where_an_image_changed(config: Config, tmp_path: Path) -> None:
    keys = {task.name: task.key for task in made(config)}
    sensed = facts().sensed.replace(day=DAYS[0])
    write_safe(tmp_path / "images", facts(sensed=sensed, cloud_percent=7.0), scene(1234))
    run(config)
    planned = STAGE.plan(Planned(config))
    assert sum(task.key != keys[task.name] for task in planned) == 1


def _found(config: Config) -> dict[str, list[Candidate]]:
    (task,) = INVENTORY.plan(Planned(config))
    return {TILE: list(task.job.candidates)}
