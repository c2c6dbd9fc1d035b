"""Campaigns against catalogues and downloads that do what a test tells them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fake_portals import GONE, PASSING, QUICK, World, raises
from support.offered import NEED, candidate, offer

from oso_pipeline.cli.fetching import exit_code_of
from oso_pipeline.core.errors import EnvironmentFailure, ExitCode, Problem
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval import campaign
from oso_pipeline.retrieval.access.breaker import Trips
from oso_pipeline.retrieval.leftovers import problems_of
from oso_pipeline.retrieval.offers import Need, Offer
from oso_pipeline.retrieval.transfer.outcomes import AtWork, OnTape, Quarantined
from oso_pipeline.retrieval.worker import Budget, Stop

P0, P1 = "P000_V1", "P001_V1"
TAPE = OnTape(P0, "first", "Is online: false")


def damaged(provider: str) -> Quarantined:
    return Quarantined(P0, provider, "the archive is damaged", Path("x"))


def test_all_that_is_offered_is_fetched_and_recorded(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer(), offer(number=1)]})
    outcome = world.run()
    assert outcome.is_complete
    assert (outcome.n_fetched, outcome.n_there, outcome.bytes_done) == (2, 0, 2000)
    assert world.published() == [P0, P1]
    assert world.states() == {P0: "fetched", P1: "fetched"}
    record = world.target.ledger.latest(("muscate", P0))
    assert record is not None
    assert (record.path, record.size_bytes) == (f"T31TCJ/{P0}.zip", 1000)


def test_a_second_campaign_fetches_nothing(tmp_path: Path) -> None:
    World(tmp_path, {"first": [offer()]}).run()
    again = World(tmp_path, {"first": [offer()]})
    outcome = again.run()
    assert (outcome.is_complete, outcome.n_fetched, outcome.n_there) == (True, 0, 1)
    assert not again.asked


def test_what_is_in_the_folders_is_not_fetched(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()]}, candidates=(candidate(offer()),))
    assert world.run().is_complete
    assert not world.asked


def test_a_passing_failure_is_tried_again_then_the_next_provider(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()], "second": [offer("second")]})
    world.deeds[("first", P0)] = [PASSING]
    assert world.run().is_complete
    assert world.asked == [("first", P0), ("first", P0), ("second", P0)]


def test_a_lasting_failure_goes_to_the_next_provider_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()], "second": [offer("second")]})
    world.deeds[("first", P0)] = [GONE]
    assert world.run().is_complete
    assert world.asked == [("first", P0), ("second", P0)]


def test_a_part_of_an_earlier_campaign_is_continued_where_it_came_from(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()], "second": [offer("second")]})
    work = world.target.folder.parts / f"{P0}.zip" / "second"
    work.mkdir(parents=True)
    (work / "1.part").write_bytes(b"begun")
    assert world.run().is_complete
    assert world.asked == [("second", P0)]


def test_rounds_search_again_and_take_new_addresses(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()]})
    world.deeds[("first", P0)] = [GONE, None]
    assert world.run().is_complete
    assert world.catalogues["first"].n_searches == 2


def test_what_fails_in_all_rounds_is_left_and_named(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer(), offer(number=1)]})
    world.deeds[("first", P0)] = [GONE]
    outcome = world.run()
    assert [one.product_id for one in outcome.left] == [P0]
    assert outcome.left[0].code == "E-FETCH-GONE"
    assert world.asked.count(("first", P0)) == 1 + len(QUICK.pauses_s)
    assert world.states() == {P0: "failed", P1: "fetched"}
    (missing,) = world.history().missing()
    assert missing.reason == "first: there is no such file"


def test_what_is_quarantined_comes_from_another_provider(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()], "second": [offer("second")]})
    world.deeds[("first", P0)] = [damaged("first")]
    assert world.run().is_complete
    assert world.states() == {P0: "fetched"}
    assert "quarantined" in world.kinds()


def test_what_is_damaged_everywhere_is_quarantined_in_the_ledger(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()]})
    world.deeds[("first", P0)] = [damaged("first")]
    outcome = world.run()
    assert outcome.left[0].code == "W-FETCH-DAMAGED"
    assert world.states() == {P0: "quarantined"}


def test_a_flag_stands_in_the_ledger(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()]})
    world.deeds[("first", P0)] = ["another checksum"]
    outcome = world.run()
    assert (outcome.is_complete, outcome.n_flagged) == (True, 1)
    assert world.states() == {P0: "flagged"}


def test_tape_holds_back_nothing_and_comes_in_the_end(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer(), offer(number=1)]})
    world.deeds[("first", P0)] = [TAPE, TAPE, TAPE, None]
    assert world.run().is_complete
    assert world.asked.index(("first", P1)) < 3
    assert world.states() == {P0: "fetched", P1: "fetched"}
    assert world.kinds().count("waiting") == 1


def test_tape_is_asked_for_by_the_catalogue_where_it_can_be(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()]})
    world.deeds[("first", P0)] = [TAPE, None]
    answers = [False, False, True]
    world.catalogues["first"].available = lambda offer: answers.pop(0)
    assert world.run().is_complete
    assert len(world.asked) == 2


def test_another_provider_gives_what_the_first_has_on_tape(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()], "second": [offer("second")]})
    world.deeds[("first", P0)] = [TAPE]
    assert world.run().is_complete
    assert world.asked == [("first", P0), ("second", P0)]


def test_tape_that_never_comes_ends_at_its_deadline(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()]}, limits={"tape_s": 0.01})
    world.deeds[("first", P0)] = [TAPE]
    outcome = world.run()
    assert world.states() == {P0: "failed"}
    assert "tape" in world.history().missing()[0].reason
    assert not outcome.is_complete


def test_a_version_published_during_the_campaign_replaces(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": []})
    offered = [[offer()], [offer(version=2)]]
    world.catalogues["first"].answer = lambda need: (
        offered.pop(0) if len(offered) > 1 else offered[0]
    )
    world.deeds[("first", P0)] = [GONE]
    assert world.run().is_complete
    assert world.published() == ["P000_V2"]
    assert world.states() == {P0: "replaced", "P000_V2": "fetched"}


def test_an_older_version_serves_until_the_newer_one_is_there(tmp_path: Path) -> None:
    World(tmp_path, {"first": [offer()]}).run()
    world = World(tmp_path, {"first": [offer(version=2)]})
    world.deeds[("first", "P000_V2")] = [GONE]
    world.run()
    assert world.states() == {P0: "fetched", "P000_V2": "failed"}
    again = World(tmp_path, {"first": [offer(version=2)]})
    assert again.run().is_complete
    assert again.states() == {P0: "replaced", "P000_V2": "fetched"}


def test_a_search_that_fails_does_not_hold_back_other_providers(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [], "second": [offer("second")]})
    world.catalogues["first"].answer = raises(PASSING)  # type: ignore[assignment]
    outcome = world.run()
    assert world.published() == [P0]
    assert [(one.provider, one.need) for one in outcome.unanswered] == [("first", NEED)]
    assert world.catalogues["first"].n_searches == 1 + len(QUICK.pauses_s)
    assert not outcome.is_complete


def test_a_fault_in_a_catalogue_ends_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [], "second": [offer("second")]})
    world.catalogues["first"].answer = raises(KeyError("features"))  # type: ignore[assignment]
    world.run()
    assert world.published() == [P0]


def test_a_search_that_hangs_holds_back_only_its_needs(tmp_path: Path) -> None:
    other = replace(NEED, tile="31TDJ")
    hang, first = threading.Event(), offer()
    world = World(tmp_path, {"first": []}, needs=(NEED, other))

    def answer(need: Need) -> list[Offer]:
        if need == other:
            hang.wait(10)
        return [first] if need == NEED else []

    world.catalogues["first"].answer = answer
    thread = threading.Thread(target=world.run)
    thread.start()
    for _ in range(500):
        if world.published():
            break
        time.sleep(0.01)
    assert world.published() == [P0]
    hang.set()
    thread.join()


def test_a_provider_that_fails_all_the_time_is_left_for_another(tmp_path: Path) -> None:
    numbers = range(30)
    world = World(
        tmp_path,
        {
            "first": [offer(number=n) for n in numbers],
            "second": [offer("second", number=n) for n in numbers],
        },
        trips=Trips(failures=3, first_rest_s=1000),
        patience=replace(QUICK, tries=1),
    )
    for number in numbers:  # each failure is its own: the breaker counts one object once
        world.deeds[("first", f"P{number:03}_V1")] = [
            Failure("E-FETCH-SERVER", f"fault {number}", "https://x.test", is_passing=True)
        ]
    assert world.run().is_complete
    assert sum(name == "first" for name, _ in world.asked) == 3
    assert len(world.published()) == 30


def test_a_lone_provider_that_is_down_is_given_up_after_the_outage(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        {"first": [offer(), offer(number=1)]},
        trips=Trips(failures=1, first_rest_s=1000),
        patience=replace(QUICK, tries=1, outage_s=0.01),
    )
    world.deeds[("first", P0)] = [PASSING]
    outcome = world.run()
    assert {one.product_id for one in outcome.left} == {P0, P1}
    assert world.states() == {P0: "failed", P1: "failed"}


def test_a_product_of_another_process_is_awaited(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()]})

    def other(on_bytes: Callable[[int], None]) -> BaseException:
        published = tmp_path / "T31TCJ" / f"{P0}.zip"
        published.parent.mkdir()
        published.write_bytes(b"x")
        record = world.target.record(offer(), "fetched")
        world.target.ledger.append(replace(record, path=f"T31TCJ/{P0}.zip"))
        return AtWork(P0)

    world.deeds[("first", P0)] = [other, PASSING]
    outcome = world.run()
    assert outcome.is_complete
    assert (world.asked, outcome.n_fetched) == ([("first", P0)], 0)


def test_no_more_is_fetched_than_allowed(tmp_path: Path) -> None:
    offers = [offer(number=n) for n in range(5)]
    world = World(tmp_path, {"first": offers}, budget=Budget(most_bytes=2500))
    outcome = world.run()
    assert outcome.n_fetched == 2
    assert {(one.why, one.code) for one in outcome.left} == {("held", "W-FETCH-LIMIT")}


def test_free_disk_space_is_kept(tmp_path: Path) -> None:
    budget = Budget(keep_free_bytes=1000, free_bytes=lambda folder: 1500)
    outcome = World(tmp_path, {"first": [offer()]}, budget=budget).run()
    assert (outcome.left[0].why, outcome.left[0].code) == ("held", "E-DISK")


def test_a_full_disk_ends_the_campaign(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer(), offer(number=1)]})
    full = EnvironmentFailure(Problem("E-DISK", "the disk is full"))
    world.deeds[("first", P0)] = [full]
    outcome = world.run()
    assert outcome.error is full
    assert not outcome.is_complete


def test_a_fault_of_the_program_ends_one_product_and_is_named(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer(), offer(number=1)]})
    world.deeds[("first", P0)] = [ZeroDivisionError("a bug")]
    outcome = world.run()
    assert world.states() == {P0: "failed", P1: "fetched"}
    (left,) = outcome.left
    assert left.code == "E-FETCH-FAULT"
    assert "ZeroDivisionError: a bug (fake_portals.py:" in left.reason
    (problem,) = problems_of(outcome)
    assert problem.hint is not None
    assert "report" in problem.hint
    assert exit_code_of(outcome) == ExitCode.BUG


def test_what_is_in_the_place_of_a_product_ends_no_campaign(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer(), offer(number=1)]})
    world.deeds[("first", P0)] = [EnvironmentFailure(Problem("E-FOLDER", "a folder is there"))]
    outcome = world.run()
    assert world.states() == {P0: "failed", P1: "fetched"}
    assert exit_code_of(outcome) == ExitCode.ENVIRONMENT


def test_after_a_long_campaign_all_is_searched_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "_AGED_S", 0.02)
    world = World(tmp_path, {"first": []})
    offered = [[offer()], [offer(), offer(number=1)]]
    world.catalogues["first"].answer = lambda need: (
        offered.pop(0) if len(offered) > 1 else offered[0]
    )
    world.deeds[("first", P0)] = [lambda on_bytes: time.sleep(0.03)]
    assert world.run().is_complete
    assert world.published() == [P0, P1]


def test_a_stop_ends_downloads_that_go_on(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer(), offer(number=1)]})

    def stopped(on_bytes: Callable[[int], None]) -> Any:
        on_bytes(10)
        world.stop.request("interrupted")
        on_bytes(10)
        return None

    world.deeds[("first", P0)] = [stopped]
    outcome = world.run()
    assert outcome.stopped == "interrupted"
    assert not world.published()
    assert world.states() == {P0: "wanted", P1: "wanted"}
    assert World(tmp_path, {"first": [offer(), offer(number=1)]}).run().is_complete


def test_the_first_reason_to_stop_counts() -> None:
    stop = Stop()
    stop.request("terminated")
    stop.request("interrupted")
    assert stop.reason == "terminated"


@pytest.mark.parametrize("connections", [1, 3])
def test_no_more_downloads_at_once_than_connections(tmp_path: Path, connections: int) -> None:
    running, most, lock = [0], [0], threading.Lock()

    def slow(on_bytes: Callable[[int], None]) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1

    offers = [offer(number=n) for n in range(9)]
    world = World(tmp_path, {"first": offers}, limits={"connections": connections})
    for one in offers:
        world.deeds[("first", one.product_id)] = [slow]
    assert world.run().is_complete
    assert most[0] == connections
