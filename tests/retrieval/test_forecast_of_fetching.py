"""`oso fetch --dry-run`: what, how many bytes, from where, how long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.fake_portals import PASSING, FakeCatalogue, FakeSession, World, provider, raises
from support.offered import candidate, offer

from oso_pipeline.retrieval.forecast import Forecast, forecast, measured_rates
from oso_pipeline.retrieval.offers import RemoteFile
from oso_pipeline.retrieval.outcome import Plan
from oso_pipeline.retrieval.searching import Portal
from oso_pipeline.retrieval.worker import Budget


def foreseen(world: World, unused: str = "", budget: Budget | None = None) -> Forecast:
    portals = {
        name: Portal(
            name,
            provider(**world.limits),
            FakeSession(),  # type: ignore[arg-type]
            catalogue,
            unused if name == "first" else "",
        )
        for name, catalogue in world.catalogues.items()
    }
    plan = Plan((world.target,), portals, {"muscate": tuple(portals)}, budget or Budget())
    return forecast(plan, lambda event: None)


def sized(n_bytes: int | None, **changes: Any) -> Any:
    return offer(files=(RemoteFile("a.zip", "https://first.test/a", n_bytes),), **changes)


def test_sizes_and_times_at_the_stated_rate(tmp_path: Path) -> None:
    offers = [sized(10_000_000), sized(None, number=1, is_online=False)]
    world = World(tmp_path, {"first": offers}, limits={"stated_bytes_per_s": 500_000})
    found = foreseen(world)
    (share,) = found.shares
    assert (share.n_products, share.n_on_tape, share.n_without_size) == (2, 1, 1)
    assert (share.n_bytes, share.seconds, share.basis) == (20_000_000, 40, "stated")
    assert (found.n_bytes, found.seconds) == (20_000_000, 40)
    assert not world.asked
    assert not world.published()
    assert not world.target.ledger.path.exists(), "nothing is recorded"


def test_the_rate_of_the_last_campaign_counts_more_than_what_is_stated(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [sized(10_000_000)]}, limits={"stated_bytes_per_s": 1.0})
    log = world.target.folder.log
    log.parent.mkdir(parents=True)
    ended = [
        {"kind": "ended", "provider": "first", "n_bytes": 90_000_000, "seconds": 10},
        {"kind": "ended", "provider": "first", "n_bytes": 50_000_000, "seconds": 10},
        {"kind": "ended", "provider": "first", "n_bytes": 10, "seconds": 10},
    ]
    log.write_text("\n".join(map(json.dumps, ended)) + "\ntorn {\n")
    assert measured_rates(log) == {"first": 5e6}
    (share,) = foreseen(world).shares
    assert (share.basis, share.seconds) == ("measured", 2)


def test_what_is_there_is_not_counted(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()]}, candidates=(candidate(offer()),))
    found = foreseen(world)
    assert (found.n_there, found.products, found.shares) == (1, (), ())


def test_the_provider_is_the_first_that_is_used(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [offer()], "second": [offer("second")]})
    assert [one.provider for one in foreseen(world).shares] == ["first"]
    assert [one.provider for one in foreseen(world, unused="no key").shares] == ["second"]


def test_what_nobody_that_is_used_has_is_shown_and_not_counted(tmp_path: Path) -> None:
    found = foreseen(World(tmp_path, {"first": [offer()]}), unused="GEODES_API_KEY is not set")
    assert found.shares[0].unused
    assert (found.n_bytes, len(found.products)) == (0, 1)


def test_a_catalogue_that_does_not_answer_is_named(tmp_path: Path) -> None:
    world = World(tmp_path, {"first": [], "second": [offer("second")]})
    world.catalogues["first"] = FakeCatalogue(raises(PASSING))  # type: ignore[arg-type]
    found = foreseen(world)
    assert [name for name, _, _ in found.unanswered] == ["first"]
    assert len(found.products) == 1


@pytest.mark.parametrize(("free", "lacking"), [(2500, 0), (1999, 501)])
def test_too_little_disk_space_is_foreseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, lacking: int
) -> None:
    world = World(tmp_path, {"first": [offer()]})
    monkeypatch.setattr(type(world.target.folder), "free_bytes", lambda self: free)
    assert foreseen(world, budget=Budget(keep_free_bytes=1500)).lacking_bytes == lacking
