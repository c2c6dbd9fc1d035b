"""Addresses that a server signs: one by one (Theia), or with a token for a collection (Azure SAS).

The life of a token is the time between the date of the answer and the end that it states, both by
the clock of the server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from oso_pipeline.imagery.remote.call import Call
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.transport import Transport
from oso_pipeline.retrieval.access.answers import read_json, times_of
from oso_pipeline.retrieval.access.keys import Keys
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.provider_table import Limits, SigningKey

_MARGIN_S, _MARGIN_SHARE = 120.0, 0.2
_USUAL_S, _LONGEST_S = 600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class _Query:
    text: str = field(repr=False)
    until_s: float


class Signer:
    """Signs addresses; for several threads.

    Parameters
    ----------
    key
        The server that signs, and the headers that it wants.
    keys
        Values of the headers.
    limits
        How long the server is waited for.
    transport
        Sends the requests.
    clock
        Seconds that only go on.
    """

    def __init__(
        self,
        key: SigningKey,
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
        self._queries: dict[str, _Query] = {}

    def signed(self, url: str, collection: str | None, deadline: Deadline) -> str:
        """Return an address with which a file can be had now.

        Parameters
        ----------
        url
            Address of the file.
        collection
            Identifier of its collection, for a server that signs collections.
        deadline
            Until when the server may answer.

        Raises
        ------
        Failure
            If a key is missing, or the server does not sign.
        """
        if "{collection}" not in self._key.url:
            return self._one(url, deadline)
        if collection is None:
            text = "no collection is known for this address, so it cannot be signed"
            raise Failure("E-FETCH-DENIED", text, url)
        query = self._query_of(collection, deadline)
        return f"{url}{'&' if urlsplit(url).query else '?'}{query}"

    def drop(self, collection: str | None) -> None:
        """Forget the token of a collection: it was refused."""
        with self._lock:
            self._queries.pop(collection or "", None)

    def _one(self, url: str, deadline: Deadline) -> str:
        found, _ = self._requested(self._key.url.replace("{url}", quote(url, safe="")), deadline)
        href = found.get("href")
        if not isinstance(href, str) or not href:
            raise Failure("E-FETCH-SERVER", "the server that signs gives no address", url)
        return href

    def _query_of(self, collection: str, deadline: Deadline) -> str:
        with self._lock:
            known = self._queries.get(collection)
        since_s = self._clock()
        if known is not None and known.until_s > since_s:
            return known.text
        address = self._key.url.replace("{collection}", quote(collection, safe=""))
        found, behind_s = self._requested(address, deadline)
        token = found.get("token")
        if not isinstance(token, str) or not token:
            raise Failure("E-FETCH-SERVER", "the server that signs gives no token", address)
        life = _life_s(found.get("msft:expiry"), behind_s)
        query = _Query(token.lstrip("?"), since_s + life - min(_MARGIN_S, life * _MARGIN_SHARE))
        with self._lock:
            self._queries[collection] = query
        return query.text

    def _requested(self, address: str, deadline: Deadline) -> tuple[Mapping[str, Any], float]:
        if missing := self._keys.missing(self._key.headers.values()):
            text = f"there is no value of {' and '.join(missing)}"
            raise Failure("E-FETCH-NO-KEY", text, address)
        secrets = {name: self._keys.get(of) or "" for name, of in self._key.headers.items()}
        own = (urlsplit(address).netloc,)
        call = Call(secrets=secrets, key_hosts=own, hosts=own)
        times = times_of(self._limits, deadline, address)
        found, behind_s = read_json(self._transport, address, call, times)
        return (found if isinstance(found, dict) else {}), behind_s or 0.0


def _life_s(expiry: object, behind_s: float) -> float:
    """Return how long a token lives, by the clock of the server that made it."""
    try:
        end = datetime.fromisoformat(str(expiry))
    except ValueError:
        return _USUAL_S
    end = end if end.tzinfo is not None else end.replace(tzinfo=UTC)
    return min(max(end.timestamp() - (time.time() + behind_s), 0.0), _LONGEST_S)
