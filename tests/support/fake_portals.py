"""Providers without a network: catalogues that answer from a list, and fetching by a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oso_pipeline.imagery.fetch_ledger import History, read_ledger
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.access.breaker import Breaker, Trips
from oso_pipeline.retrieval.campaign import Campaign
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.folder import FetchFolder
from oso_pipeline.retrieval.job import Patience
from oso_pipeline.retrieval.offers import Answered, Need, Offer
from oso_pipeline.retrieval.outcome import Outcome, Plan
from oso_pipeline.retrieval.progress import Event
from oso_pipeline.retrieval.provider_table import Provider
from oso_pipeline.retrieval.searching import Portal
from oso_pipeline.retrieval.target import Target
from oso_pipeline.retrieval.transfer.outcomes import Fetched
from oso_pipeline.retrieval.worker import Budget, Stop
from support.offered import NEED

QUICK = Patience(
    tries=2,
    backoff_s=0.0,
    longest_backoff_s=0.0,
    pauses_s=(0.0, 0.0),
    tape_poll_s=0.0,
    longest_tape_poll_s=0.0,
    shared_s=0.0,
)
"""Waits for nothing."""

PASSING = Failure("E-FETCH-SERVER", "a fault", "https://first.test/x", is_passing=True)
GONE = Failure("E-FETCH-GONE", "there is no such file", "https://first.test/x")


def provider(**limits: Any) -> Provider:
    return Provider.model_validate(
        {
            "protocol": "geodes",
            "address": "https://first.test",
            "collections": {"muscate": {"id": "C"}},
            "limits": {"connections": 1, **limits},
        }
    )


class FakeSession:
    """A session that only has a breaker, which hardly ever opens."""

    def __init__(self, trips: Trips | None = None) -> None:
        self.clock_behind_s: float | None = None
        self.breaker = Breaker(trips or Trips(failures=1000))


@dataclass
class FakeCatalogue:
    """Answers with the offers of a provider; `answers` may change, or raise."""

    answer: Callable[[Need], Sequence[Offer]]
    available: Callable[[Offer], bool | None] = lambda offer: None
    n_searches: int = 0

    def search(self, need: Need, deadline: Deadline) -> Answered:
        self.n_searches += 1
        return Answered(tuple(self.answer(need)))

    def is_available(self, offer: Offer, deadline: Deadline) -> bool | None:
        return self.available(offer)


@dataclass
class World:
    """A folder, providers, and what happened.

    Parameters
    ----------
    into
        The folder.
    offers
        Of each provider, in the order of the providers.
    deeds
        What fetching a product of a provider does, in turn: an exception is raised, anything else
        publishes it. The last one is repeated; without any it is published.
    """

    into: Path
    offers: Mapping[str, Sequence[Offer]]
    deeds: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    patience: Patience = QUICK
    budget: Budget = field(default_factory=Budget)
    stop: Stop = field(default_factory=Stop)
    candidates: tuple[Any, ...] = ()
    needs: tuple[Need, ...] = (NEED,)
    trips: Trips | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.target = Target.of(self.into, self.needs, self.candidates)
        self.catalogues = {
            name: FakeCatalogue(lambda need, some=some: some)  # type: ignore[misc]
            for name, some in self.offers.items()
        }

    def fetch(
        self,
        offer: Offer,
        session: Any,
        folder: FetchFolder,
        deadline: Deadline,
        on_bytes: Callable[[int], None],
    ) -> Fetched:
        with self.lock:
            self.asked.append((offer.provider, offer.product_id))
            deeds = self.deeds.get((offer.provider, offer.product_id), [])
            deed = deeds.pop(0) if len(deeds) > 1 else (deeds[0] if deeds else None)
        if callable(deed):
            deed = deed(on_bytes)
        if isinstance(deed, BaseException):
            raise deed
        on_bytes(1000)
        path = folder.place_of(offer.need.tile) / f"{offer.product_id}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1000)
        return Fetched(path, ((path.name, 1000, "0" * 64),), flag=deed)

    def run(self) -> Outcome:
        portals = {
            name: Portal(name, provider(**self.limits), FakeSession(self.trips), catalogue)  # type: ignore[arg-type]
            for name, catalogue in self.catalogues.items()
        }
        order = {"muscate": tuple(portals)}
        plan = Plan((self.target,), portals, order, self.budget, self.patience)
        return Campaign(plan, self.fetch, self.events.append, self.stop).run()

    def history(self) -> History:
        return read_ledger(self.into)

    def states(self) -> dict[str, str]:
        history = self.history()
        return {key[1]: record.state for key, record in sorted(history.latest.items())}

    def kinds(self) -> list[str]:
        return [one.kind for one in self.events]

    def published(self) -> list[str]:
        return sorted(path.stem for path in self.into.glob("T*/*.zip"))


def raises(error: BaseException) -> Callable[[Need], Iterable[Offer]]:
    def answer(need: Need) -> Iterable[Offer]:
        raise error

    return answer
