"""The 18 faults that portals had, at each provider: nothing wrong is published, nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.portal import (
    FAMILIES,
    HOST,
    PERMANENT,
    PROTOCOLS,
    SEARCH,
    Fault,
    Mixture,
    Portal,
    can_occur,
    lying_portal,
    season,
)
from support.portal.fetching import PATIENCE, QUICK, Ran, fetch

OF_PRODUCTS = tuple(fault for fault in Fault if fault not in HOST | SEARCH)
PASSING = tuple(fault for fault in OF_PRODUCTS if fault not in PERMANENT)
SECOND = {
    "geodes": "mirror", "odata": "mirror", "theia": "mirror", "earth-search": "planetary",
    "planetary": "earth-search", "mirror": "geodes",
}  # fmt: skip
"""Another provider of the same products."""
OWN = {
    "geodes": "key-of-the-test", "odata": "access-", "theia": "secret-", "earth-search": "none",
    "planetary": "none", "mirror": "none",
}  # fmt: skip
"""What the keys of a provider contain."""
QUIET = {"retry_after": "0", "drip_s": 0.05}
CASES = [
    (fault, protocol) for protocol in PROTOCOLS for fault in Fault if can_occur(fault, protocol)
]


def check(ran: Ran, portal: Portal) -> None:
    """What holds whatever a portal does."""
    assert not ran.evaluated.wrong
    assert not ran.evaluated.lost
    assert all(number <= 3 for number in portal.record.at_once.values())
    rounds = 1 + len(PATIENCE.pauses_s)
    wanted = sum(len(door.products) for door in portal.doors.values())
    longest = QUICK["search_s"] + QUICK["tape_s"] + QUICK["download_s"] * PATIENCE.tries * wanted
    assert ran.outcome.seconds < rounds * (longest + 2.0), "given up within the deadlines"
    for door in portal.doors.values():
        hosts = {f"127.0.0.1:{door.port}", f"localhost:{door.port}"}
        for host in portal.record.keys.keys() - hosts:
            leaked = {key for key in portal.record.keys[host] if OWN[door.name] in key}
            assert not leaked, f"a key of {door.name} at {host}"


@pytest.mark.parametrize("protocol", ["geodes", "odata", "earth-search"])
def test_all_passing_faults_of_products_at_once_are_repaired(tmp_path: Path, protocol: str) -> None:
    faults = [fault for fault in PASSING if can_occur(fault, protocol)]
    products = season(FAMILIES[protocol][0], number=len(faults))
    assigned = {one.name: fault for one, fault in zip(products, faults, strict=True)}
    mixture = Mixture(dict.fromkeys(faults, 1.0), assigned=assigned)
    with lying_portal([protocol], products, mixture, **QUIET) as portal:
        patience = replace(PATIENCE, pauses_s=(0.05, 0.1, 0.2, 0.4, 0.8, 1.6))  # for busy machines
        ran = fetch(tmp_path, portal, limits={**QUICK, "download_s": 0.6}, patience=patience)
        check(ran, portal)
        assert ran.outcome.is_complete
        assert portal.record.faults.keys() >= set(faults)


@pytest.mark.parametrize("fault", sorted(SEARCH))
def test_searches_survive_what_is_done_to_them(tmp_path: Path, fault: Fault) -> None:
    with lying_portal(["geodes"], season(number=7), Mixture.only(fault), **QUIET) as portal:
        ran = fetch(tmp_path, portal, limits={**QUICK, "page": 3})
        check(ran, portal)
        assert ran.outcome.is_complete
        assert len(ran.evaluated.right) == 7
        assert portal.record.faults[fault]


@pytest.mark.parametrize("fault", sorted(HOST | PERMANENT - {Fault.WRONG_CHECKSUM}))
def test_another_provider_has_what_one_never_gives(tmp_path: Path, fault: Fault) -> None:
    faults = {"geodes": Mixture.only(fault)}
    with lying_portal(["geodes", "mirror"], season(number=2), faults, **QUIET) as portal:
        ran = fetch(tmp_path, portal)
        check(ran, portal)
        assert len(ran.evaluated.right) == 2
        assert not ran.outcome.left


def test_a_wrong_checksum_is_accepted_with_a_flag(tmp_path: Path) -> None:
    products = season(number=1)
    with lying_portal(["geodes"], products, Mixture.only(Fault.WRONG_CHECKSUM)) as portal:
        ran = fetch(tmp_path, portal)
        check(ran, portal)
        assert ran.evaluated.flagged == [products[0].name]
        asked = [path for path in portal.record.paths() if "/download/" in path]
        assert len(asked) == 2, "no endless loop"


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "protocol"), CASES)
def test_each_fault_at_each_provider(tmp_path: Path, fault: Fault, protocol: str) -> None:
    products = season(FAMILIES[protocol][0], number=6)
    mixture = Mixture.only(fault, tries=2)
    with lying_portal([protocol], products, mixture, **QUIET) as portal:
        ran = fetch(tmp_path, portal)
        check(ran, portal)
        assert len(ran.evaluated.right) + len(ran.evaluated.named) == len(products)
        assert portal.record.faults[fault]
        is_proven = fault is Fault.WRONG_CHECKSUM and "stac" not in FAMILIES[protocol]
        if is_proven or fault not in HOST | PERMANENT | {Fault.BUSY}:  # 403 may be for ever
            assert len(ran.evaluated.right) == len(products), ran.evaluated.named


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "protocol"), [case for case in CASES if case[1] in ("geodes", "earth-search")]
)
def test_each_fault_with_a_second_provider(tmp_path: Path, fault: Fault, protocol: str) -> None:
    family = FAMILIES[protocol][0]
    names = [protocol, SECOND[protocol]]
    if fault is Fault.CORRUPT_SOURCE and SECOND[protocol] == "earth-search":
        pytest.skip("it cannot occur")
    faults = {protocol: Mixture.only(fault, tries=2)}
    with lying_portal(names, season(family, number=6), faults, **QUIET) as portal:
        ran = fetch(tmp_path, portal)
        check(ran, portal)
        assert len(ran.evaluated.right) == 6, ran.evaluated.named


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_mixture_of_all_faults(tmp_path: Path, seed: int) -> None:
    products = [*season("muscate", number=60), *season("safe", number=40)]
    products += season("stac", number=20)
    mixture = Mixture.even(0.04, seed, tries=2, searches=3)
    with lying_portal(PROTOCOLS, products, mixture, **QUIET) as portal:
        ran = fetch(tmp_path, portal)
        assert not ran.evaluated.wrong
        assert not ran.evaluated.lost
