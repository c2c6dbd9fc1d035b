"""Doors that speak STAC: earth-search, Planetary Computer, and Theia with its signing server."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from support.portal.door import Door
from support.portal.exchange import Ask, Reply, answer, page
from support.portal.odata import Tokens
from support.portal.products import ASSETS, BANDS_10M, Product, bounds, ring

_FILE = re.compile(r"^/files/(?P<name>[^/]+)/(?P<file>[^/]+)$")
_DENIED = "<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code></Error>"
_BANDS = dict(zip(("B02", "B03", "B04", "B08"), BANDS_10M, strict=True))


class Stac(Door):
    """A STAC API with keyset tokens, as earth-search has them."""

    protocol = "earth-search"
    collection = "sentinel-2-c1-l2a"
    prefix = "/v1"
    token_name = "next"
    counts = True

    def table(self) -> dict[str, Any]:
        """Return its entry in the table of providers."""
        return {
            "protocol": "stac",
            "address": f"{self.root}{self.prefix}",
            "hosts": ["127.0.0.1", "localhost"],
            "key_hosts": ["127.0.0.1", "localhost"],
            "collections": {"stac": {"id": self.collection}},
        }

    def route(self, ask: Ask) -> Reply:
        """Return the faithful reply to a request."""
        path = ask.path.removeprefix(self.prefix)
        if match := _FILE.match(ask.path):
            return self._file(ask, match["name"], match["file"])
        if path == "/search":
            return self._search(ask)
        if path == f"/collections/{self.collection}/items":
            return self._search(ask)
        if path == "/collections":
            names = ["landsat-c2-l2", *([] if self.is_renamed() else [self.collection])]
            listed = [{"id": name, "type": "Collection"} for name in names]
            return answer({"collections": listed, "links": []})
        return answer({"code": "NotFound", "description": "Not Found"}, 404)

    # ------------------------------------------------------------------ searches

    def _search(self, ask: Ask) -> Reply:
        wanted = _Search(ask)
        if wanted.collections not in ([], [self.collection]) or self.is_renamed():
            text = f"collections {wanted.collections} do not exist"
            return answer({"code": "BadRequest", "description": text}, 400)
        found = self.found(lambda one: wanted.holds(self, one))
        start = self._start(found, wanted.token(self.token_name))
        items, matched, instead = self.paged(found, start, wanted.limit)
        if instead is not None:
            return instead
        return answer(self._page(ask, wanted, items, matched, start), kind="application/geo+json")

    def _start(self, found: list[Product], token: str) -> int:
        """Return the number of the first item after the one that a token names."""
        if not token:
            return 0
        stamp, name = token.removeprefix("next:").split(",")[:2]
        return sum((self._stamp(one), self.item_id(one)) <= (stamp, name) for one in found)

    def _page(
        self, ask: Ask, wanted: _Search, items: list[Product], matched: int, start: int
    ) -> dict[str, Any]:
        root = f"{self.root}{self.prefix}"
        links: list[dict[str, Any]] = [
            {"rel": "root", "type": "application/json", "href": root},
            {"rel": "self", "type": "application/geo+json", "href": f"{root}{ask.path}"},
            {"rel": "collection", "type": "application/json",
             "href": f"{root}/collections/{self.collection}"},
        ]  # fmt: skip
        if items and start + wanted.limit < matched:
            links.insert(0, self._next(ask, wanted, items[-1]))
        content: dict[str, Any] = {
            "type": "FeatureCollection", "stac_version": "1.0.0", "stac_extensions": [],
            "context": {"limit": wanted.limit, "matched": matched, "returned": len(items)},
            "numberMatched": matched, "numberReturned": len(items),
            "features": [self.item(one) for one in items], "links": links,
        }  # fmt: skip
        if not self.counts:
            for name in ("context", "numberMatched", "numberReturned", "stac_version"):
                content.pop(name)
        return content

    def _next(self, ask: Ask, wanted: _Search, last: Product) -> dict[str, Any]:
        token = f"{self._stamp(last)},{self.item_id(last)},{self.collection}"
        link = {
            "rel": "next", "title": "Next page of Items", "method": ask.method,
            "type": "application/geo+json",
        }  # fmt: skip
        if ask.method == "POST":
            body = {**ask.json, "limit": wanted.limit, self.token_name: token}
            return link | {"merge": False, "href": f"{self.root}{ask.path}", "body": body}
        query = {**ask.query, "limit": str(wanted.limit), self.token_name: token}
        joined = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        return link | {"href": f"{self.root}{ask.path}?{joined}"}

    # ------------------------------------------------------------------ items

    def item_id(self, product: Product) -> str:
        """Return the identifier of the item of a product."""
        return f"S2A_{product.tile}_{product.acquired:%Y%m%d}_{product.version - 1}_L2A"

    @staticmethod
    def _stamp(product: Product) -> str:
        return f"{product.acquired:%Y-%m-%dT%H:%M:%S}.918000Z"

    def item(self, product: Product) -> dict[str, Any]:
        """Return the item of a product."""
        identifier = self.item_id(product)
        root = f"{self.root}{self.prefix}"
        own = f"{root}/collections/{self.collection}"
        links = [
            {"rel": "self", "type": "application/geo+json", "href": f"{own}/items/{identifier}"},
            {"rel": "canonical", "type": "application/json", "href": f"s3://bucket/{identifier}"},
            {"rel": "license", "href": "https://sentinel.esa.int/legal"},
            {"rel": "parent", "type": "application/json", "href": own},
            {"rel": "collection", "type": "application/json", "href": own},
            {"rel": "root", "type": "application/json", "href": root},
            {"rel": "thumbnail", "href": f"{own}/items/{identifier}/thumbnail"},
        ]
        return {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": identifier,
            "properties": self.properties(product),
            "geometry": {"type": "Polygon", "coordinates": [ring(product.tile)]},
            "links": links,
            "assets": self.assets(product),
            "bbox": list(bounds(product.tile)),
            "stac_extensions": ["https://stac-extensions.github.io/grid/v1.0.0/schema.json"],
            "collection": self.collection,
        }

    def properties(self, product: Product) -> dict[str, Any]:
        """Return the properties of an item, as earth-search has them."""
        zone, band, square = product.tile[:2], product.tile[2], product.tile[3:]
        made = product.acquired + timedelta(hours=3)
        strip = f"{made:%Y%m%dT%H%M%S}_S{product.acquired:%Y%m%dT%H%M%S}_N05.10"
        return {
            "created": "2024-02-06T15:02:12.605Z", "platform": "sentinel-2a",
            "constellation": "sentinel-2", "instruments": ["msi"], "eo:cloud_cover": 12.5,
            "proj:epsg": 32600 + int(zone), "mgrs:utm_zone": int(zone),
            "mgrs:latitude_band": band, "mgrs:grid_square": square,
            "grid:code": f"MGRS-{product.tile}", "view:sun_azimuth": 175.2,
            "view:sun_elevation": 40.5, "s2:degraded_msi_data_percentage": 0,
            "s2:product_type": "S2MSI2A", "s2:processing_baseline": f"05.{product.version + 9:02d}",
            "s2:product_uri": f"{product.name}.SAFE",
            "s2:generation_time": f"{made:%Y-%m-%dT%H:%M:%S}.000000Z",
            "s2:datatake_id": f"GS2A_{product.acquired:%Y%m%dT%H%M%S}_013276_N05.10",
            "s2:datatake_type": "INS-NOBS",
            "s2:datastrip_id": f"S2A_OPER_MSI_L2A_DS_2BPS_{strip}",
            "s2:granule_id": f"S2A_OPER_MSI_L2A_TL_2BPS_A013276_T{product.tile}_N05.10",
            "s2:reflectance_conversion_factor": 1.03, "datetime": self._stamp(product),
            "s2:sequence": str(product.version - 1),
            "earthsearch:payload_id": f"roda-sentinel2/workflow/{product.key}",
            "processing:software": {"sentinel2-to-stac": "0.1.1"},
            "updated": "2024-02-06T15:02:12.605Z",
        }  # fmt: skip

    def assets(self, product: Product) -> dict[str, Any]:
        """Return the assets of an item."""
        return {key: self._asset(product, key) for key in product.bands}

    def _asset(self, product: Product, key: str) -> dict[str, Any]:
        code = ASSETS[key]
        step = 10 if code in _BANDS else 20
        asset: dict[str, Any] = {
            "href": f"{self.root}/files/{self.item_id(product)}/{code}.tif",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "title": f"{key} - {step}m",
            "gsd": step,
            "proj:shape": [109800 // step, 109800 // step],
            "proj:transform": [step, 0, 300000, 0, -step, 4900020],
            "roles": ["data", "reflectance"],
            "file:size": self.store.sums(product, key)[0],
            "file:checksum": f"1220{self.stated_sha256(product, key)}",
        }
        if key == "scl":
            return asset | {"raster:bands": [{"nodata": 0, "data_type": "uint8"}]}
        return asset | {
            "eo:bands": [{"name": key, "common_name": key, "description": key,
                          "center_wavelength": 0.49, "full_width_half_max": 0.098}],
            "raster:bands": [{"nodata": 0, "data_type": "uint16", "bits_per_sample": 15,
                              "spatial_resolution": step, "scale": 0.0001, "offset": -0.1}],
        }  # fmt: skip

    # ------------------------------------------------------------------ files

    def _file(self, ask: Ask, name: str, file: str) -> Reply:
        if (refusal := self.refusal(ask)) is not None:
            return refusal
        with self._lock:
            product = next((one for one in self.products if self.item_id(one) == name), None)
        if product is None:
            return answer({"message": "Not Found"}, 404)
        if file == product.archive:
            return self.download(ask, product)
        key = next((key for key, code in ASSETS.items() if f"{code}.tif" == file), None)
        if key is None or product.family != "stac":
            return answer({"message": "Not Found"}, 404)
        return self.download(ask, product, key)

    def refusal(self, ask: Ask) -> Reply | None:
        """Return the refusal of a request without a key; None where it is good."""
        return None


class Planetary(Stac):
    """Planetary Computer: no counts, no checksums, addresses signed by a token that expires."""

    protocol = "planetary"
    collection = "sentinel-2-l2a"
    prefix = "/api/stac/v1"
    token_name = "token"
    counts = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tokens = Tokens()
        self.token_s = 2700.0

    def table(self) -> dict[str, Any]:
        """Return its entry in the table of providers."""
        url = f"{self.root}/api/sas/v1/token/{{collection}}"
        return super().table() | {"key": {"kind": "signing", "url": url}}

    def route(self, ask: Ask) -> Reply:
        """Return the faithful reply to a request."""
        if ask.path == f"/api/sas/v1/token/{self.collection}":
            ends = datetime.now(UTC) + timedelta(seconds=self.token_s)
            signature = self.tokens.new("sas", self.token_s)
            token = f"st=2018-01-01T00%3A00%3A00Z&sp=rl&sig={signature}"
            return answer({"msft:expiry": f"{ends:%Y-%m-%dT%H:%M:%SZ}", "token": token})
        return super().route(ask)

    def item_id(self, product: Product) -> str:
        """Return the identifier: the name of the product without its baseline."""
        return re.sub(r"_N\d{4}", "", product.name)

    def properties(self, product: Product) -> dict[str, Any]:
        """Return the properties of an item: those of the Planetary Computer."""
        ours = {
            name: value
            for name, value in super().properties(product).items()
            if not name.startswith(("mgrs:", "earthsearch:", "grid:", "view:", "processing:"))
        }
        return ours | {
            "platform": "Sentinel-2A", "s2:mgrs_tile": product.tile,
            "s2:mean_solar_zenith": 49.5, "sat:relative_orbit": 51,
        }  # fmt: skip

    def assets(self, product: Product) -> dict[str, Any]:
        """Return the assets under their codes, without sums and scales."""
        return {
            ASSETS[key]: {
                name: value
                for name, value in asset.items()
                if not name.startswith(("file:", "raster:"))
            }
            for key, asset in super().assets(product).items()
        }

    def refusal(self, ask: Ask) -> Reply | None:
        """Refuse what is not signed, or no longer."""
        if self.tokens.lives(ask.query.get("sig", "")):
            return None
        return page(_DENIED, 403, "application/xml")

    def expire(self) -> Reply:
        """End the tokens of the client before their time."""
        self.tokens.end("sas")
        return page(_DENIED, 403, "application/xml")


class Theia(Stac):
    """The STAC of Theia, with archives of MUSCATE that a server signs one by one."""

    protocol = "theia"
    collection = "sentinel2-l2a-theia"
    prefix = ""
    token_name = "next"

    def table(self) -> dict[str, Any]:
        """Return its entry in the table of providers."""
        headers = {"access-key": "THEIA_ACCESS_KEY", "secret-key": "THEIA_SECRET_KEY"}
        key = {"kind": "signing", "url": f"{self.root}/sign?url={{url}}", "headers": headers}
        listed = {"muscate": {"id": self.collection}}
        return super().table() | {"collections": listed, "key": key}

    def route(self, ask: Ask) -> Reply:
        """Return the faithful reply to a request."""
        if ask.path == "/sign":
            keys = (ask.headers.get("access-key"), ask.headers.get("secret-key"))
            if keys != ("access-of-the-test", "secret-of-the-test"):
                return answer({"detail": "Unauthorized"}, 401)
            url = ask.query.get("url", "")
            return answer({"href": f"{url}?X-Amz-Signature={_signature(urlsplit(url).path)}"})
        return super().route(ask)

    def item_id(self, product: Product) -> str:
        """Return the identifier: the name of the product."""
        return product.name

    def properties(self, product: Product) -> dict[str, Any]:
        """Return the properties of an item."""
        return {
            "datetime": self._stamp(product), "start_datetime": self._stamp(product),
            "end_datetime": self._stamp(product), "platform": "sentinel-2a",
            "grid:code": f"MGRS-{product.tile}", "eo:cloud_cover": 12.5,
            "version": str(product.version), "processing:level": "L2A",
            "sat:relative_orbit": 51,
        }  # fmt: skip

    def assets(self, product: Product) -> dict[str, Any]:
        """Return the archive as an asset."""
        asset = {
            "href": f"{self.root}/files/{product.name}/{product.archive}",
            "type": "application/zip", "title": product.archive, "roles": ["data"],
            "file:size": self.store.sums(product)[0],
            "file:checksum": f"d50110{self.stated_md5(product)}",
        }  # fmt: skip
        return {"archive": asset}

    def refusal(self, ask: Ask) -> Reply | None:
        """Refuse what is not signed."""
        good = ask.query.get("X-Amz-Signature") == _signature(ask.path)
        return None if good else page(_DENIED, 403, "application/xml")

    def expire(self) -> Reply:
        """Refuse once, as after the end of a signature."""
        return page(_DENIED, 403, "application/xml")


def _signature(path: str) -> str:
    return hashlib.sha256(f"signed {path}".encode()).hexdigest()


class _Search:
    """What a search asks for, of GET or of POST."""

    def __init__(self, ask: Ask) -> None:
        content = ask.json
        self._content = content
        self.limit = max(1, min(int(content.get("limit", 10)), 1000))
        names = content.get("collections") or []
        self.collections = names.split(",") if isinstance(names, str) else list(names)
        for name in ("query", "filter", "intersects"):
            if isinstance(content.get(name), str) and content[name].startswith("{"):
                content[name] = json.loads(content[name])
        box = content.get("bbox")
        self._box = [float(one) for one in (box.split(",") if isinstance(box, str) else box or ())]
        if not self._box and content.get("intersects"):
            flat = _points(content["intersects"].get("coordinates", []))
            self._box = [*map(min, zip(*flat, strict=True)), *map(max, zip(*flat, strict=True))]
        first, _, last = str(content.get("datetime") or "..").partition("/")
        self._first, self._last = _moment(first), _moment(last or first)

    def token(self, name: str) -> str:
        """Return the token that leads to the page."""
        return str(self._content.get(name) or "")

    def holds(self, door: Stac, product: Product) -> bool:
        """Return whether a product fits."""
        if self._first and product.acquired < self._first:
            return False
        if self._last and product.acquired > self._last:
            return False
        if self._box:
            west, south, east, north = bounds(product.tile)
            a, b, c, d = self._box[:4]
            if a > east or c < west or b > north or d < south:
                return False
        values = door.properties(product)
        query = self._content.get("query") or {}
        fits = all(
            _compared(values.get(name), operator, wanted)
            for name, tests in query.items()
            for operator, wanted in tests.items()
        )
        return fits and _fits(self._content.get("filter"), values)


def _points(value: Any) -> list[tuple[float, float]]:
    if value and isinstance(value[0], int | float):
        return [(float(value[0]), float(value[1]))]
    return [point for one in value for point in _points(one)]


def _moment(text: str) -> datetime | None:
    if text in ("..", ""):
        return None
    moment = datetime.fromisoformat(text)
    if len(text) == 10 and moment.tzinfo is None:
        moment = moment.replace(hour=0)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _compared(value: Any, operator: str, wanted: Any) -> bool:
    if value is None:
        return False
    tests = {
        "eq": lambda: value == wanted, "neq": lambda: value != wanted,
        "lte": lambda: value <= wanted, "gte": lambda: value >= wanted,
        "lt": lambda: value < wanted, "gt": lambda: value > wanted,
        "in": lambda: value in wanted,
    }  # fmt: skip
    return bool(tests[operator]())


_OPERATORS = {"=": "eq", "<>": "neq", "<=": "lte", ">=": "gte", "<": "lt", ">": "gt"}


def _fits(term: Any, values: dict[str, Any]) -> bool:
    """Return whether values fit a filter in CQL2 JSON, of those that are used here."""
    if not isinstance(term, dict):
        return True
    operator, args = term["op"], term["args"]
    if operator == "and":
        return all(_fits(one, values) for one in args)
    if operator not in _OPERATORS:
        return True
    return _compared(values.get(args[0]["property"]), _OPERATORS[operator], args[1])
