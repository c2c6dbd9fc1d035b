"""A provider of the portal: its server on loopback, its products, and the faults it commits."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import ThreadingHTTPServer
from typing import Any, ClassVar

from support.portal.exchange import Ask, Handler, Reply, Throttle, answer, page
from support.portal.faults import HOST, PERMANENT, Fault, Mixture, Protocol
from support.portal.products import Product, flipped
from support.portal.record import Record

MODIFIED = formatdate(1_530_000_000, usegmt=True)
_XML = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>lost</Message></Error>"
_BODIES = (
    ("text/html", "<html><body><h1>Maintenance</h1></body></html>"),
    ("application/json", '{"error": "the product cannot be read"}'),
    ("application/xml", _XML.decode()),
)


class Store:
    """Content of products, made when needed; the last ones are kept."""

    def __init__(self, limit_bytes: int = 256 << 20) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[tuple[str, int, str], bytes] = OrderedDict()
        self._sums: dict[tuple[str, int, str], tuple[int, str, str]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def content(self, product: Product, key: str = "") -> bytes:
        """Return an archive, or the file of an asset."""
        name = (product.name, product.seed, key)
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        made = product.file(key) if key else product.content()
        with self._lock:
            if name not in self._kept:
                self._kept[name] = made
                self._bytes += len(made)
            while self._bytes > self._limit and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return made

    def sums(self, product: Product, key: str = "") -> tuple[int, str, str]:
        """Return size, MD5 and SHA-256 of an archive or of the file of an asset."""
        name = (product.name, product.seed, key)
        if name not in self._sums:
            content = self.content(product, key)
            md5, sha = hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest()
            self._sums[name] = len(content), md5, sha
        return self._sums[name]


@dataclass
class Door:
    """A provider. Each protocol is a class of its own below this one.

    Parameters
    ----------
    name
        In the table of providers, and in the record.
    mixture
        The faults.
    record, throttle, store
        Shared by the doors of a portal.
    hang_s
        How long a connection is kept that is never answered.
    """

    name: str
    mixture: Mixture
    record: Record
    throttle: Throttle
    store: Store
    hang_s: float = 600.0
    products: list[Product] = field(default_factory=list)
    late: list[Product] = field(default_factory=list)
    key: str = "key-of-the-test"
    recall_s: float = 0.0
    retry_after: str = "1"
    drip_s: float = 0.5
    ends: threading.Event = field(default_factory=threading.Event)
    is_down: bool = False
    moved_to: str = ""
    _searches: int = 0
    _spoilt_searches: int = 0
    _tried: Counter[str] = field(default_factory=Counter)
    _recalled: dict[str, float] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    server: ThreadingHTTPServer | None = None

    protocol: ClassVar[Protocol]

    def __post_init__(self) -> None:
        self.is_down = Fault.HOST_DOWN in self.mixture.of_host(self.protocol)

    # ------------------------------------------------------------------ what a protocol says

    def route(self, ask: Ask) -> Reply:
        """Return the faithful reply to a request."""
        raise NotImplementedError

    def table(self) -> dict[str, Any]:
        """Return its entry in the table of providers."""
        raise NotImplementedError

    # ------------------------------------------------------------------ server

    def open(self) -> None:
        """Begin to listen on a free port of loopback."""
        handler = type("_Handler", (Handler,), {"door": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.block_on_close = False
        self.server = server
        threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def close(self) -> None:
        """Listen no longer."""
        self.ends.set()
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()

    @property
    def port(self) -> int:
        """Of the server."""
        assert self.server is not None
        return int(self.server.server_address[1])

    @property
    def root(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def alias(self) -> str:
        """The same server under another name."""
        return f"http://localhost:{self.port}"

    # ------------------------------------------------------------------ requests

    def reply(self, ask: Ask) -> Reply:
        """Return the reply to a request, faithful or not."""
        if self.is_down:
            self.record.fault(Fault.HOST_DOWN)
            return Reply(drops=True)
        return self.route(ask)

    def is_renamed(self) -> bool:
        """Return whether the collections have other names today."""
        renamed = Fault.COLLECTION_RENAMED in self.mixture.of_host(self.protocol)
        if renamed:
            self.record.fault(Fault.COLLECTION_RENAMED)
        return renamed

    def search_fault(self) -> Fault | None:
        """Return the fault of the next request of a search."""
        with self._lock:
            self._searches += 1
            limit = self.mixture.searches
            if limit is not None and self._spoilt_searches >= limit:
                return None
            fault = self.mixture.of_search(self.protocol, self._searches)
            if fault is not None:
                self._spoilt_searches += 1
                self.record.fault(fault)
            return fault

    def spoilt_key(self, product: Product) -> str:
        """Return which file of a product of many files has the fault of the product."""
        return product.bands[int(product.key[4:6], 16) % len(product.bands)]

    def fault_of(self, product: Product) -> Fault | None:
        """Return the fault of a product, which does not change."""
        name = product.name
        fault = self.mixture.of_product(self.protocol, name)
        if fault is Fault.REPUBLISHED and product.version > 1:
            return None
        return fault

    def is_offline(self, product: Product) -> bool:
        """Return whether the server has it on tape just now."""
        fault = self.fault_of(product)
        if fault is Fault.TAPE_NEVER:
            return True
        if fault is not Fault.ONLINE_LIES or not self.says_online(product):
            return False
        asked = self._recalled.get(product.name)
        return asked is None or time.monotonic() < asked + self.recall_s

    def recall(self, product: Product) -> None:
        """Begin to get a product from tape."""
        with self._lock:
            self._recalled.setdefault(product.name, time.monotonic())

    def says_online(self, product: Product) -> bool:
        """Return what the catalogue says: the contrary, for some that it has and some it lacks."""
        fault = self.fault_of(product)
        if fault is Fault.ONLINE_LIES:
            says = int(product.key[3], 16) % 2 == 0
            if not says:
                self.record.fault(fault)
            return says
        return fault is not Fault.TAPE_NEVER

    def stated_md5(self, product: Product, key: str = "") -> str:
        """Return the MD5 of the catalogue; of what is corrupt at the source, sometimes its own."""
        if self.fault_of(product) is Fault.CORRUPT_SOURCE and int(product.key[0], 16) % 2:
            return hashlib.md5(flipped(self.store.content(product, key))).hexdigest()
        return self._stated(product, self.store.sums(product, key)[1], key)

    def stated_sha256(self, product: Product, key: str = "") -> str:
        """Return the SHA-256 of the catalogue."""
        return self._stated(product, self.store.sums(product, key)[2], key)

    def _stated(self, product: Product, right: str, key: str) -> str:
        if key and key != self.spoilt_key(product):
            return right
        if self.fault_of(product) is Fault.WRONG_CHECKSUM:
            self.record.fault(Fault.WRONG_CHECKSUM)
            return hashlib.sha256(right.encode()).hexdigest()[: len(right)]
        return right

    # ------------------------------------------------------------------ downloads

    def download(
        self, ask: Ask, product: Product, key: str = "", ranges: bool = True, kind: str = ""
    ) -> Reply:
        """Return the reply to a request for an archive or the file of an asset."""
        content = self.store.content(product, key)
        fault = self.fault_of(product)
        label = f"{product.name}/{key}" if key else product.name
        if self.is_offline(product):
            return self._on_tape(product)
        with self._lock:
            self._tried[label] += 1
            tried = self._tried[label]
        kind = kind or ("image/tiff" if key else "application/zip")
        good = _part(ask, content, ranges, kind).but(product=label)
        if key and key != self.spoilt_key(product):
            return good
        if fault is None or (tried > self.mixture.tries and fault not in PERMANENT):
            after = fault is Fault.RANGE_IGNORED and tried == self.mixture.tries + 1
            return self._ignoring(ask, content, good) if after else good
        if fault not in (Fault.WRONG_CHECKSUM, Fault.ONLINE_LIES):
            self.record.fault(fault)
        return self._spoilt(fault, ask, content, good, tried)

    def _on_tape(self, product: Product) -> Reply:
        fault = self.fault_of(product)
        assert fault is not None
        self.record.fault(fault)
        if fault is Fault.ONLINE_LIES:
            self.recall(product)
        return Reply(headers={"Content-Type": "application/zip"})

    def _spoilt(self, fault: Fault, ask: Ask, content: bytes, good: Reply, tried: int) -> Reply:
        size = len(good.body)
        draw = f"{self.mixture.seed}/{self.name}/{good.product}/{tried}"
        number = int(hashlib.md5(draw.encode()).hexdigest()[:6], 16)
        cut = max(1, size * (30 + number % 60) // 100)
        match fault:
            case Fault.WRONG_CHECKSUM:
                return good.but(is_good=tried == 1)  # who believes it has to ask again
            case Fault.EMPTY_BODY:
                return good.but(status=200, headers={}, body=b"", is_good=False)
            case Fault.ERROR_BODY:
                kind, text = _BODIES[number % 3]
                return page(text, kind=kind)
            case Fault.GARBAGE_AT_CUT:
                return good.but(body=good.body[:cut], stated_bytes=size, cut=cut, tail=_XML)
            case Fault.RANGE_IGNORED:
                return good.but(body=good.body[:cut], stated_bytes=size, cut=cut)
            case Fault.TRUNCATED:
                return self._truncated(good, cut, number)
            case Fault.CORRUPT_SOURCE:
                spoilt = flipped(content)
                return _part(ask, spoilt, good.length == "stated", "application/zip").but(
                    product=good.product, is_good=False
                )
            case Fault.DRIP:
                if number % 2:
                    return good.but(piece=1, pause_s=self.drip_s)
                return good.but(stall_at=min(cut, size - 1), piece=max(1, min(cut, 1 << 14)))
            case Fault.BUSY:
                return self.busy(number)
            case Fault.ADDRESS_CHANGES:
                return self.elsewhere(ask, number)
            case Fault.REPUBLISHED:
                return self._republish(good)
            case _:
                return good

    def _truncated(self, good: Reply, cut: int, number: int) -> Reply:
        short = good.body[:cut]
        if good.length != "stated" or number % 3 == 0:  # nobody says how long it should be
            headers = {n: v for n, v in good.headers.items() if n != "Content-Range"}
            status = 200 if good.status == 200 else good.status
            return good.but(status=status, headers=headers, body=short, length="closed")
        if number % 3 == 1:  # what is sent is what is stated
            return good.but(body=short)
        return good.but(body=short, stated_bytes=len(good.body), cut=cut)

    def _ignoring(self, ask: Ask, content: bytes, good: Reply) -> Reply:
        """Return the whole for a part, or a part that starts elsewhere."""
        start = ask.start
        if not start:
            return good
        self.record.fault(Fault.RANGE_IGNORED)
        whole = _part(Ask("GET", "", {}, {}), content, True, "application/zip")
        if len(content) % 2:
            return whole.but(product=good.product, again=start)
        headers = dict(good.headers) | {
            "Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"
        }
        return whole.but(status=206, headers=headers, product=good.product, is_good=False)

    def busy(self, number: int) -> Reply:
        """Return a refusal that passes."""
        match number % 4:
            case 0:
                return answer({"message": "Too many requests"}, 429).but(
                    headers={"Content-Type": "application/json", "Retry-After": self.retry_after}
                )
            case 1:
                return answer({"message": "Too many requests"}, 429)
            case 2:
                return answer({"message": "Service Unavailable"}, 503)
            case _:
                return self.expire()

    def expire(self) -> Reply:
        """Return the refusal of a quota, or make the tokens of the client end before their time."""
        return answer({"message": "Quota exceeded"}, 403)

    def elsewhere(self, ask: Ask, number: int) -> Reply:
        """Return a redirection: to the same server under another name, or to maintenance."""
        if number % 2 and self.moved_to:
            return Reply(302, {"Location": f"{self.moved_to}/maintenance.html"})
        query = "?" + "&".join(f"{k}={v}" for k, v in ask.query.items()) if ask.query else ""
        return Reply(302, {"Location": f"{self.alias}{ask.path}{query}"})

    def _republish(self, good: Reply) -> Reply:
        name = good.product.partition("/")[0]
        with self._lock:
            for place, product in enumerate(self.products):
                if product.name == name:
                    self.products[place] = product.again
        return answer({"message": "no such product"}, 404)

    # ------------------------------------------------------------------ searches

    def found(self, chosen: Callable[[Product], bool], tile: str | None = None) -> list[Product]:
        """Return the products of a search, in the order of their dates; of one tile or of all."""
        with self._lock:
            searched = [one for one in self.products if tile in (None, one.tile)]
        return sorted(filter(chosen, searched), key=lambda one: (one.acquired, one.name))

    def paged(
        self, found: list[Product], start: int, limit: int
    ) -> tuple[list[Product], int, Reply | None]:
        """Return a page, the number of matches, and the reply in its place if there is one.

        Faults of searches are done here: items twice and lost, another number of matches, silence.
        """
        fault = self.search_fault()
        if fault is Fault.SEARCH_HANGS:
            return [], 0, Reply(hangs=True)
        items, matched = found[start : start + limit], len(found)
        if fault is Fault.PAGES_LIE and matched:
            if start:
                begin = max(0, start - 2)
                items = found[begin : begin + limit]
            elif len(items) > 1:
                items = [*items[:-1], items[0]]
        if fault is Fault.COUNT_CHANGES:
            with self._lock:
                if self.late:
                    self.products.append(self.late.pop())
            matched += 1
            if start:
                items = found[start - 1 : start - 1 + limit]
        return items, matched, None


def _part(ask: Ask, content: bytes, ranges: bool, kind: str) -> Reply:
    etag = f'"{hashlib.md5(content).hexdigest()[:16]}"'
    headers = {"Content-Type": kind}
    if not ranges:
        return Reply(200, headers, content, length="chunked")
    headers |= {"ETag": etag, "Last-Modified": MODIFIED, "Accept-Ranges": "bytes"}
    start = ask.start
    if start is None or ask.headers.get("if-range", etag) not in (etag, MODIFIED):
        return Reply(200, headers, content)
    if start >= len(content):
        return Reply(416, {"Content-Range": f"bytes */{len(content)}"})
    end = len(content) if ask.last is None else min(ask.last + 1, len(content))
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
    return Reply(206, headers, content[start:end])


__all__ = ["HOST", "Door", "Store"]
