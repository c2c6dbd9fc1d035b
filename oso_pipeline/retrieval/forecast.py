"""What a campaign would fetch, from whom, how large that is and how long it takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from oso_pipeline.core.json_files import object_in
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.choice import Wanted, choose
from oso_pipeline.retrieval.offers import Need, Offer
from oso_pipeline.retrieval.outcome import Plan
from oso_pipeline.retrieval.progress import Event, Listener
from oso_pipeline.retrieval.searching import Answers, Portal, Searches

ASSUMED_BYTES_PER_S = 2e6
"""Of one connection, where no rate is stated or was measured."""

TYPICAL_BYTES = 900_000_000
"""Size of a product, where no catalogue states that of any."""

_MEASURED_BYTES = 1e7  # fewer tell little of a rate
_TURN_S = 0.2

Basis = Literal["measured", "stated", "assumed"]


@dataclass(frozen=True, slots=True)
class Share:
    """What one provider would give.

    Parameters
    ----------
    provider
        Its name.
    n_products, n_on_tape
        How many products, and of how many the catalogue says that they are on tape.
    n_bytes, n_without_size
        Their size, and for how many of them it is estimated from the others.
    bytes_per_s, basis
        Rate of all its connections, and where that is from: measured in the last campaign, or
        stated in the table of providers.
    unused
        Why nothing is downloaded from it; empty where something is.
    """

    provider: str
    n_products: int
    n_on_tape: int
    n_bytes: int
    n_without_size: int
    bytes_per_s: float
    basis: Basis
    unused: str = ""

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.n_bytes / self.bytes_per_s

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"seconds": round(self.seconds, 1)}


@dataclass(frozen=True)
class Forecast:
    """What a campaign would do.

    Parameters
    ----------
    shares
        Of the providers.
    products
        Name, tile, provider and size of each product, by date.
    n_there
        Products that are there already.
    unanswered
        Provider, need, and why it is not known what is offered.
    free_bytes, keep_free_bytes, most_bytes
        Free disk space, how much of it is kept, and the limit of the campaign.
    """

    shares: tuple[Share, ...]
    products: tuple[tuple[str, str, str, int | None], ...]
    n_there: int
    unanswered: tuple[tuple[str, Need, str], ...]
    free_bytes: int
    keep_free_bytes: int
    most_bytes: int | None

    @property
    def n_bytes(self) -> int:
        """Size of all products that would be downloaded."""
        return sum(one.n_bytes for one in self.shares if not one.unused)

    @property
    def seconds(self) -> float:
        """How long all takes: providers give at the same time."""
        return max((one.seconds for one in self.shares if not one.unused), default=0.0)

    @property
    def lacking_bytes(self) -> int:
        """How much disk space is too little; 0 where there is enough."""
        return max(0, self.n_bytes - (self.free_bytes - self.keep_free_bytes))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "kind": "forecast",
            "providers": [one.to_json() for one in self.shares],
            "products": [
                dict(zip(("product_id", "tile", "provider", "size_bytes"), one, strict=True))
                for one in self.products
            ],
            "there": self.n_there,
            "size_bytes": self.n_bytes,
            "seconds": round(self.seconds, 1),
            "unanswered": [
                {"provider": name, "family": need.family, "tile": need.tile, "reason": why}
                for name, need, why in self.unanswered
            ],
            "free_bytes": self.free_bytes,
            "keep_free_bytes": self.keep_free_bytes,
            "max_bytes": self.most_bytes,
        }


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A product and who would give it."""

    offer: Offer
    size_bytes: int | None

    @property
    def listed(self) -> tuple[str, str, str, int | None]:
        return self.offer.product_id, self.offer.need.tile, self.offer.provider, self.size_bytes


