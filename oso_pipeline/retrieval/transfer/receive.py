"""Get one file of a product into its part: from a server, or from a folder of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from http.client import HTTPResponse
from io import BytesIO
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import unquote, urlsplit

from oso_pipeline.core.regular_files import open_regular
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.terms import Patience, Terms
from oso_pipeline.imagery.remote.transfer import Transfer
from oso_pipeline.imagery.remote.transport import Answer, Version
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import RemoteFile
from oso_pipeline.retrieval.provider_table import Provider
from oso_pipeline.retrieval.transfer.part import Part, overlap
from oso_pipeline.retrieval.transfer.verify import look_at_begin

MOST_BYTES = 16 * 1024**3
"""Of one file; a product of Sentinel-2 has about one."""

PERIOD_S = 60.0
"""Over which the least rate of a provider is measured."""

_ACCEPTED = 202


class Source(Protocol):
    """What is needed of a session with a provider."""

    @property
    def provider(self) -> Provider:
        """The provider."""
        ...

    def open(
        self,
        url: str,
        deadline: Deadline,
        start: int = 0,
        condition: str | None = None,
        family: str | None = None,
    ) -> Answer:
        """Request a file from a byte on."""
        ...

    def slot(self, deadline: Deadline | None = None) -> AbstractContextManager[object]:
        """Wait for one of the connections that the provider allows."""
        ...


class StillOnTape(Exception):
    """The server accepted the request and sent nothing of the file."""


@dataclass(frozen=True)
class Receiver:
    """Gets files of a product.

    Parameters
    ----------
    session
        Sends the requests.
    family
        Kind of the reader of the product.
    deadline
        Of the product.
    tries
        How often in a row requests may fail without progress.
    sleep
        Waits for so many seconds.
    on_bytes
        Gets the number of bytes that came.
    """

    session: Source
    family: str
    deadline: Deadline
    tries: int
    sleep: Callable[[float], None]
    on_bytes: Callable[[int], None]

    def receive(self, part: Part, file: RemoteFile) -> Version:
        """Fill a part until the file is whole, as far as the server says what that is.

        Raises
        ------
        Failure
            If it cannot be had now.
        StillOnTape, TapeText
            If the server says so.
        OSError
            If the part cannot be written.
        """
        version, have = part.state()
        terms = replace(self._terms(file), on_version=part.remember)
        with part.opened() as stream:
            transfer = Transfer(file.url, stream, self._sender(file), terms, version, have)
            transfer.until_whole()
            if transfer.have == 0:
                raise StillOnTape("the server sent no byte of it")
            stream.truncate(transfer.have)
        return transfer.version

    def small(self, url: str, most_bytes: int) -> bytes:
        """Return the content of a small file, of which no part is kept.

        Raises
        ------
        Failure
            If it cannot be had now, or is larger.
        """
        stream, file = BytesIO(), RemoteFile("listing.xml", url)
        Transfer(url, stream, self._sender(file), self._terms(file, most_bytes)).until_whole()
        return stream.getvalue()

    def _terms(self, file: RemoteFile, most_bytes: int = MOST_BYTES) -> Terms:
        least_bytes = int(self.session.provider.limits.bytes_per_s * PERIOD_S)
        return Terms(
            Patience(tries=self.tries, period_s=PERIOD_S, least_bytes=least_bytes),
            most_bytes,
            overlap=overlap,
            is_checked=file.checksum is not None or file.name.lower().endswith(".zip"),
            begins_again=True,
            until_s=self.deadline.at_s,
            sleep=self.sleep,
            clock=self.deadline.clock,
            look=look_at_begin(file.name, file.url),
            on_bytes=self.on_bytes,
            slot=lambda: self.session.slot(self.deadline),
        )

    def _sender(self, file: RemoteFile) -> Callable[[int, str | None], Answer]:
        def send(start: int, condition: str | None) -> Answer:
            if urlsplit(file.url).scheme == "file":
                return _of_this_machine(file.url, start)
            answer = self.session.open(file.url, self.deadline, start, condition, self.family)
            if getattr(answer.response, "status", 200) == _ACCEPTED:
                answer.response.close()
                raise StillOnTape(f"the server answers with status {_ACCEPTED}")
            return answer

        return send


def _of_this_machine(url: str, start: int) -> Answer:
    """Return a file of a mirror folder as though it was sent."""
    path = Path(unquote(urlsplit(url).path))
    try:
        stream = open_regular(path)
    except FileNotFoundError:
        raise Failure("E-FETCH-GONE", "there is no such file in the mirror", url) from None
    except OSError as error:
        text = f"the file of the mirror cannot be read: {error.strerror or error}"
        raise Failure("E-FETCH-NETWORK", text, url, is_passing=True) from None
    status = os.fstat(stream.fileno())
    start = min(start, status.st_size)
    stream.seek(start)
    version = Version(status.st_size, f'"{status.st_mtime_ns}-{status.st_ino}"', None)
    return Answer(cast(HTTPResponse, stream), start, version)
