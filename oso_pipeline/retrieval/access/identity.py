"""How requests say who sends them: one class per kind of key."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from oso_pipeline.imagery.remote.addresses import is_listed
from oso_pipeline.imagery.remote.call import Call
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.s3 import Store
from oso_pipeline.imagery.remote.transport import Transport
from oso_pipeline.retrieval.access.keys import Keys
from oso_pipeline.retrieval.access.signing import Signer
from oso_pipeline.retrieval.access.tokens import Tokens
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.provider_table import (
    HeaderKey,
    PasswordKey,
    Provider,
    SigningKey,
    StoreKey,
)


class Identity(Protocol):
    """Puts a key into requests; for several threads."""

    def applied(
        self, url: str, family: str | None, call: Call, deadline: Deadline
    ) -> tuple[str, Call]:
        """Return address and request with the key, where they may have it.

        Raises
        ------
        Failure
            If the key is missing, or a server does not give a token.
        """
        ...

    def searching(self, url: str, call: Call, deadline: Deadline) -> Call:
        """Return a request to the catalogue with the key, where there is one.

        Raises
        ------
        Failure
            If a server does not give a token.
        """
        ...

    def renew(self, call: Call, family: str | None) -> bool:
        """Forget what was refused; return whether there will be something new."""
        ...


class _NoIdentity:
    """Requests as they are."""

    def applied(
        self, url: str, family: str | None, call: Call, deadline: Deadline
    ) -> tuple[str, Call]:
        return url, call

    def searching(self, url: str, call: Call, deadline: Deadline) -> Call:
        return call

    def renew(self, call: Call, family: str | None) -> bool:
        return False


class _InHeader(_NoIdentity):
    """A key in a header."""

    def __init__(self, key: HeaderKey, hosts: frozenset[str], keys: Keys) -> None:
        self._key = key
        self._hosts = hosts
        self._keys = keys

    def applied(
        self, url: str, family: str | None, call: Call, deadline: Deadline
    ) -> tuple[str, Call]:
        if is_listed(url, self._hosts) and self._keys.get(self._key.variable) is None:
            raise Failure("E-FETCH-NO-KEY", f"there is no value of {self._key.variable}", url)
        return url, self.searching(url, call, deadline)

    def searching(self, url: str, call: Call, deadline: Deadline) -> Call:
        value = self._keys.get(self._key.variable)
        if value is None:
            return call
        secrets = {self._key.header: f"{self._key.prefix}{value}"}
        return replace(call, secrets=secrets, key_hosts=self._hosts)


class _ByToken(_NoIdentity):
    """A token for a user and a password; catalogues are searched without."""

    def __init__(self, tokens: Tokens, hosts: frozenset[str]) -> None:
        self._tokens = tokens
        self._hosts = hosts

    def applied(
        self, url: str, family: str | None, call: Call, deadline: Deadline
    ) -> tuple[str, Call]:
        return url, self.searching(url, call, deadline)

    def searching(self, url: str, call: Call, deadline: Deadline) -> Call:
        if not is_listed(url, self._hosts):
            return call
        secrets = self._tokens.headers(deadline)
        return replace(call, secrets=secrets, key_hosts=self._hosts)

    def renew(self, call: Call, family: str | None) -> bool:
        self._tokens.drop(call.secrets)
        return bool(call.secrets)


class _Signed(_NoIdentity):
    """Addresses that are signed."""

    def __init__(
        self, signer: Signer, hosts: frozenset[str], collections: Mapping[str, str]
    ) -> None:
        self._signer = signer
        self._hosts = hosts
        self._collections = collections

    def applied(
        self, url: str, family: str | None, call: Call, deadline: Deadline
    ) -> tuple[str, Call]:
        if not is_listed(url, self._hosts):
            return url, call
        return self._signer.signed(url, self._collection(family), deadline), call

    def renew(self, call: Call, family: str | None) -> bool:
        self._signer.drop(self._collection(family))
        return True

    def _collection(self, family: str | None) -> str | None:
        if family is not None:
            return self._collections.get(family)
        known = {*self._collections.values()}
        return known.pop() if len(known) == 1 else None


class _OfStore(_NoIdentity):
    """Requests that are signed for an object store; https addresses are left alone."""

    def __init__(self, key: StoreKey, keys: Keys) -> None:
        self._key = key
        self._keys = keys

    def applied(
        self, url: str, family: str | None, call: Call, deadline: Deadline
    ) -> tuple[str, Call]:
        if not url.startswith("s3://"):
            return url, call
        key = self._key
        if missing := self._keys.missing((key.key_variable, key.secret_variable)):
            text = f"there is no value of {' and '.join(missing)}"
            raise Failure("E-FETCH-NO-KEY", text, url)
        store = Store(
            key.endpoint.rstrip("/"),
            key.region,
            self._keys.get(key.key_variable),
            self._keys.get(key.secret_variable),
            token=None,
            requester_pays=key.requester_pays,
        )
        return url, replace(call, store=store)


def identity_of(
    provider: Provider,
    keys: Keys,
    transport: Transport,
    clock: Callable[[], float] = time.monotonic,
) -> Identity:
    """Return what puts the key of a provider into requests."""
    key, hosts = provider.key, provider.all_key_hosts
    if isinstance(key, HeaderKey):
        return _InHeader(key, hosts, keys)
    if isinstance(key, PasswordKey):
        return _ByToken(Tokens(key, keys, provider.limits, transport, clock), hosts)
    if isinstance(key, SigningKey):
        collections = {family: one.id for family, one in provider.collections.items()}
        signer = Signer(key, keys, provider.limits, transport, clock)
        return _Signed(signer, hosts, collections)
    if isinstance(key, StoreKey):
        return _OfStore(key, keys)
    return _NoIdentity()
