"""What STAC items offer, of the catalogues whose answers were not recorded too."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalogues import (
    MD5,
    NEED,
    FakeSession,
    geodes_entry,
    muscate_name,
    odata_entry,
    provider,
    safe_name,
    status,
)
from support.stac_factory import write

from oso_pipeline.retrieval.catalogue_cache import CatalogueCache, RememberingCatalogue
from oso_pipeline.retrieval.catalogues import catalogue_of
from oso_pipeline.retrieval.catalogues.boxes import box_of
from oso_pipeline.retrieval.catalogues.items import offer_of
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import Need, Offer
from oso_pipeline.retrieval.transfer.publish import local_item

ALWAYS = date(2015, 1, 1), date(2030, 1, 1)
STORE = {"kind": "s3", "endpoint": "https://s.test", "key_variable": "K", "secret_variable": "S"}
SAFE = safe_name(date(2018, 5, 1))


def item(folder: Path, catalogue: Any, change: Callable[[Any], object] | None = None) -> Any:
    content = json.loads(write(folder, catalogue).read_text())
    for key, asset in content["assets"].items():
        asset["href"] = f"https://files.test/{content['id']}/{key}.tif"
    if change:
        change(content)
    return content


def offered(entry: Any, family: str = "stac", **values: Any) -> Offer | str:
    table = provider("stac", family, **values)
    return offer_of(entry, "p", table, Need(family, "31TCJ", *ALWAYS))


@pytest.mark.parametrize(
    "catalogue", ["earth-search-c1", "earth-search", "planetary-computer", "data-space"]
)
def test_items_of_each_catalogue(tmp_path: Path, catalogue: str) -> None:
    content = item(tmp_path, catalogue)
    offer = offered(content)
    assert isinstance(offer, Offer), offer
    assert offer.form == "files"
    assert len(offer.files) == len({file.name for file in offer.files}) == 11
    assert {asset["href"] for asset in local_item(offer)["assets"].values()} == {
        f"./{file.name}" for file in offer.files
    }


def test_files_of_one_name_get_the_names_of_their_assets(tmp_path: Path) -> None:
    def change(content: Any) -> None:
        for key, asset in content["assets"].items():
            asset["href"] = f"https://files.test/{key}/image.tif?sig=1"

    offer = offered(item(tmp_path, "earth-search-c1", change))
    assert isinstance(offer, Offer)
    assert len({file.name for file in offer.files}) == 11
    assert "?" not in "".join(file.name for file in offer.files)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: one["assets"].pop("red"), "without the assets red"),
        (lambda one: one["assets"]["red"].update(href="https://x/.."), "names of files"),
        (lambda one: one["properties"].update(platform="landsat-8"), "no Sentinel-2 L2A"),
        (lambda one: one.pop("properties"), "no Sentinel-2 L2A"),
        (lambda one: one.update(assets=[1]), "without the assets"),
    ],
)
def test_items_that_are_no_offer(
    tmp_path: Path, change: Callable[[Any], object], reason: str
) -> None:
    found = offered(item(tmp_path, "earth-search-c1", change))
    assert isinstance(found, str)
    assert reason in found


def test_the_store_is_used_where_there_are_keys_of_it(tmp_path: Path) -> None:
    def change(content: Any) -> None:
        for key, asset in content["assets"].items():
            other = asset["href"]
            asset.update(href=f"s3://eodata/{key}.jp2", alternate={"https": {"href": other}})

    content = item(tmp_path, "data-space", change)
    for values, scheme in (({"key": STORE}, "s3://"), ({}, "https://")):
        offer = offered(content, **values)
        assert isinstance(offer, Offer)
        assert all(file.url.startswith(scheme) for file in offer.files)
        assert len(local_item(offer)["assets"]) == 11


def esa(assets: Any) -> Any:
    properties = {"datetime": "2018-05-01T10:54:31Z", "eo:cloud_cover": 5}
    return {"id": SAFE, "stac_version": "1.1.0", "properties": properties, "assets": assets}


def test_an_item_that_names_the_archive_of_a_safe_product() -> None:
    href = "https://download.test/odata/v1/Products(u)/$value"
    product = {
        "href": href,
        "type": "application/zip",
        "file:size": 9,
        "file:checksum": "D50110" + MD5,
    }
    offer = offered(esa({"B02_10m": {"href": "s3://x/B02.jp2"}, "Product": product}), "safe")
    assert isinstance(offer, Offer)
    assert (offer.product_id, offer.form) == (SAFE, "zip")
    (file,) = offer.files
    assert (file.name, file.url, file.size_bytes) == (f"{SAFE}.zip", href, 9)
    assert file.checksum == f"d50110{MD5}"
    store = {"s3": {"href": f"s3://eodata/Sentinel-2/{SAFE}.SAFE"}}
    offer = offered(esa({"Product": {**product, "alternate": store}}), "safe", key=STORE)
    assert isinstance(offer, Offer)
    assert (offer.form, offer.files[0].url) == ("files", f"s3://eodata/Sentinel-2/{SAFE}.SAFE/")


def test_an_item_with_the_files_of_a_muscate_product() -> None:
    name = muscate_name(date(2018, 5, 1))
    ends = ("FRE_B2.tif", "FRE_B8A.tif", "CLM_R1.tif", "MTD_ALL.xml", "QKL_ALL.jpg")
    assets = {end: {"href": f"https://files.test/x/{name}_{end}"} for end in ends}
    entry = {**esa(assets), "id": name}
    offer = offered(entry, "muscate")
    assert isinstance(offer, Offer)
    assert {file.name for file in offer.files} == {f"{name}_{end}" for end in ends[:4]}
    assert offered({**entry, "assets": {}}, "muscate") == "without an archive or files"


def test_families_that_other_packages_read_are_searched_by_the_box_of_the_tile() -> None:
    """Of Landsat, HLS and Venus there are collections; their products name no tile."""
    entry = {
        "id": "LC08_L2SP_199030_20180501_20200902_02_T1_SR", "stac_version": "1.0.0",
        "properties": {"datetime": "2018-05-01T10:40:00Z", "platform": "LANDSAT_8"},
        "assets": {
            "red": {"href": "https://files.test/a_SR_B4.TIF", "roles": ["data"]},
            "thumbnail": {"href": "https://files.test/a.jpg", "roles": ["thumbnail"]},
        },
    }  # fmt: skip
    session = FakeSession(lambda one: {"features": [entry]})
    need = Need("landsat", "31TCJ", date(2018, 1, 1), date(2018, 12, 31))
    (offer,) = catalogue_of("p", provider("stac", "landsat"), session).search(
        need, Deadline.after(60)
    ).offers  # fmt: skip
    assert offer.acquired == datetime(2018, 5, 1, 10, 40, tzinfo=UTC)
    assert [file.name for file in offer.files] == ["a_SR_B4.TIF"]
    assert session.requests[0].body["bbox"] == list(box_of("31TCJ"))  # type: ignore[index]


def test_venus_and_landsat_of_theia() -> None:
    name = "LANDSAT8-OLITIRS-XS_20180501-104000-000_L2A_FRANCE-METROPOLE_C_V2-2"
    pages = iter([{"features": [geodes_entry(name)], "context": {"matched": 1}}])
    session = FakeSession(lambda one: next(pages))
    need = Need("landsat8", "31TCJ", date(2018, 1, 1), date(2018, 12, 31))
    found = catalogue_of("p", provider("geodes", "landsat8"), session).search(
        need, Deadline.after(60)
    )
    assert [(one.product_id, one.rank) for one in found.offers] == [(name, (2, 2, 2))]
    body = session.requests[0].body
    assert body is not None
    assert "grid:code" not in body["query"]
    assert body["bbox"] == list(box_of("31TCJ"))


def test_odata_by_the_box_of_the_tile() -> None:
    pages = iter([{"value": [odata_entry(SAFE)], "@odata.count": 1}])
    session = FakeSession(lambda one: next(pages))
    need = Need("other", "31TCJ", date(2018, 1, 1), date(2018, 12, 31))
    found = catalogue_of("p", provider("odata", "other"), session).search(need, Deadline.after(60))
    assert [one.product_id for one in found.offers] == [SAFE]
    assert "Intersects" in session.requests[0].url


def test_a_query_of_the_table_names_the_tile() -> None:
    query = {"grid:code": {"eq": "MGRS-{tile}"}, "eo:cloud_cover": {"lte": 90}}
    table = provider("stac", collections={"muscate": {"id": "c", "query": query}})
    session = FakeSession(lambda one: {"features": []})
    catalogue_of("p", table, session).search(NEED, Deadline.after(60))
    body = session.requests[0].body
    assert body is not None
    assert body["query"] == {"grid:code": {"eq": "MGRS-31TCJ"}, "eo:cloud_cover": {"lte": 90}}


@pytest.mark.parametrize("tile", ["31TCJ", "01KAB", "60HUB", "33XWJ", "56HKH"])
def test_boxes_hold_their_tiles(tile: str) -> None:
    west, south, east, north = box_of(tile)
    assert -90 < south < north < 90
    width = (east - west) % 360
    assert 0.9 < width < 8, "also across 180 degrees"


def test_a_query_that_a_catalogue_refuses_is_left_out() -> None:
    query = {"grid:code": {"eq": "MGRS-{tile}"}}
    table = provider("stac", collections={"muscate": {"id": "c", "query": query}})
    name = muscate_name(date(2018, 5, 1))
    entry = {**esa({"zip": {"href": "https://files.test/p.zip"}}), "id": name}

    def answer(one: Any) -> Any:
        if one.body and "query" in one.body:
            return status(400)
        return {"features": [entry], "collections": [{"id": "c"}]}

    session = FakeSession(answer)
    catalogue = catalogue_of("p", table, session)
    for requests in (2, 3):  # once refused, it is not sent again
        assert len(catalogue.search(NEED, Deadline.after(60)).offers) == 1
        assert len(session.requests) == requests


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["\ud800", "..", "https://x/../", "s3://b/X.SAFE/", "2018-13-45", 1 << 80]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)  # fmt: skip


def spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if not isinstance(value, dict | list):
        return found
    for key, one in value.items() if isinstance(value, dict) else enumerate(value):
        found += spots(one, (*path, key))
    return found


@settings(max_examples=30)
@given(data=st.data(), kind=st.sampled_from(["geodes", "odata", "zip", "stac"]))
def test_no_entry_however_odd_stops_a_search(data: Any, kind: str) -> None:
    """Whatever stands in an answer: it is an offer that can be kept on disk, or it is counted."""
    name = muscate_name(date(2018, 5, 1))
    entries = {
        "geodes": geodes_entry(name),
        "odata": odata_entry(SAFE),
        "zip": esa({"Product": {"href": "https://x.test/a", "type": "application/zip"}}),
        "stac": ITEM,
    }
    entry = copy.deepcopy(entries[kind])
    for path in data.draw(st.lists(st.sampled_from(spots(entry)), min_size=1, max_size=4)):
        inside = entry
        try:
            for key in path[:-1]:
                inside = inside[key]
            inside[path[-1]] = data.draw(JSON)
        except (KeyError, IndexError, TypeError):
            continue  # something above it was replaced before
    family = {"geodes": "muscate", "stac": "stac"}.get(kind, "safe")
    protocol = {"zip": "stac"}.get(kind, kind)
    key = data.draw(st.sampled_from([{"kind": "none"}, STORE]))
    need = Need(family, "31TCJ", *ALWAYS)
    session = FakeSession(
        lambda one: {
            "features": [entry], "value": [entry], "collections": [{"id": "THE_COLLECTION"}]
        }
    )  # fmt: skip
    session.json = lambda url, deadline, body=None: session.answer(None)  # type: ignore
    made = catalogue_of("p", provider(protocol, family, key=key), session)
    with TemporaryDirectory() as folder:
        found = RememberingCatalogue("p", made, CatalogueCache(Path(folder))).search(
            need, Deadline.after(60)
        )
        for offer in found.offers:
            assert offer.files
            assert all(file.size_bytes is None or file.size_bytes > 0 for file in offer.files)


ITEM = {
    "id": "S2A_31TCJ_20180501_0_L2A", "stac_version": "1.0.0", "type": "Feature",
    "properties": {
        "datetime": "2018-05-01T10:54:31Z", "platform": "sentinel-2a", "grid:code": "MGRS-31TCJ",
        "s2:processing_baseline": "05.00", "s2:product_uri": f"{SAFE}.SAFE",
    },
    "collection": "sentinel-2-c1-l2a", "links": [{"rel": "self", "href": "https://x.test"}],
    "assets": {
        key: {"href": f"https://x.test/{key}.tif", "file:size": 9, "file:checksum": "1220ab",
              "alternate": {"s3": {"href": f"s3://b/{key}.tif"}}, "roles": ["data"]}
        for key in ("blue", "green", "red", "nir", "rededge1", "rededge2", "rededge3", "nir08",
                    "swir16", "swir22", "scl")
    },
}  # fmt: skip
