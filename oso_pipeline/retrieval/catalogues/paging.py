"""Pages of a catalogue, read so that nothing gets lost between them.

Links to next pages lie, entries come twice or not at all, and what matches changes while pages are
read. So pages are counted here, entries by their identifiers, and where the count of the catalogue
is not reached, the days are divided and searched again: a page that holds all of its days has no
neighbour to lose entries to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.deadline import Deadline

Entry = Mapping[str, Any]

MAX_MATCHED = 20_000
"""More entries of one tile and season cannot be: the catalogue overlooks what it was searched for.
800 days with four passes in ten days, nine tiles of a box and two versions are some 6,000."""

LEAST_REQUESTS, REQUESTS_PER_PAGE = 80, 8
"""How many requests a search may take: the first, or so many per page if that is more."""

_EXTRA_PAGES = 2


@dataclass(frozen=True, slots=True)
class Span:
    """Days of acquisition, both included."""

    first: date
    last: date

    def halves(self) -> tuple[Span, ...]:
        """Return its two halves; none of a single day."""
        days = (self.last - self.first).days
        if days < 1:
            return ()
        middle = self.first + timedelta(days=days // 2)
        return Span(self.first, middle), Span(middle + timedelta(days=1), self.last)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins.

    Parameters
    ----------
    number
        Of the page, from 1.
    received
        Entries that came with the pages before it.
    token
        What leads to it, as the catalogue gave it with the page before.
    """

    number: int = 1
    received: int = 0
    token: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Page:
    """A page as it came.

    Parameters
    ----------
    entries
        The entries.
    n_matched
        How many entries all pages have, as the catalogue counts; None where it does not.
    token
        What leads to the next page; None where pages are numbered, or this is the last.
    is_last
        Whether the catalogue ends here by its own word, where pages are not numbered.
    """

    entries: tuple[Entry, ...]
    n_matched: int | None = None
    token: Mapping[str, Any] | None = None
    is_last: bool = False


@dataclass(frozen=True)
class Gathered:
    """What was had of a catalogue.

    Parameters
    ----------
    entries
        Each once.
    n_matched
        How many there are of all days, as the catalogue counted last; None where it does not.
    faults
        What was wrong with the pages.
    is_whole
        Whether the catalogue's own counts were reached.
    """

    entries: tuple[Entry, ...]
    n_matched: int | None
    faults: tuple[str, ...]
    is_whole: bool


@dataclass
class _Walk:
    """One way through the pages of some days."""

    ids: set[str] = field(default_factory=set)
    counts: list[int] = field(default_factory=list)
    repeated: int = 0
    goes_round: bool = False
    most_pages: int = 0
    _tokens: set[str] = field(default_factory=set)

    @property
    def is_sound(self) -> bool:
        """Whether all pages count alike, and as many entries came; or none came twice."""
        if not self.counts:
            return not self.goes_round and not self.repeated
        return not self.goes_round and all(count == len(self.ids) for count in self.counts)

    def ends(self, page: Page, place: Place, fresh: int) -> bool:
        """Return whether no page is requested after this one, which brought so many new entries."""
        if not page.entries or page.is_last:
            return True
        if page.token is not None:
            key = repr(sorted(page.token.items()))
            self.goes_round = key in self._tokens or not fresh
            self._tokens.add(key)
            return self.goes_round
        if self.counts:
            return len(self.ids) >= self.counts[-1] or place.number >= self.most_pages
        return not fresh


