"""Answers of catalogues on disk: they serve when the portal is down, and damage stops nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import pytest
from support.catalogues import (
    NEED,
    FakeSession,
    Shelf,
    failing,
    geodes_entry,
    muscate_name,
    provider,
)

from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.catalogue_cache import CatalogueCache, RememberingCatalogue
from oso_pipeline.retrieval.catalogues import catalogue_of
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import Answered, Need, Offer, RemoteFile

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SQUARE = {"type": "Polygon", "coordinates": [[[1, 43], [2, 43], [2, 44], [1, 44], [1, 43]]]}


def offer(day: date, need: Need = NEED, **values: object) -> Offer:
    name = muscate_name(day)
    file = RemoteFile(f"{name}.zip", f"https://p.test/{name}", 1000, "d50110" + 16 * "ab", True)
    acquired = datetime(day.year, day.month, day.day, 10, 54, 35, tzinfo=UTC)
    made = Offer(
        "geodes", need, name, acquired, ("SENTINEL2A", "T31TCJ", str(day)), (1, 4, 0), "zip",
        (file,), entry=f"URN:{name}", is_online=False, cloud_percent=12.5, endpoint="https://s3",
        footprint=SQUARE, document={"id": name, "nested": [1, {"a": None}]},
    )  # fmt: skip
    return replace(made, **values)


def days(first: int, last: int) -> Need:
    return replace(NEED, first=date(2018, first, 1), last=date(2018, last, 28))


def test_an_answer_comes_back_as_it_was(tmp_path: Path) -> None:
    cache = CatalogueCache(tmp_path / "catalogue")
    offers = (offer(date(2018, 5, 1)), offer(date(2018, 6, 1), is_online=None, footprint=None))
    cache.store("geodes", NEED, Answered(offers, 2, ("a fault",)), AT)
    known = cache.load("geodes", NEED)
    assert known is not None
    assert known.unknown == ()
    assert known.answered == Answered(offers, 2, ("a fault",), as_of=AT)
    assert [one.document for one in known.answered.offers] == [one.document for one in offers]
    assert [one.footprint for one in known.answered.offers] == [SQUARE, None]
    assert not cache.findings


def test_any_program_shows_it_on_a_map(tmp_path: Path) -> None:
    cache = CatalogueCache(tmp_path)
    path = cache.store("geodes", NEED, Answered((offer(date(2018, 5, 1)),)), AT)
    table = gpd.read_parquet(path)
    assert table.geometry.iloc[0].bounds == (1, 43, 2, 44)
    assert table.crs.to_epsg() == 4326 or table.crs.equals("OGC:CRS84")
    assert table["product_id"].tolist() == [muscate_name(date(2018, 5, 1))]


@pytest.mark.parametrize("footprint", [{"type": "Polygon", "coordinates": [[[1]]]}, {"type": "?"}])
def test_a_damaged_footprint_is_no_reason_to_lose_an_offer(
    tmp_path: Path, footprint: dict[str, object]
) -> None:
    cache = CatalogueCache(tmp_path)
    cache.store("geodes", NEED, Answered((offer(date(2018, 5, 1), footprint=footprint),)), AT)
    known = cache.load("geodes", NEED)
    assert known is not None
    assert known.answered.offers[0].footprint == footprint


def test_nothing_is_known_of_what_was_not_stored(tmp_path: Path) -> None:
    cache = CatalogueCache(tmp_path / "none")
    assert cache.load("geodes", NEED) is None
    cache.store("geodes", NEED, Answered((offer(date(2018, 5, 1)),)), AT)
    for other in (replace(NEED, tile="31TDJ"), replace(NEED, family="l3a"), days(1, 2)):
        found = cache.load("geodes", other)
        assert found is None or found.answered.offers == ()
    assert cache.load("another", NEED) is None


def test_answers_of_some_days_serve_together(tmp_path: Path) -> None:
    cache = CatalogueCache(tmp_path)
    early, late = offer(date(2018, 2, 1)), offer(date(2018, 7, 1))
    cache.store("geodes", days(1, 3), Answered((early,), 1), AT)
    cache.store("geodes", days(6, 8), Answered((late,), 1), AT + timedelta(days=1))
    known = cache.load("geodes", days(2, 9))
    assert known is not None
    assert [one.product_id for one in known.answered.offers] == [early.product_id, late.product_id]
    assert known.answered.as_of == AT
    assert not known.answered.is_whole
    assert known.unknown == (
        (date(2018, 3, 29), date(2018, 5, 31)),
        (date(2018, 8, 29), date(2018, 9, 28)),
    )
    assert {one.need for one in known.answered.offers} == {days(2, 9)}


def test_the_newer_of_two_answers_counts_and_those_within_it_are_removed(tmp_path: Path) -> None:
    cache = CatalogueCache(tmp_path)
    day = date(2018, 2, 1)
    cache.store("geodes", days(1, 3), Answered((offer(day, entry="old"),)), AT)
    cache.store("geodes", days(2, 4), Answered((offer(day, entry="new"),)), AT + timedelta(hours=1))
    known = cache.load("geodes", days(1, 4))
    assert known is not None
    assert [one.entry for one in known.answered.offers] == ["new"]
    cache.store("geodes", NEED, Answered((offer(day, entry="newest"),)), AT + timedelta(hours=2))
    assert len([*tmp_path.iterdir()]) == 1


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "other", "folder", "bits"])
def test_a_damaged_file_is_a_finding_and_no_crash(tmp_path: Path, damage: str) -> None:
    cache = CatalogueCache(tmp_path)
    path = cache.store("geodes", NEED, Answered((offer(date(2018, 5, 1)),)), AT)
    content = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    elif damage == "other":
        wrong = cache.store("another", NEED, Answered(()), AT)
        wrong.replace(path)
    else:
        spoilt = {
            "cut": content[: len(content) // 2],
            "text": b"<html>maintenance</html>",
            "empty": b"",
            "bits": bytes(byte ^ (place % 97 == 0) for place, byte in enumerate(content)),
        }
        path.write_bytes(spoilt[damage])
    assert cache.load("geodes", NEED) is None
    (finding,) = cache.findings
    assert finding.code == "W-FETCH-CACHE"
    assert finding.where == str(path)
    assert finding.hint


def test_names_of_providers_lead_out_of_no_folder(tmp_path: Path) -> None:
    cache = CatalogueCache(tmp_path / "catalogue")
    for name in ("../../x", "a/b", "é", "", "a b"):
        path = cache.store(name, NEED, Answered((offer(date(2018, 5, 1)),)), AT)
        assert path.parent == tmp_path / "catalogue"
        assert cache.load(name, NEED) is not None
    assert len([*(tmp_path / "catalogue").iterdir()]) == 5


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure):
        CatalogueCache(tmp_path / "file").store("geodes", NEED, Answered(()), AT)


class Down:
    """A catalogue that fails."""

    def __init__(self, code: str = "E-FETCH-NETWORK") -> None:
        self.code = code

    def search(self, need: Need, deadline: Deadline) -> Answered:
        raise Failure(self.code, "the server sent nothing for too long", "https://p.test", True)

    def is_available(self, offer: Offer, deadline: Deadline) -> bool | None:
        raise AssertionError


def remembering(folder: Path, catalogue: object, **values: object) -> RememberingCatalogue:
    clock = values.pop("now", lambda: AT)
    return RememberingCatalogue("geodes", catalogue, CatalogueCache(folder), now=clock, **values)


def up(*names: str) -> object:
    return catalogue_of(
        "geodes", provider("geodes"), FakeSession(Shelf([geodes_entry(n) for n in names]).geodes)
    )


@pytest.mark.fault(
    row=35,
    injected="the search fails where it had an answer before",
    outcome="the answer on disk serves, with its age",
)
def test_a_campaign_begins_with_the_portal_down(tmp_path: Path) -> None:
    name, deadline = muscate_name(date(2018, 5, 1)), Deadline.after(60)
    first = remembering(tmp_path, up(name)).search(NEED, deadline)
    assert (first.as_of, first.faults) == (None, ())
    then = remembering(tmp_path, Down()).search(NEED, deadline)
    assert then.offers == first.offers
    assert then.as_of == AT
    assert then.faults == (
        "it does not answer now (the server sent nothing for too long): its answer of "
        "2026-03-01 12:00 UTC serves",
    )


def test_offline_nothing_is_requested(tmp_path: Path) -> None:
    name, deadline = muscate_name(date(2018, 5, 1)), Deadline.after(60)
    first = remembering(tmp_path, up(name)).search(NEED, deadline)
    offline = remembering(tmp_path, None, is_offline=True)
    assert offline.search(NEED, deadline).offers == first.offers
    assert offline.is_available(first.offers[0], deadline) is None
    with pytest.raises(Failure) as caught:
        offline.search(replace(NEED, tile="31TDJ"), deadline)
    assert caught.value.code == "E-FETCH-CATALOGUE"
    assert "no answer of geodes for muscate of 31TDJ is on disk" in caught.value.found


def test_without_an_answer_before_the_failure_is_said(tmp_path: Path) -> None:
    with failing("E-FETCH-NETWORK"):
        remembering(tmp_path, Down()).search(NEED, Deadline.after(60))


def test_a_renamed_collection_is_not_hidden_by_an_answer_before(tmp_path: Path) -> None:
    remembering(tmp_path, up(muscate_name(date(2018, 5, 1)))).search(NEED, Deadline.after(60))
    with failing("E-FETCH-COLLECTION"):
        remembering(tmp_path, Down("E-FETCH-COLLECTION")).search(NEED, Deadline.after(60))


def test_an_answer_that_is_not_whole_keeps_the_offers_before(tmp_path: Path) -> None:
    one, two = muscate_name(date(2018, 5, 1)), muscate_name(date(2018, 6, 1))
    deadline = Deadline.after(60)
    remembering(tmp_path, up(one, two)).search(NEED, deadline)
    partly = replace(up(two).search(NEED, deadline), is_whole=False)  # type: ignore[attr-defined]

    class Partly(Down):
        def search(self, need: Need, deadline: Deadline) -> Answered:
            return partly

    found = remembering(tmp_path, Partly()).search(NEED, deadline)
    assert [offer.product_id for offer in found.offers] == [one, two]
    assert "1 offer of its answer before" in found.faults


def test_an_answer_of_the_future_tells_of_a_wrong_clock(tmp_path: Path) -> None:
    ahead = AT + timedelta(days=400)
    name, deadline = muscate_name(date(2018, 5, 1)), Deadline.after(60)
    remembering(tmp_path, up(name), now=lambda: ahead).search(NEED, deadline)
    found = remembering(tmp_path, Down()).search(NEED, deadline)
    assert found.offers
    assert any("clock" in fault for fault in found.faults)


def test_an_empty_answer_is_an_answer(tmp_path: Path) -> None:
    remembering(tmp_path, up()).search(NEED, Deadline.after(60))
    assert remembering(tmp_path, Down()).search(NEED, Deadline.after(60)).offers == ()


def test_an_answer_that_no_file_holds_is_used_and_said(tmp_path: Path) -> None:
    odd = replace(offer(date(2018, 5, 1)), entry="\ud800")

    class Odd(Down):
        def search(self, need: Need, deadline: Deadline) -> Answered:
            return Answered((odd,))

    found = remembering(tmp_path, Odd()).search(NEED, Deadline.after(60))
    assert found.offers == (odd,)
    assert "not kept on disk" in found.faults[0]
