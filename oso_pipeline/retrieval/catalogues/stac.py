"""STAC catalogues: earth-search, Planetary Computer, Copernicus Data Space, and others alike.

What they share is the search by POST. They differ in how a next page is named: by a token in the
body or in the address of a link, whose name differs too. The token is taken from the link and sent
with our own search, to our own address. Answers of earth-search were compared with a recorded one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.stac.fields import as_mapping, as_objects, as_text
from oso_pipeline.retrieval.catalogues.boxes import box_of
from oso_pipeline.retrieval.catalogues.entries import features_of, identifier_of, n_matched_of
from oso_pipeline.retrieval.catalogues.items import offer_of
from oso_pipeline.retrieval.catalogues.paged import Asks, Search
from oso_pipeline.retrieval.catalogues.paging import Entry, Page, Place, Span
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import Offer
from oso_pipeline.retrieval.provider_table import Provider

TOKENS = ("next", "token", "cursor", "after", "search_after", "page")
"""Names of what leads to the next page. Pages by number are counted here instead."""

_NO_QUERY = (400, 422, 501)
"""Statuses with which catalogues refuse a query that they do not understand."""


@dataclass(frozen=True)
class Stac:
    """The protocol of STAC catalogues.

    Parameters
    ----------
    name, provider
        The provider and its name in the table.
    session
        Sends the requests.
    """

    name: str
    provider: Provider
    session: Asks
    _without_query: set[str] = field(default_factory=set)

    def page(self, search: Search, span: Span, place: Place) -> Page:
        """Request a page by the token of the page before, or by its number.

        An acquisition is of the day on which the satellite began it; the time of an item is that of
        its tile, up to a quarter of an hour later.
        """
        url = f"{self.provider.address}/search"
        body: dict[str, Any] = {
            "collections": [search.collection.id],
            "datetime": f"{span.first}T00:00:00Z/{span.last + timedelta(days=1)}T00:20:00Z",
            "bbox": list(box_of(search.need.tile)),
            "limit": self.provider.limits.page,
        }
        body |= dict(place.token or {})
        query = _filled(search.collection.query, search.need.tile)
        answer = self._answer(url, search, body, query)
        entries = features_of(answer, url)
        token = _token_of(as_mapping(answer), place)
        return Page(entries, n_matched_of(as_mapping(answer)), token, is_last=token is None)

    def _answer(
        self, url: str, search: Search, body: dict[str, Any], query: dict[str, dict[str, Any]]
    ) -> Any:
        """Search with a query where the catalogue takes one; the box of the tile says enough."""
        if not query or search.collection.id in self._without_query:
            return self.session.json(url, search.deadline, body)
        try:
            return self.session.json(url, search.deadline, {**body, "query": query})
        except Failure as failure:
            if failure.status not in _NO_QUERY:
                raise
        found = self.session.json(url, search.deadline, body)
        self._without_query.add(search.collection.id)
        return found

    def identifier(self, entry: Entry) -> str | None:
        """Return the identifier of an item; None where it has none."""
        return identifier_of(entry.get("id"))

    def offer(self, entry: Entry, search: Search) -> Offer | str:
        """Return the product that an item describes, or why it is none of the need."""
        return offer_of(entry, self.name, self.provider, search.need)

    def freshness(self, entry: Entry) -> tuple[Any, ...]:
        """Return what is greater for the newer of two items of one product."""
        properties = as_mapping(entry.get("properties"))
        texts = (as_text(properties.get(key)) or "" for key in ("updated", "published", "created"))
        return (*texts, self.identifier(entry) or "")

    def collections(self, deadline: Deadline) -> tuple[str, ...] | None:
        """Return the identifiers of the collections, unless their list is only begun."""
        answer = as_mapping(self.session.json(f"{self.provider.address}/collections", deadline))
        listed = as_objects(answer.get("collections"))
        if any(one.get("rel") == "next" for one in as_objects(answer.get("links"))):
            return None
        return tuple(filter(None, (as_text(one.get("id")) for one in listed))) or None

    def is_available(self, offer: Offer, deadline: Deadline) -> bool | None:
        """Return None: STAC has no such question."""
        return None


def _filled(query: Mapping[str, Mapping[str, Any]], tile: str) -> dict[str, dict[str, Any]]:
    return {
        name: {
            operator: value.replace("{tile}", tile) if isinstance(value, str) else value
            for operator, value in wanted.items()
        }
        for name, wanted in query.items()
    }


def _token_of(answer: Mapping[str, Any], place: Place) -> Mapping[str, Any] | None:
    """Return what leads to the next page, by the first link to it; None where this is the last.

    A number of a page is our own one: the links of some catalogues name another page.
    """
    for link in as_objects(answer.get("links")):
        if link.get("rel") != "next":
            continue
        body = as_mapping(link.get("body"))
        query = parse_qs(urlsplit(as_text(link.get("href")) or "").query)
        for name in TOKENS:
            value = body.get(name) or next(iter(query.get(name, ())), None)
            if value is not None:
                return {name: place.number + 1 if name == "page" else value}
        text = "the link to the next page has no token that is known"
        raise Failure("E-FETCH-CATALOGUE", text, as_text(link.get("href")) or "")
    return None
