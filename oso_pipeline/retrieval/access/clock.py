"""The clock of this machine, compared with those of the servers that answered."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from oso_pipeline.core.errors import Problem
from oso_pipeline.core.wording import duration

MOST_S = 300.0
"""Object stores refuse requests whose time differs by more than some minutes."""


def wrong_clock(behind_s: Iterable[float | None]) -> Problem | None:
    """Return a warning where the clock of this machine is wrong (``W-FETCH-CLOCK``).

    Tokens, pauses and signatures are by clocks of servers or by one that is never set; but times
    in the ledger, what TLS takes for expired, and cron are not.

    Parameters
    ----------
    behind_s
        By how many seconds it is behind the clock of each server; None where one does not say.
        The median counts, since a server may be wrong too.
    """
    known = [one for one in behind_s if one is not None]
    if not known or abs(found := median(known)) <= MOST_S:
        return None
    where = "behind" if found > 0 else "ahead of"
    return Problem(
        "W-FETCH-CLOCK",
        f"the clock of this machine is {duration(abs(found))} {where} that of the servers",
        None,
        "set it (`timedatectl`): times in the ledger are wrong, and certificates may be refused",
    )
