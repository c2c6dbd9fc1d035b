"""What a request is, beside its address."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from oso_pipeline.imagery.remote.s3 import Store


@dataclass(frozen=True, slots=True)
class Call:
    """What a request is, beside the address and the part of the file.

    Parameters
    ----------
    body, content_type
        What is sent, with POST; None for GET.
    headers
        Further headers, for every host.
    secrets
        Headers that identify the reader: they go to `key_hosts` alone, and are never shown.
    key_hosts
        Hosts that get `secrets`.
    hosts
        Hosts that requests and redirections may go to; None for any.
    store
        The object store of addresses of s3; None for the one that the environment names.
    follows
        Whether redirections are followed.
    """

    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    key_hosts: Collection[str] = ()
    hosts: Collection[str] | None = None
    store: Store | None = None
    follows: bool = True


PLAIN = Call()
