"""Fetching one product after another from one provider, and saying what came of it."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from oso_pipeline.core.errors import OsoError
from oso_pipeline.imagery.fetch_ledger import THERE
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.access.session import Session
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.folder import FetchFolder
from oso_pipeline.retrieval.job import Job
from oso_pipeline.retrieval.offers import Offer
from oso_pipeline.retrieval.progress import Event, Kind, Listener, Meter
from oso_pipeline.retrieval.schedule import Schedule
from oso_pipeline.retrieval.searching import Portal
from oso_pipeline.retrieval.transfer.outcomes import AtWork, Fetched, OnTape, Quarantined

_ASK_S = 60.0
"""For the question whether a product has come from tape."""
_PAUSED = "E-FETCH-PAUSED"
"""The provider is left alone; that says nothing of the product."""


_FOLDER = "E-FOLDER"
"""Something is in the way of one product, or the folder is gone."""

_Noted = Literal["quarantined", "failed", "waiting"]


class Fetch(Protocol):
    """Fetches, verifies and publishes a product."""

    def __call__(
        self,
        offer: Offer,
        session: Session,
        folder: FetchFolder,
        deadline: Deadline,
        on_bytes: Callable[[int], None],
    ) -> Fetched:
        """Return what was published; see `transfer.product.fetch_product`."""
        ...


class Stopped(BaseException):
    """The campaign ends: a download that goes on is left as a part."""


class Stop:
    """Whether a campaign has to end, and why; for signal handlers and threads.

    Attributes
    ----------
    reason
        For people; empty while it goes on.
    error
        What makes going on useless: a full disk, for example.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.error: BaseException | None = None

    def request(self, reason: str, error: BaseException | None = None) -> None:
        """End the campaign; the first reason counts."""
        if not self.reason:
            self.error = error
            self.reason = reason


@dataclass
class Budget:
    """Bytes that may be fetched, and disk space that is kept free; for several threads.

    Parameters
    ----------
    most_bytes
        Of this campaign; None sets no limit.
    keep_free_bytes
        On the disk of each folder.
    free_bytes
        Returns the free space on the disk of a folder.
    """

    most_bytes: int | None = None
    keep_free_bytes: int = 0
    free_bytes: Callable[[FetchFolder], int] = FetchFolder.free_bytes
    _spent: int = 0
    _reserved: dict[Job, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, job: Job) -> tuple[str, str] | None:
        """Reserve the size of a product; return why it is not fetched, and the code of that."""
        size = job.wanted.size_bytes or 0
        with self._lock:
            reserved = sum(self._reserved.values())
            if self.most_bytes is not None and self._spent + reserved + size > self.most_bytes:
                limit = f"{self.most_bytes / 1e9:g} GB"
                return f"it would pass the limit of {limit} (`max_gb`)", "W-FETCH-LIMIT"
            free = self.free_bytes(job.target.folder) - reserved
            if self.keep_free_bytes and free - size < self.keep_free_bytes:
                kept = f"{self.keep_free_bytes / 1e9:g} GB are kept free (`retrieval.keep_free_gb`)"
                return f"{free / 1e9:.1f} GB are free, and {kept}", "E-DISK"
            self._reserved[job] = size
            return None

    def came(self, job: Job, n_bytes: int) -> None:
        """Count bytes that came, against what was reserved."""
        with self._lock:
            self._spent += n_bytes
            self._reserved[job] = max(0, self._reserved.get(job, 0) - n_bytes)

    def end(self, job: Job) -> None:
        """Give back what was reserved and did not come."""
        with self._lock:
            self._reserved.pop(job, None)


