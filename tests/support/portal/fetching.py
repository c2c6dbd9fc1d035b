"""A campaign of this process against a portal, with deadlines of fractions of seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from oso_pipeline.imagery.remote.download import Patience as RequestPatience
from oso_pipeline.retrieval.access.breaker import Breaker, Trips
from oso_pipeline.retrieval.access.keys import Keys
from oso_pipeline.retrieval.access.session import Session
from oso_pipeline.retrieval.campaign import Campaign
from oso_pipeline.retrieval.catalogues import catalogue_of
from oso_pipeline.retrieval.job import Patience
from oso_pipeline.retrieval.offers import Need
from oso_pipeline.retrieval.outcome import Outcome, Plan
from oso_pipeline.retrieval.progress import Event
from oso_pipeline.retrieval.provider_table import Provider
from oso_pipeline.retrieval.searching import Portal as KnownPortal
from oso_pipeline.retrieval.target import Target
from oso_pipeline.retrieval.transfer.product import Habits, fetch_product
from support.portal import FAMILIES, Portal
from support.portal.evaluate import Evaluated, evaluate

QUICK: Mapping[str, float] = {
    "connect_s": 0.5, "silence_s": 0.25, "search_s": 1.0, "download_s": 1.5, "tape_s": 0.4,
    "bytes_per_s": 1.0,
}  # fmt: skip
"""Limits of providers in tests, seconds."""

PATIENCE = Patience(
    tries=2,
    backoff_s=0.01,
    longest_backoff_s=0.05,
    pauses_s=(0.05, 0.1),
    outage_s=0.3,
    tape_poll_s=0.05,
    shared_s=0.02,
)
_REQUESTS = RequestPatience(tries=3, first_wait_s=0.01, longest_wait_s=0.05)
_TRIPS = Trips(failures=6, first_rest_s=0.05, longest_rest_s=0.1, probe_s=1.0)


def _at_once(_: float) -> None:
    """Wait for nothing."""


@dataclass(frozen=True)
class Ran:
    """A campaign that ended.

    Parameters
    ----------
    outcome
        What it says.
    evaluated
        What lies in the folder.
    events
        What it told meanwhile.
    """

    outcome: Outcome
    evaluated: Evaluated
    events: Sequence[Event]


def fetch(
    into: Path,
    portal: Portal,
    families: Sequence[str] = (),
    limits: Mapping[str, Any] = QUICK,
    patience: Patience = PATIENCE,
) -> Ran:
    """Fetch all products of a portal into a folder.

    Parameters
    ----------
    into
        The folder.
    portal
        The providers, in the order in which they are tried.
    families
        Families of products; by default all that the providers have.
    limits
        For the table of providers.
    patience
        How long it goes on with what fails.
    """
    products = {one.key: one for door in portal.doors.values() for one in door.products}
    tiles = sorted({one.tile for one in products.values()})
    families = families or tuple(dict.fromkeys(one.family for one in products.values()))
    needs = [
        Need(family, tile, date(2018, 1, 1), date(2018, 12, 31))
        for tile in tiles
        for family in families
    ]
    known, keys = dict[str, KnownPortal](), Keys(portal.environ)
    for name, row in portal.table.items():
        provider = Provider.model_validate(row | {"limits": {**row.get("limits", {}), **limits}})
        session = Session(name, provider, keys, patience=_REQUESTS, breaker=Breaker(_TRIPS))
        known[name] = KnownPortal(name, provider, session, catalogue_of(name, provider, session))
    order = {
        family: [name for name, door in portal.doors.items() if family in FAMILIES[door.protocol]]
        for family in families
    }
    events = list[Event]()
    get = partial(fetch_product, habits=Habits(sleep=_at_once))
    plan = Plan((Target.of(into, needs),), known, order, patience=patience)
    outcome = Campaign(plan, get, events.append).run()
    unanswered = [(one.need.family, one.need.tile, one.reason) for one in outcome.unanswered]
    evaluated = evaluate(into, products.values(), portal.store, unanswered)
    return Ran(outcome, evaluated, events)
