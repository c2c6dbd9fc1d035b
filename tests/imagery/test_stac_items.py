"""STAC items of others: what is read of them, next to pystac and to the metadata of ESA."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pystac
import pytest
from support.safe_factory import facts, scene
from support.stac_factory import write, write_days

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.remote.addresses import without_secrets
from oso_pipeline.imagery.safe.metadata import parse_metadata
from oso_pipeline.imagery.safe.numbers import check_numbers as check_safe
from oso_pipeline.imagery.sen2cor.classes import SCL
from oso_pipeline.imagery.stac.documents import items_at
from oso_pipeline.imagery.stac.item import Item, parse_item
from oso_pipeline.imagery.stac.numbers import check_numbers
from oso_pipeline.imagery.stac.places import place_of
from oso_pipeline.imagery.stac.providers import KEYS, choose
from oso_pipeline.imagery.stac.search import candidate_of, faults_of_file, products_at
from oso_pipeline.simulation.writers.stac import CATALOGUES, write_item

SAMPLES = "sensor_samples"
STACTOOLS = ("T07HFE_20201007", "T01WCP_20230626T022157", "T01WCP_20230626T022158", "T33XWJ")


def made_by_stactools(shared: Path, part: str) -> Path:
    (folder,) = (one for one in (shared / SAMPLES / "safe_l2a").iterdir() if part in one.name)
    return folder


def read(content: dict[str, Any]) -> Item:
    item = parse_item(content)
    assert item is not None
    return item


@pytest.mark.parametrize("part", STACTOOLS)
def test_items_that_stactools_made_say_what_the_metadata_say(shared_data: Path, part: str) -> None:
    """Scale, offset, tile, strip and times of versions 1.0 and 1.1, and those of MTD_MSIL2A.xml."""
    folder = made_by_stactools(shared_data, part)
    item = read(json.loads((folder / "expected_output.json").read_text()))
    metadata = parse_metadata(next(folder.glob("MTD_MSIL2?.xml")).read_bytes())
    problems = Problems()
    theirs = check_safe(metadata, folder, problems)
    ours = check_numbers(item, choose(item), SENTINEL2.names, folder, problems)
    assert theirs is not None
    assert ours is not None
    assert not problems
    for band, number in ours.items():
        assert (number.scale, number.nodata) == (theirs.scale, theirs.nodata)
        assert number.offset == pytest.approx(theirs.offsets[band])
    assert item.tiles == metadata.tiles
    assert metadata.sensed is not None
    assert metadata.generated is not None
    assert item.acquired == metadata.sensed.replace(microsecond=0)
    assert item.generated is not None
    assert item.generated.replace(microsecond=0) == metadata.generated.replace(microsecond=0)
    assert (item.platform, item.strip) == (metadata.platform, metadata.strip)
    assert item.processing.baseline == metadata.baseline
    assert item.relative_orbit == metadata.orbit
    assert item.cloud_percent == pytest.approx(metadata.cloud_percent)
    assert not item.is_level_1


@pytest.mark.parametrize("part", [*STACTOOLS, "T01VCG"])
def test_items_that_stactools_made_as_pystac_reads_them(shared_data: Path, part: str) -> None:
    path = made_by_stactools(shared_data, part) / "expected_output.json"
    ours, theirs = read(json.loads(path.read_text())), pystac.Item.from_file(str(path))
    assert ours.id == theirs.id
    (file, found) = items_at(path).items[0]
    assert (file, found) == (path, ours)
    for key, asset in theirs.get_assets().items():
        mine = ours.assets[key]
        assert mine.href == asset.href
        for name, fields in (("proj:shape", mine.shape), ("proj:transform", mine.transform)):
            stated = asset.extra_fields.get(name)
            assert fields == (None if stated is None else tuple(stated))
        assert mine.epsg == int(theirs.properties["proj:code"].removeprefix("EPSG:"))
        absolute = asset.get_absolute_href()
        assert absolute == str(place_of(mine.href, path.parent).path)


def test_two_halves_of_a_tile(shared_data: Path) -> None:
    one, other = (
        read(
            json.loads((made_by_stactools(shared_data, part) / "expected_output.json").read_text())
        )
        for part in STACTOOLS[1:3]
    )
    assert one.part.completes(other.part)
    first, second = (candidate_of(Path("a.json"), item) for item in (one, other))
    assert first is not None
    assert second is not None
    assert first.observation == second.observation
    assert first.rank[:2] == second.rank[:2] == (5, 9)


def test_an_answer_of_earth_search_is_of_level_1(shared_data: Path) -> None:
    path = shared_data / SAMPLES / "catalogue_answers" / "earth_search_search.json"
    (one,) = products_at(path)
    assert (one.tile, one.platform, one.product_id) == ("27VWK", "S2B", "S2B_27VWK_20240206_0_L1C")
    item = read(json.loads(path.read_text())["features"][0])
    assert item.is_level_1
    assert item.baseline == (5, 10)
    assert set(choose(item).assets) == set(SENTINEL2.names)
    blue = item.assets["blue"]
    assert (blue.scale, blue.offset, blue.shape) == (1e-4, -0.1, (10980, 10980))
    assert item.sun_zenith_deg == pytest.approx(90 - 11.604167707198599)


def test_other_answers_of_catalogues_are_no_sentinel_2_of_level_2(shared_data: Path) -> None:
    answers = shared_data / SAMPLES / "catalogue_answers"
    assert products_at(answers / "cop_dataspace_search.json") == ()
    assert faults_of_file(answers / "cop_dataspace_search.json") == ()
    (one,) = products_at(answers / "geodes_search.json")
    assert one.tile == "14ULD"
    (feature,) = json.loads((answers / "geodes_search.json").read_text())["features"]
    assert read(feature).is_level_1


def test_items_of_landsat(shared_data: Path) -> None:
    path = next((shared_data / SAMPLES / "landsat_c2").glob("LC08*_SR_stac.json"))
    assert products_at(path) == ()
    ((reason, text),) = faults_of_file(path)
    assert reason == "not_supported"
    assert "Sentinel-2 L2A is read" in text


def test_keys_of_planetary_computer(shared_data: Path) -> None:
    path = shared_data / SAMPLES / "collection_templates" / "sentinel-2.json"
    template = json.loads(path.read_text())
    assert set(KEYS[1].values()) <= set(template["item_assets"])
    for name, key in KEYS[1].items():
        asset = template["item_assets"][key]
        assert asset["gsd"] == (20 if name == SCL else SENTINEL2.resolution_m(name))
        assert "raster:bands" not in asset
    assert products_at(path) == ()


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_simulated_items_are_items_for_pystac(tmp_path: Path, catalogue: str) -> None:
    path = write(tmp_path, catalogue)
    theirs = pystac.Item.from_file(str(path))
    ours = read(json.loads(path.read_text()))
    assert theirs.datetime == ours.acquired
    assert set(theirs.assets) == set(ours.assets)


def test_versions_of_stac_say_the_same(tmp_path: Path) -> None:
    """Bands and coordinate systems as versions before 1.1 and since write them, and as 0.9 did."""
    old = json.loads(write(tmp_path).read_text())
    new = json.loads(json.dumps(old))
    new.update(stac_version="1.1.0")
    new["properties"]["proj:code"] = f"EPSG:{new['properties'].pop('proj:epsg')}"
    for asset in new["assets"].values():
        (band,) = asset.pop("raster:bands")
        own = ("scale", "offset", "spatial_resolution")
        asset["bands"] = [{f"raster:{k}" if k in own else k: v for k, v in band.items()}]
    first, second = read(old), read(new)
    for key, asset in first.assets.items():
        other = second.assets[key]
        for name in ("scale", "offset", "nodata", "epsg", "shape", "transform", "resolution_m"):
            assert getattr(asset, name) == getattr(other, name), name
    old.update(stac_version="0.9.0")
    for asset in old["assets"].values():
        asset["eo:bands"] = [3]  # numbers of bands of the item
    assert read(old).assets == first.assets


@pytest.mark.parametrize("value", [None, [], 7, "text", {"a": 1}, True, float("nan"), [None], [[]]])
def test_fields_of_another_type_count_as_missing(tmp_path: Path, value: object) -> None:
    content = json.loads(write(tmp_path).read_text())
    keys = [("properties", key) for key in content["properties"]]
    for part, key in keys:
        changed = json.loads(json.dumps(content))
        changed[part][key] = value
        read(changed)
    for key in content["assets"]["red"]:
        changed = json.loads(json.dumps(content))
        changed["assets"]["red"][key] = value
        read(changed)
    for key in ("properties", "assets", "id", "stac_version", "links", "collection", "geometry"):
        parse_item({**content, key: value})


def test_a_query_that_signs_access_is_in_no_fact(tmp_path: Path) -> None:
    content = json.loads(write(tmp_path).read_text())
    url = "https://me:password@account.blob.core.windows.net/a/B04.tif?sig=secret&se=2027"
    content["assets"]["red"]["href"] = url
    told = json.dumps(read(content).facts())
    assert "secret" not in told
    assert "password" not in told
    assert without_secrets(url) == "https://account.blob.core.windows.net/a/B04.tif"


def test_items_are_read_again_when_their_file_changes(tmp_path: Path) -> None:
    first, second = write_days(tmp_path, 2)
    assert products_at(first)[0].product_id == first.stem
    first.write_text(second.read_text() + " ")
    assert products_at(first)[0].product_id == second.stem


def test_the_facts_of_the_simulation_are_found(tmp_path: Path) -> None:
    made = facts(platform="S2C", baseline="04.00", cloud_percent=12.5)
    for catalogue in CATALOGUES:
        path = write_item(tmp_path / catalogue, made, scene(), catalogue)
        item = read(json.loads(path.read_text()))
        assert (item.platform, item.baseline, item.cloud_percent) == ("S2C", (4, 0), 12.5)
        assert item.generated == made.generated
        assert item.tiles == (made.tile,)
