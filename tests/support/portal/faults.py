"""The 18 faults that portals had, where they can occur, and who gets which: seeded."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

Protocol = Literal["geodes", "odata", "earth-search", "planetary", "theia", "mirror"]
PROTOCOLS: tuple[Protocol, ...] = (
    "geodes", "odata", "earth-search", "planetary", "theia", "mirror",
)  # fmt: skip


class Fault(IntEnum):
    """A fault; the numbers are those of the list of faults that were seen in use."""

    SEARCH_HANGS = 1
    PAGES_LIE = 2
    COUNT_CHANGES = 3
    EMPTY_BODY = 4
    ERROR_BODY = 5
    GARBAGE_AT_CUT = 6
    RANGE_IGNORED = 7
    TRUNCATED = 8
    WRONG_CHECKSUM = 9
    CORRUPT_SOURCE = 10
    DRIP = 11
    BUSY = 12
    ONLINE_LIES = 13
    TAPE_NEVER = 14
    ADDRESS_CHANGES = 15
    COLLECTION_RENAMED = 16
    REPUBLISHED = 17
    HOST_DOWN = 18


TEXTS = {
    Fault.SEARCH_HANGS: "never-ending search",
    Fault.PAGES_LIE: "wrong next link, items twice and lost between pages",
    Fault.COUNT_CHANGES: "number of matches changes during paging",
    Fault.EMPTY_BODY: "200 with 0 bytes",
    Fault.ERROR_BODY: "200 with an HTML, JSON or XML error",
    Fault.GARBAGE_AT_CUT: "XML error in the stream where the connection drops",
    Fault.RANGE_IGNORED: "Range ignored, or another start",
    Fault.TRUNCATED: "truncated body, with or without Content-Length",
    Fault.WRONG_CHECKSUM: "wrong published checksum",
    Fault.CORRUPT_SOURCE: "corrupt at the source",
    Fault.DRIP: "a byte now and then, or a stall",
    Fault.BUSY: "429, 403 of a quota, expired token",
    Fault.ONLINE_LIES: "online in the catalogue, not at the server",
    Fault.TAPE_NEVER: "never comes from tape",
    Fault.ADDRESS_CHANGES: "address changes, redirection to a maintenance page",
    Fault.COLLECTION_RENAMED: "collection renamed: 400",
    Fault.REPUBLISHED: "published again with a new version during the campaign",
    Fault.HOST_DOWN: "host down",
}

SEARCH = frozenset({Fault.SEARCH_HANGS, Fault.PAGES_LIE, Fault.COUNT_CHANGES})
"""Done to requests of a search."""

HOST = frozenset({Fault.COLLECTION_RENAMED, Fault.HOST_DOWN})
"""Done to a whole provider, for ever unless the test ends it."""

PERMANENT = frozenset({Fault.WRONG_CHECKSUM, Fault.CORRUPT_SOURCE, Fault.TAPE_NEVER})
"""Done to every request for a product: patience does not help."""

_ABSENT: Mapping[Protocol, frozenset[Fault]] = {
    "geodes": frozenset(),
    "odata": frozenset({Fault.RANGE_IGNORED}),  # $value has no ranges at all
    "earth-search": frozenset({Fault.ONLINE_LIES, Fault.TAPE_NEVER}),
    "planetary": frozenset(  # no checksums: nobody can notice a wrong bit, or a wrong checksum
        {Fault.ONLINE_LIES, Fault.TAPE_NEVER, Fault.WRONG_CHECKSUM, Fault.CORRUPT_SOURCE}
    ),
    "theia": frozenset({Fault.ONLINE_LIES, Fault.TAPE_NEVER}),
    "mirror": frozenset(
        {
            Fault.PAGES_LIE, Fault.COUNT_CHANGES, Fault.WRONG_CHECKSUM, Fault.ONLINE_LIES,
            Fault.TAPE_NEVER, Fault.COLLECTION_RENAMED,
        }
    ),
}  # fmt: skip


def can_occur(fault: Fault, protocol: Protocol) -> bool:
    """Return whether a fault can occur at a provider: a mirror has no pages, for example."""
    return fault not in _ABSENT[protocol]


@dataclass(frozen=True)
class Mixture:
    """Who gets which fault.

    Parameters
    ----------
    shares
        Of each fault: which share of the products it hits, or of the requests of a search.
    seed
        Of the choice.
    tries
        How many requests of a product a passing fault spoils.
    searches
        How many requests of a search each provider spoils at most; None sets no limit.
    assigned
        Faults of single products by their names, in place of what is drawn.
    """

    shares: Mapping[Fault, float] = field(default_factory=dict)
    seed: int = 0
    tries: int = 1
    searches: int | None = None
    assigned: Mapping[str, Fault] = field(default_factory=dict)

    @classmethod
    def only(cls, fault: Fault, tries: int = 1, searches: int | None = 1) -> Mixture:
        """Return one fault for all."""
        return cls({fault: 1.0}, tries=tries, searches=searches)

    @classmethod
    def even(cls, share: float, seed: int = 0, tries: int = 1, searches: int = 20) -> Mixture:
        """Return a mixture of all faults of products and searches, of one share each."""
        return cls({fault: share for fault in Fault if fault not in HOST}, seed, tries, searches)

    def of_product(self, protocol: Protocol, name: str) -> Fault | None:
        """Return the fault of a product at a provider."""
        if self.assigned:
            return self.assigned.get(name)
        kinds = [f for f in self.shares if f not in SEARCH | HOST and can_occur(f, protocol)]
        return self._drawn(kinds, f"{self.seed}/{protocol}/{name}")

    def of_search(self, protocol: Protocol, number: int) -> Fault | None:
        """Return the fault of a request of a search."""
        kinds = [f for f in self.shares if f in SEARCH and can_occur(f, protocol)]
        return self._drawn(kinds, f"{self.seed}/{protocol}/search/{number}")

    def of_host(self, protocol: Protocol) -> frozenset[Fault]:
        """Return the faults of a provider as a whole."""
        return frozenset(
            fault
            for fault, share in self.shares.items()
            if fault in HOST and share and can_occur(fault, protocol)
        )

    def _drawn(self, kinds: list[Fault], key: str) -> Fault | None:
        number = random.Random(key).random()
        for fault in sorted(kinds):
            number -= self.shares[fault]
            if number < 0:
                return fault
        return None
