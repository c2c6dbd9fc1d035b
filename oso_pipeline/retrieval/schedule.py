"""Which product is fetched next, and from whom; without network and disk."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from oso_pipeline.retrieval.job import OVER, Job, Patience, State

_LOOK_S = 0.5
"""Longest wait before a circuit breaker is looked at again."""


class Schedule:
    """The jobs of a campaign; its methods may be called from several threads.

    Parameters
    ----------
    patience
        How long it goes on with what fails.
    rest_s
        Seconds for which a provider is left alone, by its name; 0 where it is used.
    clock
        Seconds that only go on.

    Attributes
    ----------
    changed
        Set whenever the state of a job changes.
    """

    def __init__(
        self,
        patience: Patience,
        rest_s: Callable[[str], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.changed = threading.Event()
        self.patience = patience
        self.clock = clock
        self._rest_s = rest_s
        self._changed = threading.Condition()  # may be entered again by who is in it
        self._queues: dict[str, list[tuple[float, int, Job]]] = {}
        self._number = itertools.count()
        self._known: dict[Job, None] = {}
        self._out_since: dict[str, float] = {}
        self._passed_over: dict[str, deque[tuple[Job, int, int]]] = {}
        self._closed = False

    @property
    def jobs(self) -> list[Job]:
        """All jobs, in the order in which they were added."""
        with self._changed:
            return list(self._known)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do or to wait for."""
        with self._changed:
            return all(job.state in OVER for job in self._known)

    def add(self, jobs: Iterable[Job]) -> None:
        """Add jobs, or begin a new round with jobs that rested."""
        with self._changed:
            for job in jobs:
                self._known[job] = None
                job.turn, job.first_turn, job.n_tries = job.first_turn, 0, 0
                if job.state not in OVER:
                    self._put(job, "ready", self.clock())

    def take(self, provider: str) -> Job | None:
        """Wait for the next product of a provider, and return it; None when all is over."""
        with self._changed:
            while not self._closed:
                if (job := self.look(provider)) is not None:
                    return job
                self._changed.wait(self._nap_s(provider))
            return None

    def look(self, provider: str) -> Job | None:
        """Return the next product of a provider; None where there is none now.

        While the provider is left alone, its products go to the next provider that has them; what
        is not fetched by then comes back one by one.
        """
        with self._changed:
            if self._rest_s(provider) > 0:
                self._leave_alone(provider)
                return None
            return self._pop(provider) or self._come_back(provider)

    def due(self) -> list[Job]:
        """Return the jobs that have rested long enough: search again, then `add` them."""
        with self._changed:
            now = self.clock()
            return [job for job in self._known if job.state == "resting" and job.ready_at_s <= now]

    def settle(self, job: Job, state: State, reason: str = "", code: str = "") -> None:
        """End a job: it is done, held by a limit, lost, or replaced."""
        with self._changed:
            self._end(job, state, reason or job.reason, code or job.code)

    def again(self, job: Job, after_s: float) -> None:
        """Try a job again later with the same provider; that counts as no try."""
        with self._changed:
            state: State = "waiting" if job.tape_until_s is not None else "ready"
            self._put(job, state, self.clock() + after_s)

    def elsewhere(self, job: Job) -> None:
        """Look again later at a job that another process is at."""
        job.n_looks += 1
        self.again(job, min(self.patience.shared_s, 2.0 ** min(job.n_looks - 1, 10)))

    def failed(self, job: Job, reason: str, code: str, wait_s: float | None = None) -> None:
        """Try a job again with the same provider, or with the next one after enough tries.

        Parameters
        ----------
        job
            What failed.
        reason, code
            Why.
        wait_s
            Before another try with this provider; None where none may help.
        """
        with self._changed:
            job.reason, job.code = reason, code
            job.n_tries += 1
            tries = self.patience.tries_of_part if job.has_part else self.patience.tries
            if wait_s is None or job.n_tries >= tries:
                self._pass_on(job)
            else:
                pause = max(wait_s, self.patience.backoff(job.n_tries))
                self._put(job, "ready", self.clock() + pause)

    def on_tape(self, job: Job, reason: str, until_s: float) -> None:
        """Try the other providers of a product that is on tape; without one, wait for it.

        Parameters
        ----------
        job
            What is on tape.
        reason
            How that was noticed.
        until_s
            When it is given up, by the clock.
        """
        with self._changed:
            job.reason, job.code = reason, "W-FETCH-TAPE"
            job.tape_until_s = until_s if job.tape_until_s is None else job.tape_until_s
            if job.turn not in job.tape_turns:
                job.tape_turns.append(job.turn)
            self._pass_on(job)

    def worked(self, provider: str) -> None:
        """Take note that a provider gave a product."""
        with self._changed:
            self._out_since.pop(provider, None)

    def close(self) -> None:
        """Give out nothing any more, and end all waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _put(self, job: Job, state: State, at_s: float) -> None:
        job.state, job.ready_at_s = state, at_s
        job.ticket = next(self._number)
        queue = self._queues.setdefault(job.offer.provider, [])
        heapq.heappush(queue, (at_s, job.ticket, job))
        self._changed.notify_all()

    def _pop(self, provider: str) -> Job | None:
        queue, now = self._queues.get(provider, []), self.clock()
        while queue and queue[0][0] <= now:
            _, ticket, job = heapq.heappop(queue)
            # Others were ended, or moved to another queue, while they were in this one.
            if ticket == job.ticket and job.state in ("ready", "waiting"):
                job.state = "running"
                return job
        return None

    def _come_back(self, provider: str) -> Job | None:
        """Return a product that went to another provider while this one was left alone."""
        passed_over = self._passed_over.get(provider)
        while passed_over:
            job, turn, n_rounds = passed_over.popleft()
            is_same = job.state == "ready" and job.n_rounds == n_rounds and job.turn > turn
            if is_same and not job.has_part:
                job.turn, job.n_tries, job.ticket = turn, 0, -1
                job.state = "running"
                return job
        return None

    def _nap_s(self, provider: str) -> float:
        queue = self._queues.get(provider, [])
        until_s = queue[0][0] - self.clock() if queue else _LOOK_S
        return min(_LOOK_S, until_s) if until_s > 0 else _LOOK_S

    def _leave_alone(self, provider: str) -> None:
        """Give the products of a provider to others; give them up for now after long."""
        now = self.clock()
        out_s = now - self._out_since.setdefault(provider, now)
        is_long = out_s >= self.patience.outage_s
        queue = self._queues.get(provider, [])
        if not queue:
            return
        self._queues[provider] = []
        for at_s, number, job in queue:
            if job.state in OVER or number != job.ticket:
                continue
            if job.has_part and out_s < self.patience.outage_of_part_s:
                heapq.heappush(self._queues[provider], (at_s, number, job))
                continue
            if job.state == "ready" and job.has_another:
                noted = self._passed_over.setdefault(provider, deque())
                noted.append((job, job.turn, job.n_rounds))
            if job.state == "waiting":
                self._keep_waiting(job, at_s, number)
            elif job.has_another or is_long:
                job.reason = job.reason or f"{provider} does not answer and is left alone"
                job.code = job.code or "E-FETCH-NETWORK"
                self._pass_on(job)
            else:
                heapq.heappush(self._queues[provider], (at_s, number, job))
        if is_long:
            self._out_since[provider] = now

    def _keep_waiting(self, job: Job, at_s: float, number: int) -> None:
        """Let a product wait for its tape, as its provider is left alone; not past its time."""
        if job.tape_until_s is not None and self.clock() >= job.tape_until_s:
            self._rest(job)
        else:  # not put off: the provider was not requested, and this is done at every look
            heapq.heappush(self._queues[job.offer.provider], (at_s, number, job))

    def _pass_on(self, job: Job) -> None:
        """Try the next provider; after the last one wait for a tape, or rest."""
        if job.tape_until_s is not None and self.clock() >= job.tape_until_s:
            self._rest(job)
        elif job.has_another and job.state != "waiting":
            job.turn, job.n_tries, job.has_part = job.turn + 1, 0, False
            self._put(job, "ready", self.clock())
        elif job.tape_turns:
            job.turn, job.n_tries = job.tape_turns[0], 0
            self._put(job, "waiting", self.clock() + self.patience.tape_poll(job.n_polls))
            job.n_polls += 1
        else:
            self._rest(job)

    def _rest(self, job: Job) -> None:
        job.n_rounds += 1
        job.tape_until_s = None
        job.tape_turns.clear()
        job.n_polls = 0
        if job.n_rounds > len(self.patience.pauses_s):
            self._end(job, "lost", job.reason, job.code)
        else:
            job.state = "resting"
            job.ready_at_s = self.clock() + self.patience.pauses_s[job.n_rounds - 1]
            self.changed.set()

    def _end(self, job: Job, state: State, reason: str, code: str) -> None:
        job.state, job.reason, job.code = state, reason, code
        self.changed.set()
