"""What a transfer keeps to: patience, limits, and who is kept informed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from random import Random

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.transport import Version

NOTHING_SAID = Version(None, None, None)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for.

    Parameters
    ----------
    tries
        How often in a row requests may fail without progress.
    first_wait_s, longest_wait_s
        Between the tries; doubled each time.
    period_s, least_bytes
        Within each period at least so many bytes have to come, or the connection is given up and
        the file continued over another. There is no limit for the whole file.
    """

    tries: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0
    period_s: float = 60.0
    least_bytes: int = 1 << 20

    def wait_s(self, failures: int, failure: Failure, random: Random) -> float:
        """Return how long to wait after so many failures in a row; a part of it is chance."""
        own = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (failures - 1))
        return max(own * (0.5 + random.random() / 2), failure.wait_s or 0.0)


def no_overlap(_have: int) -> int:
    """Continue at the first byte that is missing."""
    return 0


def _nothing(_: object) -> None:
    """Do nothing with it."""


@dataclass(frozen=True)
class Terms:
    """What a transfer keeps to.

    Parameters
    ----------
    patience
        Least rate, and how often requests may fail.
    most_bytes
        Larger content is refused.
    overlap
        How many of so many bytes are requested once more to continue, and compared: a server may
        have written the text of an error where the connection broke.
    stated
        What is known of the content before; answers about other content are failures.
    is_checked
        Whether a checksum is compared afterwards: then content that no ETag and no date identifies
        is continued too, if its size is the same.
    begins_again
        Whether content that changes meanwhile is got from its begin, or is a failure.
    until_s
        Reading of `clock` after which it is given up.
    sleep, clock
        Of time, seconds.
    look
        Gets the begin of the content and may raise a failure.
    on_version
        Gets which content it is, before anything of it is written.
    on_bytes
        Gets the number of bytes that came.
    slot
        Is held during each request, and not while waiting for the next.
    """

    patience: Patience
    most_bytes: int
    overlap: Callable[[int], int] = no_overlap
    stated: Version = NOTHING_SAID
    is_checked: bool = False
    begins_again: bool = False
    until_s: float = math.inf
    sleep: Callable[[float], None] = lambda seconds: time.sleep(seconds)
    clock: Callable[[], float] = time.monotonic
    look: Callable[[bytes], None] = _nothing
    on_version: Callable[[Version], None] = _nothing
    on_bytes: Callable[[int], None] = _nothing
    slot: Callable[[], AbstractContextManager[object]] = nullcontext
