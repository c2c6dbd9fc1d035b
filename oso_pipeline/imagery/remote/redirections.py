"""Where a redirection leads: to hosts that are listed, by https alone, and not in circles."""

from __future__ import annotations

from http.client import HTTPResponse
from string import punctuation
from urllib.parse import quote, urljoin, urlsplit

from oso_pipeline.imagery.remote.addresses import is_allowed, is_listed, without_secrets
from oso_pipeline.imagery.remote.call import Call
from oso_pipeline.imagery.remote.failures import Failure

MOST_REDIRECTIONS = 5
REDIRECTIONS = (301, 302, 303, 307, 308)
SAME_METHOD = (307, 308)


def check_address(address: str, call: Call, url: str) -> None:
    """Raise where nothing may be sent to an address.

    Raises
    ------
    Failure
        If it is not one of https, or leads to a host that is not listed.
    """
    if not is_allowed(address):
        raise Failure("E-FETCH-REFUSED", "the address is not one of https or s3", url)
    if call.hosts is not None and not is_listed(address, call.hosts):
        host = urlsplit(address).hostname
        text = f"{host} is not one of the hosts of the provider, so nothing is sent to it"
        raise Failure("E-FETCH-HOST", text, url)


def next_address(address: str, response: HTTPResponse, call: Call, url: str) -> str:
    """Return where an answer redirects to.

    Raises
    ------
    Failure
        If that is not followed: it is not encrypted any more, or would lose what was sent.
    """
    target = response.headers.get("Location") or ""
    after = urljoin(address, quote(target, safe=punctuation))
    is_safe = is_allowed(after) and not (
        address.startswith("https://") and not after.startswith("https://")
    )
    changes = call.body is not None and response.status not in SAME_METHOD
    if not target or not is_safe or not call.follows or changes:
        shown = without_secrets(after) if target else "nowhere"
        text = f"the server redirects to {shown}, which is not followed"
        raise Failure("E-FETCH-REFUSED", text, url)
    return after


def in_circles(url: str, has_key: bool) -> Failure:
    """Return the failure of redirections that do not end."""
    text = f"the server redirects more than {MOST_REDIRECTIONS} times"
    if has_key:
        return Failure("E-FETCH-DENIED", f"{text}; a key that has expired looks like this", url)
    return Failure("E-FETCH-REFUSED", f"{text}, which is not followed", url)


def is_same_place(one: str, other: str) -> bool:
    """Return whether two addresses have scheme, host and port in common."""
    before, after = urlsplit(one), urlsplit(other)
    return (before.scheme, before.netloc) == (after.scheme, after.netloc)
