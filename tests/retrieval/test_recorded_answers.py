"""What is understood of the recorded answers of three portals.

They hold products of level 1, which nothing reads: each is also taken with the level in its name
changed, all else as recorded.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from support.catalogues import Asked, FakeSession, provider, recorded
from support.real_data import real_data

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.catalogues import catalogue_of
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import Answered, Need


@pytest.fixture(scope="module")
def shared(shared_data: Path) -> Path:
    real_data(shared_data / "sensor_samples" / "catalogue_answers")
    return shared_data


def as_level_2(content: Any) -> Any:
    return json.loads(json.dumps(content).replace("L1C", "L2A").replace("l1c", "l2a"))


def search(protocol: str, need: Need, answer: Any, **values: Any) -> tuple[Answered, FakeSession]:
    # The recorded answers count products of the whole world, of which one page is here.
    pages = iter([answer])
    session = FakeSession(lambda one: next(pages, {"features": [], "value": []}))
    found = catalogue_of("p", provider(protocol, need.family, **values), session)
    return found.search(need, Deadline.after(60)), session


def counted(content: Any, number: int) -> Any:
    content["context"]["matched"] = number
    if "numberMatched" in content:
        content["numberMatched"] = number
    return content


def test_geodes(shared: Path) -> None:
    need = Need("safe", "14ULD", date(2025, 4, 1), date(2025, 4, 30))
    content = counted(as_level_2(recorded(shared, "geodes")), 1)
    answered, session = search("geodes", need, content)
    (offer,) = answered.offers
    assert offer.product_id == "S2A_MSIL2A_20250402T175741_N0511_R141_T14ULD_20250403T022035"
    assert offer.acquired == datetime(2025, 4, 2, 17, 57, 41, tzinfo=UTC)  # not of publication
    assert offer.rank == (5, 11, 20250403022035)
    assert (offer.form, offer.is_online) == ("zip", False)
    assert offer.cloud_percent == pytest.approx(67.54958344531)
    assert offer.entry == "URN:FEATURE:DATA:gdh:25416e3f-1a7f-379a-9b65-a6539b1fd95b:V1"
    assert offer.footprint is not None
    assert offer.endpoint.startswith("https://s3.datalake.cnes.fr/")
    (file,) = offer.files
    assert (file.size_bytes, file.is_size_a_hint) == (764210185, False)
    assert file.checksum == "d5011086f828c4c7e921615d1cd0476604f780"
    assert file.url == (
        "https://geodes-portal.cnes.fr/api/download/URN:FEATURE:DATA:gdh:25416e3f-1a7f-379a-9b65-"
        "a6539b1fd95b:V1/files/86f828c4c7e921615d1cd0476604f780"
    )
    assert answered.is_whole
    assert len(session.requests) == 1


def test_geodes_that_counts_the_whole_world_is_not_restricted(shared: Path) -> None:
    need = Need("safe", "14ULD", date(2025, 4, 1), date(2025, 4, 30))
    with pytest.raises(Failure) as caught:
        search("geodes", need, recorded(shared, "geodes"))
    assert "37273723" in caught.value.found


def test_odata(shared: Path) -> None:
    need = Need("safe", "54PXA", date(2020, 8, 1), date(2020, 8, 31))
    answered, session = search(
        "odata",
        need,
        as_level_2(recorded(shared, "cop_dataspace")),
        download="https://down.test/v1",
    )
    (offer,) = answered.offers
    assert offer.product_id == "S2A_MSIL2A_20200808T010311_N0500_R045_T54PXA_20230413T212505"
    assert (offer.form, offer.is_online) == ("zip", True)
    assert offer.cloud_percent == pytest.approx(95.136736479015)
    (file,) = offer.files
    assert file.url == "https://down.test/v1/Products(05edf2bb-d103-49f1-a677-9e474138d84f)/$value"
    assert (file.size_bytes, file.is_size_a_hint) == (224105657, True)
    assert file.checksum == "d50110923ac4992d90b57d41e7ace4d9d90757"
    assert answered.faults == ("1 entry of another tile",)
    assert "skip=0" in session.requests[0].url
    assert "skip=2" in session.requests[1].url  # no count, so until a page is empty


def test_odata_from_the_object_store(shared: Path) -> None:
    need = Need("safe", "54PXA", date(2020, 8, 1), date(2020, 8, 31))
    key = {"kind": "s3", "endpoint": "https://s.test", "key_variable": "K", "secret_variable": "S"}
    answered, _ = search("odata", need, as_level_2(recorded(shared, "cop_dataspace")), key=key)
    (offer,) = answered.offers
    assert offer.form == "files"
    assert offer.files[0].url == (
        "s3://eodata/Sentinel-2/MSI/L2A_N0500/2020/08/08/"
        "S2A_MSIL2A_20200808T010311_N0500_R045_T54PXA_20230413T212505.SAFE/"
    )


def test_earth_search(shared: Path) -> None:
    need = Need("stac", "27VWK", date(2024, 2, 1), date(2024, 2, 28))
    content = counted(as_level_2(recorded(shared, "earth_search")), 1)
    content["features"][0]["assets"]["scl"] = {"href": "s3://sentinel-s2-l2a/27/SCL.jp2"}
    answered, session = search("stac", need, content)
    (offer,) = answered.offers
    assert offer.product_id == "S2B_27VWK_20240206_0_L2A"
    assert offer.acquired == datetime(2024, 2, 6, 13, 12, 59, tzinfo=UTC)
    assert offer.observation == ("S2B", "27VWK", "2024-02-06T13:12:59+00:00")
    assert offer.rank == (5, 10, 20240206133903)
    assert len(offer.files) == 11
    assert offer.files[0].name == "B02.jp2"
    assert offer.document["id"] == offer.product_id
    # The recorded token of the next page is taken from its link, and sent to our own address.
    assert session.requests[1].url == session.requests[0].url
    assert session.requests[1].body is not None
    assert session.requests[1].body["next"] == (
        "2024-02-06T13:14:11.918000Z,S2B_27VWK_20240206_0_L1C,sentinel-2-l1c".replace("L1C", "L2A")
        .replace("l1c", "l2a")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "name", "tile", "day"),
    [
        ("geodes", "geodes", "14ULD", date(2025, 4, 2)),
        ("odata", "cop_dataspace", "54PXA", date(2020, 8, 8)),
    ],
)
def test_level_1_is_no_offer(shared: Path, protocol: str, name: str, tile: str, day: date) -> None:
    content = recorded(shared, name)
    if protocol == "geodes":
        counted(content, 1)
    answered, _ = search(protocol, Need("safe", tile, day, day), content)
    assert not answered.offers
    assert "a name that is none of safe" in answered.faults[-1]


def test_every_request_is_one_of_the_interface(shared: Path) -> None:
    asked: list[Asked] = []

    def answer(one: Asked) -> Any:
        asked.append(one)
        return {"features": [], "value": []}

    for protocol in ("geodes", "odata", "stac"):
        need = Need("safe", "31TCJ", date(2018, 1, 1), date(2018, 12, 31))
        made = catalogue_of("p", provider(protocol, "safe"), FakeSession(answer))
        assert made.search(need, Deadline.after(60)).offers == ()
    assert all(one.url.startswith("https://catalogue.test/api/") for one in asked)
