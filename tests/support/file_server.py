"""A file server on loopback that serves faithfully, or slowly, cut, changed, or not at all."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Reply:
    """How one request is answered.

    Parameters
    ----------
    status
        200 serves the file, or the part that is requested; others have no content.
    headers
        Further headers.
    cut
        Close the connection after so many bytes.
    pause_s, piece
        Send pieces of so many bytes, with pauses.
    content
        Serve this in place of the file.
    ranges
        Whether parts are served, or always the whole.
    etag
        Of the file; "" for none.
    length
        Whether the length of the content is stated; without it, the end of the connection ends it.
    shift
        Send a part that begins so many bytes later than the requested one.
    injected
        Text that is written where the connection is cut.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    pause_s: float = 0.0
    piece: int = 1 << 16
    content: bytes | None = None
    ranges: bool = True
    etag: str | None = None
    length: bool = True
    shift: int = 0
    injected: bytes = b""


@dataclass
class FileServer:
    """Files by path, replies in the order of requests (then faithful ones), what was requested."""

    files: dict[str, bytes] = field(default_factory=dict)
    replies: deque[Reply] = field(default_factory=deque)
    usual: Reply = field(default_factory=Reply)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    check: Callable[[str, dict[str, str]], int | None] | None = None
    address: str = ""

    def put(self, path: str, content: bytes) -> str:
        """Serve a file; return its address."""
        self.files[path] = content
        return f"{self.address}{path}"

    @property
    def ranges(self) -> list[str | None]:
        """The ranges that were requested."""
        return [headers.get("range") for _, headers in self.requests]


@contextmanager
def file_server(certificate: Path | None = None) -> Iterator[FileServer]:
    """Run a file server on a free port of loopback; over TLS with a file of certificate and key."""
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.requests.append((self.path, headers))
            reply = state.replies.popleft() if state.replies else state.usual
            with suppress(BrokenPipeError, ConnectionResetError):
                self._reply(reply, headers)

        def _reply(self, reply: Reply, headers: dict[str, str]) -> None:
            refused = None if state.check is None else state.check(self.path, headers)
            content = state.files.get(self.path) or state.files.get(self.path.partition("?")[0])
            content = reply.content if reply.content is not None else content
            status = refused or (reply.status if content is not None else 404)
            if status != 200:
                self._refuse(status, reply.headers)
                return
            assert content is not None
            etag = reply.etag
            if etag is None:
                etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            start, end = 0, len(content)
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
            is_same = headers.get("if-range", etag) in (etag, _MODIFIED)
            if match and reply.ranges and is_same:
                start = int(match[1]) + reply.shift
                end = min(end, int(match[2]) + 1) if match[2] else end
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
            else:
                self.send_response(200)
            if reply.length:
                self.send_header("Content-Length", str(end - start))
            if etag:
                self.send_header("ETag", etag)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self._send(content[start:end], reply)

        def _send(self, content: bytes, reply: Reply) -> None:
            wanted = content if reply.cut is None else content[: reply.cut] + reply.injected
            for begin in range(0, len(wanted), reply.piece):
                self.wfile.write(wanted[begin : begin + reply.piece])
                self.wfile.flush()
                time.sleep(reply.pause_s)
            if reply.cut is not None or not reply.length:
                self.close_connection = True
                self.connection.close()

        def _refuse(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    scheme = "http" if certificate is None else "https"
    state.address = f"{scheme}://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_MODIFIED = formatdate(1_500_000_000, usegmt=True)
MODIFIED = {"Last-Modified": _MODIFIED}


def write_certificate(path: Path) -> Path:
    """Write a key and a certificate for 127.0.0.1 that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "file server of tests")])
    now = datetime.now(UTC)
    own = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(own, critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(encoding))
    return path
