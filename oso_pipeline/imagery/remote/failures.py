"""What the failure of a request means: whether another try is worth it, and what to do."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from time import time
from urllib.error import HTTPError, URLError

from oso_pipeline.core.errors import Problem
from oso_pipeline.imagery.remote.addresses import without_secrets
from oso_pipeline.imagery.remote.watchdog import TooSlow

MAX_WAIT_S = 600.0
"""A server that wants more time than this is not waited for."""

_LONGEST = 200
"""Characters of a message of the system."""
_QUOTA = re.compile(rb"quota|too many|rate.?limit|concurrent|max session", re.IGNORECASE)
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_DENIED = (401, 403, 407, 409)
_GONE = (404, 410)
_REMEDIES = {
    "E-FETCH-DENIED": "signed addresses expire: fetch or sign the items again; for s3, set the key "
    "of the store (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or AWS_REQUEST_PAYER",
    "E-FETCH-GONE": "fetch the items again from the catalogue; the archive may have replaced the "
    "product",
    "E-FETCH-BUSY": "the server limits requests: run again later, or with fewer workers",
    "E-FETCH-SERVER": "the server has a fault: run again later, finished copies are kept",
    "E-FETCH-NETWORK": "check network, proxy and name of the host, then run again; finished "
    "copies are kept",
    "E-FETCH-TLS": "check the date of this machine; if a proxy has certificates of its own, name "
    "their file in SSL_CERT_FILE",
    "E-FETCH-REFUSED": "only https, s3, and redirections to https are followed",
    "E-FETCH-HOST": "if the provider has moved, list the host in a file of providers "
    "(retrieval.providers_file, key `hosts`)",
    "E-FETCH-NO-KEY": "set the variable in the environment, or in the file of keys "
    "(retrieval.keys_file, mode 600)",
    "E-FETCH-PAUSED": "run again later; what is done is kept",
    "E-FETCH-CHANGED": "the archive replaced the file: fetch the items again, then run again",
    "E-FETCH-SIZE": "this is no band of a Sentinel-2 tile; check the item",
    "E-FETCH-CHECKSUM": "run again; if it happens again, fetch the items again",
    "E-FETCH-CATALOGUE": "run again later; other providers and the catalogue on disk serve until "
    "then",
    "E-FETCH-COLLECTION": "name the collection of today in a file of your own "
    "(`retrieval.providers_file`), under the name of the provider: `collections: {FAMILY: {id: "
    "NAME}}`",
}


@dataclass(eq=False, slots=True)  # not frozen: `contextlib` sets the traceback of exceptions
class Failure(Exception):
    """A request that failed.

    Parameters
    ----------
    code
        Code of the problem.
    found
        What happened.
    url
        The address, which is shown without secrets.
    is_passing
        Whether another try may help.
    wait_s
        How long the server wants to be left alone, seconds; None where it does not say.
    status
        Status of the answer of the server; None where there is no answer.
    """

    code: str
    found: str
    url: str = field(repr=False)
    is_passing: bool = False
    wait_s: float | None = None
    status: int | None = None

    def __str__(self) -> str:
        """Return code and what happened; the address may hold what signs access."""
        return f"{self.code}: {self.found}"

    @property
    def problem(self) -> Problem:
        """The failure as a message."""
        return Problem(self.code, self.found, without_secrets(self.url), _REMEDIES[self.code])


def remedy_of(code: str) -> str | None:
    """Return what to do about a failure of a code; None for other codes."""
    return _REMEDIES.get(code)


def failure_of(error: Exception, url: str) -> Failure:
    """Return what an exception of a request means."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, HTTPError):
        return failure_of_status(error.code, error.headers, url)
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        text = f"the certificate of the host is not trusted: {reason.verify_message}"
        return Failure("E-FETCH-TLS", text, url)
    if isinstance(reason, TooSlow):
        return Failure("E-FETCH-NETWORK", str(reason), url, is_passing=True)
    if isinstance(reason, TimeoutError):
        text = "the server sent nothing for too long"
        return Failure("E-FETCH-NETWORK", text, url, is_passing=True)
    if isinstance(reason, HTTPException) and not isinstance(reason, OSError):
        # Its text holds what the server sent, or the address with its query.
        text = f"the connection failed: {type(reason).__name__}"
        return Failure("E-FETCH-NETWORK", text, url, is_passing=True)
    if isinstance(reason, OSError):
        text = f"the connection failed: {str(reason)[:_LONGEST] or type(reason).__name__}"
        return Failure("E-FETCH-NETWORK", text, url, is_passing=True)
    return Failure("E-FETCH-NETWORK", f"the request failed: {type(error).__name__}", url)


def failure_of_status(status: int, headers: Message, url: str, begin: bytes = b"") -> Failure:
    """Return what an answer other than the content means.

    Parameters
    ----------
    status, headers
        Of the answer.
    url
        What was requested.
    begin
        Begin of its content, which tells an empty quota from a key that is wrong. It is not shown.
    """
    found = f"the server answers with status {status}"
    wait = _retry_after(headers)
    is_quota = status == 403 and (wait is not None or _QUOTA.search(begin) is not None)
    if status in _BUSY or is_quota:
        code = "E-FETCH-BUSY" if status in (403, 429) else "E-FETCH-SERVER"
        found += ": a quota is used up" if is_quota else ""
        is_passing = wait is None or wait <= MAX_WAIT_S
        return Failure(code, found, url, is_passing, wait, status)
    if status in _DENIED:
        return Failure("E-FETCH-DENIED", f"{found}: access is denied", url, status=status)
    if status in _GONE:
        return Failure("E-FETCH-GONE", f"{found}: there is no such file", url, status=status)
    if 300 <= status < 400:
        text = f"{found}: a redirection that is not followed"
        return Failure("E-FETCH-REFUSED", text, url, status=status)
    return Failure("E-FETCH-SERVER", f"{found}, which is not expected", url, status=status)


def clock_behind_s(headers: Message) -> float | None:
    """Return by how many seconds the clock of this machine is behind that of the server."""
    sent = _moment(headers.get("Date"))
    return None if sent is None else sent - time()


def _retry_after(headers: Message) -> float | None:
    """Return the seconds of ``Retry-After``, a number or a date by the clock of the server."""
    text = (headers.get("Retry-After") or "").strip()
    if text.isdigit():
        return float(text[:9])
    until = _moment(text)
    return None if until is None else max(0.0, until - time() - (clock_behind_s(headers) or 0.0))


def _moment(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
