"""Until when something may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock; a clock that is set does not move it.

    Parameters
    ----------
    at_s
        Reading of `clock` that must not be passed, seconds.
    clock
        Seconds of a clock that only goes on.
    """

    at_s: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """Return the deadline that is so many seconds away."""
        return cls(clock() + seconds, clock)

    @property
    def left_s(self) -> float:
        """Seconds until it; negative when it is past."""
        return self.at_s - self.clock()

    def sooner(self, seconds: float) -> Deadline:
        """Return this deadline, or the one so many seconds away if that is sooner."""
        return Deadline(min(self.at_s, self.clock() + seconds), self.clock)
