"""Images on the web are copied by tasks, and read as those on this machine are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from support.file_server import FileServer, Reply, file_server
from support.inventories import make_config, run
from support.safe_factory import FACTS, GRID, SIZE, facts, scene
from support.stac_factory import edit, write
from support.web_items import to_web

from oso_pipeline.config import Config
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.imagery.acquisition import Acquisition, Asset
from oso_pipeline.imagery.cache.from_web import addresses_of, copy_from_web
from oso_pipeline.imagery.cache.stage import STAGE as CACHE
from oso_pipeline.imagery.header import read_header
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.remote import download
from oso_pipeline.imagery.stage import STAGE as INVENTORY
from oso_pipeline.simulation.writers.stac import CATALOGUES, Catalogue, write_cog, write_item
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.series import BlockSeries

SIGNATURE = "?sig=secret"
REMOTE = [{"kind": "stac", "remote": True}]
BANDS = ("B2", "B4", "B8", "B11")


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as state:
        yield state


def listed(folder: Path) -> Acquisition:
    inventory, _ = run(make_config(folder, readers=REMOTE, bands=BANDS))
    (item,) = inventory.acquisitions
    return item


def copied(folder: Path, asset: Asset, query: str = "") -> Path:
    target = folder / "copies" / "B.tif"
    copy_from_web(asset, asset.href + query, target)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    return target


def refused(folder: Path, asset: Asset) -> str:
    target = folder / "copies" / "B.tif"
    with pytest.raises(InputDataError) as raised:
        copy_from_web(asset, asset.href + SIGNATURE, target)
    assert list(target.parent.iterdir()) == []
    assert "secret" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_a_copy_has_the_numbers_and_the_grid(
    tmp_path: Path, server: FileServer, catalogue: Catalogue
) -> None:
    item = write(tmp_path / "images", catalogue)
    to_web(item, server, SIGNATURE)
    found = listed(tmp_path)
    request = Request.of(make_config(tmp_path, readers=REMOTE, bands=BANDS), "31TCJ")
    addresses = addresses_of(found, request)
    asset = found.bands["B4"]
    assert addresses[asset.href] == asset.href + SIGNATURE
    header = read_header(copied(tmp_path, asset, SIGNATURE))
    assert header.shape == (SIZE, SIZE)
    assert header.transform == GRID.affine
    assert header.epsg == 32631


def test_a_file_that_is_no_image(tmp_path: Path, server: FileServer) -> None:
    to_web(write(tmp_path / "images"), server)
    asset = listed(tmp_path).bands["B4"]
    server.usual = Reply(content=b"<html>" * (asset.size_bytes // 6), etag="")
    text = refused(tmp_path, asset)
    assert "E-FETCH-CHANGED" in text or "E-IMAGE-CUT" in text


def test_a_file_that_was_replaced(tmp_path: Path, server: FileServer) -> None:
    item = to_web(write(tmp_path / "images"), server)
    asset = listed(tmp_path).bands["B4"]
    server.files[f"/{item.parent.name}/B04.tif"] += b"0"
    assert "E-FETCH-CHANGED" in refused(tmp_path, asset)


def test_a_file_on_another_grid_than_its_item_states(tmp_path: Path, server: FileServer) -> None:
    item = write(tmp_path / "images")
    write_cog(item.parent / "B04.tif", np.ones((SIZE, SIZE), "uint16"), GRID.pad(1)[:SIZE, :SIZE])
    to_web(item, server)
    text = refused(tmp_path, listed(tmp_path).bands["B4"])
    assert "E-IMAGE-POSITION" in text
    assert "its item states EPSG:32631" in text


def test_the_checksum_of_an_item_decides(tmp_path: Path, server: FileServer) -> None:
    item = to_web(write(tmp_path / "images"), server)
    path = f"/{item.parent.name}/B04.tif"
    good = server.files[path]
    edit(
        item,
        lambda c: c["assets"]["red"].update(
            {"file:checksum": "1220" + hashlib.sha256(good).hexdigest()}
        ),
    )
    asset = listed(tmp_path).bands["B4"]
    server.files[path] = good[:-1] + b"x"
    assert "E-FETCH-CHECKSUM" in refused(tmp_path, asset)
    server.files[path] = good
    copied(tmp_path, asset)


def test_a_server_in_trouble_leaves_nothing(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    to_web(write(tmp_path / "images"), server)
    asset = listed(tmp_path).bands["B4"]
    server.usual = Reply(503)
    assert "E-FETCH-SERVER" in refused(tmp_path, asset)


class Planned:
    """Plans both stages; nothing reads images yet."""

    def __init__(self, config: Config) -> None:
        self.config, self.run_dir = config, config.run_dir

    def tasks(self, stage: str) -> tuple[Task, ...]:
        stages = {"inventory": INVENTORY, "cache": CACHE}
        return tuple(stages[stage].plan(self)) if stage in stages else ()


def series(config: Config) -> BlockSeries:
    """Copy what is not read in place, and read the series."""
    inventory, _ = run(config)
    for task in CACHE.plan(Planned(config)):
        assert "secret" not in task.key + json.dumps(task.job, default=str)
        result = do(task)
        assert result.status == "done", result.error
    return BlockReader(inventory, ReadSpec.of(config)).read(Block("31TCJ", 0, 0, SIZE, SIZE))


def test_series_are_those_of_local_images(tmp_path: Path, server: FileServer) -> None:
    """Three catalogues in one season; one server cuts; no file of the run holds a signature."""
    items = []
    for number, catalogue in enumerate(CATALOGUES):
        day = FACTS.sensed + timedelta(days=5 * number)
        made = facts(sensed=day, baseline=("05.11", "02.12")[number % 2])
        items.append(write_item(tmp_path / "images", made, scene(400 + number), catalogue))
    config = make_config(tmp_path, readers=REMOTE, bands=BANDS)
    local = series(config)
    for item in items:
        to_web(item, server, SIGNATURE)
    config = config.model_copy(update={"run_dir": tmp_path / "run_of_remote"})
    server.replies.extend([Reply()] * 20 + [Reply(cut=500)])  # 20 requests of the inventory first
    remote = series(config)
    assert "bytes=500-" in server.ranges
    np.testing.assert_array_equal(remote.days, local.days)
    np.testing.assert_array_equal(remote.clear, local.clear)
    np.testing.assert_array_equal(remote.fine, local.fine)
    np.testing.assert_array_equal(remote.coarse, local.coarse)
    files = [path for path in config.run_dir.rglob("*") if path.is_file()]
    assert len([path for path in files if path.suffix == ".tif"]) == len(items) * 5
    assert not any(b"secret" in path.read_bytes() for path in files)
    assert not [path for path in files if path.name.endswith(".tmp")]
