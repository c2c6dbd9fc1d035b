"""Connections whose every step ends in time: names, TCP, TLS, headers, content."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.request import HTTPHandler, HTTPSHandler, Request

from oso_pipeline.imagery.remote.watchdog import Guard, TooSlow

_MARGIN = 1.2
"""The timeout of the socket, which says more, comes before the watchdog."""
Addresses = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Times:
    """How long the steps of a request may take.

    Parameters
    ----------
    connect_s
        Until a connection is there: name of the host and all its addresses; seconds.
    silence_s
        Without a byte; also for all headers of an answer, and for what one `read1` gives.
    within_s
        For the whole request, with the content of its answer; None sets no limit.
    """

    connect_s: float = 60.0
    silence_s: float = 60.0
    within_s: float | None = None


class GuardedResponse(HTTPResponse):
    """An answer that is read in time, or else ends in an error and never as if it were whole."""

    guard: Guard
    times: Times

    def read1(self, n: int = -1) -> bytes:
        """Return what comes next, within the time of silence.

        Raises
        ------
        TooSlow
            If it does not come.
        """
        self.guard.step(self.times.silence_s * _MARGIN)
        with self._in_time():
            content = super().read1(n)
        self.guard.step(None)
        return content

    def read(self, amt: int | None = None) -> bytes:
        """Return so many bytes, within the time of the whole request.

        Raises
        ------
        TooSlow
            If they do not come.
        """
        with self._in_time():
            return super().read(amt)

    def readinto(self, b: Any) -> int:
        """Fill a buffer, as `read` does.

        Raises
        ------
        TooSlow
            If it does not come.
        """
        with self._in_time():
            return super().readinto(b)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException):
            self.guard.check()  # that it was shut down is the cause of the other error
            raise
        self.guard.check()

    def close(self) -> None:
        """Close the connection."""
        try:
            super().close()
        finally:
            guard = self.__dict__.get("guard")
            if guard is not None:
                guard.release()


class OverHttp(HTTPHandler):
    """Opens connections without TLS, under a guard."""

    def __init__(self, times: Times, guard: Guard) -> None:
        super().__init__()
        self._made = partial(_guarded, HTTPConnection, times, guard)

    def http_open(self, req: Request) -> HTTPResponse:
        """Send a request."""
        return self.do_open(self._made, req)


class OverTls(HTTPSHandler):
    """Opens connections with verified TLS, under a guard."""

    def __init__(self, context: ssl.SSLContext, times: Times, guard: Guard) -> None:
        super().__init__(context=context)
        self._made = partial(_guarded, HTTPSConnection, times, guard, context=context)

    def https_open(self, req: Request) -> HTTPResponse:
        """Send a request."""
        return self.do_open(self._made, req)


def _guarded(
    kind: type[HTTPConnection], times: Times, guard: Guard, host: str, **settings: Any
) -> HTTPConnection:
    """Return a connection of a class of the standard library, whose steps are guarded."""
    connection = kind(host, **settings)

    def made(address: tuple[str, int], *_: Any) -> socket.socket:
        guard.step(times.connect_s)
        found = connected(address, times.connect_s, guard)
        guard.hold(found)
        guard.step(times.silence_s * _MARGIN)  # TLS and all headers
        found.settimeout(times.silence_s)
        return found

    def answer(sock: socket.socket, **known: Any) -> GuardedResponse:
        response = GuardedResponse(sock, **known)
        response.guard, response.times = guard, times
        return response

    connection._create_connection = made  # type: ignore[attr-defined]
    connection.response_class = answer  # type: ignore[assignment]
    return connection


def connected(address: tuple[str, int], connect_s: float, guard: Guard) -> socket.socket:
    """Return a connection to a host, by the first of its addresses that answers.

    Raises
    ------
    OSError
        If none does, or not in time; also if the host has no address.
    """
    left = guard.left_s
    end = time.monotonic() + (connect_s if left is None else min(connect_s, left))
    last: OSError = TooSlow("the name of the host was not found in time")
    found = addresses_of(address, end - time.monotonic())
    for n, (family, kind, protocol, _, place) in enumerate(found):
        left_s = end - time.monotonic()
        if left_s <= 0:
            break
        one = socket.socket(family, kind, protocol)
        try:
            one.settimeout(left_s / (len(found) - n))
            one.connect(place)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return one
        except OSError as error:
            one.close()
            last = error
    raise last


def addresses_of(
    address: tuple[str, int],
    within_s: float,
    look_up: Callable[..., Addresses] = socket.getaddrinfo,
) -> Addresses:
    """Return the addresses of a host; a name server that is silent is given up in time.

    Raises
    ------
    OSError
        If the name is unknown, or is not found in time.
    """
    answers: queue.SimpleQueue[Addresses | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(look_up(*address, 0, socket.SOCK_STREAM))
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(OSError("the name of the host is not one"))

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        found = answers.get(timeout=max(0.0, within_s))
    except queue.Empty:
        raise TooSlow("the name of the host was not found in time") from None
    if isinstance(found, OSError):
        raise found
    return found
