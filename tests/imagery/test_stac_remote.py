"""STAC items whose images are on the web: what the inventory knows of them before they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.file_server import FileServer, Reply, file_server
from support.inventories import Context, make_config, run
from support.safe_factory import GRID, SIZE
from support.stac_factory import each_asset, edit, write, write_days
from support.web_items import to_web

from oso_pipeline.config import Config
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.imagery.acquisition import Acquisition, StatedPlace
from oso_pipeline.imagery.inventory_builder import InventoryBuilder, Period
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products
from oso_pipeline.imagery.season_check import period_of
from oso_pipeline.imagery.stac.settings import StacSettings
from oso_pipeline.imagery.stage import STAGE
from oso_pipeline.imagery.tile_grid import peek_layout
from oso_pipeline.simulation.writers.stac import CATALOGUES, Catalogue

SIGNATURE = "?sv=2026&sig=secret%2Bsignature"
REMOTE = [{"kind": "stac", "remote": True}]
BANDS = ("B2", "B4", "B8", "B11")


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as state:
        yield state


def config(folder: Path, **imagery: Any) -> Config:
    return make_config(folder, **{"readers": REMOTE, "bands": BANDS, **imagery})


def listed(folder: Path, **imagery: Any) -> tuple[list[Acquisition], Problems]:
    """Return what an inventory lists, before anything is copied."""
    made = config(folder, **imagery)
    problems = Problems()
    found = find_products(made.imagery.paths, Readers.of(made.imagery.readers), problems)
    problems.raise_errors(InputDataError)
    builder = InventoryBuilder(
        Request.of(made, "31TCJ"), Period(period_of(made).first, period_of(made).last), folder
    )
    inventory = builder.build(found.candidates, found.unrecognised, may_be_empty=True)
    builder.problems.extend(problems)
    return list(inventory.acquisitions), builder.problems


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_what_the_inventory_lists(tmp_path: Path, server: FileServer, catalogue: Catalogue) -> None:
    item = write(tmp_path / "images", catalogue)
    local, _ = listed(tmp_path)
    to_web(item, server, SIGNATURE)
    (found,), problems = listed(tmp_path)
    assert not problems
    assert found.platform == local[0].platform
    for name, asset in found.bands.items():
        own = local[0].bands[name]
        assert asset.href == f"{server.address}/{item.parent.name}/{own.path.name}"
        assert (asset.scale, asset.offset, asset.nodata) == (own.scale, own.offset, own.nodata)
        assert asset.size_bytes == own.size_bytes
        assert asset.checksum is not None
        assert asset.checksum.startswith('etag:"')
    epsg, x, y = 32631, GRID.affine.c, GRID.affine.f
    assert found.bands["B2"].grid == StatedPlace(epsg, x, y, SIZE, SIZE)
    assert found.bands["B11"].grid == StatedPlace(epsg, x, y, SIZE // 2, SIZE // 2)
    assert Acquisition.from_row(found.to_row()) == found
    assert "secret" not in json.dumps(found.to_row(), default=str)
    assert {headers["range"] for _, headers in server.requests} == {"bytes=0-0"}


def test_without_the_setting_one_message_names_it(tmp_path: Path, server: FileServer) -> None:
    for item in write_days(tmp_path / "images", 3):
        to_web(item, server)
    problems = STAGE.check(config(tmp_path, readers=[{"kind": "stac"}]))
    (error,) = problems.errors
    assert error.code == "E-IMAGE-REMOTE"
    assert "3 STAC items" in error.message
    assert "remote: true" in (error.hint or "")
    with pytest.raises(InputDataError, match="E-IMAGE-REMOTE"):
        STAGE.plan(Context(config(tmp_path, readers=[{"kind": "stac"}])))
    assert server.requests == []


def test_without_the_setting_items_with_local_images_are_used(
    tmp_path: Path, server: FileServer
) -> None:
    first, second = write_days(tmp_path / "images", 2)
    to_web(second, server)
    used, problems = listed(tmp_path, readers=[{"kind": "stac"}])
    assert [one.product_id for one in used] == [first.stem]
    assert [problem.code for problem in problems] == ["W-IMAGE-REMOTE"]
    inventory, _ = run(config(tmp_path, readers=[{"kind": "stac"}]))
    (skipped,) = inventory.skipped
    assert skipped.reason == "not_supported"
    assert "remote: true" in skipped.detail


def test_an_item_without_a_grid(tmp_path: Path, server: FileServer) -> None:
    first, second = write_days(tmp_path / "images", 2)
    for item in (first, second):
        to_web(item, server)
    edit(second, lambda c: each_asset(c, lambda a: a.pop("proj:transform")))
    used, problems = listed(tmp_path)
    assert [one.product_id for one in used] == [first.stem]
    (warning,) = problems
    assert warning.code == "W-IMAGE-BAND"
    assert "expected proj:code or proj:epsg, proj:shape and proj:transform" in warning.message


def test_a_file_that_is_gone(tmp_path: Path, server: FileServer) -> None:
    first, second = write_days(tmp_path / "images", 2)
    for item in (first, second):
        to_web(item, server, SIGNATURE)
    del server.files[f"/{second.parent.name}/B04.tif"]
    used, problems = listed(tmp_path)
    assert [one.product_id for one in used] == [first.stem]
    (warning,) = problems
    assert warning.code == "W-IMAGE-BAND"
    assert "B4: the server answers with status 404" in warning.message
    assert "secret" not in str(warning)


def test_a_grid_that_is_not_of_the_tile(tmp_path: Path, server: FileServer) -> None:
    first, second = write_days(tmp_path / "images", 2)
    for item in (first, second):
        to_web(item, server)

    def shift(asset: dict[str, Any]) -> None:
        asset["proj:transform"][2] += 5

    edit(second, lambda c: each_asset(c, shift))
    used, problems = listed(tmp_path)
    assert [one.product_id for one in used] == [first.stem]
    assert {problem.code for problem in problems} == {"W-IMAGE-POSITION"}


def test_access_that_is_denied_stops_the_run(tmp_path: Path, server: FileServer) -> None:
    to_web(write(tmp_path / "images"), server, SIGNATURE)
    server.usual = Reply(403)
    with pytest.raises(InputDataError, match="E-FETCH-DENIED") as raised:
        listed(tmp_path)
    assert "secret" not in str(raised.value)
    assert "sign the items again" in str(raised.value)


def test_keys_hold_no_signature(tmp_path: Path, server: FileServer) -> None:
    item = to_web(write(tmp_path / "images"), server, SIGNATURE)
    (task,) = STAGE.plan(Context(config(tmp_path)))
    assert "secret" not in json.dumps(task.job.products, default=str)

    def sign(asset: dict[str, Any]) -> None:
        asset["href"] = asset["href"].partition("?")[0] + "?sig=other"

    edit(item, lambda c: each_asset(c, sign))
    (again,) = STAGE.plan(Context(config(tmp_path)))
    assert again.key == task.key
    reader = Readers.of([StacSettings(remote=True)])["stac"]
    (found,), _ = listed(tmp_path)
    signed = reader.access(found)
    assert signed[found.bands["B4"].href] == found.bands["B4"].href + "?sig=other"


def test_checksums_and_sizes_of_items_are_in_keys(tmp_path: Path, server: FileServer) -> None:
    item = to_web(write(tmp_path / "images"), server)
    (before,) = STAGE.plan(Context(config(tmp_path)))
    content = server.files[f"/{item.parent.name}/B04.tif"]
    checksum = "1220" + hashlib.sha256(content).hexdigest()
    edit(item, lambda c: c["assets"]["red"].update({"file:checksum": checksum}))
    (stated,) = STAGE.plan(Context(config(tmp_path)))
    assert stated.key != before.key
    (found,), _ = listed(tmp_path)
    assert found.bands["B4"].checksum == f"multihash:{checksum}"
    edit(item, lambda c: c["assets"]["red"].update({"file:size": len(content) + 1}))
    assert STAGE.plan(Context(config(tmp_path)))[0].key != stated.key


def test_sizes_before_anything_is_requested(tmp_path: Path, server: FileServer) -> None:
    item = to_web(write(tmp_path / "images"), server)
    reader = Readers.of([StacSettings(remote=True)])["stac"]
    (candidate,) = reader.recognise(item)
    request = Request("31TCJ", BANDS, "skip", "oso", (StacSettings(remote=True),))
    usual = reader.cached_bytes(candidate, request)
    assert usual == int(SIZE * SIZE * 1.4) * 3 + int(SIZE * SIZE / 4 * 1.4) + int(
        SIZE**2 / 4 * 0.05
    )
    edit(item, lambda c: each_asset(c, lambda a: a.update({"file:size": 1000})))
    (candidate,) = reader.recognise(item)
    assert reader.cached_bytes(candidate, request) == 5000
    assert reader.peek(candidate) is None
    layout = peek_layout([candidate], Readers.of([StacSettings(remote=True)]), "31TCJ")
    assert layout.grid == GRID
    assert layout.block_shape == (SIZE, SIZE)
    off = Readers.of([StacSettings()])["stac"]
    assert off.cached_bytes(candidate, request) == 0
    assert server.requests == []
