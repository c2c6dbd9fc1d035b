"""All requests to one provider go through its session: keys, limits, deadlines, circuit breaker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

from oso_pipeline.imagery.remote.call import Call
from oso_pipeline.imagery.remote.download import Patience
from oso_pipeline.imagery.remote.failures import MAX_WAIT_S, Failure, clock_behind_s
from oso_pipeline.imagery.remote.transport import Answer, Transport
from oso_pipeline.retrieval.access.answers import read_json, times_of
from oso_pipeline.retrieval.access.breaker import Breaker, Purpose
from oso_pipeline.retrieval.access.identity import Identity, identity_of
from oso_pipeline.retrieval.access.keys import Keys
from oso_pipeline.retrieval.access.limits import Pace, Slots
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.provider_table import Provider

_T = TypeVar("_T")


class Session:
    """Sends requests to one provider; for several threads.

    Parameters
    ----------
    name
        Of the provider.
    provider
        Its addresses, limits and the kind of its key.
    keys
        Values of keys.
    transport
        Sends the requests.
    patience
        How often requests to the catalogue are tried.
    breaker
        Counts failures.
    clock, sleep
        Of time, seconds.

    Attributes
    ----------
    clock_behind_s
        By how many seconds the clock of this machine is behind that of the server; None before
        the first answer that says so.
    """

    def __init__(
        self,
        name: str,
        provider: Provider,
        keys: Keys,
        transport: Transport | None = None,
        patience: Patience | None = None,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.provider = provider
        self.breaker = breaker or Breaker(clock=clock)
        self.clock_behind_s: float | None = None
        self._transport = transport or Transport()
        self._patience = patience or Patience()
        self._sleep = sleep
        self._random = Random()
        self._slots = Slots(provider.limits.connections, name)
        self._pace = Pace(provider.limits.requests_per_minute, name, clock, sleep)
        self._identity: Identity = identity_of(provider, keys, self._transport, clock)
        self._hosts = provider.all_hosts

    def __repr__(self) -> str:
        return f"Session({self.name})"

    @contextmanager
    def slot(self, deadline: Deadline | None = None) -> Iterator[None]:
        """Hold one of the connections that the provider allows while the body runs.

        Raises
        ------
        Failure
            If none is free before the deadline.
        """
        with self._slots.one(deadline):
            yield

    def json(self, url: str, deadline: Deadline, body: object | None = None) -> Any:
        """Return the JSON of an answer of the catalogue, with several tries.

        Parameters
        ----------
        url
            Address of the request.
        deadline
            Until when the whole answer has to be there; with all tries and pauses.
        body
            Sent as JSON with POST; None for GET.

        Raises
        ------
        Failure
            If the catalogue does not answer, or refuses.
        """
        sent = None if body is None else json.dumps(body).encode()
        return self._tried(url, deadline, lambda: self._json_once(url, deadline, sent))

    def open(
        self,
        url: str,
        deadline: Deadline,
        start: int = 0,
        condition: str | None = None,
        family: str | None = None,
    ) -> Answer:
        """Request a file from a byte on; the caller reads and closes the answer.

        Reads of the answer raise `TimeoutError` where nothing comes for too long, and when the
        deadline is over. Keys are renewed before the request, never while it is read.

        Parameters
        ----------
        url
            Address of the file, as the catalogue states it, not signed.
        deadline
            Until when the whole file has to be there.
        start
            Number of the first byte.
        condition
            Value of ``If-Range``: of other content, the server sends the whole.
        family
            Kind of the reader of the product, for providers that sign by collection.

        Raises
        ------
        Failure
            Whatever goes wrong. There is one try, and another one with a new token.
        """
        plain = Call(hosts=self._hosts, headers={"Accept": "*/*"})

        def applied() -> tuple[str, Call]:
            return self._identity.applied(url, family, plain, deadline)

        def send(address: str, call: Call) -> Answer:
            times = times_of(self.provider.limits, deadline, url)
            return self._transport.send(address, start, None, condition, call, times)

        self._enter(url, deadline)
        try:
            answer = self._with_key(applied, send, family)
        except Failure as failure:
            failure.url = url  # that of the request may be signed
            if failure.code == "E-FETCH-DENIED" and (of_key := self.provider.variables):
                failure.found += f"; is the value of {' and '.join(of_key)} right, and still valid?"
            raise self._counted(failure, "download") from None
        self._note_clock(clock_behind_s(answer.response.headers))
        self.breaker.answered("download")
        return answer

    def _tried(self, url: str, deadline: Deadline, once: Callable[[], _T]) -> _T:
        """Return what a request to the catalogue gives; try again while that may help."""
        failures = 0
        while True:
            times_of(self.provider.limits, deadline, url)  # else what follows were its failure
            try:
                with self._slots.one(deadline):
                    found = once()
            except Failure as failure:
                failures += 1
                wait_s = self._patience.wait_s(failures, failure, self._random)
                is_last = failures >= self._patience.tries or wait_s >= deadline.left_s
                self._counted(failure, "catalogue")
                if not failure.is_passing or is_last:
                    raise
                self._sleep(wait_s)
            else:
                self.breaker.succeeded("catalogue")
                return found

    def _json_once(self, url: str, deadline: Deadline, body: bytes | None) -> Any:
        plain = Call(body, hosts=self._hosts, headers={"Accept": "application/json, */*;q=0.1"})

        def applied() -> tuple[str, Call]:
            return url, self._identity.searching(url, plain, deadline)

        def send(address: str, call: Call) -> Any:
            times = times_of(self.provider.limits, deadline, url)
            found, behind_s = read_json(self._transport, address, call, times)
            self._note_clock(behind_s)
            return found

        self._enter(url, deadline)
        return self._with_key(applied, send)

    def _with_key(
        self,
        applied: Callable[[], tuple[str, Call]],
        send: Callable[[str, Call], _T],
        family: str | None = None,
    ) -> _T:
        """Send a request with the key; where it is refused, once more with a new one."""
        address, call = applied()
        try:
            return send(address, call)
        except Failure as failure:
            if failure.code != "E-FETCH-DENIED" or not self._identity.renew(call, family):
                raise
        return send(*applied())

    def _enter(self, url: str, deadline: Deadline) -> None:
        """Wait for a turn, or refuse where the provider is left alone."""
        times_of(self.provider.limits, deadline, url)  # else what follows were its failure
        if not self.breaker.is_open:
            self._pace.wait(deadline)
        if not self.breaker.enter():
            rest_s = self.breaker.rest_s
            text = f"{self.name} failed several times and is left alone for {rest_s:.0f} s"
            raise Failure("E-FETCH-PAUSED", text, url, wait_s=rest_s)

    def _counted(self, failure: Failure, purpose: Purpose) -> Failure:
        """Count a failure, and hold back all threads where the provider wants a pause."""
        wait_s = failure.wait_s
        if failure.code == "E-FETCH-PAUSED":
            return failure
        if wait_s is not None and wait_s > MAX_WAIT_S:
            self.breaker.rest(wait_s, failure)
        elif wait_s is not None:
            self._pace.pause(wait_s)
        self.breaker.failed(failure, purpose)
        return failure

    def _note_clock(self, behind_s: float | None) -> None:
        if behind_s is not None:
            self.clock_behind_s = behind_s