@dataclass(frozen=True, eq=False)
class Worker:
    """Fetches products from one provider; a thread runs it, or several do.

    Parameters
    ----------
    portal
        The provider.
    schedule
        Gives the products.
    fetch
        Fetches one.
    budget, meter, stop
        Shared by all workers.
    notice
        Gets what happens.
    """

    portal: Portal
    schedule: Schedule
    fetch: Fetch
    budget: Budget
    meter: Meter
    stop: Stop
    notice: Listener

    def run(self) -> None:
        """Fetch products until there is none any more."""
        try:
            while not self.stop.reason and (job := self.schedule.take(self.portal.name)):
                self._one(job)
        except Stopped:
            pass
        except OsoError as error:
            self.stop.request("the environment does not allow to go on", error)
        except BaseException as error:  # noqa: BLE001  (the thread of the campaign raises it)
            self.stop.request(f"a fault of this program: {type(error).__name__}", error)

    def _one(self, job: Job) -> None:
        latest = job.target.ledger.latest(job.wanted.key)
        if latest is not None and latest.state in THERE and job.target.has(latest):
            self.schedule.settle(job, "done", "another process fetched it")
            return
        if held := self.budget.begin(job):
            self.schedule.settle(job, "held", *held)
            self._say("held", job.offer, held[0])
            return
        try:
            self._fetch(job, job.offer)
        finally:
            self.budget.end(job)

    def _fetch(self, job: Job, offer: Offer) -> None:
        began_s = self.schedule.clock()
        deadline = Deadline.after(self.portal.provider.limits.download_s, self.schedule.clock)
        try:
            if job.tape_until_s is not None and not self._has_come(offer):
                raise OnTape(offer.product_id, offer.provider, "the provider says so")
            fetched = self.fetch(
                offer,
                self.portal.session,
                job.target.folder,
                deadline,
                lambda n_bytes: self._came(job, n_bytes),
            )
        except Failure as failure:
            self._failed(job, offer, failure)
        except OnTape as tape:
            self._on_tape(job, offer, tape.found)
        except Quarantined as damaged:
            self._note(job, offer, "quarantined", damaged.reason)
            self.schedule.failed(job, damaged.reason, "W-FETCH-DAMAGED")
        except AtWork:
            self.schedule.elsewhere(job)
        except OsoError as error:
            if error.problems[0].code != _FOLDER:
                raise  # no other product would fare better
            self._give_up(job, offer, error.problems[0].message, _FOLDER)
        except Exception as error:  # noqa: BLE001  (one product ends no campaign)
            self._give_up(job, offer, _place_of(error), "E-FETCH-FAULT")
        else:
            self._fetched(job, offer, fetched, self.schedule.clock() - began_s)

    def _came(self, job: Job, n_bytes: int) -> None:
        job.has_part = True
        self.meter.came(self.portal.name, n_bytes)
        self.budget.came(job, n_bytes)
        if self.stop.reason:
            raise Stopped

    def _has_come(self, offer: Offer) -> bool:
        """Return whether a product may have come from tape; asking may bring it."""
        deadline = Deadline.after(_ASK_S, self.schedule.clock)
        return self.portal.catalogue.is_available(offer, deadline) is not False

    def _fetched(self, job: Job, offer: Offer, fetched: Fetched, seconds: float) -> None:
        name = job.wanted.key[1]
        record = replace(job.target.fetched(offer, fetched), product_id=name)
        older = [
            replace(one, state="replaced", at=record.at, reason=f"by {name}")
            for one in job.replaces
        ]
        job.target.ledger.append(record, *older)
        self.portal.session.breaker.succeeded()
        self.schedule.worked(self.portal.name)
        job.wanted = job.wanted.without_documents()
        self.schedule.settle(job, "done")
        self.meter.fetched(self.portal.name, fetched.flag is not None)
        text = fetched.flag or "; ".join(fetched.remarks)
        kind: Kind = "flagged" if fetched.flag else "fetched"
        self._say(kind, offer, text, record.size_bytes, seconds)
        for one in older:
            self._say("replaced", replace(offer, product_id=one.product_id), one.reason)

    def _failed(self, job: Job, offer: Offer, failure: Failure) -> None:
        if failure.code == _PAUSED:
            self.schedule.again(job, failure.wait_s or 1.0)
            return
        self.portal.session.breaker.failed(failure)
        wait_s = (failure.wait_s or 0.0) if failure.is_passing else None
        self.schedule.failed(job, failure.found, failure.code, wait_s)
        reason = f"{offer.provider}: {failure.found}"
        if job.state in ("resting", "lost"):
            self._note(job, offer, "failed", reason)
        else:
            self._say("failed", offer, failure.found)

    def _give_up(self, job: Job, offer: Offer, reason: str, code: str) -> None:
        """Leave a product for which there is no other try with this provider now."""
        self.schedule.failed(job, reason, code)
        self._note(job, offer, "failed", reason)

    def _on_tape(self, job: Job, offer: Offer, found: str) -> None:
        limit_s, now = self.portal.provider.limits.tape_s, datetime.now(UTC)
        since = job.target.ledger.waiting_since(job.wanted.key) or now
        # A clock that was set back since must not make the wait longer.
        left_s = limit_s - max(0.0, (now - since).total_seconds())
        self.schedule.on_tape(job, found, self.schedule.clock() + left_s)
        if job.state in ("resting", "lost"):
            reason = f"it did not come from tape within {limit_s / 3600:.3g} h"
            self._note(job, offer, "failed", reason)
        elif job.state == "waiting":
            latest = job.target.ledger.latest(job.wanted.key)
            if latest is None or latest.state != "waiting":
                self._note(job, offer, "waiting", found)

    def _note(self, job: Job, offer: Offer, state: _Noted, reason: str) -> None:
        """Write what became known of a product into the ledger, and say it."""
        record = job.target.record(offer, state, reason)
        job.target.ledger.append(replace(record, product_id=job.wanted.key[1]))
        self._say(state, offer, reason)

    def _say(
        self,
        kind: Kind,
        offer: Offer,
        text: str,
        n_bytes: int | None = None,
        seconds: float | None = None,
    ) -> None:
        tile = offer.need.tile
        self.notice(Event(kind, text, self.portal.name, offer.product_id, tile, n_bytes, seconds))


def _place_of(error: Exception) -> str:
    """Return what an exception is and where it was raised, to repair the program."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return f"a fault of this program: {type(error).__name__}: {error} ({where})"
