"""Fetching databases of labels: what is needed and not there, where it is, and getting it.

The lists of databases say which editions there are, `reference_choice` chooses, the downloads go
through the session of the provider as those of images do, and `unpack` publishes each delivery as
a folder of its source. Nothing here reads a database; the next `oso check` does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlsplit

from oso_pipeline.config import Config
from oso_pipeline.core.errors import ConfigError, OsoError, Problem, Problems
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.catalogues.boxes import box_of
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import RemoteFile
from oso_pipeline.retrieval.reference_choice import choose
from oso_pipeline.retrieval.reference_delivery import (
    Delivered,
    Delivery,
    DeliveryHabits,
    fetch_delivery,
)
from oso_pipeline.retrieval.reference_feed import Box, Edition, Feed
from oso_pipeline.retrieval.reference_needs import Present, ReferenceNeed, reference_needs
from oso_pipeline.retrieval.reference_table import DatabaseTable, FeedDatabase, FilesDatabase
from oso_pipeline.retrieval.transfer.outcomes import AtWork
from oso_pipeline.retrieval.transfer.receive import Source
from oso_pipeline.retrieval.unpack_formats import is_archive
from oso_pipeline.retrieval.worker import Stopped

_MOST_QUERIES = 12
"""With more zones than this, the whole list is read."""


@dataclass(frozen=True)
class ReferencePlan:
    """What is to be fetched.

    Parameters
    ----------
    deliveries
        In the order in which they are fetched.
    there
        Need and zones that are there already.
    lacks
        What cannot be had, and why.
    remarks
        What is worth knowing.
    own
        Sources that come from the user: kind, path, and whether it is there.
    """

    deliveries: tuple[Delivery, ...] = ()
    there: tuple[tuple[ReferenceNeed, str], ...] = ()
    lacks: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()
    own: tuple[tuple[str, Path, bool], ...] = ()

    @property
    def size_bytes(self) -> int:
        """Size of the archives, as far as it is known."""
        return sum(one.size_bytes or 0 for one in self.deliveries)


@dataclass(frozen=True)
class ReferenceOutcome:
    """What came of fetching.

    Parameters
    ----------
    plan
        What was to be fetched.
    delivered
        What was.
    left
        Why others were not.
    stopped
        Why it ended early; empty where it did not.
    """

    plan: ReferencePlan
    delivered: tuple[Delivered, ...] = ()
    left: tuple[Problem, ...] = ()
    stopped: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether all that is needed is there."""
        return not self.stopped and not self.left and not self.plan.lacks


@dataclass(frozen=True)
class ReferenceShop:
    """Where databases are.

    Parameters
    ----------
    table
        The databases.
    sessions
        Of each database, by its name.
    sleep
        Waits for so many seconds, between tries.
    """

    table: DatabaseTable
    sessions: Mapping[str, Source]
    sleep: Callable[[float], None] = time.sleep


def plan_reference(config: Config, shop: ReferenceShop) -> ReferencePlan:
    """Return what a configuration needs of databases, and is not there.

    Raises
    ------
    ConfigError
        If a source cannot be filled (``E-FETCH-PATH``).
    """
    problems = Problems()
    needed = reference_needs(config, shop.table, problems)
    problems.raise_errors(ConfigError)
    boxes = [box_of(tile) for tile in config.imagery.tiles]
    plans = [_planned(need, shop, boxes) for need in needed.needs]
    return ReferencePlan(
        tuple(one for plan in plans for one in plan.deliveries),
        tuple(one for plan in plans for one in plan.there),
        tuple(one for plan in plans for one in plan.lacks),
        tuple(dict.fromkeys(one for plan in plans for one in plan.remarks)),
        needed.own,
    )


