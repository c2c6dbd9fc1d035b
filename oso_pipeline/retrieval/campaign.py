"""A campaign: search, choose, fetch, and try again what failed, until nothing is left to do.

One thread searches with each provider, others download, as many as the provider allows. The thread
that calls `Campaign.run` joins them: it chooses from the answers, begins new rounds for what failed
(with a new search, since addresses change and products are published again) and sees when all is
over. A product that waits for its tape, a search that never ends, or a provider that is down hold
back nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from oso_pipeline.imagery.fetch_ledger import THERE, Key, Record
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.choice import Choice, Wanted, choose
from oso_pipeline.retrieval.job import Job
from oso_pipeline.retrieval.ledger import records_added
from oso_pipeline.retrieval.offers import Answered, Need, Offer
from oso_pipeline.retrieval.outcome import Left, Outcome, Plan, Unanswered
from oso_pipeline.retrieval.progress import Event, Listener, Meter, Pace
from oso_pipeline.retrieval.schedule import Schedule
from oso_pipeline.retrieval.searching import Answers, Searches
from oso_pipeline.retrieval.target import Target
from oso_pipeline.retrieval.transfer.product import has_part
from oso_pipeline.retrieval.worker import Fetch, Stop, Worker

_TURN_S, _LEAST_S, _PROGRESS_S, _GRACE_S = 0.2, 0.01, 5.0, 5.0
_AGED_S = 6 * 3600.0
"""After a campaign of this length all is searched once more."""


@dataclass
class _Unanswered:
    """Catalogues that did not answer to a need: reason and code."""

    why: dict[str, tuple[str, str]]
    n_rounds: int
    at_s: float | None


class Campaign:
    """Fetches what is needed.

    Parameters
    ----------
    plan
        What to do.
    fetch
        Fetches one product.
    notice
        Gets what happens; several threads call it, one after the other.
    stop
        Ends it early.
    clock
        Seconds that only go on.
    """

    def __init__(
        self,
        plan: Plan,
        fetch: Fetch,
        notice: Listener,
        stop: Stop | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._fetch = fetch
        self._notice = _one_at_a_time(notice)
        self._stop = stop or Stop()
        self._clock = clock
        self._began_s = clock()
        self._shown_s = self._searched_s = clock()
        self._meter = Meter(clock)
        self._schedule = Schedule(plan.patience, self._rest_s, clock)
        self._searches = Searches(plan.portals, plan.order, self._schedule.changed, clock)
        self._target_of = {need: target for target in plan.targets for need in target.needs}
        self._jobs: dict[tuple[Target, Key], Job] = {}
        self._there: dict[tuple[Target, str], None] = {}
        self._unanswered: dict[Need, _Unanswered] = {}

    def run(self) -> Outcome:
        """Run until all is there or given up, or until it is stopped.

        Raises
        ------
        OsoError
            If the environment refuses: a full disk, a folder that cannot be written.
        """
        for target in self._plan.targets:
            target.folder.prepare()
        self._searches.request(self._plan.needs)
        self._searches.start()
        workers = self._start_workers()
        try:
            while not self._stop.reason and not self._turn():
                self._schedule.changed.wait(_TURN_S)
                self._schedule.changed.clear()
                time.sleep(_LEAST_S)  # many products may come within a second
        except BaseException as error:
            self._stop.request("interrupted", error)
            raise
        finally:
            self._searches.close()
            self._schedule.close()
            _join(workers, _GRACE_S)
        self._write_left()
        outcome = self._outcome()
        for pace in outcome.paces:
            text = f"{pace.n_done} fetched, {pace.n_left} left"
            n_bytes, seconds = pace.bytes_done, outcome.seconds
            self._notice(Event("ended", text, pace.provider, n_bytes=n_bytes, seconds=seconds))
        return outcome

    def _rest_s(self, provider: str) -> float:
        return self._plan.portals[provider].session.breaker.rest_s

    def _start_workers(self) -> list[threading.Thread]:
        threads = []
        for portal in self._plan.portals.values():
            worker = Worker(
                portal,
                self._schedule,
                self._fetch,
                self._plan.budget,
                self._meter,
                self._stop,
                self._notice,
            )
            for number in range(0 if portal.unused else portal.provider.limits.connections):
                name = f"fetch {portal.name} {number}"
                threads.append(threading.Thread(target=worker.run, name=name, daemon=True))
        for thread in threads:
            thread.start()
        return threads

    def _turn(self) -> bool:
        """Take note of answers, begin rounds that are due; return whether all is over."""
        for need, answers in self._searches.ready():
            self._take(need, answers)
        due = {job.wanted.offers[0].need for job in self._schedule.due()}
        now = self._clock()
        for need, one in self._unanswered.items():
            if one.at_s is not None and one.at_s <= now:
                due.add(need)
                one.at_s = None
        self._searches.request(due)
        if now - self._shown_s >= _PROGRESS_S:
            self._shown_s = now
            self._tell_progress()
        waits = any(one.at_s is not None for one in self._unanswered.values())
        is_over = not waits and not self._searches.n_open and self._schedule.is_over
        if is_over and now - self._searched_s >= _AGED_S and not self._plan.is_offline:
            # Products were published while others were fetched.
            self._searched_s = now
            self._searches.request(self._plan.needs)
            return False
        return is_over

    def _take(self, need: Need, answers: Answers) -> None:
        """Choose from the answers to a need, and begin with what is wanted."""
        target = self._target_of[need]
        offers = self._offers_of(need, answers)
        self._note_unanswered(need, answers)
        history = target.ledger.history((need.family, need.tile))
        seen = [target.record(offer, "seen") for offer in offers]
        target.ledger.append(*records_added(history, seen))
        stock = target.stock(need)
        choice = choose(offers, self._plan.order, stock)
        self._there.update(dict.fromkeys((target, name) for name in choice.there))
        self._replace(target, choice, stock.history.latest)
        self._begin(target, choice, stock.history.latest)
        due = [job for job in self._schedule.due() if job.wanted.offers[0].need == need]
        self._schedule.add(due)

    def _offers_of(self, need: Need, answers: Answers) -> list[Offer]:
        offers = list[Offer]()
        for name, answer in answers.items():
            if isinstance(answer, Failure):
                text = f"{need.family} {need.tile}: {answer.found}"
                self._notice(Event("unanswered", text, name, tile=need.tile))
                continue
            offers += answer.offers
            faults = f"; {'; '.join(answer.faults)}" if answer.faults else ""
            aged = "" if answer.as_of is None else f", as of {answer.as_of:%Y-%m-%d %H:%M} UTC"
            text = f"{need.family} {need.tile}: {len(answer.offers)} products{aged}{faults}"
            self._notice(Event("searched", text, name, tile=need.tile))
        return offers

    def _note_unanswered(self, need: Need, answers: Answers) -> None:
        found = {name: self._lack_of(answer) for name, answer in answers.items()}
        why = {name: text for name, text in found.items() if text}
        if not why:
            self._unanswered.pop(need, None)
            return
        known = self._unanswered.get(need)
        n_rounds, pauses = 1 if known is None else known.n_rounds + 1, self._plan.patience.pauses_s
        at_s = self._clock() + pauses[n_rounds - 1] if n_rounds <= len(pauses) else None
        self._unanswered[need] = _Unanswered(why, n_rounds, at_s)

    def _lack_of(self, answer: Answered | Failure) -> tuple[str, str] | None:
        """Return why a search has to be tried again, and the code; None where it has not."""
        if isinstance(answer, Failure):
            return answer.found, answer.code
        if answer.as_of is not None and not self._plan.is_offline:
            at = f"{answer.as_of:%Y-%m-%d %H:%M} UTC"
            return f"its answer of {at} served: it does not answer now", "E-FETCH-CATALOGUE"
        if not answer.is_whole:
            return "its answer lacks entries that it counts", "W-FETCH-INCOMPLETE"
        return None

    def _replace(self, target: Target, choice: Choice, latest: Mapping[Key, Record]) -> None:
        """End the jobs of products that newer versions replace; record what was there."""
        for key, newer in choice.replaced.items():
            job, record = self._jobs.get((target, key)), latest.get(key)
            if job is not None and job.state in ("ready", "resting", "waiting", "lost"):
                self._schedule.settle(job, "replaced", f"by {newer}")
            if record is None or record.state in ("seen", "replaced"):
                continue
            if record.state in THERE and newer not in choice.there:
                continue  # it serves until the newer one is there
            why = f"by {newer}"
            target.ledger.append(
                replace(record, state="replaced", at=datetime.now(UTC), reason=why)
            )
            self._notice(Event("replaced", why, record.provider, record.product_id, record.tile))

    def _begin(self, target: Target, choice: Choice, latest: Mapping[Key, Record]) -> None:
        """Begin jobs for what is wanted; of those that rest take the new offers."""
        begun, records = list[Job](), list[Record]()
        for wanted in choice.wanted:
            key = wanted.key
            job = self._jobs.get((target, key))
            if job is not None:
                if job.state == "resting":
                    job.wanted = self._usable(wanted) or job.wanted
                continue
            usable = self._usable(wanted)
            job = self._jobs[target, key] = Job(target, usable or wanted)
            if usable is None:
                portal = self._plan.portals[wanted.offers[0].provider]
                job.state, job.reason, job.code = "held", portal.unused, "W-FETCH-UNUSED"
            job.first_turn = _turn_of_part(target, job.wanted)
            job.has_part = job.first_turn > 0
            job.replaces = tuple(
                latest[old]
                for old, newer in choice.replaced.items()
                if newer == key[1] and old in latest and latest[old].state in THERE
            )
            begun.append(job)
            before = latest.get(key)
            if before is None or before.state in ("seen", "replaced", *THERE):
                records.append(target.record(wanted.offers[0], "wanted"))
        target.ledger.append(*records)
        self._schedule.add(begun)

    def _usable(self, wanted: Wanted) -> Wanted | None:
        """Return a product with the offers of providers that are used; None without one."""
        used = tuple(one for one in wanted.offers if not self._plan.portals[one.provider].unused)
        return Wanted(used) if used else None

    def _tell_progress(self) -> None:
        for pace in self._paces():
            left_s = pace.left_s
            left = "" if left_s is None else f", {left_s:.0f} s left"
            text = (
                f"{pace.n_done} fetched, {pace.n_left} left ({pace.n_waiting} on tape), "
                f"{pace.bytes_per_s / 1e6:.2f} MB/s{left}"
            )
            self._notice(Event("progress", text, pace.provider, n_bytes=pace.bytes_done))

    def _paces(self) -> tuple[Pace, ...]:
        rests = {name: self._rest_s(name) for name in self._plan.portals}
        return self._meter.paces(self._schedule.jobs, rests)

    def _write_left(self) -> None:
        """Record why products are given up that no provider was requested for any more."""
        for (target, key), job in self._jobs.items():
            if job.state == "lost" and job.reason:
                latest = target.ledger.latest(key)
                if latest is not None and latest.state == "wanted":
                    target.ledger.append(target.record(job.offer, "failed", job.reason))

    def _outcome(self) -> Outcome:
        jobs = self._schedule.jobs
        left = tuple(
            Left(job.wanted.key[1], job.offer.need.tile, job.state, job.reason, job.code)
            for job in jobs
            if job.state not in ("done", "replaced")
        )
        unanswered = tuple(
            Unanswered(name, need, *why)
            for need, one in self._unanswered.items()
            for name, why in one.why.items()
        )
        paces = self._paces()
        done = {(job.target, job.wanted.key[1]) for job in jobs if job.state == "done"}
        return Outcome(
            n_there=len(self._there.keys() - done),
            n_fetched=sum(pace.n_done for pace in paces),
            n_flagged=self._meter.n_flagged,
            bytes_done=self._meter.bytes_done,
            seconds=self._clock() - self._began_s,
            left=left,
            unanswered=unanswered,
            stopped=self._stop.reason,
            error=self._stop.error,
            paces=paces,
        )


def _turn_of_part(target: Target, wanted: Wanted) -> int:
    """Return the first offer of which a part is there, as only its provider can continue it."""
    turns = (turn for turn, one in enumerate(wanted.offers) if has_part(target.folder, one))
    return next(turns, 0)


def _one_at_a_time(notice: Listener) -> Listener:
    lock = threading.Lock()

    def call(event: Event) -> None:
        with lock:
            notice(event)

    return call


def _join(threads: Sequence[threading.Thread], grace_s: float) -> None:
    """Wait for threads that end; what hangs in a request ends with the process."""
    until_s = time.monotonic() + grace_s
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
