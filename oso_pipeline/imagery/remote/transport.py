"""One request for a file or a part of it, over verified TLS.

Redirections lead to https alone (or stay on this machine), to listed hosts where hosts are listed,
and what identifies the reader is not sent on to another host. Proxies are those of the
environment. Each step of a request has its time (see `connections`).
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http.client import HTTPException, HTTPResponse
from string import punctuation
from typing import cast
from urllib.parse import quote
from urllib.request import OpenerDirector, ProxyHandler, Request

from oso_pipeline.imagery.remote.addresses import is_listed
from oso_pipeline.imagery.remote.call import PLAIN, Call
from oso_pipeline.imagery.remote.connections import OverHttp, OverTls, Times
from oso_pipeline.imagery.remote.failures import (
    Failure,
    clock_behind_s,
    failure_of,
    failure_of_status,
)
from oso_pipeline.imagery.remote.redirections import (
    MOST_REDIRECTIONS,
    REDIRECTIONS,
    check_address,
    in_circles,
    is_same_place,
    next_address,
)
from oso_pipeline.imagery.remote.s3 import Store
from oso_pipeline.imagery.remote.watchdog import Guard, TooSlow

_TRUSTED = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_WRONG_CLOCK_S = 300.0
_BEGIN = 2048


@dataclass(frozen=True, slots=True)
class Version:
    """Which content an address has: what of it must not change from request to request.

    Parameters
    ----------
    size_bytes
        Size of the whole file; None if the server does not say.
    etag, modified
        As the server names the version; None without.
    """

    size_bytes: int | None
    etag: str | None
    modified: str | None

    @property
    def condition(self) -> str | None:
        """Value of ``If-Range``: only a strong identifier is one, else the date."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.modified

    def differs_from(self, other: Version) -> bool:
        """Return whether two answers are about different content, as far as they say."""
        pairs = (
            (self.size_bytes, other.size_bytes),
            (self.etag, other.etag),
            (self.modified, other.modified),
        )
        return any(a is not None and b is not None and a != b for a, b in pairs)


@dataclass(frozen=True)
class Answer:
    """An answer whose content is not read yet.

    Parameters
    ----------
    response
        To read from; the caller closes it. Its reads raise `TimeoutError` when time is over.
    start
        Number of the first byte that it gives.
    version
        Which content it is of.
    """

    response: HTTPResponse
    start: int
    version: Version


