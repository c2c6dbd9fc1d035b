"""The door that speaks as the Copernicus Data Space does: OData, tokens, archives on the fly."""

from __future__ import annotations

import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote_plus

from support.portal.door import Door
from support.portal.exchange import Ask, Reply, answer
from support.portal.products import Product, ring

USER, PASSWORD = "somebody", "password-of-the-test"
_VALUE = re.compile(r"^/odata/v1/Products\(([0-9a-f-]{36})\)/\$value$")
_ENTRY = re.compile(r"^/odata/v1/Products\(([0-9a-f-]{36})\)$")
_TOKEN = "/auth/realms/CDSE/protocol/openid-connect/token"
_MAX_PAGE, _MAX_SESSIONS = 1000, 4
_COMPARED = re.compile(r"ContentDate/(?:Start|End) (ge|gt|le|lt|eq) ([0-9T:.Z-]+)")
_ATTRIBUTE = re.compile(
    r"att/Name eq '(\w+)' and att/OData\.CSC\.\w+/Value (eq|le|ge) '?([^')]+)'?\)"
)


class Tokens:
    """Tokens that are given out, and when they end."""

    def __init__(self) -> None:
        self._ends: dict[str, float] = {}

    def new(self, kind: str, life_s: float) -> str:
        """Return a token that lives so long."""
        token = f"{kind}-{uuid.uuid4().hex}"
        self._ends[token] = time.monotonic() + life_s
        return token

    def lives(self, token: str) -> bool:
        """Return whether a token is good."""
        return time.monotonic() < self._ends.get(token, 0.0)

    def end(self, kind: str) -> None:
        """End all of a kind."""
        self._ends = {t: end for t, end in self._ends.items() if not t.startswith(f"{kind}-")}


class Odata(Door):
    """The catalogue, the server of archives and the identity server of the Data Space in one."""

    protocol = "odata"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tokens = Tokens()
        self.token_s = 600.0

    def table(self) -> dict[str, Any]:
        """Return its entry in the table of providers."""
        return {
            "protocol": "odata",
            "address": f"{self.root}/odata/v1",
            "download": f"{self.root}/odata/v1",
            "hosts": ["127.0.0.1", "localhost"],
            "key_hosts": ["127.0.0.1", "localhost"],
            "collections": {"safe": {"id": "SENTINEL-2", "product_type": "S2MSI2A"}},
            "key": {
                "kind": "password",
                "token_url": f"{self.root}{_TOKEN}",
                "client_id": "cdse-public",
                "user_variable": "CDSE_USER",
                "password_variable": "CDSE_PASSWORD",
            },
        }

    def route(self, ask: Ask) -> Reply:
        """Return the faithful reply to a request."""
        if ask.path == _TOKEN and ask.method == "POST":
            return self._token(dict(parse_qsl(ask.body.decode())))
        if ask.path.rstrip("/") == "/odata/v1/Products":
            return self._search(ask)
        if match := _VALUE.match(ask.path):
            return self._download(ask, match[1])
        if match := _ENTRY.match(ask.path):
            product = self._of(match[1])
            return (
                answer({"detail": "Not Found"}, 404)
                if product is None
                else answer(self.item(product, expands=False))
            )
        return answer({"detail": "Not Found"}, 404)

    # ------------------------------------------------------------------ tokens

    def _token(self, form: dict[str, str]) -> Reply:
        by_password = (form.get("username"), form.get("password")) == (USER, PASSWORD)
        by_refresh = self.tokens.lives(form.get("refresh_token", ""))
        kind = form.get("grant_type")
        if not ((kind == "password" and by_password) or (kind == "refresh_token" and by_refresh)):
            text = {"error": "invalid_grant", "error_description": "Invalid user credentials"}
            return answer(text, 401)
        return answer(
            {
                "access_token": self.tokens.new("access", self.token_s),
                "expires_in": int(self.token_s),
                "refresh_expires_in": int(self.token_s * 6),
                "refresh_token": self.tokens.new("refresh", self.token_s * 6),
                "token_type": "Bearer",
                "not-before-policy": 0,
                "session_state": str(uuid.uuid4()),
                "scope": "AUDIENCE_PUBLIC openid email profile",
            }
        )

    def expire(self) -> Reply:
        """End the tokens of the client before their time."""
        self.tokens.end("access")
        return answer({"detail": "Token is expired"}, 401)

    # ------------------------------------------------------------------ searches

    def _search(self, ask: Ask) -> Reply:
        text = ask.query.get("$filter", "")
        if "Collection/Name eq 'SENTINEL-2'" not in text or self.is_renamed():
            return answer({"detail": "Collection does not exist"}, 400)
        top = min(int(ask.query.get("$top", 20)), _MAX_PAGE)
        skip = int(ask.query.get("$skip", 0))
        tile = re.search(r"att/Name eq 'tileId'[^)]*?Value eq '(\w+)'", text)
        found = self.found(lambda one: _holds(text, one), tile[1] if tile else None)
        items, matched, instead = self.paged(found, skip, top)
        if instead is not None:
            return instead
        expands = "Attributes" in ask.query.get("$expand", "")
        content: dict[str, Any] = {
            "@odata.context": "$metadata#Products(Attributes(),Assets())",
            "value": [self.item(one, expands) for one in items],
        }
        if ask.query.get("$count", "").lower() == "true":
            content["@odata.count"] = matched
        if skip + top < matched:
            query = {**ask.query, "$top": str(top), "$skip": str(skip + top)}
            joined = "&".join(
                f"{quote_plus(k, safe='$')}={quote_plus(v)}" for k, v in query.items()
            )
            content["@odata.nextLink"] = f"{self.root}/odata/v1/Products?{joined}"
        return answer(content)

    def item(self, product: Product, expands: bool = True) -> dict[str, Any]:
        """Return the entry of a product."""
        acquired = product.acquired
        start = f"{acquired:%Y-%m-%dT%H:%M:%S}.024000Z"
        published = "2023-08-23T09:26:23.105134Z"
        name = f"{product.name}.SAFE"
        path = f"/eodata/Sentinel-2/MSI/L2A_N0500/{acquired:%Y/%m/%d}/{name}"
        corners = ring(product.tile)
        shown = ", ".join(f"{x} {y}" for x, y in corners)
        content: dict[str, Any] = {
            "@odata.mediaContentType": "application/octet-stream",
            "Id": self.uuid(product),
            "Name": name,
            "ContentType": "application/octet-stream",
            "ContentLength": self._length(product),
            "OriginDate": "2023-08-22T13:50:20.043000Z",
            "PublicationDate": published,
            "ModificationDate": "2024-05-08T14:55:49.434177Z",
            "Online": self.says_online(product),
            "EvictionDate": "9999-12-31T23:59:59.999999Z",
            "S3Path": path,
            "Checksum": self._checksum(product, published),
            "ContentDate": {"Start": start, "End": start},
            "Footprint": f"geography'SRID=4326;POLYGON (({shown}))'",
            "GeoFootprint": {"type": "Polygon", "coordinates": [corners]},
        }
        if expands:
            content["Attributes"] = _attributes(product)
            link = f"{self.root}/odata/v1/Assets({self.uuid(product)})/$value"
            content["Assets"] = [
                {
                    "Type": "QUICKLOOK",
                    "Id": self.uuid(product),
                    "DownloadLink": link,
                    "S3Path": path,
                }
            ]
        return content

    def uuid(self, product: Product) -> str:
        """Return the identifier of an entry."""
        return str(uuid.UUID(product.key))

    def _length(self, product: Product) -> int:
        """Return the size of the archive, or for some of what it holds."""
        size = self.store.sums(product)[0]
        return size if int(product.key[1], 16) % 3 else size + 12_345

    def _checksum(self, product: Product, moment: str) -> list[dict[str, str]]:
        """Return the checksum; some have none, of others it is an empty object."""
        kind = int(product.key[2], 16)
        if kind < 2 and self.fault_of(product) is None:
            return [{}] if kind else []
        return [
            {"Value": self.stated_md5(product), "Algorithm": "MD5", "ChecksumDate": moment},
        ]

    # ------------------------------------------------------------------ downloads

    def _of(self, identifier: str) -> Product | None:
        with self._lock:
            return next((one for one in self.products if self.uuid(one) == identifier), None)

    def _download(self, ask: Ask, identifier: str) -> Reply:
        kind, _, token = ask.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or not self.tokens.lives(token):
            return answer({"detail": "Unauthorized"}, 401)
        product = self._of(identifier)
        if product is None:
            return answer({"detail": "Not Found"}, 404)
        if self.record.now(self.name) >= _MAX_SESSIONS:
            text = {"code": "DAT-ZIP-100", "message": "Max session number exceeded"}
            return answer({"detail": text}, 429)
        return self.download(ask, product, ranges=False)


