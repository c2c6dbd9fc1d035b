"""The OData catalogue of the Copernicus Data Space.

Pages overlap unless they are ordered, and a page begins after so many entries. Its answers were
compared with a recorded one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from oso_pipeline.imagery.stac.fields import (
    as_finite,
    as_mapping,
    as_moment,
    as_objects,
    as_text,
    as_whole,
)
from oso_pipeline.retrieval.catalogues.boxes import box_of
from oso_pipeline.retrieval.catalogues.entries import (
    geometry_of,
    identifier_of,
    listed_in,
    misfit,
    multihash,
    size_of,
)
from oso_pipeline.retrieval.catalogues.paged import Asks, Search
from oso_pipeline.retrieval.catalogues.paging import Entry, Page, Place, Span
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.names import Named, is_known, named, named_elsewhere
from oso_pipeline.retrieval.offers import Form, Need, Offer, RemoteFile
from oso_pipeline.retrieval.provider_table import Provider, StoreKey

_TEXT = "Attributes/OData.CSC.StringAttribute/any"
_VALUE = "OData.CSC.StringAttribute/Value"


@dataclass(frozen=True)
class OData:
    """The protocol of the OData catalogue.

    Parameters
    ----------
    name, provider
        The provider and its name in the table; with keys of an object store, products come from
        there file by file, else as archives that are built on request.
    session
        Sends the requests.
    """

    name: str
    provider: Provider
    session: Asks

    def page(self, search: Search, span: Span, place: Place) -> Page:
        """Request a page by how many entries came before it; its links are not followed."""
        query = {
            "$filter": _filter(search, span),
            "$orderby": "ContentDate/Start asc",
            "$top": self.provider.limits.page,
            "$skip": place.received,
            "$count": "True",
            "$expand": "Attributes",
        }
        url = f"{self.provider.address}/Products"
        answer = self.session.json(f"{url}?{_encoded(query)}", search.deadline)
        content = as_mapping(answer)
        return Page(listed_in(answer, "value", url), as_whole(content.get("@odata.count")))

    def identifier(self, entry: Entry) -> str | None:
        """Return the identifier of an entry; None where it has none."""
        return identifier_of(entry.get("Id"))

    def offer(self, entry: Entry, search: Search) -> Offer | str:
        """Return the product that an entry offers, or why it is none of the need."""
        found = _named(entry, search.need)
        if found is None:
            return f"with a name that is none of {search.need.family}"
        if reason := misfit(found, search.need):
            return reason
        file, form = self._file(entry, found.product_id)
        if file is None:
            return "without a place in the store"
        online = entry.get("Online")
        return Offer(
            self.name,
            search.need,
            found.product_id,
            found.acquired,
            found.observation,
            found.rank,
            form,
            (file,),
            entry=self.identifier(entry) or "",
            is_online=online if isinstance(online, bool) else None,
            cloud_percent=as_finite(_attributes(entry).get("cloudCover")),
            footprint=geometry_of(entry.get("GeoFootprint")),
        )

    def freshness(self, entry: Entry) -> tuple[Any, ...]:
        """Return what is greater for the newer of two entries of one product."""
        texts = (as_text(entry.get(key)) or "" for key in ("PublicationDate", "ModificationDate"))
        return (entry.get("Online") is not False, *texts, self.identifier(entry) or "")

    def collections(self, deadline: Deadline) -> tuple[str, ...] | None:
        """Return None: this catalogue has no list of its collections."""
        return None

    def is_available(self, offer: Offer, deadline: Deadline) -> bool | None:
        """Return whether a product is not on tape by its entry."""
        url = f"{self.provider.address}/Products({quote(offer.entry)})"
        online = as_mapping(self.session.json(url, deadline)).get("Online")
        return online if isinstance(online, bool) else None

    def _file(self, entry: Entry, product_id: str) -> tuple[RemoteFile | None, Form]:
        """Return the product as one file, or as a folder of the store: its address ends in ``/``.

        The stated size is that of the product for some, and that of an archive for others.
        """
        size = size_of(entry.get("ContentLength"))
        if isinstance(self.provider.key, StoreKey):
            place = (as_text(entry.get("S3Path")) or "").strip("/")
            folder = RemoteFile(f"{product_id}.SAFE", f"s3://{place}/", size, is_size_a_hint=True)
            return (folder if place else None), "files"
        base = (self.provider.download or self.provider.address).rstrip("/")
        identifier = quote(self.identifier(entry) or "")
        url = f"{base}/Products({identifier})/$value"
        name = f"{product_id}.zip"
        return RemoteFile(name, url, size, _checksum_of(entry), is_size_a_hint=True), "zip"


def _filter(search: Search, span: Span) -> str:
    after = span.last + timedelta(days=1)
    bricks = [
        f"Collection/Name eq {_quoted(search.collection.id)}",
        f"ContentDate/Start ge {span.first}T00:00:00.000Z",
        f"ContentDate/Start lt {after}T00:00:00.000Z",
        _attribute("tileId", search.need.tile)
        if is_known(search.need.family)
        else _within(search.need.tile),
    ]
    if search.collection.product_type is not None:
        bricks.append(_attribute("productType", search.collection.product_type))
    return " and ".join(bricks)


def _within(tile: str) -> str:
    west, south, east, north = box_of(tile)
    corners = ((west, south), (east, south), (east, north), (west, north), (west, south))
    ring = ",".join(f"{x} {y}" for x, y in corners)
    return f"OData.CSC.Intersects(area=geography'SRID=4326;POLYGON(({ring}))')"


def _named(entry: Entry, need: Need) -> Named | None:
    name = as_text(entry.get("Name")) or ""
    if is_known(need.family):
        return named(need.family, name)
    begin = as_mapping(entry.get("ContentDate")).get("Start")
    return named_elsewhere(need, name, as_moment(begin))


def _attribute(name: str, value: str) -> str:
    return f"{_TEXT}(att:att/Name eq {_quoted(name)} and att/{_VALUE} eq {_quoted(value)})"


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _encoded(query: Mapping[str, Any]) -> str:
    return urlencode(query, safe="$/:,()", quote_via=quote)


def _attributes(entry: Entry) -> Mapping[str, Any]:
    return {str(one.get("Name")): one.get("Value") for one in as_objects(entry.get("Attributes"))}


def _checksum_of(entry: Entry) -> str | None:
    """Return the first checksum that is whole, MD5 before others; some products have none."""
    stated = sorted(
        as_objects(entry.get("Checksum")), key=lambda one: one.get("Algorithm") != "MD5"
    )
    sums = (multihash(as_text(one.get("Algorithm")) or "", one.get("Value")) for one in stated)
    return next(filter(None, sums), None)
