"""A circuit breaker: a provider that fails again and again is left alone for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from oso_pipeline.imagery.remote.failures import Failure

Purpose = Literal["catalogue", "download"]

_OF_PROVIDER = (
    "E-FETCH-BUSY", "E-FETCH-DENIED", "E-FETCH-HOST", "E-FETCH-NETWORK", "E-FETCH-REFUSED",
    "E-FETCH-SERVER", "E-FETCH-TLS",
)  # fmt: skip
"""Codes that say something of the provider; the others are about one product."""

_LOOK_AGAIN_S = 1.0
"""While a trial is on its way."""


@dataclass(frozen=True, slots=True)
class Trips:
    """When a breaker opens, and for how long.

    Parameters
    ----------
    failures
        In a row, of one purpose.
    first_rest_s, longest_rest_s
        How long the provider is left alone; doubled each time until something succeeds.
    probe_s
        After so many seconds, a trial of which nothing came back no longer keeps others away.
    """

    failures: int = 6
    first_rest_s: float = 30.0
    longest_rest_s: float = 1800.0
    probe_s: float = 300.0


class Breaker:
    """Says whether a provider is used; for several threads.

    It is closed at first. After failures in a row it opens: nothing is requested. When the rest is
    over, one request goes out on trial; its success closes the breaker, its failure opens it again
    for twice as long. Catalogue and downloads are counted apart, as one of the two may work.

    Parameters
    ----------
    trips
        When it opens.
    clock
        Seconds that only go on.
    """

    def __init__(
        self, trips: Trips | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trips = trips or Trips()
        self._clock = clock
        self._lock = threading.Lock()
        self._in_a_row: dict[Purpose, int] = {}
        self._open_until_s: float | None = None
        self._rest_s = self._trips.first_rest_s
        self._trial_since_s: float | None = None
        self._last: Failure | None = None

    @property
    def is_open(self) -> bool:
        """Whether the provider is left alone now; nothing is changed by looking."""
        with self._lock:
            return self._is_open()

    @property
    def rest_s(self) -> float:
        """Seconds until the next trial; 0 where requests may go out."""
        with self._lock:
            if self._open_until_s is None:
                return 0.0
            left_s = max(0.0, self._open_until_s - self._clock())
            return left_s or (_LOOK_AGAIN_S if self._is_open() else 0.0)

    @property
    def last_failure(self) -> Failure | None:
        """The failure that was counted last."""
        return self._last

    def enter(self) -> bool:
        """Return whether a request may go out now; after a rest the first one is the trial."""
        with self._lock:
            if self._is_open():
                return False
            if self._open_until_s is not None:
                self._trial_since_s = self._clock()
            return True

    def failed(self, failure: Failure, purpose: Purpose = "download") -> None:
        """Count a failure; one that is about a single product counts for nothing.

        The same failure counts once, however many report it.
        """
        if failure.code not in _OF_PROVIDER:
            self.answered(purpose)
            return
        with self._lock:
            if failure is self._last:
                return
            self._last = failure
            count = self._in_a_row.get(purpose, 0) + 1
            self._in_a_row[purpose] = count
            was_trial = self._trial_since_s is not None
            if was_trial or count >= self._trips.failures:
                self._open(self._rest_s, failure)
                self._rest_s = min(2 * self._rest_s, self._trips.longest_rest_s)

    def answered(self, purpose: Purpose = "download") -> None:
        """Count an answer whose content is not read yet: a trial is over, one failure reopens."""
        with self._lock:
            if self._trial_since_s is not None:
                self._open_until_s = self._trial_since_s = None
                self._in_a_row[purpose] = self._trips.failures - 1

    def rest(self, seconds: float, failure: Failure) -> None:
        """Open for a time that the provider itself names."""
        with self._lock:
            self._last = failure
            self._open(seconds, failure)

    def succeeded(self, purpose: Purpose = "download") -> None:
        """Count a success: a whole answer of the catalogue, or a whole product."""
        with self._lock:
            self._in_a_row.pop(purpose, None)
            was_open = self._open_until_s is not None
            self._open_until_s = self._trial_since_s = None
            for other in self._in_a_row:  # whether it works too is not known: one failure reopens
                if was_open:
                    self._in_a_row[other] = self._trips.failures - 1
            if not self._in_a_row:
                self._rest_s = self._trips.first_rest_s

    def _open(self, seconds: float, failure: Failure) -> None:
        rest = max(seconds, failure.wait_s or 0.0)
        self._open_until_s = self._clock() + rest
        self._trial_since_s = None

    def _is_open(self) -> bool:
        now = self._clock()
        if self._open_until_s is None:
            return False
        if now < self._open_until_s:
            return True
        since = self._trial_since_s
        return since is not None and now - since < self._trips.probe_s
