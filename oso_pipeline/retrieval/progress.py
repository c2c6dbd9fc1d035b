"""What a campaign says while it runs: events, rates of providers, and a log for people."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from oso_pipeline.core.plain_text import plain
from oso_pipeline.retrieval.job import OVER, Job

Kind = Literal[
    "searched", "unanswered", "fetched", "flagged", "quarantined", "failed", "waiting", "replaced",
    "held", "progress", "ended",
]  # fmt: skip

_PERIOD_S = 60.0
_LOG_BYTES = 50_000_000
"""A log that is longer is put aside as ``log.1.jsonl``, in place of an earlier one."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Parameters
    ----------
    kind
        What.
    text
        For people.
    provider, product_id, tile
        Of whom, where that applies.
    n_bytes, seconds
        How much came, and how long that took.
    """

    kind: Kind
    text: str
    provider: str = ""
    product_id: str = ""
    tile: str = ""
    n_bytes: int | None = None
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, without what does not apply."""
        content = asdict(self) | {"text": plain(self.text)}
        return {name: value for name, value in content.items() if value not in ("", None)}


Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How far the products of one provider are.

    Parameters
    ----------
    provider
        Its name.
    n_done, n_left, n_waiting
        Products that came, that are to come, and of these those on tape.
    bytes_done, bytes_left
        Their sizes; what no catalogue states is taken to be as large as the others on average.
    bytes_per_s
        Over the last minute.
    rest_s
        Seconds for which it is left alone.
    """

    provider: str
    n_done: int
    n_left: int
    n_waiting: int
    bytes_done: int
    bytes_left: int
    bytes_per_s: float
    rest_s: float = 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds until all is there at this rate; None where nothing comes."""
        return self.bytes_left / self.bytes_per_s if self.bytes_per_s > 0 else None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        left_s = None if self.left_s is None else round(self.left_s, 1)
        return asdict(self) | {"bytes_per_s": round(self.bytes_per_s, 1), "left_s": left_s}


class Meter:
    """Counts bytes as they come, and products; for several threads.

    Parameters
    ----------
    clock
        Seconds that only go on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began_s = clock()
        self._recent: dict[str, deque[tuple[float, int]]] = {}
        self._bytes: dict[str, int] = {}
        self._products: dict[str, int] = {}
        self.n_flagged = 0

    @property
    def bytes_done(self) -> int:
        """All bytes that came."""
        with self._lock:
            return sum(self._bytes.values())

    def came(self, provider: str, n_bytes: int) -> None:
        """Count bytes."""
        now = self._clock()
        with self._lock:
            self._bytes[provider] = self._bytes.get(provider, 0) + n_bytes
            recent = self._recent.setdefault(provider, deque())
            if recent and now - recent[-1][0] < 1.0:  # one entry a second is enough
                recent[-1] = (recent[-1][0], recent[-1][1] + n_bytes)
            else:
                recent.append((now, n_bytes))
            while recent[0][0] < now - _PERIOD_S:
                recent.popleft()

    def fetched(self, provider: str, is_flagged: bool) -> None:
        """Count a product."""
        with self._lock:
            self.n_flagged += is_flagged
            self._products[provider] = self._products.get(provider, 0) + 1

    def rate(self, provider: str) -> float:
        """Return the bytes per second of the last minute."""
        now = self._clock()
        with self._lock:
            recent = self._recent.get(provider, ())
            n_bytes = sum(n for at, n in recent if at >= now - _PERIOD_S)
            return n_bytes / max(1.0, min(_PERIOD_S, now - self._began_s))

    def paces(
        self, jobs: Iterable[Job], rest_s: Mapping[str, float] | None = None
    ) -> tuple[Pace, ...]:
        """Return how far each provider is, of those that have or had something to give."""
        left: dict[str, list[Job]] = {}
        sizes = list[int]()
        for job in jobs:
            if job.wanted.size_bytes is not None:
                sizes.append(job.wanted.size_bytes)
            if job.state not in OVER:
                left.setdefault(job.offer.provider, []).append(job)
        mean = sum(sizes) // len(sizes) if sizes else 0
        with self._lock:
            done, products = dict(self._bytes), dict(self._products)
        return tuple(
            Pace(
                name,
                products.get(name, 0),
                len(some := left.get(name, [])),
                sum(job.state == "waiting" for job in some),
                done.get(name, 0),
                sum(mean if (n := job.wanted.size_bytes) is None else n for job in some),
                self.rate(name),
                (rest_s or {}).get(name, 0.0),
            )
            for name in dict.fromkeys([*products, *done, *left])
        )


class LogFile:
    """Writes each event as a line of JSON; what cannot be written is left out.

    The log is for people: nothing is decided by it, so a full disk must not end the campaign here.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._shown_s: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Write an event; of the progress of a provider one a minute."""
        if event.kind == "progress":
            now = time.monotonic()
            if now - self._shown_s.get(event.provider, -_PERIOD_S) < _PERIOD_S:
                return
            self._shown_s[event.provider] = now
        record = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **event.to_json()}
        line = json.dumps(record, ensure_ascii=False) + "\n"
        with self._lock, suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                if self._path.stat().st_size > _LOG_BYTES:
                    os.replace(self._path, self._path.with_name("log.1.jsonl"))
            with self._path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(line)
