"""Seeds of random draws."""

from __future__ import annotations

import hashlib


def derived_seed(seed: int, *parts: str | int) -> int:
    """Return a 32-bit seed that depends on the seed of the run and on what it is for.

    Every (stage, stratum, run) draws from its own stream, so a result does not depend on
    the number of workers or their order.

    Examples
    --------
    >>> derived_seed(0, "train", "all", 0) != derived_seed(0, "train", "all", 1)
    True
    """
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
