"""Get a file from the web, whole: try again, continue where it was cut, check what came."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import BinaryIO

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.terms import Patience, Terms
from oso_pipeline.imagery.remote.transfer import Transfer
from oso_pipeline.imagery.remote.transport import Answer, Transport, Version

MAX_BYTES = 2 * 1024**3
"""A band of a tile has at most 241 MB without compression."""

__all__ = ["MAX_BYTES", "Downloader", "Patience", "Wanted", "method_of"]

_CHUNK = 1 << 18
_METHODS = {
    "11": "sha1", "12": "sha256", "13": "sha512", "14": "sha3_512", "15": "sha3_384",
    "16": "sha3_256", "17": "sha3_224", "d501": "md5",
}  # fmt: skip
"""Methods of multihash by their code, as hexadecimal text."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is wanted, and what is known of it.

    Parameters
    ----------
    url
        Its address.
    size_bytes, checksum
        Of its content: bytes, multihash in hexadecimal.
    etag
        The version that was there before.
    """

    url: str
    size_bytes: int | None = None
    checksum: str | None = None
    etag: str | None = None


@dataclass(frozen=True)
class Downloader:
    """Gets files, one after the other.

    Parameters
    ----------
    transport
        Sends the requests.
    patience
        How long servers are waited for.
    sleep, clock
        Of time, seconds.
    """

    transport: Transport = field(default_factory=Transport)
    patience: Patience = field(default_factory=Patience)
    sleep: Callable[[float], None] = lambda seconds: time.sleep(seconds)
    clock: Callable[[], float] = time.monotonic

    def get(self, wanted: Wanted, target: Path) -> Version:
        """Write a file to `target`, over what is there, with a part of a MB of memory.

        Raises
        ------
        Failure
            If the file cannot be had, or is not what is wanted.
        OSError
            If `target` cannot be written.
        """
        with target.open("w+b") as file:
            for is_last in (False, True):
                transfer = Transfer(
                    wanted.url, file, partial(self._send, wanted.url), self._terms(wanted)
                )
                transfer.until_whole()
                fault = _fault_of_content(wanted, file)
                if fault is None:
                    break
                if is_last:
                    raise Failure("E-FETCH-CHECKSUM", fault, wanted.url)
        return transfer.version

    def _send(self, url: str, start: int, condition: str | None) -> Answer:
        return self.transport.send(url, start, condition=condition)

    def _terms(self, wanted: Wanted) -> Terms:
        stated = Version(wanted.size_bytes, wanted.etag, None)
        return Terms(self.patience, MAX_BYTES, stated=stated, sleep=self.sleep, clock=self.clock)

    def version_of(self, url: str) -> Version:
        """Return size and version of a file, with several tries where that may help.

        Raises
        ------
        Failure
            If it cannot be had.
        """
        random, failures = Random(), 0
        while True:
            try:
                return self.transport.version_of(url)
            except Failure as failure:
                failures += 1
                if not failure.is_passing or failures >= self.patience.tries:
                    raise
                self.sleep(self.patience.wait_s(failures, failure, random))


def _fault_of_content(wanted: Wanted, file: BinaryIO) -> str | None:
    """Return what of a file is not as the item states it; None where all is."""
    file.flush()
    size = file.seek(0, 2)
    if wanted.size_bytes is not None and size != wanted.size_bytes:
        return f"the file has {size} bytes, the item states {wanted.size_bytes}"
    method = method_of(wanted.checksum)
    if method is None or wanted.checksum is None:
        return None
    file.seek(0)
    found = hashlib.new(method, usedforsecurity=False)
    while chunk := file.read(_CHUNK):
        found.update(chunk)
    if found.hexdigest() == wanted.checksum[-2 * found.digest_size :]:
        return None
    return f"the {method} of the file is not the one that the item states"


def method_of(checksum: str | None) -> str | None:
    """Return the method of a multihash; None where it is missing, damaged or of another method.

    Examples
    --------
    >>> method_of("1220" + 32 * "ab"), method_of("d50110" + 16 * "ab"), method_of("12")
    ('sha256', 'md5', None)
    """
    for code, method in _METHODS.items():
        size = hashlib.new(method, usedforsecurity=False).digest_size
        begin = f"{code}{size:02x}"
        if checksum and checksum.startswith(begin) and len(checksum) == len(begin) + 2 * size:
            return method
    return None
