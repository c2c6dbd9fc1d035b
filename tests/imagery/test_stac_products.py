"""Reader of STAC items: every kind of file in which they come, and every fault with its code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from support.inventories import ids, make_config, run
from support.muscate_factory import Muscate
from support.reader_inventories import BANDS, READERS, build, codes, only, told
from support.safe_factory import FACTS, GRID, SIZE, facts, scene
from support.safe_factory import write as write_safe_product
from support.stac_factory import Content, each_asset, edit, write, write_days

from oso_pipeline.config.check import check_paths
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.imagery.acquisition import Skipped
from oso_pipeline.imagery.conformance import check_reader
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products
from oso_pipeline.imagery.stac import documents, geoparquet
from oso_pipeline.imagery.stac.settings import StacSettings
from oso_pipeline.imagery.stage import STAGE
from oso_pipeline.simulation.writers.stac import (
    CATALOGUES,
    Catalogue,
    write_catalogue,
    write_cog,
    write_collection,
    write_item,
    write_json,
    write_table,
)


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_the_reader_keeps_the_contract(tmp_path: Path, catalogue: Catalogue) -> None:
    write(tmp_path / "sample", catalogue)
    later = FACTS.sensed + timedelta(days=5)
    write(tmp_path / "sample", catalogue, sensed=later, platform="S2B", baseline="02.12")
    found = check_reader(StacSettings(), tmp_path / "sample", tmp_path / "scratch")
    assert [one.version for one in found] == ["05.11", "02.12"]
    assert [one.bands["B4"].offset for one in found] == [-0.1, 0.0]
    assert {(one.bands["B4"].scale, one.bands["B4"].nodata) for one in found} == {(1e-4, 0)}
    assert [one.platform for one in found] == ["S2A", "S2B"]
    assert {one.acquired.time() for one in found} == {FACTS.sensed.time()}
    assert {one.processing.relative_orbit for one in found} == {51}


def test_items_need_no_setting(tmp_path: Path) -> None:
    items = write_days(tmp_path / "images", 2)
    inventory, summary = run(make_config(tmp_path))
    assert ids(inventory) == [item.stem for item in items]
    assert not summary["warnings"]


def test_muscate_folders_are_asked_for_as_before(tmp_path: Path) -> None:
    Muscate().write(tmp_path / "images")
    default = Request.of(make_config(tmp_path), "31TCJ", {"muscate"}).to_json()
    alone = Request.of(make_config(tmp_path, readers=[{"kind": "muscate"}]), "31TCJ").to_json()
    assert default == alone


def as_collection(folder: Path, items: list[Path]) -> Path:
    return write_collection(folder / "items.geojson", items)


def as_table(folder: Path, items: list[Path]) -> Path:
    return write_table(folder / "items.parquet", items)


def as_catalogue(folder: Path, items: list[Path]) -> Path:
    return write_catalogue(folder, items)


_APPLIED = "earthsearch:boa_offset_applied"
ONE_AND_SLOW = (
    CATALOGUES[0],
    *(pytest.param(catalogue, marks=pytest.mark.slow) for catalogue in CATALOGUES[1:]),
)
Writer = Callable[[Path, list[Path]], Path]


@pytest.mark.parametrize("writer", [as_collection, as_table, as_catalogue])
@pytest.mark.parametrize("catalogue", ONE_AND_SLOW)
def test_many_items_in_one_file(tmp_path: Path, writer: Writer, catalogue: Catalogue) -> None:
    images = tmp_path / "images"
    items = write_days(images, 3, catalogue)
    alone, _ = build(images)
    file = writer(images, items)
    named, builder = build(file)
    assert codes(builder) == []
    assert [one.product_id for one in named.acquisitions] == [item.stem for item in items]
    for one, other in zip(named.acquisitions, alone.acquisitions, strict=True):
        assert (one.bands, one.quality, one.rules) == (other.bands, other.quality, other.rules)
        assert (one.acquired, one.processing) == (other.acquired, other.processing)
    if file.suffix != ".json":
        for item in items:
            item.unlink()
    # Images of the data space look like those of SAFE.
    readers = (StacSettings(),) if catalogue == "data-space" else READERS
    within, builder = build(images, readers=readers)
    assert codes(builder) == []
    assert ids(within) == ids(named)


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    """Below another folder that is searched too, by absolute and by relative paths."""
    first, second = write_days(tmp_path / "images", 2)
    (tmp_path / "items").mkdir()
    for item, home in ((first, str(first.parent)), (second, f"../images/{second.parent.name}")):
        moved = item.rename(tmp_path / "items" / item.name)
        edit(
            moved,
            lambda c, home=home: each_asset(c, lambda a: a.update(href=f"{home}/{a['href']}")),
        )
    inventory, builder = build(tmp_path / "items", tmp_path / "images")
    assert len(inventory.acquisitions) == 2
    assert codes(builder) == []
    shutil.copy(first.parent / "B02.tif", first.parent / "picture.tif")
    _, builder = build(tmp_path / "items", tmp_path / "images")
    assert "images beside the products that belong to none of them: picture.tif" in told(builder)


def test_names_with_blanks_and_percent_signs(tmp_path: Path) -> None:
    item = write(tmp_path / "images")
    (item.parent / "B02.tif").rename(item.parent / "B 02.tif")
    (item.parent / "B03.tif").rename(item.parent / "B%2003.tif")
    edit(
        item,
        lambda c: (
            c["assets"]["blue"].update(href="B%2002.tif"),
            c["assets"]["green"].update(href="B%2003.tif"),
        ),
    )
    bands = only(build(item, bands=("B2", "B3"))[0]).bands
    assert [band.path.name for band in bands.values()] == ["B 02.tif", "B%2003.tif"]


@pytest.mark.parametrize(
    "written",
    [
        lambda path: path.as_uri(),
        lambda path: path.as_uri().replace("file:///", "file:/"),
        lambda path: path.as_uri().replace("file:///", "file://localhost/"),
        lambda path: f".\\{path.name}",
        lambda path: str(path),
    ],
)
def test_ways_to_write_a_place(tmp_path: Path, written: Callable[[Path], str]) -> None:
    """Libraries write absolute addresses of files, or paths as on the machine they ran on."""
    item = write(tmp_path / "100% sure #1?" / "a%20b")
    expected = only(build(item.parent)[0])
    edit(item, lambda c: each_asset(c, lambda a: a.update(href=written(item.parent / a["href"]))))
    inventory, builder = build(item.parent)
    assert codes(builder) == []
    assert only(inventory).bands == expected.bands


def test_links_of_a_catalogue_that_are_addresses_of_files(tmp_path: Path) -> None:
    images = tmp_path / "images"
    catalogue = write_catalogue(images, write_days(images, 2))
    for path in images.glob("*.json"):
        text = path.read_text().replace("https://example.org/catalogue", images.as_uri())
        path.write_text(text.replace('"./', f'"{images.as_uri()}/'))
    moved = images.rename(tmp_path / "moved")
    inventory, builder = build(moved / catalogue.name)
    assert codes(builder) == []
    assert len(inventory.acquisitions) == 2


def test_images_of_which_only_those_that_are_needed_were_fetched(tmp_path: Path) -> None:
    item = write(tmp_path / "images")
    (item.parent / "B05.tif").unlink()
    edit(item, assets("rededge1", href="https://example.org/B05.tif"))
    inventory, builder = build(tmp_path / "images", bands=("B2", "B4"))
    assert codes(builder) == []
    assert set(only(inventory).bands) == {"B2", "B4"}


@pytest.mark.parametrize(("said", "offset"), [("true", 0.0), ("False", -0.1), (1, 0.0), (0, -0.1)])
def test_an_offset_that_was_applied_may_be_said_in_text(
    tmp_path: Path, said: object, offset: float
) -> None:
    item = write(tmp_path / "images", "earth-search", applied=offset == 0)
    edit(item, lambda content: content["properties"].update({_APPLIED: said}))
    assert only(build(tmp_path / "images")[0]).bands["B4"].offset == offset


def test_an_offset_that_is_stated_beside_keys_of_planetary_computer(tmp_path: Path) -> None:
    """Its items state none; one of another archive that applied it must not have it twice."""
    item = write(tmp_path / "images", "planetary-computer", applied=True)
    stated = {"raster:bands": [{"scale": 0.0001, "offset": 0}]}
    edit(item, lambda content: each_asset(content, lambda asset: asset.update(stated)))
    bands = only(build(tmp_path / "images")[0]).bands.values()
    assert {(band.scale, band.offset) for band in bands} == {(0.0001, 0.0)}


def test_one_acquisition_as_safe_and_as_stac(tmp_path: Path) -> None:
    write_safe_product(tmp_path / "images")
    write(tmp_path / "images", "earth-search")
    inventory, builder = build(tmp_path / "images")
    assert sorted(one.family for one in inventory.acquisitions) == ["safe", "stac"]
    assert "W-IMAGE-FAMILIES" in codes(builder)
    assert {one.acquired.replace(microsecond=0) for one in inventory.acquisitions} == {FACTS.sensed}


def test_two_versions_of_one_product(tmp_path: Path) -> None:
    """Planetary Computer processed 2015 to 2020 itself; identifiers differ by the time of it."""
    old = write(tmp_path / "images", "planetary-computer", baseline="02.12")
    again = FACTS.generated + timedelta(days=900)
    write(tmp_path / "images", "planetary-computer", baseline="05.00", generated=again)
    inventory, builder = build(tmp_path / "images")
    assert only(inventory).version == "05.00"
    assert codes(builder) == ["W-IMAGE-VERSIONS"]
    assert [one.product_id for one in inventory.skipped] == [old.stem]


def test_one_acquisition_in_two_catalogues(tmp_path: Path) -> None:
    write(tmp_path / "images", "data-space")
    write(tmp_path / "images", "earth-search-c1")
    inventory, builder = build(tmp_path / "images")
    assert len(inventory.acquisitions) == 1
    assert codes(builder) == ["W-IMAGE-VERSIONS"]


def test_halves_of_a_tile_are_both_used(tmp_path: Path) -> None:
    halves = []
    for second, rows in enumerate((slice(0, 5), slice(3, None))):
        half = facts(generated=FACTS.generated + timedelta(seconds=second))
        item = write_item(tmp_path / "images" / str(second), half, scene(500, rows))
        edit(item, lambda c, second=second: c.update(id=f"half_{second}"))
        halves.append(item)
    inventory, builder = build(tmp_path / "images")
    assert len(inventory.acquisitions) == 2
    assert codes(builder) == []
    edit(halves[1], lambda c: c.update(id="half_0"))
    inventory, builder = build(tmp_path / "images")
    assert len(inventory.acquisitions) == 1
    assert codes(builder) == ["W-IMAGE-VERSIONS"]


def test_the_archive_applied_the_offset(tmp_path: Path) -> None:
    """The flag decides for the first collection of earth-search, whatever the assets state."""
    item = write(tmp_path / "images", "earth-search", applied=True)
    stated = json.loads(item.read_text())["assets"]["red"]["raster:bands"][0]["offset"]
    assert stated == -0.1
    assert only(build(item)[0]).bands["B4"].offset == 0.0
    edit(item, lambda c: c["properties"].update({"earthsearch:boa_offset_applied": False}))
    assert only(build(item)[0]).bands["B4"].offset == -0.1
    edit(item, lambda c: c["properties"].pop("earthsearch:boa_offset_applied"))
    assert only(build(item)[0]).bands["B4"].offset == -0.1
    edit(item, lambda c: c["properties"].update({"s2:processing_baseline": "02.14"}))
    assert only(build(item)[0]).bands["B4"].offset == 0.0


def test_another_catalogue_with_the_usual_names(tmp_path: Path) -> None:
    """Keys of its own; bands by `bands` of STAC 1.1, or by their common names."""
    item = write(tmp_path / "images", "data-space")

    def rename(content: Content) -> None:
        content.update(collection="mine")
        assets = {f"image_{n}": a for n, a in enumerate(content["assets"].values())}
        common = {"B02": "blue", "B04": "red", "B11": "swir16"}
        for asset in assets.values():
            for band in asset.get("bands", ()):
                if band["name"] in common:
                    band["eo:common_name"] = common[band.pop("name")]
        content["assets"] = {k: a for k, a in assets.items() if "SCL" not in a["href"]}
        content["assets"]["scl"] = next(a for a in assets.values() if "SCL" in a["href"])

    edit(item, rename)
    found = only(build(item)[0])
    assert {name: band.path.name[23:26] for name, band in found.bands.items()} == {
        "B2": "B02", "B4": "B04", "B8": "B08", "B8A": "B8A", "B11": "B11"
    }  # fmt: skip
    assert {band.offset for band in found.bands.values()} == {-0.1}


def without(*keys: str) -> Callable[[Content], object]:
    def change(content: Content) -> None:
        each_asset(
            content, lambda asset: [asset.get("raster:bands", [{}])[0].pop(k, 0) for k in keys]
        )

    return change


def properties(**changes: Any) -> Callable[[Content], object]:
    named = {key.replace("__", ":"): value for key, value in changes.items()}
    return lambda content: content["properties"].update(named)


def assets(key: str, **changes: Any) -> Callable[[Content], object]:
    return lambda content: content["assets"][key].update(changes)


def moved_assets(content: Content) -> None:
    content["assets"] = {f"band_{key}": one for key, one in content["assets"].items()}


def other_grid(content: Content) -> None:
    content["assets"]["blue"]["proj:transform"][2] += 10


FAULTS: dict[str, tuple[Catalogue, Callable[[Content], object], str, str]] = {
    "gone": ("earth-search-c1", assets("red", href="gone.tif"), "IMAGE-BAND", "there is no file"),
    "wrong names": ("earth-search-c1", moved_assets, "IMAGE-BAND", "B2 (asset blue)"),
    "no scale": ("earth-search-c1", without("scale"), "IMAGE-SCALE", "B2, B4, B8, B8A, B11"),
    "no offset": ("earth-search-c1", without("offset"), "IMAGE-BOA-OFFSET", "unless the archive"),
    "scale 0": (
        "earth-search-c1",
        assets("red", **{"raster:bands": [{"scale": 0, "offset": 0}]}),
        "IMAGE-SCALE",
        "B4: the item states the scale 0",
    ),
    "contradiction": (
        "earth-search-c1",
        properties(s2__processing_baseline="02.14"),
        "IMAGE-BOA-OFFSET",
        "products of baseline 02.14 have none",
    ),
    "baseline": (
        "planetary-computer",
        properties(s2__processing_baseline="five"),
        "IMAGE-BASELINE",
        "the processing baseline is five",
    ),
    "baseline as a number": (
        "planetary-computer",
        properties(s2__processing_baseline=5.1),
        "IMAGE-BASELINE",
        "the number 5.1",
    ),
    "tile": ("earth-search-c1", properties(grid__code="MGRS-31TDJ"), "", ""),
    "web": ("earth-search-c1", assets("red", href="https://example.org/B04.tif"), "IMAGE-", "web"),
    "scheme": ("earth-search-c1", assets("red", href="ftp://host/B04.tif"), "IMAGE-BAND", "ftp:"),
    "file": ("earth-search-c1", assets("red", href="file://nas/B04.tif"), "IMAGE-BAND", "file:"),
    "Windows": (
        "earth-search-c1",
        assets("red", href="C:\\images\\B04.tif"),
        "IMAGE-BAND",
        r"a path of Windows (C:\images\B04.tif), write it relative to the item",
    ),
    "web and file": (
        "earth-search-c1",
        assets("red", href="https://example.org/B04.tif"),
        "IMAGE-BAND",
        "B4 has an address on the web (`remote: true` of the reader fetches it)",
    ),
    "three bands": (
        "earth-search-c1",
        assets("red", **{"eo:bands": [{"name": n} for n in "abc"]}),
        "IMAGE-BAND",
        "B4 has 3 bands",
    ),
    "grid": ("earth-search-c1", other_grid, "IMAGE-POSITION", "in the metadata"),
    "classification": (
        "planetary-computer",
        lambda content: content["assets"].pop("SCL"),
        "IMAGE-MASK",
        "expected an asset SCL",
    ),
}


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"tile", "web"}))
def test_faults_of_items(tmp_path: Path, fault: str) -> None:
    catalogue, change, code, text = FAULTS[fault]
    good, bad = write_days(tmp_path / "images", 2, catalogue)
    edit(bad, change)
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [good.stem]
    assert set(codes(builder)) - {f"W-{code}"} <= {"W-IMAGE-UNKNOWN"}  # images of no item now
    assert f"W-{code}" in codes(builder)
    assert text in told(builder)
    assert [one.product_id for one in inventory.skipped if one.acquired] == [bad.stem]
    with pytest.raises(InputDataError, match=f"E-{code}") as raised:
        build(tmp_path / "images", incomplete="error")
    assert text in str(raised.value)


def test_a_tile_in_contradiction(tmp_path: Path) -> None:
    _, bad = write_days(tmp_path / "images", 2)
    edit(bad, properties(s2__mgrs_tile="31TDJ"))
    inventory, builder = build(tmp_path / "images")
    assert len(inventory.acquisitions) == 1
    assert codes(builder) == ["W-IMAGE-CRS"]
    assert "T31TDJ besides T31TCJ" in told(builder)


@pytest.mark.parametrize(
    ("name", "size", "code"),
    [
        ("SCL.tif", SIZE, "W-IMAGE-HALF-SIZE"),
        ("SCL.tif", SIZE // 2 - 1, "W-IMAGE-HALF-SIZE"),
        ("B04.tif", SIZE - 2, "W-IMAGE-SIZE"),
    ],
)
def test_files_of_another_size(tmp_path: Path, name: str, size: int, code: str) -> None:
    _, bad = write_days(tmp_path / "images", 2)
    grid = GRID if name != "SCL.tif" else GRID.zoom_out(2)
    write_cog(bad.parent / name, np.ones((size, size), "uint16"), grid[:size, :size])
    inventory, builder = build(tmp_path / "images")
    assert len(inventory.acquisitions) == 1
    assert code in codes(builder)


def test_a_cut_image(tmp_path: Path) -> None:
    _, bad = write_days(tmp_path / "images", 2)
    path = bad.parent / "B04.tif"
    path.write_bytes(path.read_bytes()[:-200])
    inventory, builder = build(tmp_path / "images")
    assert len(inventory.acquisitions) == 1
    assert codes(builder) == ["W-IMAGE-BAND"]


def test_a_missing_nodata_tag_is_zero(tmp_path: Path) -> None:
    item = write(tmp_path / "images", "planetary-computer")
    with rasterio.open(item.parent / "B04.tif") as file:
        assert file.nodata is None
    assert only(build(item)[0]).bands["B4"].nodata == 0


def test_items_of_other_collections(tmp_path: Path) -> None:
    images = tmp_path / "images"
    good, level_1, landsat, placeless = write_days(images, 4)
    edit(
        level_1,
        lambda c: (c.update(collection="sentinel-2-l1c"), properties(s2__product_uri=None)(c)),
    )
    edit(
        landsat,
        lambda c: (
            c.update(collection="landsat-c2-l2", id="LC08_L2SP_198030"),
            properties(platform="landsat-8", s2__product_uri=None)(c),
        ),
    )
    edit(
        placeless,
        lambda c: (c.update(id="nowhere"), properties(grid__code=None, s2__product_uri=None)(c)),
    )
    inventory, builder = build(images)
    assert ids(inventory) == [good.stem]
    assert {(one.reason, one.product_id) for one in inventory.skipped} == {
        ("not_supported", level_1.stem),
        ("not_supported", landsat.name),
        ("unreadable", placeless.name),
    }
    assert codes(builder) == ["W-IMAGE-UNKNOWN", "W-IMAGE-UNKNOWN"]
    assert "1 STAC item of the collection landsat-c2-l2; Sentinel-2 L2A is read" in told(builder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"stac_version": "1.0.0", "type": "Fea', "is not usable JSON"),
        ('{"stac_version": "1.0.0", "a": ' + "[" * 100_000, "is not usable JSON"),
        (
            '{"type": "FeatureCollection", "features": [{"stac_version": 1}, 7]}',
            "are no STAC items",
        ),
    ],
)
def test_broken_files(tmp_path: Path, content: str, reason: str) -> None:
    good = write(tmp_path / "images")
    (tmp_path / "images" / "broken.json").write_text(content)
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [good.stem]
    assert codes(builder) == ["W-IMAGE-UNKNOWN"]
    assert reason in told(builder)
    assert "expected " not in told(builder).splitlines()[-1]


def test_a_cut_table(tmp_path: Path) -> None:
    images = tmp_path / "images"
    items = write_days(images, 2)
    table = write_table(images / "items.parquet", items)
    table.write_bytes(table.read_bytes()[:-100])
    _, builder = build(table)
    assert "is not a table that can be read" in told(builder)
    assert codes(builder) == ["W-IMAGE-UNKNOWN"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "7", '{"type": "FeatureCollection", "features": []}', '{"a": "stac_version"}'],
)
def test_files_that_are_none_of_items_are_passed_over(tmp_path: Path, content: str) -> None:
    good = write(tmp_path / "images")
    (tmp_path / "images" / "parcels.geojson").write_text(content)
    (tmp_path / "images" / "tileInfo.json").write_text(content)
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [good.stem]
    assert codes(builder) == []


def test_files_within_products_of_other_families_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe = write_safe_product(tmp_path / "images")
    muscate = Muscate().write(tmp_path / "images")
    for folder in (safe, safe / "GRANULE", muscate / "MASKS"):
        (folder / "metadata.json").write_text('{"stac_version": "1.0.0"}')
    opened: list[Path] = []
    monkeypatch.setattr(documents, "_content", lambda path, *rest: opened.append(path))
    find_products([tmp_path / "images"], Readers.of(READERS), Problems())
    assert opened == []


def test_a_catalogue_in_circles_and_with_dead_links(tmp_path: Path) -> None:
    images = tmp_path / "images"
    items = write_days(images, 2)
    catalogue = write_catalogue(images, items)
    outside = write(tmp_path / "outside", sensed=FACTS.sensed + timedelta(days=30))
    links = [
        {"rel": "child", "href": "catalog.json"},
        {"rel": "child", "href": "https://example.org/catalogue/collection.json"},
        {"rel": "item", "href": f"https://example.org/catalogue/{items[0].parent.name}/gone.json"},
        {"rel": "item", "href": "other.json"},
        {"rel": "item", "href": str(outside)},
        {"rel": "item", "href": "https://elsewhere.org/item.json"},
        {"rel": "item"},
        {"rel": "item", "href": 7},
        "link",
    ]
    edit(images / "collection.json", lambda c: c["links"].extend(links))
    write_json(images / "other.json", {})
    inventory, builder = build(catalogue)
    assert ids(inventory) == [item.stem for item in items]
    text = told(builder)
    assert "2 of its links lead to no file of items" in text
    assert "other.json: it holds no STAC item" in text
    assert "gone.json: No such file" in text
    assert "2 of its links lead out of its folder or to the web" in text
    assert codes(builder) == ["W-IMAGE-UNKNOWN", "W-IMAGE-UNKNOWN"]


def test_a_catalogue_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_DEPTH", 3)
    for number in range(6):
        link = {"rel": "child", "href": f"{number + 1}.json"}
        content = {"type": "Catalog", "stac_version": "1.0.0", "id": "a", "links": [link]}
        write_json(tmp_path / f"{number}.json", content)
    found = documents.items_at(tmp_path / "0.json")
    assert "deeper than 3 catalogues" in found.faults[0]


def test_tables_and_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = write_days(tmp_path, 2)
    monkeypatch.setattr(geoparquet, "MAX_ITEMS", 1)
    found = documents.items_at(write_table(tmp_path / "items.parquet", items))
    assert found.items == ()
    assert "has 2 items, at most 1 are read" in found.faults[0]
    monkeypatch.setattr(documents, "MAX_BYTES", 10)
    with pytest.raises(documents.DocumentError, match="at most 10 are read"):
        documents.items_at(items[0])


def test_a_file_in_the_configuration(tmp_path: Path) -> None:
    images = tmp_path / "images"
    collection = write_collection(images / "items.json", write_days(images, 1))
    config = make_config(tmp_path, paths=[collection])
    named = [p for p in check_paths(config) if "imagery" in p.message]
    assert not named
    assert not STAGE.check(make_config(tmp_path, paths=[collection])).errors
    other = tmp_path / "images.txt"
    other.write_text("")
    (problem,) = (
        p for p in check_paths(make_config(tmp_path, paths=[other])) if "ima" in p.message
    )
    assert problem.code == "E-PATH-KIND"


def test_the_digest_follows_the_item_and_its_files(tmp_path: Path) -> None:
    item = write(tmp_path / "images")
    reader = Readers.of([StacSettings()])["stac"]

    def seen() -> str:
        (candidate,) = Readers.of([StacSettings()]).recognise(item)
        return reader.digest(candidate)

    first = seen()
    edit(item, lambda c: c.update(links=[{"rel": "self", "href": "https://example.org"}]))
    assert seen() == first
    edit(item, assets("red", href="./B04.tif?sig=secret"))
    assert "secret" not in seen()
    edit(item, assets("red", href="./B04.tif"))
    edit(item, assets("red", **{"raster:bands": [{"scale": 1e-3, "offset": 0}]}))
    assert seen() != first


def test_a_collection_that_loses_an_item(tmp_path: Path) -> None:
    images = tmp_path / "images"
    items = write_days(images, 2)
    collection = write_collection(images / "items.json", items)
    readers = Readers.of([StacSettings()])
    _, lost = readers.recognise(collection)
    write_collection(collection, items[:1])
    problems = Problems()
    request = Request("31TCJ", BANDS, "skip", "oso", (StacSettings(),))
    found = readers["stac"].open(lost, tmp_path, request, problems)
    assert isinstance(found, Skipped)
    assert found.reason == "unreadable"
    assert "unreadable" in readers["stac"].digest(lost)
    assert readers["stac"].size_bytes(lost) == 0
    assert readers["stac"].peek(lost) is None
