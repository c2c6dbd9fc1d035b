"""Reading an answer that is JSON, whole or with a clear failure."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

from oso_pipeline.imagery.remote.call import Call
from oso_pipeline.imagery.remote.connections import Times
from oso_pipeline.imagery.remote.failures import Failure, clock_behind_s, failure_of
from oso_pipeline.imagery.remote.transport import Answer, Transport
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.provider_table import Limits

MOST_BYTES = 64_000_000
"""Largest answer of a catalogue that is read."""
_CHUNK = 1 << 18
_JSON = (b"{", b"[")


def times_of(limits: Limits, deadline: Deadline, url: str) -> Times:
    """Return how long the steps of a request may take, so that it ends before a deadline.

    Raises
    ------
    Failure
        If the deadline is over.
    """
    left_s = deadline.left_s
    if left_s <= 0:
        raise Failure("E-FETCH-NETWORK", "the deadline is over", url, is_passing=True)
    return Times(limits.connect_s, limits.silence_s, left_s)


def read_json(transport: Transport, url: str, call: Call, times: Times) -> tuple[Any, float | None]:
    """Send a request; return the JSON of its answer, and how far our clock is behind in seconds.

    Raises
    ------
    Failure
        If there is no answer in time, or it is not JSON.
    """
    answer = transport.send(url, call=call, times=times)
    with closing(answer.response):
        content = read_whole(answer, url, MOST_BYTES)
        behind_s = clock_behind_s(answer.response.headers)
    if not content.lstrip()[:1] or content.lstrip()[:1] not in _JSON:
        text = f"the server sends {_kind(content)} in place of JSON"
        raise Failure("E-FETCH-SERVER", text, url, is_passing=True)
    try:
        return json.loads(content), behind_s
    except (ValueError, RecursionError):
        text = "the server sends JSON that is cut or damaged"
        raise Failure("E-FETCH-SERVER", text, url, is_passing=True) from None


def read_whole(answer: Answer, url: str, most_bytes: int) -> bytes:
    """Return the content of an answer.

    Raises
    ------
    Failure
        If it does not come in time, ends early, or is larger than `most_bytes`.
    """
    parts: list[bytes] = []
    size = 0
    try:
        while chunk := answer.response.read1(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > most_bytes:
                text = f"the answer has more than {most_bytes} bytes"
                raise Failure("E-FETCH-SIZE", text, url)
    except Exception as error:  # noqa: BLE001  (whatever is raised is of the connection)
        raise failure_of(error, url) from None
    whole = answer.version.size_bytes
    if whole is not None and answer.start + size < whole:
        text = f"the connection ended after {size} of {whole} bytes"
        raise Failure("E-FETCH-NETWORK", text, url, is_passing=True)
    return b"".join(parts)


def _kind(content: bytes) -> str:
    begin = content.lstrip()[:200].lower()
    if not begin:
        return "nothing"
    if begin.startswith(b"<"):
        return "a web page" if b"html" in begin else "XML"
    return "something else"
