"""Tokens of an identity server (OpenID Connect): fetched, refreshed, and never shown.

The life of a token is counted from the moment before its request, on a clock that nobody sets:
what the clock of this machine shows plays no part.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from oso_pipeline.imagery.remote.call import Call
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.transport import Transport
from oso_pipeline.retrieval.access.answers import read_json, times_of
from oso_pipeline.retrieval.access.keys import Keys
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.provider_table import Limits, PasswordKey

_FORM = "application/x-www-form-urlencoded"
_MARGIN_S, _MARGIN_SHARE = 60.0, 0.2
"""A token is renewed so long before its end, or this share of its life if that is less."""
_USUAL_S, _LONGEST_S = 300.0, 86_400.0
_DENIED_S = 900.0
"""A password that was refused is not sent again for so long: accounts are locked otherwise."""
_REFUSED = (400, 401, 403)


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    until_s: float

    @classmethod
    def of(cls, value: object, expires_in: object, since_s: float) -> _Token | None:
        if not isinstance(value, str) or not value or not value.isascii():
            return None
        is_number = isinstance(expires_in, int | float) and not isinstance(expires_in, bool)
        life = float(expires_in) if is_number else _USUAL_S  # type: ignore[arg-type]
        life = min(max(life, 0.0), _LONGEST_S)
        return cls(value, since_s + life - min(_MARGIN_S, life * _MARGIN_SHARE))


class Tokens:
    """The token of one user; for several threads.

    Parameters
    ----------
    key
        Where tokens come from.
    keys
        User and password.
    limits
        How long the identity server is waited for.
    transport
        Sends the requests.
    clock
        Seconds that only go on.
    """

    def __init__(
        self,
        key: PasswordKey,
        keys: Keys,
        limits: Limits,
        transport: Transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = key
        self._keys = keys
        self._limits = limits
        self._transport = transport
        self._clock = clock
        self._lock = threading.Lock()
        self._access: _Token | None = None
        self._refresh: _Token | None = None
        self._denied: tuple[float, Failure] | None = None

    def headers(self, deadline: Deadline) -> Mapping[str, str]:
        """Return the headers of a request, with a token that lives for a while.

        Raises
        ------
        Failure
            If there is no user or password, or the identity server gives no token.
        """
        if not self._lock.acquire(timeout=max(0.0, deadline.left_s)):
            text = "no token came before the deadline"
            raise Failure("E-FETCH-NETWORK", text, self._key.token_url, is_passing=True)
        try:
            token = self._access
            if token is None or token.until_s <= self._clock():
                token = self._access = self._renewed(deadline)
            return {"Authorization": f"Bearer {token.value}"}
        finally:
            self._lock.release()

    def drop(self, headers: Mapping[str, str]) -> None:
        """Forget a token that was refused; another one that came since is kept."""
        with self._lock:
            if self._access and headers.get("Authorization") == f"Bearer {self._access.value}":
                self._access = None

    def _renewed(self, deadline: Deadline) -> _Token:
        refresh = self._refresh
        if refresh is not None and refresh.until_s > self._clock():
            form = {"grant_type": "refresh_token", "refresh_token": refresh.value}
            try:
                return self._requested(form, deadline)
            except Failure as failure:
                if failure.status not in _REFUSED:
                    raise
        self._refresh = None
        if self._denied is not None and self._clock() < self._denied[0]:
            raise replace(self._denied[1])  # another one, as each keeps its traceback
        try:
            return self._requested({"grant_type": "password", **self._user()}, deadline)
        except Failure as failure:
            if failure.status not in _REFUSED:
                raise
            text = "the identity server does not accept the user or the password"
            denied = Failure("E-FETCH-DENIED", text, self._key.token_url, status=failure.status)
            self._denied = self._clock() + _DENIED_S, denied
            raise denied from None

    def _user(self) -> dict[str, str]:
        key = self._key
        if missing := self._keys.missing((key.user_variable, key.password_variable)):
            text = f"there is no value of {' and '.join(missing)}"
            raise Failure("E-FETCH-NO-KEY", text, key.token_url)
        user, password = self._keys.get(key.user_variable), self._keys.get(key.password_variable)
        return {"username": user or "", "password": password or ""}

    def _requested(self, form: Mapping[str, str], deadline: Deadline) -> _Token:
        url, since_s = self._key.token_url, self._clock()
        body = urlencode({"client_id": self._key.client_id, **form}).encode()
        own = (urlsplit(url).netloc.rpartition("@")[2],)
        call = Call(body, _FORM, {"Accept": "application/json"}, hosts=own, follows=False)
        found, _ = read_json(self._transport, url, call, times_of(self._limits, deadline, url))
        answer: dict[str, Any] = found if isinstance(found, dict) else {}
        token = _Token.of(answer.get("access_token"), answer.get("expires_in"), since_s)
        if token is None:
            text = "the identity server answers without a token"
            raise Failure("E-FETCH-SERVER", text, url, is_passing=True)
        self._refresh = _Token.of(
            answer.get("refresh_token"), answer.get("refresh_expires_in"), since_s
        )
        return token
