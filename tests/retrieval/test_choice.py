"""Which offers are fetched, and from whom."""

from __future__ import annotations

from dataclasses import replace

from support.offered import MOMENT, candidate, offer

from oso_pipeline.imagery.fetch_ledger import History, Record
from oso_pipeline.retrieval.choice import Choice, Stock, choose
from oso_pipeline.retrieval.offers import Offer

ORDER = {"muscate": ("first", "second")}


def chosen(*offers: Offer, stock: Stock | None = None) -> Choice:
    return choose(offers, ORDER, stock or Stock())


def names(choice: Choice) -> list[str]:
    return [one.key[1] for one in choice.wanted]


def record(of: Offer, state: str = "fetched") -> Record:
    return Record(
        state,  # type: ignore[arg-type]
        MOMENT,
        of.product_id,
        of.need.family,
        of.need.tile,
        of.acquired,
        of.observation,
        of.rank,
    )


def test_providers_are_tried_in_their_order_and_others_never() -> None:
    found = chosen(offer("second"), offer("unlisted"), offer("first"))
    assert [one.provider for one in found.wanted[0].offers] == ["first", "second"]


def test_a_newer_version_replaces_wherever_it_is() -> None:
    found = chosen(offer("first", version=1), offer("second", version=2))
    assert names(found) == ["P000_V2"]
    assert found.replaced == {("muscate", "P000_V1"): "P000_V2"}


def test_halves_of_a_tile_are_both_kept() -> None:
    other = replace(offer(), product_id="P000_other_half", rank=(1, 0, 5))
    assert names(chosen(offer(), other)) == ["P000_V1", "P000_other_half"]


def test_a_newer_version_of_one_half_does_not_replace_two_halves() -> None:
    other = replace(offer(), product_id="P000_other_half", rank=(1, 0, 5))
    found = chosen(offer(), other, offer(version=2))
    assert len(found.wanted) == 3
    assert not found.replaced


def test_clouds_decide_nothing() -> None:
    assert len(chosen(offer(cloud_percent=100.0)).wanted) == 1


def test_what_is_on_disk_is_not_fetched_again() -> None:
    found = chosen(offer(), offer(number=1), stock=Stock([candidate(offer())]))
    assert names(found) == ["P001_V1"]
    assert found.there == ("P000_V1",)


def test_a_newer_version_on_disk_serves_for_an_older_one() -> None:
    found = chosen(offer(version=1), stock=Stock([candidate(offer(version=2))]))
    assert not found.wanted


def test_an_older_version_on_disk_is_replaced() -> None:
    found = chosen(offer(version=2), stock=Stock([candidate(offer(version=1))]))
    assert names(found) == ["P000_V2"]
    assert found.replaced == {("muscate", "P000_V1"): "P000_V2"}


def test_what_the_ledger_has_is_fetched_again_only_where_it_is_gone() -> None:
    history = History()
    history.add(record(offer()))
    assert not chosen(offer(), stock=Stock(history=history)).wanted
    gone = Stock(history=history, is_there=lambda one: False)
    assert names(chosen(offer(), stock=gone)) == ["P000_V1"]


def test_what_is_quarantined_is_wanted_still() -> None:
    history = History()
    history.add(record(offer(), "quarantined"))
    assert names(chosen(offer(), stock=Stock(history=history))) == ["P000_V1"]


def test_one_item_under_two_names_is_one_product_of_two_providers() -> None:
    rank = (5, 11, 20180103000000)
    one = offer("first", form="files", rank=rank)
    two = offer("second", form="files", rank=rank, product_id="S2A_31TCJ_20180102_0_L2A")
    found = chosen(one, two)
    assert [each.provider for each in found.wanted[0].offers] == ["first", "second"]
    assert not chosen(two, stock=Stock([candidate(one)])).wanted