@dataclass(frozen=True)
class Transport:
    """Sends requests.

    Parameters
    ----------
    environ
        Variables of the environment, for object stores and proxies.
    timeout_s
        How long a server may send nothing.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    timeout_s: float = 60.0

    def send(
        self,
        url: str,
        start: int = 0,
        last: int | None = None,
        condition: str | None = None,
        call: Call = PLAIN,
        times: Times | None = None,
    ) -> Answer:
        """Request a file from a byte on, up to `last` where that is given.

        Parameters
        ----------
        url
            ``https://...``, ``s3://bucket/key``, or ``http://`` on this machine.
        start, last
            First and last byte.
        condition
            Value of ``If-Range``: of other content, the server sends the whole.
        call
            What else the request is.
        times
            How long its steps may take; by default `timeout_s` each.

        Raises
        ------
        Failure
            Whatever goes wrong.
        """
        headers = {"Accept-Encoding": "identity", "User-Agent": "oso_pipeline", **call.headers}
        if start or last is not None:
            headers["Range"] = f"bytes={start}-{'' if last is None else last}"
        if condition is not None:
            headers["If-Range"] = condition
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        times = times or Times(self.timeout_s, self.timeout_s)
        try:
            return _answer(self._followed(url, headers, call, times), start, url)
        except Exception as error:  # noqa: BLE001  (whatever a request raises is its failure)
            raise failure_of(error, url) from None

    def version_of(self, url: str) -> Version:
        """Return size and version of a file; of its content, one byte is requested.

        HEAD would do, but addresses that are signed for GET refuse it.

        Raises
        ------
        Failure
            Whatever goes wrong.
        """
        answer = self.send(url, 0, 0)
        with closing(answer.response):
            return answer.version

    def _followed(
        self, url: str, headers: Mapping[str, str], call: Call, times: Times
    ) -> HTTPResponse:
        """Return the answer at the end of all redirections."""
        whole = Guard(times.within_s)
        address, identity = self._signed(url, headers, call)
        first, behind_s = address, 0.0
        for _ in range(MOST_REDIRECTIONS + 1):
            check_address(address, call, url)
            shown = identity if is_same_place(address, first) else {}
            if is_listed(address, call.key_hosts):
                shown = {**shown, **call.secrets}
            whole.check()
            request = Request(address, data=call.body, headers={**headers, **shown})
            response = self._opened(request, replace(times, within_s=whole.left_s))
            if 200 <= response.status < 300:
                return response
            with closing(response):
                if response.status in REDIRECTIONS:
                    address = next_address(address, response, call, url)
                    continue
                found_s = clock_behind_s(response.headers) or 0.0
                is_by_clock = response.status == 403 and address == first and "x-amz-date" in shown
                if not is_by_clock or abs(found_s - behind_s) < _WRONG_CLOCK_S:
                    raise _refusal(response, url)
                # Stores refuse signatures of another time: sign once more by their clock.
                behind_s = found_s
                _, identity = self._signed(url, headers, call, behind_s)
        raise in_circles(url, has_key=bool(call.secrets or identity))

    def _signed(
        self, url: str, headers: Mapping[str, str], call: Call, behind_s: float = 0.0
    ) -> tuple[str, Mapping[str, str]]:
        """Return where a request goes, and headers that sign it for an object store."""
        if not url.startswith("s3://"):
            return quote(url, safe=punctuation), {}  # some catalogues state spaces
        store = call.store or Store.of(self.environ)
        address = store.address_of(url)
        now = datetime.now(UTC) + timedelta(seconds=behind_s)
        signed = store.headers(address, headers, now)
        return address, {name: value for name, value in signed.items() if name not in headers}

    def _opened(self, request: Request, times: Times) -> HTTPResponse:
        guard = Guard(times.within_s)
        try:
            opener = _opener(self.environ, times, guard)
            return cast(HTTPResponse, opener.open(request, timeout=times.connect_s))
        except Exception as error:
            guard.release()
            if not isinstance(getattr(error, "reason", error), TooSlow):
                guard.check()  # that it was shut down is the cause of the other error
            raise


def _refusal(response: HTTPResponse, url: str) -> Failure:
    begin = b""
    if response.status == 403:
        with suppress(OSError, HTTPException):
            begin = response.read1(_BEGIN)
    return failure_of_status(response.status, response.headers, url, begin)


def _answer(response: HTTPResponse, start: int, url: str) -> Answer:
    headers = response.headers
    size: int | None = None
    if response.status == 206:
        unit, _, rest = (headers.get("Content-Range") or "").partition(" ")
        span, _, total = rest.partition("/")
        begin = span.partition("-")[0]
        if unit != "bytes" or not begin.isdigit() or int(begin) != start:
            response.close()
            raise Failure("E-FETCH-SERVER", "the server sends another part than requested", url)
        size = int(total) if total.isdigit() else None
    else:
        start = 0
        length = headers.get("Content-Length") or ""
        size = int(length) if length.isdigit() else None
    return Answer(response, start, Version(size, headers.get("ETag"), headers.get("Last-Modified")))


def _opener(environ: Mapping[str, str], times: Times, guard: Guard) -> OpenerDirector:
    opener = OpenerDirector()
    proxies = {
        scheme: value
        for scheme in ("http", "https")
        if (value := environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY"))
    }
    context = _verifying(*map(os.environ.get, _TRUSTED))
    for handler in (ProxyHandler(proxies), OverHttp(times, guard), OverTls(context, times, guard)):
        opener.add_handler(handler)
    return opener


@lru_cache(maxsize=4)
def _verifying(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Return the context that verifies hosts; reading what is trusted takes some 20 ms."""
    return ssl.create_default_context()
