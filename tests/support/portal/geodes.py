"""The door that speaks as GEODES does: STAC with oddities, tapes, keys in a header."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any

from support.portal.door import Door
from support.portal.exchange import Ask, Reply, answer
from support.portal.faults import Fault
from support.portal.products import Product, bounds, ring

COLLECTIONS = {
    "muscate": "THEIA_REFLECTANCE_SENTINEL2_L2A",
    "l3a": "THEIA_REFLECTANCE_SENTINEL2_L3A",
}
_MAX_PAGE = 80
_DOWNLOAD = re.compile(r"^/api/download/(?P<urn>[^/]+)/files/(?P<sum>[0-9a-f]{32})$")
_EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in (
        "product/v0.1.0", "processing/v1.2.0", "projection/v2.0.0", "sat/v1.1.0",
        "scientific/v1.0.0", "sar/v1.1.0", "eo/v2.0.0", "sentinel-2/v1.0.0", "view/v1.0.0",
        "grid/v1.1.0", "raster/v2.0.0",
    )
]  # fmt: skip


class Geodes(Door):
    """GEODES of CNES, with the products of Theia."""

    protocol = "geodes"

    def table(self) -> dict[str, Any]:
        """Return its entry in the table of providers."""
        return {
            "protocol": "geodes",
            "address": f"{self.root}/api/stac",
            "hosts": ["127.0.0.1", "localhost"],
            "key_hosts": ["127.0.0.1", "localhost"],
            "collections": {family: {"id": name} for family, name in COLLECTIONS.items()},
            "key": {"kind": "header", "header": "X-API-Key", "variable": "GEODES_API_KEY"},
        }

    def route(self, ask: Ask) -> Reply:
        """Return the faithful reply to a request."""
        path = ask.path.removeprefix("/api/stac")
        if match := _DOWNLOAD.match(ask.path):
            return self._download(ask, match["urn"])
        if path == "/search":
            return self._search(ask)
        if path == "/collections":
            names = [] if self.is_renamed() else list(COLLECTIONS.values())
            listed = [{"id": name, "type": "Collection"} for name in (*names, "PEPS_S2_L1C")]
            return answer({"collections": listed, "links": []})
        if path in ("/fastavailability", "/availability"):
            return self._availability(ask)
        return answer({"message": "Not Found"}, 404)

    def urn(self, product: Product) -> str:
        """Return the identifier of an entry; it changes with the version."""
        number = uuid.UUID(product.key)
        return f"URN:FEATURE:DATA:gdh:{number}:V{product.version}"

    def _search(self, ask: Ask) -> Reply:
        body = ask.json
        limit = min(int(body.get("limit", 10)), _MAX_PAGE)
        number = int(body.get("page", 1))
        names = body.get("collections") or list(COLLECTIONS.values())
        if isinstance(names, str):
            names = names.split(",")
        unknown = [one for one in names if one not in COLLECTIONS.values()]
        if unknown or self.is_renamed():
            return answer({"message": f"unknown collection {unknown or names}"}, 400)
        families = {family for family, name in COLLECTIONS.items() if name in names}
        chosen = _Query(body.get("query") or {})
        found = self.found(lambda one: one.family in families and chosen.holds(one), chosen.tile)
        items, matched, instead = self.paged(found, (number - 1) * limit, limit)
        if instead is not None:
            return instead
        here = f"{self.root}/api/stac/collections/{names[0]}/items"
        links = [_link(f"{here}?limit={limit}&page={number}", "self", "this search page")]
        if number * limit < matched:
            text = f"{here}?limit={limit * 2}&page={number + 1}"  # as recorded: another limit
            links.append(_link(text, "next", "next search page"))
        return answer(
            {
                "stac_version": "1.0.0-beta.1",
                "stac_extensions": [],
                "type": "FeatureCollection",
                "features": [self.item(one) for one in items],
                "links": links,
                "context": {"returned": len(items), "limit": limit, "matched": matched},
            },
            kind="application/geo+json",
        )

    def item(self, product: Product) -> dict[str, Any]:
        """Return the entry of a product."""
        urn, name = self.urn(product), product.name
        root = f"{self.root}/api/stac"
        collection = COLLECTIONS[product.family]
        return {
            "stac_version": "1.0.0-beta.2",
            "stac_extensions": _EXTENSIONS,
            "id": urn,
            "bbox": list(bounds(product.tile)),
            "geometry": {"coordinates": [ring(product.tile)], "type": "Polygon"},
            "centroid": {"lon": 1.15, "lat": 43.74},
            "type": "Feature",
            "collection": collection,
            "properties": self._properties(product, collection),
            "links": [
                _link(root, "root", "STAC gdh root"),
                _link(f"{root}/collections/{collection}", "collection", "Item collection"),
                _link(f"{root}/collections/{collection}/items/{urn}", "self", urn),
                _link("https://spdx.org/licenses/Apache-2.0.html", "license", "Apache License 2.0"),
            ],
            "assets": self._assets(product, urn, name),
        }

    def _properties(self, product: Product, collection: str) -> dict[str, Any]:
        start = _stamp(product.acquired)
        return {
            "grid:code": f"T{product.tile}",
            "product:type": "REFLECTANCE",
            "sar:instrument_mode": "INS-NOBS",
            "endpoint_url": f"https://s3.datalake.cnes.fr/muscate/{product.archive}",
            "proj:bbox": ",".join(map(str, bounds(product.tile))),
            "latest": True,
            "instrument": "MSI",
            "references": [
                {"url": "http://www.naturalearthdata.com/", "author": "Natural Earth",
                 "dataset": "Coastline", "license": "Free of Charge"},
            ],
            "sat:orbit_state": "Descending",
            "identifier": product.name,
            "keywords": ["location:northern", "season:spring"],
            "sat:relative_orbit": 51,
            "product:timeliness": "Nominal",
            "area": 11989.5004,
            "s2:datatake_id": f"GS2A_{product.acquired:%Y%m%dT%H%M%S}_013276_N02.06",
            "processing:version": "04.00",
            "endpoint_description": "Link to product in datalake",
            "platform": "S2A",
            "sat:absolute_orbit": 13276,
            "dataset": collection,
            "version": f"0{product.version}.00",
            "continent_code": ["EU"],
            "start_datetime": start,
            "datetime": "2025-04-03T09:00:26.809Z",
            "processing:level": "L2A",
            "eo:cloud_cover": 12.5,
            "sci:doi": "[]",
            "political": {"continents": []},
            "end_datetime": start,
        }  # fmt: skip

    def _assets(self, product: Product, urn: str, name: str) -> dict[str, Any]:
        md5 = self.stated_md5(product)
        size = self.store.sums(product)[0]
        quicklook = f"{product.acquired:%Y/%m/%d}/S2A/{name}_quicklook.jpg"
        look = "1003ae6b1edf05adf7c46cb759ffeaec"

        def asset(title: str, href: str, size: int, md5: str, online: bool, kind: str) -> Any:
            data = "RAWDATA" if title.endswith("zip") else "QUICKLOOK_SD"
            return {
                "href": href,
                "title": title,
                "description": f"File size: {size} bytes\n\nIs reference: false\n\nIs online: "
                f"{str(online).lower()}\n\nDatatype: {data}\n\nChecksum MD5: {md5}",
                "type": kind,
                "roles": ["data" if data == "RAWDATA" else "overview"],
            }

        looks = f"{self.root}/api/quicklook/{urn}/files/{look}?scope=gdh"
        file = f"{self.root}/api/download/{urn}/files/{md5}"
        online = self.says_online(product)
        return {
            quicklook: asset(quicklook, looks, 18684, look, True, "image/jpeg"),
            product.archive: asset(product.archive, file, size, md5, online, "application/zip"),
        }

    def _of_urn(self, urn: str) -> Product | None:
        with self._lock:
            return next((one for one in self.products if self.urn(one) == urn), None)

    def _availability(self, ask: Ask) -> Reply:
        listed = []
        for one in ask.json.get("availability", []):
            match = _DOWNLOAD.search(
                str(one.get("href", "")).partition("/api/")[2].join(("/api/", ""))
            )
            product = self._of_urn(match["urn"]) if match else None
            if match is None or product is None:
                continue
            offline = self.fault_of(product) is Fault.TAPE_NEVER  # of others it thinks it has them
            listed.append(
                {
                    "id": match["urn"],
                    "files": [{"checksum": match["sum"], "available": not offline}],
                }
            )
        return answer({"products": listed})

    def _download(self, ask: Ask, urn: str) -> Reply:
        if ask.headers.get("x-api-key") != self.key:
            return answer({"message": "Unauthorized"}, 401)
        product = self._of_urn(urn)
        if product is None:
            return answer({"message": "Not Found"}, 404)
        return self.download(ask, product)


class _Query:
    """The part of a search body that chooses."""

    def __init__(self, query: dict[str, Any]) -> None:
        self._query = query

    @property
    def tile(self) -> str | None:
        """The tile, where one is asked for."""
        wanted = self._query.get("grid:code", {}).get("eq")
        return None if wanted is None else str(wanted).removeprefix("T")

    def holds(self, product: Product) -> bool:
        """Return whether a product fits."""
        stamp = _stamp(product.acquired)
        values: dict[str, Any] = {
            "grid:code": f"T{product.tile}", "start_datetime": stamp, "end_datetime": stamp,
            "eo:cloud_cover": 12.5, "platform": "S2A", "identifier": product.name,
            "latest": True, "datetime": "2025-04-03T09:00:26.809Z",
        }  # fmt: skip
        return all(
            _compared(values.get(name), operator, wanted)
            for name, tests in self._query.items()
            for operator, wanted in tests.items()
        )


def _compared(value: Any, operator: str, wanted: Any) -> bool:
    if isinstance(value, str) and isinstance(wanted, str) and operator in ("lte", "gte"):
        value, wanted = _moment(value), _moment(wanted)
    match operator:
        case "eq":
            return bool(value == wanted)
        case "neq":
            return bool(value != wanted)
        case "in":
            return value in wanted
        case "contains":
            return str(wanted) in str(value)
        case "lte":
            return bool(value <= wanted)
        case "gte":
            return bool(value >= wanted)
    return False


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _link(href: str, rel: str, title: str) -> dict[str, str]:
    kind = "application/html" if rel == "license" else "application/json"
    if rel == "self" and title.startswith("URN"):
        kind = "application/geo+json"
    return {"href": href, "rel": rel, "type": kind, "title": title}
