"""Searches whose pages lie: nothing is lost, nothing comes twice, and it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalogues import (
    NEED,
    SAFE_NEED,
    Entry,
    FakeSession,
    Shelf,
    failing,
    geodes_entry,
    muscate_name,
    odata_entry,
    provider,
    safe_name,
    status,
)

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.catalogues import catalogue_of
from oso_pipeline.retrieval.catalogues.paging import (
    LEAST_REQUESTS,
    Gathering,
    Page,
    Place,
    Span,
)
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import Answered

DAYS = [date(2018, 1, 3) + timedelta(days=5 * n) for n in range(47)]
NAMES = [muscate_name(day) for day in DAYS]
SAFE_NAMES = [safe_name(day) for day in DAYS]
Fault = Callable[[int, list[Entry], int], tuple[list[Entry], int | None]]


def theia_item(name: str) -> Entry:
    entry = geodes_entry(name, urn=name)
    properties = {"datetime": entry["properties"]["start_datetime"], "created": "2020-01-01"}
    asset = {"href": f"https://catalogue.test/{name}.zip", "type": "application/zip"}
    return {**entry, "stac_version": "1.0.0", "properties": properties, "assets": {"zip": asset}}


def searched(protocol: str, fault: Fault | None, page: int = 10) -> tuple[Answered, FakeSession]:
    makers = {
        "geodes": ([geodes_entry(n) for n in NAMES], NEED),
        "odata": ([odata_entry(n) for n in SAFE_NAMES], SAFE_NEED),
        "stac": ([theia_item(n) for n in NAMES], NEED),
    }
    entries, need = makers[protocol]
    session = FakeSession(getattr(Shelf(entries, fault), protocol))
    catalogue = catalogue_of("p", provider(protocol, need.family, page=page), session)
    return catalogue.search(need, Deadline.after(60)), session


def repeats(number: int, page: list[Entry], matched: int) -> tuple[list[Entry], int | None]:
    """The last entry of a page is lost, another one comes twice."""
    return ([*page[:-1], page[0]] if len(page) > 1 and number % 2 else page), matched


def loses(number: int, page: list[Entry], matched: int) -> tuple[list[Entry], int | None]:
    return (page[1:] if number in (2, 4) else page), matched


def grows(number: int, page: list[Entry], matched: int) -> tuple[list[Entry], int | None]:
    return page, matched + (number == 3)


def shrinks(number: int, page: list[Entry], matched: int) -> tuple[list[Entry], int | None]:
    return page, matched - 5 * (number == 1)


@pytest.mark.parametrize("protocol", ["geodes", "odata", "stac"])
@pytest.mark.parametrize("fault", [None, repeats, loses, grows, shrinks])
@pytest.mark.parametrize("page", [3, 10, 100])
def test_every_product_is_found_once(protocol: str, fault: Fault | None, page: int) -> None:
    answered, session = searched(protocol, fault, page)
    expected = NAMES if protocol != "odata" else SAFE_NAMES
    assert [offer.product_id for offer in answered.offers] == sorted(expected)
    assert answered.is_whole
    pages = -(-len(DAYS) // page)
    assert len(session.requests) <= max(LEAST_REQUESTS, 8 * (pages + 2)) + 2
    if fault is None:
        assert len(session.requests) <= pages
        assert (answered.n_matched, answered.faults) == (len(DAYS), ())


def test_a_catalogue_without_counts_is_read_until_a_page_is_empty() -> None:
    answered, session = searched("odata", lambda number, page, matched: (page, None))
    assert len(answered.offers) == len(DAYS)
    assert (answered.n_matched, len(session.requests)) == (None, 6)


def test_without_counts_entries_that_come_twice_tell_of_lost_ones() -> None:
    def lies(number: int, page: list[Entry], matched: int) -> tuple[list[Entry], int | None]:
        return repeats(number, page, matched)[0], None

    for protocol in ("stac", "odata"):
        answered, _ = searched(protocol, lies, page=100)
        assert len(answered.offers) == len(DAYS)


def test_a_count_that_is_never_reached_ends_and_is_said() -> None:
    answered, session = searched("geodes", lambda number, page, matched: (page, matched + 1))
    assert len(answered.offers) == len(DAYS)
    assert not answered.is_whole
    assert any("entries are missing that it counts" in fault for fault in answered.faults)
    assert len(session.requests) <= LEAST_REQUESTS + 4


def test_links_to_next_pages_are_not_followed_elsewhere() -> None:
    for protocol in ("geodes", "odata", "stac"):
        _, session = searched(protocol, None)
        assert {one.url.partition("?")[0] for one in session.requests} == {
            f"https://catalogue.test/api/{'Products' if protocol == 'odata' else 'search'}"
        }
        for one in session.requests:
            assert one.body is None or one.body["limit"] == 10  # whatever the link says


def test_a_link_that_goes_round_is_left() -> None:
    items = [theia_item(name) for name in NAMES]

    def answer(one: object) -> Entry:
        link = {"rel": "next", "body": {"next": "again"}}
        return {"type": "FeatureCollection", "features": items[:10], "links": [link]}

    session = FakeSession(answer)
    found = catalogue_of("p", provider("stac"), session).search(NEED, Deadline.after(60))
    assert len(found.offers) == 10
    assert not found.is_whole
    assert len(session.requests) <= 2 * LEAST_REQUESTS


def test_a_next_link_without_a_known_token_is_an_error() -> None:
    page = {"features": [theia_item(NAMES[0])], "links": [{"rel": "next", "href": "https://x/y"}]}
    with failing("E-FETCH-CATALOGUE"):
        catalogue_of("p", provider("stac"), FakeSession(lambda one: page)).search(
            NEED, Deadline.after(60)
        )


def test_the_deadline_ends_a_search_between_pages() -> None:
    clock = iter(range(1000))
    shelf = Shelf([geodes_entry(name) for name in NAMES])
    session = FakeSession(shelf.geodes)
    deadline = Deadline(5.0, clock=lambda: float(next(clock)))
    with pytest.raises(Failure) as caught:
        catalogue_of("p", provider("geodes", page=1), session).search(NEED, deadline)
    assert (caught.value.code, caught.value.is_passing) == ("E-FETCH-CATALOGUE", True)
    assert len(session.requests) < 6


@pytest.mark.parametrize("broken", [True, False])
def test_what_was_found_is_not_lost_when_the_search_for_the_rest_ends(broken: bool) -> None:
    """One page of the first way lies; of what follows, nothing is answered any more."""
    shelf = Shelf([geodes_entry(name) for name in NAMES], lambda n, page, count: (page, count + 1))
    answers, now = 0, 0.0

    def answer(one: object) -> object:
        nonlocal answers, now
        answers += 1
        now = 100.0 if answers > 9 and not broken else now
        return status(503) if answers > 9 and broken else shelf.geodes(one)  # type: ignore

    table, deadline = provider("geodes"), Deadline(50.0, lambda: now)
    answered = catalogue_of("p", table, FakeSession(answer)).search(NEED, deadline)
    assert [offer.product_id for offer in answered.offers] == NAMES
    assert not answered.is_whole
    assert "it did not come to an end" in answered.faults[0]


def test_a_search_has_at_most_the_time_of_its_provider() -> None:
    seen: list[float] = []

    class Session(FakeSession):
        def json(self, url: str, deadline: Deadline, body: object = None) -> Entry:
            seen.append(deadline.left_s)
            return {"features": []}

    session = Session(lambda one: None)
    catalogue_of("p", provider("geodes"), session).search(NEED, Deadline.after(9999))
    assert max(seen) <= 60


@pytest.mark.parametrize("answer", [{}, {"features": None}, [], {"value": {}}, {"detail": "down"}])
@pytest.mark.parametrize("protocol", ["geodes", "odata", "stac"])
def test_an_answer_that_is_no_page_is_a_passing_failure(protocol: str, answer: object) -> None:
    with pytest.raises(Failure) as caught:
        catalogue_of("p", provider(protocol), FakeSession(lambda one: answer)).search(
            NEED, Deadline.after(60)
        )
    assert (caught.value.code, caught.value.is_passing) == ("E-FETCH-CATALOGUE", True)


@pytest.mark.parametrize("protocol", ["geodes", "stac"])
def test_a_renamed_collection_is_named_with_those_that_there_are(protocol: str) -> None:
    shelf = Shelf([], collections=("OTHER", "THE_COLLECTION_OF_TODAY"))

    def answer(one: object) -> object:
        found = getattr(shelf, protocol)(one)
        return found if "/collections" in one.url else status(400)  # type: ignore[attr-defined]

    with pytest.raises(Failure) as caught:
        catalogue_of("p", provider(protocol), FakeSession(answer)).search(NEED, Deadline.after(60))
    problem = caught.value.problem
    assert problem.code == "E-FETCH-COLLECTION"
    assert "p has no collection THE_COLLECTION any more" in problem.message
    assert "it has THE_COLLECTION_OF_TODAY, OTHER" in problem.message
    assert problem.hint is not None
    assert "retrieval.providers_file" in problem.hint


def test_a_renamed_collection_is_noticed_where_the_catalogue_answers_nothing() -> None:
    shelf = Shelf([], collections=("NEW",))

    def answer(one: object) -> object:
        return shelf.stac(one)  # type: ignore[arg-type]

    with failing("E-FETCH-COLLECTION"):
        catalogue_of("p", provider("stac"), FakeSession(answer)).search(NEED, Deadline.after(60))


def test_a_refusal_is_not_taken_for_a_renamed_collection() -> None:
    shelf = Shelf([])

    def answer(one: object) -> object:
        return shelf.stac(one) if "/collections" in one.url else status(400)  # type: ignore

    session = FakeSession(answer)
    with failing("E-FETCH-SERVER"):
        catalogue_of("p", provider("stac"), session).search(NEED, Deadline.after(60))


def test_odata_that_refuses_names_the_collection() -> None:
    session = FakeSession(lambda one: status(400))
    with pytest.raises(Failure) as caught:
        catalogue_of("p", provider("odata", "safe"), session).search(SAFE_NEED, Deadline.after(60))
    assert caught.value.code == "E-FETCH-COLLECTION"
    assert "THE_COLLECTION" in caught.value.found


def test_a_family_that_the_provider_does_not_have() -> None:
    with failing("E-FETCH-COLLECTION"):
        catalogue_of("p", provider("geodes", "l3a"), FakeSession(lambda one: {})).search(
            NEED, Deadline.after(60)
        )


def test_of_two_entries_of_one_product_the_newest_counts() -> None:
    name = NAMES[0]
    old = geodes_entry(name, urn="URN:1:V2", latest=False)
    new = geodes_entry(name, urn="URN:1:V1", latest=True)
    for entries in ([old, new], [new, old]):
        session = FakeSession(Shelf(entries).geodes)
        answered = catalogue_of("p", provider("geodes"), session).search(NEED, Deadline.after(60))
        assert [offer.entry for offer in answered.offers] == ["URN:1:V1"]


def test_a_product_that_is_nowhere_the_latest_is_still_offered() -> None:
    session = FakeSession(Shelf([geodes_entry(NAMES[0], latest=False)]).geodes)
    answered = catalogue_of("p", provider("geodes"), session).search(NEED, Deadline.after(60))
    assert len(answered.offers) == 1


def test_what_does_not_fit_is_counted_by_reason() -> None:
    day = date(2018, 5, 1)
    entries = [
        geodes_entry(muscate_name(day)),
        geodes_entry(muscate_name(day, tile="31TDJ")),
        geodes_entry(muscate_name(date(2018, 5, 2)).replace("L2A", "L3A")),
    ]
    entries.append({"id": None, "properties": entries[0]["properties"]})
    session = FakeSession(Shelf(entries).geodes)
    answered = catalogue_of("p", provider("geodes"), session).search(NEED, Deadline.after(60))
    assert len(answered.offers) == 1
    text = "; ".join(answered.faults)
    for part in ("1 entry of another tile", "none of muscate", "without an identifier"):
        assert part in text


@settings(max_examples=40)
@given(
    days=st.lists(st.integers(0, 120), min_size=0, max_size=40),
    limit=st.integers(1, 12),
    lies=st.dictionaries(st.integers(1, 30), st.sampled_from(["loses", "repeats", "counts"])),
)
def test_any_catalogue_that_lies_now_and_then_is_read_whole(
    days: list[int], limit: int, lies: dict[int, str]
) -> None:
    """A lie is told once; a day on which it is told is searched again."""
    entries = [
        {"id": f"{n:03d}", "day": date(2018, 1, 1) + timedelta(days=day)}
        for n, day in enumerate(sorted(days))
    ]
    requests = 0

    def page_of(span: Span, place: Place) -> Page:
        nonlocal requests
        requests += 1
        found = [one for one in entries if span.first <= one["day"] <= span.last]
        page = found[(place.number - 1) * limit : place.number * limit]
        lie, matched = lies.get(requests), len(found)
        if lie == "loses":
            page = page[1:]
        if lie == "repeats" and page:
            page = [*page[:-1], page[0]]
        return Page(tuple(page), matched + (lie == "counts"))

    gathering = Gathering(page_of, lambda one: one["id"], Deadline.after(60), "https://x")
    found = gathering.gather(Span(date(2018, 1, 1), date(2018, 12, 31)))
    if found.is_whole:
        assert {one["id"] for one in found.entries} == {one["id"] for one in entries}
    assert requests <= max(LEAST_REQUESTS, 8 * 45) + 45


def test_pages_without_end_are_given_up() -> None:
    pages = iter(range(100_000))

    def answer(one: object) -> Entry:
        number = next(pages)
        items = [{"id": f"{number}-{n}"} for n in range(200)]
        return {"features": items, "links": [{"rel": "next", "body": {"next": str(number)}}]}

    session = FakeSession(answer)
    with failing("E-FETCH-CATALOGUE"):
        catalogue_of("p", provider("stac"), session).search(NEED, Deadline.after(60))
    assert len(session.requests) < 200


@pytest.mark.parametrize(("said", "there"), [(True, True), (False, False), ("yes", None)])
def test_whether_a_product_of_the_data_space_is_online(said: object, there: bool | None) -> None:
    shelf = Shelf([odata_entry(SAFE_NAMES[0])])

    def answer(one: object) -> object:
        is_search = "$filter" in one.url  # type: ignore[attr-defined]
        return shelf.odata(one) if is_search else {"Online": said}  # type: ignore[arg-type]

    session = FakeSession(answer)
    catalogue = catalogue_of("p", provider("odata", "safe"), session)
    (offer,) = catalogue.search(SAFE_NEED, Deadline.after(60)).offers
    assert catalogue.is_available(offer, Deadline.after(60)) is there
    assert session.requests[-1].url.endswith(f"/Products({offer.entry})")


@pytest.mark.parametrize("answer", [{}, {"products": []}, {"products": [{"files": [{}]}]}, []])
def test_geodes_that_says_nothing_of_a_tape_fails_for_now(answer: object) -> None:
    shelf = Shelf([geodes_entry(NAMES[0])])
    session = FakeSession(lambda one: answer if "/availability" in one.url else shelf.geodes(one))
    catalogue = catalogue_of("p", provider("geodes"), session)
    (offer,) = catalogue.search(NEED, Deadline.after(60)).offers
    with pytest.raises(Failure) as caught:
        catalogue.is_available(offer, Deadline.after(60))
    assert (caught.value.code, caught.value.is_passing) == ("E-FETCH-CATALOGUE", True)
