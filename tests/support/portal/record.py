"""What the portal did, for assertions."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.portal.faults import Fault


@dataclass(frozen=True, slots=True)
class Asked:
    """A request.

    Parameters
    ----------
    door
        Provider that was asked.
    host
        As the client named it, with port.
    method, path
        As requested, with the query.
    range
        Value of the header; "" for none.
    status
        Of the answer; 0 where there was none.
    """

    door: str
    host: str
    method: str
    path: str
    range: str
    status: int


@dataclass
class Record:
    """What was requested and sent; all doors write into one.

    Parameters
    ----------
    requests
        In order; the oldest are dropped after `limit`.
    good_bytes, spoilt_bytes
        Sent of each product, by door and name: as they should be, and of a faulty answer.
    at_once
        Most downloads at the same time, by door.
    keys
        Values of what identifies a client, by the host that got them.
    faults
        How often each was committed.
    """

    requests: list[Asked] = field(default_factory=list)
    good_bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    spoilt_bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    at_once: Counter[str] = field(default_factory=Counter)
    keys: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    faults: Counter[Fault] = field(default_factory=Counter)
    limit: int = 100_000
    _now: dict[str, list[Callable[[], bool]]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, asked: Asked, keys: set[str]) -> None:
        """Note a request."""
        with self._lock:
            self.requests.append(asked)
            if len(self.requests) > self.limit:
                del self.requests[: self.limit // 10]
            if keys:
                self.keys[asked.host] |= keys

    def fault(self, fault: Fault) -> None:
        """Note that a fault was committed."""
        with self._lock:
            self.faults[fault] += 1

    def sent(self, door: str, name: str, number: int, is_good: bool) -> None:
        """Note bytes of a product."""
        with self._lock:
            (self.good_bytes if is_good else self.spoilt_bytes)[door, name] += number

    @contextmanager
    def download(self, door: str, is_there: Callable[[], bool]) -> Iterator[None]:
        """Count a download while it lasts, and while its client is there."""
        with self._lock:
            self._now[door].append(is_there)
        self.at_once[door] = max(self.at_once[door], self.now(door))
        try:
            yield
        finally:
            with self._lock:
                self._now[door].remove(is_there)

    def now(self, door: str) -> int:
        """Return how many downloads there are just now whose client is there."""
        with self._lock:
            return sum(is_there() for is_there in self._now[door])

    def paths(self, door: str | None = None) -> list[str]:
        """Return what was requested, of one door or of all."""
        return [one.path for one in self.requests if door in (None, one.door)]
