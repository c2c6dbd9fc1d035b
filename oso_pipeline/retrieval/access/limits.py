"""What a provider allows: connections at the same time, requests per minute, and its pauses."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.deadline import Deadline

_MINUTE_S = 60.0
_STEP_S = 0.5
"""Longest wait before the state is looked at again."""


class Slots:
    """Connections that may be open at the same time; a thread that has one needs no second.

    Parameters
    ----------
    count
        How many.
    name
        Of the provider, for messages.
    """

    def __init__(self, count: int, name: str) -> None:
        self._free = threading.BoundedSemaphore(count)
        self._own = threading.local()
        self._name = name

    @contextmanager
    def one(self, deadline: Deadline | None = None) -> Iterator[None]:
        """Hold a connection while the body runs.

        Raises
        ------
        Failure
            If none is free before the deadline.
        """
        if getattr(self._own, "has", False):
            yield
            return
        left_s = None if deadline is None else max(0.0, deadline.left_s)
        if not self._free.acquire(timeout=left_s):
            text = f"all connections to {self._name} stayed in use"
            raise Failure("E-FETCH-PAUSED", text, self._name)
        self._own.has = True
        try:
            yield
        finally:
            self._own.has = False
            self._free.release()


class Pace:
    """When the next request may go out.

    Parameters
    ----------
    per_minute
        Requests within any minute; None sets no limit.
    name
        Of the provider, for messages.
    clock, sleep
        Of time, seconds.
    """

    def __init__(
        self,
        per_minute: int | None,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_minute = per_minute
        self._name = name
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._sent: deque[float] = deque()
        self._not_before_s = 0.0

    def pause(self, seconds: float) -> None:
        """Send nothing for so many seconds: the provider wants it."""
        with self._lock:
            self._not_before_s = max(self._not_before_s, self._clock() + seconds)

    def wait(self, deadline: Deadline) -> None:
        """Wait until a request may go out, and count it.

        Raises
        ------
        Failure
            If that is after the deadline.
        """
        while (wait_s := self._turn()) > 0:
            if wait_s > deadline.left_s:
                text = f"{self._name} allows the next request in {wait_s:.0f} s, after the deadline"
                raise Failure("E-FETCH-PAUSED", text, self._name)
            self._sleep(min(wait_s, _STEP_S))

    def _turn(self) -> float:
        """Take a turn and return 0, or return the seconds until there may be one."""
        with self._lock:
            now = self._clock()
            if now < self._not_before_s:
                return self._not_before_s - now
            if self._per_minute is None:
                return 0.0
            while self._sent and now - self._sent[0] >= _MINUTE_S:
                self._sent.popleft()
            if len(self._sent) < self._per_minute:
                self._sent.append(now)
                return 0.0
            return self._sent[0] + _MINUTE_S - now