def _attributes(product: Product) -> list[dict[str, Any]]:
    values: list[tuple[str, str, Any]] = [
        ("String", "origin", "ESA"),
        ("String", "tileId", product.tile),
        ("Double", "cloudCover", 12.5),
        ("String", "productType", "S2MSI2A"),
        ("String", "processorVersion", f"05.{product.version + 9:02d}"),
        ("Integer", "orbitNumber", 13276),
        ("Integer", "relativeOrbitNumber", 51),
        ("String", "platformSerialIdentifier", "A"),
        ("String", "platformShortName", "SENTINEL-2"),
        ("String", "processingLevel", "S2MSI2A"),
        ("DateTimeOffset", "processingDate", "2023-04-13T21:25:05.000000Z"),
        ("DateTimeOffset", "beginningDateTime", f"{product.acquired:%Y-%m-%dT%H:%M:%S}.024000Z"),
    ]
    return [
        {"@odata.type": f"#OData.CSC.{kind}Attribute", "Name": name, "Value": value,
         "ValueType": kind}
        for kind, name, value in values
    ]  # fmt: skip


def _holds(text: str, product: Product) -> bool:
    if product.family != "safe":
        return False
    moment = product.acquired.replace(microsecond=24_000)
    for operator, stamp in _COMPARED.findall(text):
        other = datetime.fromisoformat(stamp)
        other = other if other.tzinfo else other.replace(tzinfo=UTC)
        fits = {
            "ge": moment >= other, "gt": moment > other, "le": moment <= other,
            "lt": moment < other, "eq": moment == other,
        }  # fmt: skip
        if not fits[operator]:
            return False
    values = {"tileId": product.tile, "productType": "S2MSI2A"}
    return all(
        values.get(name, wanted) == wanted
        for name, operator, wanted in _ATTRIBUTE.findall(text)
        if operator == "eq"
    )
