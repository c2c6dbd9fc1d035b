"""Requests and replies of the portal, and how a reply is sent: faithfully, slowly, cut, never."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from support.portal.record import Asked, Record

if TYPE_CHECKING:
    from support.portal.door import Door

_IDENTIFYING = ("authorization", "x-api-key", "access-key", "secret-key", "cookie")
_PIECE = 1 << 15


@dataclass(frozen=True)
class Ask:
    """A request.

    Parameters
    ----------
    method
        ``GET`` or ``POST``.
    path, query
        Unquoted.
    headers
        By their names in small letters.
    body
        As sent.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def json(self) -> dict[str, Any]:
        """The body as JSON; for GET, the query."""
        if self.method == "GET":
            return dict(self.query)
        try:
            content = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def start(self) -> int | None:
        """First byte that is requested; None without a range."""
        unit, _, span = self.headers.get("range", "").partition("=")
        begin = span.partition("-")[0]
        return int(begin) if unit == "bytes" and begin.isdigit() else None

    @property
    def last(self) -> int | None:
        """Last byte that is requested; None for the rest."""
        end = self.headers.get("range", "").partition("=")[2].partition("-")[2]
        return int(end) if end.isdigit() else None


@dataclass(frozen=True)
class Reply:
    """How a request is answered.

    Parameters
    ----------
    status, headers, body
        Of the answer; headers without those of the length.
    length
        Whether it is stated (``stated``), or pieces are (``chunked``), or neither (``closed``).
    stated_bytes
        Content-Length, where that is not the length of the body.
    cut
        Close the connection after so many bytes of the body; after `tail`, where there is one.
    tail
        Bytes in place of what was cut.
    pause_s, piece
        Send pieces of so many bytes, with pauses.
    stall_at
        Send nothing more after so many bytes, and keep the connection.
    hangs
        Send nothing at all, and keep the connection.
    drops
        Close the connection without an answer.
    product
        Name of the product whose bytes these are.
    is_good
        Whether these bytes are as they should be, and the client has to be sent them.
    again
        So many bytes at the begin the client has already and did not ask for.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: str = "stated"
    stated_bytes: int | None = None
    cut: int | None = None
    tail: bytes = b""
    pause_s: float = 0.0
    piece: int = _PIECE
    stall_at: int | None = None
    hangs: bool = False
    drops: bool = False
    product: str = ""
    is_good: bool = True
    again: int = 0

    def but(self, **changes: Any) -> Reply:
        """Return a reply that differs."""
        return replace(self, **changes)


def answer(content: object, status: int = 200, kind: str = "application/json") -> Reply:
    """Return a reply of JSON."""
    return Reply(status, {"Content-Type": kind}, json.dumps(content).encode())


def page(text: str, status: int = 200, kind: str = "text/html") -> Reply:
    """Return a reply of text."""
    return Reply(status, {"Content-Type": kind}, text.encode())


class Throttle:
    """Bytes of products per second for all who share it; None sets no limit."""

    def __init__(self, bytes_per_s: float | None) -> None:
        self.bytes_per_s = bytes_per_s
        self._free_at = 0.0
        self._lock = threading.Lock()

    def wait_s(self, number: int) -> float:
        """Return the seconds to wait before so many bytes are sent, and reserve them."""
        if self.bytes_per_s is None:
            return 0.0
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + number / self.bytes_per_s
            return max(0.0, self._free_at - now)


class _Gone(Exception):
    """The client closed the connection, or the portal ends."""


class Handler(BaseHTTPRequestHandler):
    """Sends what a door replies."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30.0
    door: Door

    def setup(self) -> None:
        """Keep little in buffers, so that what was sent was received, nearly."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 15)
        super().setup()

    def log_message(self, *args: Any) -> None:
        """Write no log."""

    def do_GET(self) -> None:
        """Answer."""
        self._do(b"")

    def do_POST(self) -> None:
        """Answer."""
        length = self.headers.get("Content-Length") or "0"
        self._do(self.rfile.read(int(length)))

    def _do(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        ask = Ask(self.command, unquote(parts.path), query, headers, body)
        reply = self.door.reply(ask)
        self._note(ask, reply)
        with suppress(_Gone, OSError):
            if reply.product:
                with self._record.download(self.door.name, self._is_there):
                    self._send(reply)
            else:
                self._send(reply)
            return
        self.close_connection = True

    @property
    def _record(self) -> Record:
        return self.door.record

    def _note(self, ask: Ask, reply: Reply) -> None:
        host = ask.headers.get("host", "")
        status = 0 if reply.hangs or reply.drops else reply.status
        seen = {ask.headers[name] for name in _IDENTIFYING if name in ask.headers}
        text = ask.headers.get("range", "")
        self._record.add(Asked(self.door.name, host, ask.method, self.path, text, status), seen)

    def _send(self, reply: Reply) -> None:
        if reply.hangs:
            self._wait(self.door.hang_s)
            raise _Gone
        if reply.drops:
            raise _Gone
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.length == "stated":
            stated = len(reply.body) if reply.stated_bytes is None else reply.stated_bytes
            self.send_header("Content-Length", str(stated))
        elif reply.length == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        if reply.length == "closed":
            self.send_header("Connection", "close")
        self.end_headers()
        self._send_body(reply)

    def _send_body(self, reply: Reply) -> None:
        wanted = memoryview(reply.body)[: reply.cut]
        for begin in range(0, len(wanted), reply.piece):
            piece = wanted[begin : begin + reply.piece]
            if reply.stall_at is not None and begin >= reply.stall_at:
                self._wait(self.door.hang_s)
                raise _Gone
            held_s = self.door.throttle.wait_s(len(piece)) if reply.product else 0.0
            self._wait(held_s + reply.pause_s)
            self._write(piece, reply.length)
            if reply.product:
                good = reply.is_good and begin >= reply.again
                self._record.sent(self.door.name, reply.product, len(piece), good)
        if reply.tail:
            self._write(reply.tail, reply.length)
        if reply.cut is not None or reply.length == "closed" or reply.tail:
            self.close_connection = True
        elif reply.length == "chunked":
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, piece: bytes | memoryview, length: str) -> None:
        if length == "chunked":
            self.wfile.write(b"%x\r\n" % len(piece))
        self.wfile.write(piece)
        if length == "chunked":
            self.wfile.write(b"\r\n")

    def _wait(self, seconds: float) -> None:
        """Wait, but not for a client that has gone."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.door.ends.is_set():
                raise _Gone
            if not self._is_there(min(left, 0.2)):
                raise _Gone

    def _is_there(self, wait_s: float = 0.0) -> bool:
        """Return whether the client keeps the connection; wait so long for it to close it."""
        try:
            if select.select([self.connection], [], [], wait_s)[0]:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    return False
                time.sleep(min(wait_s, 0.05))
        except (OSError, ValueError):
            return False
        return True
