"""GEODES, the portal of CNES: Theia's products of Sentinel-2.

Its STAC is an early one: pages are numbered and its links to next pages lie, ``datetime`` is the
day of publication, and size, checksum and whether a product is on tape stand in the description of
an asset alone. Compared with a recorded answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.stac.fields import (
    as_finite,
    as_mapping,
    as_moment,
    as_objects,
    as_text,
)
from oso_pipeline.retrieval.catalogues.boxes import box_of
from oso_pipeline.retrieval.catalogues.entries import (
    features_of,
    geometry_of,
    identifier_of,
    misfit,
    multihash,
    n_matched_of,
    size_of,
)
from oso_pipeline.retrieval.catalogues.paged import Asks, Search
from oso_pipeline.retrieval.catalogues.paging import Entry, Page, Place, Span
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.names import Named, is_known, named, named_elsewhere
from oso_pipeline.retrieval.offers import Need, Offer, RemoteFile
from oso_pipeline.retrieval.provider_table import Provider

_SIZE = re.compile(r"File size:\s*(\d+)\s*bytes", re.IGNORECASE)
_ONLINE = re.compile(r"Is online:\s*(true|false)", re.IGNORECASE)
_MD5 = re.compile(r"Checksum MD5:\s*([0-9a-f]{32})", re.IGNORECASE)
_COLLECTIONS = 500


@dataclass(frozen=True)
class Geodes:
    """The protocol of GEODES.

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

    def page(self, search: Search, span: Span, place: Place) -> Page:
        """Request a page by its number; links to next pages are not followed.

        An acquisition has a begin and an end, which a synthesis has weeks apart: what overlaps the
        days is searched for.
        """
        url = f"{self.provider.address}/search"
        tile = search.need.tile
        is_by_tile = is_known(search.need.family)
        body: dict[str, Any] = {
            "page": place.number,
            "limit": self.provider.limits.page,
            "collections": [search.collection.id],
            **({} if is_by_tile else {"bbox": list(box_of(tile))}),
            "query": {
                **({"grid:code": {"eq": f"T{tile}"}} if is_by_tile else {}),
                "start_datetime": {"lte": f"{span.last}T23:59:59.999Z"},
                "end_datetime": {"gte": f"{span.first}T00:00:00.000Z"},
            },
            "sortBy": [{"field": "start_datetime", "direction": "asc"}],
        }
        answer = self.session.json(url, search.deadline, body)
        return Page(features_of(answer, url), n_matched_of(answer))

    def identifier(self, entry: Entry) -> str | None:
        """Return the URN of an entry; None where it has none."""
        return identifier_of(entry.get("id"))

    def offer(self, entry: Entry, search: Search) -> Offer | str:
        """Return the archive that an entry offers, or why it is none of the need."""
        properties = as_mapping(entry.get("properties"))
        found = _named(properties, search.need)
        if found is None:
            return f"with a name that is none of {search.need.family}"
        if reason := misfit(found, search.need):
            return reason
        archive = _archive_of(entry, found.product_id)
        if archive is None:
            return "without an archive"
        description = as_text(archive.get("description")) or ""
        online = _ONLINE.search(description)
        return Offer(
            self.name,
            search.need,
            found.product_id,
            found.acquired,
            found.observation,
            found.rank,
            "zip",
            (_file_of(archive, description, f"{found.product_id}.zip"),),
            entry=self.identifier(entry) or "",
            is_online=None if online is None else online[1].lower() == "true",
            cloud_percent=as_finite(properties.get("eo:cloud_cover")),
            endpoint=as_text(properties.get("endpoint_url")) or "",
            footprint=geometry_of(entry.get("geometry")),
        )

    def freshness(self, entry: Entry) -> tuple[Any, ...]:
        """Return what is greater for the newer of two entries of one product."""
        properties = as_mapping(entry.get("properties"))
        texts = (as_text(properties.get(key)) or "" for key in ("version", "datetime"))
        return (properties.get("latest") is True, *texts, self.identifier(entry) or "")

    def collections(self, deadline: Deadline) -> tuple[str, ...] | None:
        """Return the identifiers of all collections."""
        url = f"{self.provider.address}/collections"
        answer = as_mapping(self.session.json(f"{url}?limit={_COLLECTIONS}", deadline))
        listed = as_objects(answer.get("collections"))
        return tuple(filter(None, (as_text(one.get("id")) for one in listed))) or None

    def is_available(self, offer: Offer, deadline: Deadline) -> bool | None:
        """Return whether a product is not on tape; the request brings it from there."""
        url = f"{self.provider.address}/availability"
        one = {"href": offer.files[0].url, "endpointURL": offer.endpoint}
        answer = as_mapping(self.session.json(url, deadline, {"availability": [one]}))
        products = as_objects(answer.get("products"))
        stated = [
            file.get("available")
            for product in products
            for file in as_objects(product.get("files"))
        ]
        if not stated or not all(isinstance(value, bool) for value in stated):
            text = "the answer says of no file whether it is available"
            raise Failure("E-FETCH-CATALOGUE", text, url, is_passing=True)
        return all(stated)


def _named(properties: Mapping[str, Any], need: Need) -> Named | None:
    name = as_text(properties.get("identifier")) or ""
    if is_known(need.family):
        return named(need.family, name)
    return named_elsewhere(need, name, as_moment(properties.get("start_datetime")))


def _archive_of(entry: Entry, product_id: str) -> Mapping[str, Any] | None:
    """Return the asset that is the product; of several archives, that of its name."""
    assets = as_mapping(entry.get("assets"))
    archives = {
        str(key): asset
        for key, one in assets.items()
        if (asset := as_mapping(one))
        and as_text(asset.get("href"))
        and _is_archive(str(key), asset)
    }
    own = (asset for key, asset in archives.items() if key.startswith(product_id))
    return next(own, next(iter(archives.values()), None))


def _is_archive(key: str, asset: Mapping[str, Any]) -> bool:
    return key.lower().endswith(".zip") or as_text(asset.get("type")) == "application/zip"


def _file_of(archive: Mapping[str, Any], description: str, name: str) -> RemoteFile:
    size, md5 = _SIZE.search(description), _MD5.search(description)
    return RemoteFile(
        name,
        str(archive["href"]),
        size_of(int(size[1][:18])) if size else size_of(archive.get("file:size")),
        multihash("MD5", md5[1] if md5 else None)
        or (as_text(archive.get("file:checksum")) or "").lower()
        or None,
    )