def fetch_reference(
    plan: ReferencePlan,
    shop: ReferenceShop,
    habits: DeliveryHabits,
    max_bytes: int | None = None,
    say: Callable[[Delivered | Problem], None] = lambda found: None,
) -> ReferenceOutcome:
    """Fetch what is planned, one delivery after the other.

    A delivery that fails does not stop the others.

    Parameters
    ----------
    plan
        Of `plan_reference`.
    shop
        Where the databases are.
    habits
        How downloads are made.
    max_bytes
        Most to download; None for no limit.
    say
        Takes each delivery that is published, or why it is not.
    """
    delivered, left, came, stopped = [], [], 0, ""
    for delivery in plan.deliveries:
        size = delivery.size_bytes or 0
        if max_bytes is not None and came + size > max_bytes:
            text = f"the limit of {max_bytes / 1e9:.3g} GB is reached; it has {size / 1e9:.3g} GB"
            left.append(Problem("W-FETCH-LIMIT", text, delivery.edition.title, "run again"))
            say(left[-1])
            continue
        session = shop.sessions[delivery.need.database]
        limits = shop.table[delivery.need.database].limits
        try:
            found = fetch_delivery(delivery, session, Deadline.after(limits.download_s), habits)
        except Stopped as end:
            stopped = str(end)
            break
        except AtWork as at_work:
            problem = Problem("W-FETCH-LEFT", str(at_work), None, "run again later")
        except Failure as failure:
            problem = failure.problem
        except OsoError as error:
            if error.problems[0].code in ("E-DISK", "E-FOLDER", "E-FETCH-EXTRA"):
                raise
            problem = error.problems[0]
        else:
            came += size
            delivered.append(found)
            say(found)
            continue
        left.append(problem)
        say(problem)
    return ReferenceOutcome(plan, tuple(delivered), tuple(left), stopped)


def _planned(need: ReferenceNeed, shop: ReferenceShop, boxes: Sequence[Box]) -> ReferencePlan:
    database = shop.table[need.database]
    deadline = Deadline.after(database.limits.search_s)
    present = Present.below(need.into, database.by)
    try:
        offered = _offered(need, shop, deadline)
        chosen = choose(need, database, offered, boxes, present)
        deliveries = tuple(
            Delivery(need, edition, edition.files or _feed(need, shop).files(edition, deadline))
            for edition in chosen.editions
        )
    except Failure as failure:
        what = f"the list of {need.database}: {failure.found}"
        return ReferencePlan(lacks=(replace(failure.problem, message=what),))
    there = tuple((need, zone) for zone in chosen.there)
    return ReferencePlan(deliveries, there, chosen.lacks, chosen.remarks)


def _feed(need: ReferenceNeed, shop: ReferenceShop) -> Feed:
    database = shop.table[need.database]
    assert isinstance(database, FeedDatabase)
    return Feed(shop.sessions[need.database], database, sleep=shop.sleep)


def _offered(need: ReferenceNeed, shop: ReferenceShop, deadline: Deadline) -> Sequence[Edition]:
    """Return the editions that may serve: of few zones by their names, else all."""
    database = shop.table[need.database]
    if isinstance(database, FilesDatabase):
        return _listed(database)
    feed, found = _feed(need, shop), list[Edition]()
    zones = [*need.zones, *database.whole] if need.zones else []
    if 0 < len(zones) <= _MOST_QUERIES:
        for zone in zones:
            found += feed.editions(deadline, zone)
        if {*need.zones} <= {edition.zone for edition in found}:
            return found
    return feed.editions(deadline)


def _listed(database: FilesDatabase) -> list[Edition]:
    found = []
    for year, edition in database.editions.items():
        sums = [*edition.checksums, *[None] * len(edition.files)]
        files = tuple(
            RemoteFile(_name(url, edition.name), url, None, checksum)
            for url, checksum in zip(edition.files, sums, strict=False)
        )
        found.append(Edition(edition.name, "FR", "", date(year, 7, 1), files=files))
    return found


def _name(url: str, edition: str) -> str:
    """Return the name of a file: that in its address, or one that its content will decide."""
    name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    return name if is_archive(name) else f"{edition}.archive"