def forecast(plan: Plan, notice: Listener) -> Forecast:
    """Search, choose, and say what would be fetched; nothing is downloaded or recorded.

    Raises
    ------
    EnvironmentFailure
        If the ledger cannot be read (``E-DISK``).
    """
    chosen, there, unanswered = list[_Chosen](), set[str](), list[tuple[str, Need, str]]()
    target_of = {need: target for target in plan.targets for need in target.needs}
    for need, answers in _answers(plan):
        offers = _offers(need, answers, notice, unanswered)
        choice = choose(offers, plan.order, target_of[need].stock(need))
        chosen += [_Chosen(_giver(one, plan.portals), one.size_bytes) for one in choice.wanted]
        there.update(choice.there)
    chosen.sort(key=lambda one: (one.offer.acquired, one.offer.product_id))
    measured = measured_rates(plan.targets[0].folder.log) if plan.targets else {}
    return Forecast(
        _shares(chosen, plan.portals, measured),
        tuple(one.listed for one in chosen),
        len(there),
        tuple(unanswered),
        min((one.folder.free_bytes() for one in plan.targets), default=0),
        plan.budget.keep_free_bytes,
        plan.budget.most_bytes,
    )


def measured_rates(log: Path) -> dict[str, float]:
    """Return the bytes per second of each provider in the last campaign that the log tells of."""
    rates = {}
    with suppress(OSError), log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if '"ended"' not in line:
                continue
            event = object_in(line)
            n_bytes, seconds = event.get("n_bytes"), event.get("seconds")
            if not isinstance(n_bytes, int) or not isinstance(seconds, int | float):
                continue
            if n_bytes >= _MEASURED_BYTES and seconds > 0:
                rates[str(event.get("provider"))] = n_bytes / seconds
    return rates


def _answers(plan: Plan) -> Iterator[tuple[Need, Answers]]:
    """Yield the answers to all needs; each search has a deadline of its own."""
    changed = threading.Event()
    searches = Searches(plan.portals, plan.order, changed)
    searches.request(plan.needs)
    searches.start()
    try:
        while searches.n_open:
            changed.wait(_TURN_S)
            changed.clear()
            yield from searches.ready()
    finally:
        searches.close()


def _offers(
    need: Need, answers: Answers, notice: Listener, unanswered: list[tuple[str, Need, str]]
) -> list[Offer]:
    offers = list[Offer]()
    for name, answer in answers.items():
        if isinstance(answer, Failure):
            unanswered.append((name, need, answer.found))
            text = f"{need.family} {need.tile}: {answer.found}"
            notice(Event("unanswered", text, name, tile=need.tile))
        else:
            offers += answer.offers
    return offers


def _giver(wanted: Wanted, portals: Mapping[str, Portal]) -> Offer:
    """Return the offer of the first provider that is used; of the first one where none is."""
    used = (one for one in wanted.offers if not portals[one.provider].unused)
    return next(used, wanted.offers[0])


def _shares(
    chosen: Sequence[_Chosen], portals: Mapping[str, Portal], measured: Mapping[str, float]
) -> tuple[Share, ...]:
    known = [one.size_bytes for one in chosen if one.size_bytes is not None]
    mean = sum(known) // len(known) if known else TYPICAL_BYTES
    shares = []
    for name, portal in portals.items():
        own = [one for one in chosen if one.offer.provider == name]
        if not own:
            continue
        rate, basis = _rate(portal, measured.get(name))
        shares.append(
            Share(
                name,
                len(own),
                sum(one.offer.is_online is False for one in own),
                sum(mean if one.size_bytes is None else one.size_bytes for one in own),
                sum(one.size_bytes is None for one in own),
                rate,
                basis,
                portal.unused,
            )
        )
    return tuple(shares)


def _rate(portal: Portal, measured: float | None) -> tuple[float, Basis]:
    if measured is not None:
        return measured, "measured"
    limits = portal.provider.limits
    if limits.stated_bytes_per_s is not None:
        return limits.stated_bytes_per_s * limits.connections, "stated"
    return ASSUMED_BYTES_PER_S * limits.connections, "assumed"
