"""Searches of the lying portal, over real connections of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest
from support.portal import (
    FAMILIES,
    Fault,
    Mixture,
    Portal,
    Product,
    can_occur,
    lying_portal,
    season,
)

from oso_pipeline.imagery.remote.download import Patience
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.access.keys import Keys
from oso_pipeline.retrieval.access.session import Session
from oso_pipeline.retrieval.catalogues import catalogue_of
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import Answered, Need
from oso_pipeline.retrieval.provider_table import Provider

NUMBER = 11
PROTOCOLS = ("geodes", "odata", "earth-search", "planetary", "theia", "mirror")


def products_for(protocol: str) -> list[Product]:
    return season(FAMILIES[protocol][0], number=NUMBER, size_bytes=2000)


def search(portal: Portal, protocol: str, within_s: float = 30.0, **limits: float) -> Answered:
    values = portal.table[protocol]
    values["limits"] = {"page": 4, **limits}
    table = Provider.model_validate(values)
    session = Session(
        protocol,
        table,
        Keys(portal.environ),
        patience=Patience(tries=3, first_wait_s=0.01, longest_wait_s=0.02),
        sleep=lambda seconds: None,
    )
    need = Need(FAMILIES[protocol][0], "31TCJ", date(2018, 1, 1), date(2018, 12, 31))
    return catalogue_of(protocol, table, session).search(need, Deadline.after(within_s))


def names(answered: Answered) -> list[str]:
    return sorted(offer.observation[-1][:10] for offer in answered.offers)


def days(products: Sequence[Product]) -> list[str]:
    return sorted(f"{one.acquired:%Y-%m-%d}" for one in products)


CASES = [
    (protocol, fault)
    for protocol in PROTOCOLS
    for fault in (None, Fault.PAGES_LIE, Fault.COUNT_CHANGES)
    if fault is None or can_occur(fault, protocol)
]


@pytest.mark.fault(
    row=34,
    injected="entries twice and lost between pages, counts that change; five providers",
    outcome="each once; days are divided and searched again until the counts are reached",
)
@pytest.mark.parametrize(("protocol", "fault"), CASES)
def test_nothing_is_lost_between_pages(protocol: str, fault: Fault | None) -> None:
    wanted = products_for(protocol)
    others = [*season(wanted[0].family, tile="31TDJ", number=5, size_bytes=2000)]
    mixture = Mixture({fault: 0.4} if fault else {}, seed=3)
    with lying_portal([protocol], [*wanted, *others], mixture) as portal:
        answered = search(portal, protocol)
    assert names(answered) == days(wanted)
    if fault is None:
        assert answered.is_whole
        assert all("of another tile" in text for text in answered.faults)


@pytest.mark.fault(
    row=35,
    injected="the search never answers",
    outcome="given up at its deadline",
)
@pytest.mark.parametrize("protocol", ["geodes", "mirror"])
def test_a_search_that_never_ends_is_given_up(protocol: str) -> None:
    mixture = Mixture({Fault.SEARCH_HANGS: 1.0})
    with lying_portal([protocol], products_for(protocol), mixture) as portal:
        with pytest.raises(Failure) as caught:
            search(portal, protocol, within_s=0.3, silence_s=0.1)
        assert caught.value.is_passing


@pytest.mark.parametrize("protocol", ["geodes", "odata", "earth-search", "planetary", "theia"])
def test_a_renamed_collection_is_named(protocol: str) -> None:
    mixture = Mixture({Fault.COLLECTION_RENAMED: 1.0})
    with lying_portal([protocol], products_for(protocol), mixture) as portal:
        with pytest.raises(Failure) as caught:
            search(portal, protocol)
        assert caught.value.code == "E-FETCH-COLLECTION"
        assert portal.table[protocol]["collections"][FAMILIES[protocol][0]]["id"] in (
            caught.value.found
        )


def test_the_tape_of_geodes_is_looked_up() -> None:
    products = products_for("geodes")[:1]
    for fault, there in ((Fault.TAPE_NEVER, False), (Fault.DRIP, True)):
        with lying_portal(["geodes"], products, Mixture({fault: 1.0})) as portal:
            (offer,) = search(portal, "geodes").offers
            table = Provider.model_validate(portal.table["geodes"])
            session = Session("geodes", table, Keys(portal.environ))
            catalogue = catalogue_of("geodes", table, session)
            assert catalogue.is_available(offer, Deadline.after(10)) is there