@dataclass
class Gathering:
    """A search through pages.

    Parameters
    ----------
    page_of
        Requests a page of some days.
    identifier_of
        Returns the identifier of an entry; None where it has none.
    deadline
        Until when it may take.
    url
        Of the catalogue, for messages.
    """

    page_of: Callable[[Span, Place], Page]
    identifier_of: Callable[[Entry], str | None]
    deadline: Deadline
    url: str
    _entries: dict[str, Entry] = field(default_factory=dict)
    _requests: int = 0
    _allowed: int = LEAST_REQUESTS
    _nameless: int = 0

    def gather(self, span: Span) -> Gathered:
        """Return all entries of some days.

        What fails or takes too long after the first way through all pages loses nothing that is
        there: it is said, and the answer is not whole.

        Raises
        ------
        Failure
            If a page of the first way cannot be had, the deadline passes on it, or more entries
            match than there can be.
        """
        first = self._walk(span)
        waiting = deque([(span, first)])
        faults, lost = list[str](), list[Span]()
        try:
            self._complete(first, waiting, lost)
        except Failure as failure:
            faults.append(f"it did not come to an end: {failure.found}")
            lost += [part for part, walk in waiting if not walk.is_sound]
        is_whole = not lost or self._has_all(first)
        faults += self._faults(first, [] if is_whole else lost)
        n_matched = first.counts[-1] if first.counts else None
        return Gathered(tuple(self._entries.values()), n_matched, tuple(faults), is_whole)

    def _complete(self, first: _Walk, waiting: deque[tuple[Span, _Walk]], lost: list[Span]) -> None:
        """Search parts of the days again until as much is there as was counted."""
        while waiting and not self._has_all(first):
            part, walk = waiting[0]
            if walk.is_sound:
                pass
            elif self._requests >= self._allowed:
                lost.append(part)
            elif halves := part.halves():
                waiting.extend([(half, self._walk(half)) for half in halves])
            elif not self._comes_again(part, walk):
                lost.append(part)
            waiting.popleft()

    def _comes_again(self, day: Span, before: _Walk) -> bool:
        """Search a day again; return whether both times together give what is counted."""
        again = self._walk(day)
        return again.is_sound or len(before.ids | again.ids) >= max([1, *again.counts])

    def _has_all(self, first: _Walk) -> bool:
        """Return whether as many entries are there as all pages of the first walk counted."""
        return len({*first.counts}) == 1 and len(self._entries) == first.counts[0]

    def _walk(self, span: Span) -> _Walk:
        walk, place = _Walk(), Place()
        while True:
            page = self._request(span, place)
            fresh = self._take(page, walk)
            if walk.ends(page, place, fresh):
                return walk
            place = Place(place.number + 1, place.received + len(page.entries), page.token)

    def _request(self, span: Span, place: Place) -> Page:
        if self.deadline.left_s <= 0:
            text = f"the search did not end in time, after {counted(self._requests, 'page')}"
            raise Failure("E-FETCH-CATALOGUE", text, self.url, is_passing=True)
        self._requests += 1
        page = self.page_of(span, place)
        if page.n_matched is not None and page.n_matched > MAX_MATCHED:
            text = (
                f"the catalogue says that {page.n_matched} entries match, which cannot be for a "
                "tile and a season"
            )
            raise Failure("E-FETCH-CATALOGUE", text, self.url)
        if self._requests > max(self._allowed, MAX_MATCHED // max(1, len(page.entries))):
            text = f"the pages do not end: {self._requests} were requested"
            raise Failure("E-FETCH-CATALOGUE", text, self.url)
        return page

    def _take(self, page: Page, walk: _Walk) -> int:
        """Keep the entries of a page; return how many of them the walk did not have."""
        before = len(walk.ids)
        if page.n_matched is not None:
            walk.counts.append(page.n_matched)
        if walk.counts and page.entries and not walk.most_pages:
            walk.most_pages = -(-walk.counts[-1] // len(page.entries)) + _EXTRA_PAGES
            self._allowed = max(self._allowed, REQUESTS_PER_PAGE * walk.most_pages)
        for entry in page.entries:
            identifier = self.identifier_of(entry)
            if identifier is None:
                self._nameless += 1
                continue
            walk.repeated += identifier in walk.ids
            walk.ids.add(identifier)
            self._entries[identifier] = entry
        return len(walk.ids) - before

    def _faults(self, first: _Walk, lost: list[Span]) -> list[str]:
        faults = []
        if first.repeated:
            faults.append(f"the catalogue repeated {counted(first.repeated, 'entry', 'entries')}")
        if len(set(first.counts)) > 1:
            faults.append(f"it counted {first.counts[0]} entries, then {first.counts[-1]}")
        if first.goes_round:
            faults.append("its links to next pages go round")
        if first.counts and len(first.ids) != first.counts[-1]:
            faults.append(f"it counted {first.counts[-1]} and gave {len(first.ids)} page by page")
        if self._nameless:
            faults.append(f"{counted(self._nameless, 'entry', 'entries')} without an identifier")
        if lost:
            days = ", ".join(f"{one.first} to {one.last}" for one in lost[:3])
            faults.append(f"entries are missing that it counts, of {days}")
        return faults
