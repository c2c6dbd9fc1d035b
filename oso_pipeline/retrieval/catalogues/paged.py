"""A catalogue that answers in pages, whatever protocol it speaks: from a need to its offers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol

from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.catalogues.paging import Entry, Gathered, Gathering, Page, Place, Span
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import Answered, Need, Offer
from oso_pipeline.retrieval.provider_table import Collection, Provider

_REFUSED = (400, 404, 422)
"""Statuses with which catalogues answer a search in a collection that they do not have."""

_SHOWN = 12


class Asks(Protocol):
    """What a catalogue uses of a session."""

    def json(self, url: str, deadline: Deadline, body: Mapping[str, Any] | None = None) -> Any:
        """Return the answer to a request; with a body, it is sent by POST."""
        ...


@dataclass(frozen=True)
class Search:
    """A search in one collection.

    Parameters
    ----------
    need
        What is searched for.
    collection
        The collection.
    deadline
        Until when it may take.
    """

    need: Need
    collection: Collection
    deadline: Deadline


class Dialect(Protocol):
    """What one protocol does in its own way."""

    def page(self, search: Search, span: Span, place: Place) -> Page:
        """Request a page.

        Raises
        ------
        Failure
            If it cannot be had.
        """
        ...

    def identifier(self, entry: Entry) -> str | None:
        """Return the identifier of an entry; None where it has none."""
        ...

    def offer(self, entry: Entry, search: Search) -> Offer | str:
        """Return what an entry offers, or why it is none of the need, for `Answered.faults`."""
        ...

    def freshness(self, entry: Entry) -> tuple[Any, ...]:
        """Return what is greater for the newer of two entries of one product."""
        ...

    def collections(self, deadline: Deadline) -> tuple[str, ...] | None:
        """Return the identifiers of all collections; None where the catalogue has no such list.

        Raises
        ------
        Failure
            If it does not answer.
        """
        ...

    def is_available(self, offer: Offer, deadline: Deadline) -> bool | None:
        """Return what `Catalogue.is_available` does."""
        ...


@dataclass
class PagedCatalogue:
    """A catalogue that answers in pages.

    Parameters
    ----------
    name, provider
        The provider and its name in the table.
    dialect
        Its protocol.
    """

    name: str
    provider: Provider
    dialect: Dialect
    _known: dict[str, bool] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def search(self, need: Need, deadline: Deadline) -> Answered:
        """Return all products of a need, each once, the newest entry of it.

        Raises
        ------
        Failure
            If the catalogue does not answer whole before the deadline, or refuses;
            ``E-FETCH-COLLECTION`` where it has no such collection.
        """
        collection = self.provider.collections.get(need.family)
        if collection is None:
            text = f"{self.name} has no collection for products of the kind {need.family}"
            raise Failure("E-FETCH-COLLECTION", text, self.provider.address)
        deadline = deadline.sooner(self.provider.limits.search_s)
        search = Search(need, collection, deadline)
        gathered = self._gathered(search)
        if not gathered.entries:
            self._require_collection(search)
        entries = sorted(gathered.entries, key=self.dialect.freshness)
        read = [self.dialect.offer(entry, search) for entry in entries]
        offers = _newest(one for one in read if isinstance(one, Offer))
        faults = (*gathered.faults, *_counted(one for one in read if isinstance(one, str)))
        return Answered(offers, gathered.n_matched, faults, is_whole=gathered.is_whole)

    def is_available(self, offer: Offer, deadline: Deadline) -> bool | None:
        """Return whether a product can be downloaded now; asking may bring it from tape.

        Raises
        ------
        Failure
            If the provider does not answer.
        """
        return self.dialect.is_available(offer, deadline)

    def _gathered(self, search: Search) -> Gathered:
        gathering = Gathering(
            lambda span, place: self.dialect.page(search, span, place),
            self.dialect.identifier,
            search.deadline,
            self.provider.address,
        )
        try:
            return gathering.gather(Span(search.need.first, search.need.last))
        except Failure as failure:
            if failure.status in _REFUSED:
                self._require_collection(search, failure)
            raise

    def _require_collection(self, search: Search, refusal: Failure | None = None) -> None:
        """Raise where the catalogue does not list the collection, or has no list and refuses."""
        wanted = search.collection.id
        with self._lock:
            if self._known.get(wanted):
                return
        try:
            listed = self.dialect.collections(search.deadline)
        except Failure:
            return  # what the search itself met is said instead
        if listed is not None and wanted in listed:
            with self._lock:
                self._known[wanted] = True
        elif listed is not None:
            text = f"{self.name} has no collection {wanted} any more; {_shown(wanted, listed)}"
            raise Failure("E-FETCH-COLLECTION", text, self.provider.address)
        elif refusal is not None:
            text = f"{self.name} refuses a search in its collection {wanted}: {refusal.found}"
            raise Failure("E-FETCH-COLLECTION", text, refusal.url, status=refusal.status)


def _newest(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """Return one offer of each product, in the order of acquisition; the last of several."""
    by_product = {offer.product_id: offer for offer in offers}
    return tuple(sorted(by_product.values(), key=lambda one: (one.acquired, one.product_id)))


def _counted(reasons: Iterable[str]) -> list[str]:
    return [
        f"{counted(number, 'entry', 'entries')} {reason}"
        for reason, number in Counter(reasons).most_common()
    ]


def _shown(wanted: str, listed: tuple[str, ...]) -> str:
    """Return the collections as text, those with a similar name first."""
    alike = get_close_matches(wanted, listed, n=_SHOWN, cutoff=0.5)
    ordered = list(dict.fromkeys([*alike, *sorted(listed)]))
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return f"it has {', '.join(ordered[:_SHOWN])}{more}"
