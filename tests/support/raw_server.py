"""A server on loopback whose answers are bytes that a test writes, one by one if it wants."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Came:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body as fields of a form."""
        return dict(parse_qsl(self.body.decode()))


class Line:
    """The way back to the client; `drip` sends byte by byte until the client is gone."""

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        self._connection = connection
        self._closing = closing

    def send(self, content: bytes) -> None:
        self._connection.sendall(content)

    def drip(self, content: bytes, pause_s: float = 0.02) -> None:
        """Send byte by byte, again and again, until the client is gone."""
        while not self._closing.is_set():
            for n in range(len(content)):
                self._connection.sendall(content[n : n + 1])
                if self._closing.wait(pause_s):
                    return

    def hang(self) -> None:
        """Send nothing until the server ends."""
        self._closing.wait()


Answers = Callable[[Came, Line], bytes | None]


@dataclass
class RawServer:
    """What came, and how it is answered: bytes are sent, None means that all was sent."""

    answers: Answers
    address: str = ""
    came: list[Came] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Host and port."""
        return self.address.partition("://")[2]


def reply(content: object = b"", status: int = 200, headers: dict[str, str] | None = None) -> bytes:
    """Return an answer; what is not bytes is sent as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    lines = [f"HTTP/1.1 {status} Some Reason", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


@contextmanager
def raw_server(answers: Answers, certificate: Path | None = None) -> Iterator[RawServer]:
    """Run a server on a free port of loopback until the body ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        scheme = "https"
    state = RawServer(answers, f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
    closing = threading.Event()
    threads: list[threading.Thread] = []

    def talk(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            line = connection
            if certificate is not None:
                line = context.wrap_socket(connection, server_side=True)
            with line:
                serve(line)

    def serve(line: socket.socket) -> None:
        came = _read(line)
        if came is not None:
            state.came.append(came)
            answer = state.answers(came, Line(line, closing))
            if answer is not None:
                line.sendall(answer)

    def listen() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=talk, args=(connection,), daemon=True))
                threads[-1].start()

    main = threading.Thread(target=listen, daemon=True)
    main.start()
    try:
        yield state
    finally:
        closing.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (main, *threads):
            thread.join(2)


def _read(connection: socket.socket) -> Came | None:
    stream = connection.makefile("rb")
    method, path, *_ = (*stream.readline().decode("latin-1").split(), "", "")
    headers: dict[str, str] = {}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Came(method, path, headers, body) if method else None
