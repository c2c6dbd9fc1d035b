"""Addresses of files on the web: which are allowed, and how they are shown.

An address may hold a user, and a query that signs access. Neither belongs into a message, a key or
a file of the run.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

SCHEMES = ("https", "s3")
LOOPBACK = ("localhost",)


def without_secrets(url: str) -> str:
    """Return an address without user, query and fragment.

    Examples
    --------
    >>> without_secrets("https://me:key@host.org/a/B04.tif?sig=abc#x")
    'https://host.org/a/B04.tif'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def is_allowed(url: str) -> bool:
    """Return whether requests may go to an address.

    Unencrypted ones are for this machine alone.

    Examples
    --------
    >>> is_allowed("https://host.org/a"), is_allowed("http://host.org/a"), is_allowed("file:///a")
    (True, False, False)
    >>> is_allowed("http://127.0.0.1:8000/a")
    True
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "http":
        return is_this_machine(host)
    return parts.scheme in SCHEMES and bool(host)


def is_listed(url: str, hosts: Collection[str]) -> bool:
    """Return whether the host of an address is one of `hosts`.

    A host without a port means the usual one of https, and any on this machine.

    Examples
    --------
    >>> is_listed("https://host.org/a", ["host.org"]), is_listed("https://host.org:8", ["host.org"])
    (True, False)
    >>> is_listed("https://host.org.evil.net/a", ["host.org"])
    False
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    listed = {one.lower() for one in hosts}
    if port is not None and f"{host}:{port}" in listed:
        return True
    return host in listed and (port in (None, 443) or is_this_machine(host))


def is_this_machine(host: str) -> bool:
    """Return whether a host is reached without leaving this machine."""
    if host in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
