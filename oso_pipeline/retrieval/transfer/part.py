"""Downloads that are not whole yet: a file, which content it is a part of, and who owns it.

A part is a file ``*.part`` beside a record of its address and of the version that the server named.
Any process may continue it, at any time after the one that began was killed: the owner holds a
lock of the system (``flock``), which ends with the process.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from oso_pipeline.core.commit import temporary_beside
from oso_pipeline.core.json_files import read_object
from oso_pipeline.imagery.remote.addresses import without_secrets
from oso_pipeline.imagery.remote.terms import NOTHING_SAID
from oso_pipeline.imagery.remote.transport import Version
from oso_pipeline.retrieval.offers import Offer, RemoteFile

KEPT_S = 30 * 86_400.0
"""A part that nobody continued for so many seconds is removed."""

_LEAST_OVERLAP, _MOST_OVERLAP, _SHARE = 1 << 14, 1 << 22, 64


def overlap(have: int) -> int:
    """Return how many bytes of a part are got once more and compared.

    When a connection breaks, some servers write the text of an error after the last byte. A 64th,
    between 16 kB and 4 MB, is longer than such a text; a longer one is noticed as well, and the
    whole begun again.

    Examples
    --------
    >>> overlap(1000), overlap(20_000_000), overlap(900_000_000)
    (1000, 312500, 4194304)
    """
    return min(have, max(_LEAST_OVERLAP, min(_MOST_OVERLAP, have // _SHARE)))


@contextmanager
def owned(path: Path) -> Iterator[bool]:
    """Own what a lock file stands for, if nobody does; gives whether that is so.

    The system ends the ownership with the process, however it ends. On file systems of a network
    it holds between machines where these support locks.
    """
    handle = _locked(path)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            with suppress(OSError):
                path.unlink()  # while it is locked: who opened it meanwhile notices
            os.close(handle)


def _locked(path: Path) -> int | None:
    """Return a handle that holds the lock; None if another one does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        try:
            if os.fstat(handle).st_ino == path.stat().st_ino:
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)  # the last owner removed it after it was opened here


def sweep_parts(parts: Path, locks: Path, older_than_s: float = KEPT_S) -> int:
    """Remove parts of products that nobody continued for long; return of how many products.

    Parameters
    ----------
    parts, locks
        Folders of both.
    older_than_s
        Seconds since the last byte came.
    """
    swept = 0
    for home in sorted(parts.iterdir()) if parts.is_dir() else ():
        if not home.is_dir() or time.time() - _changed(home) < older_than_s:
            continue
        product_id = home.name.removesuffix(".zip").removesuffix(".SAFE")
        with owned(locks / f"{product_id}.lock") as is_owner:
            if is_owner:
                shutil.rmtree(home, ignore_errors=True)
                swept += 1
    return swept


def _changed(home: Path) -> float:
    """Return when something below a folder changed last, seconds since 1970."""
    latest = home.stat().st_mtime
    for path in home.rglob("*"):
        with suppress(FileNotFoundError):
            latest = max(latest, path.stat().st_mtime)
    return latest


@dataclass(frozen=True)
class Part:
    """The part of one file of a product.

    Parameters
    ----------
    path
        Where its bytes are.
    origin
        What tells it from parts of other content: provider, entry of the catalogue, address.
    """

    path: Path
    origin: str

    @classmethod
    def of(cls, folder: Path, offer: Offer, file: RemoteFile) -> Part:
        """Return the part of a file in the work folder of its product."""
        origin = json.dumps(
            [offer.provider, offer.entry, without_secrets(file.url), file.checksum or ""]
        )
        key = hashlib.sha256(f"{file.name}\n{origin}".encode()).hexdigest()[:16]
        return cls(folder / f"{key}.part", origin)

    @property
    def _record(self) -> Path:
        return self.path.with_suffix(".json")

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open it for reading and writing; it is made where it is missing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with os.fdopen(handle, "r+b") as file:
            yield file

    def state(self) -> tuple[Version, int]:
        """Return which content it is a part of and how many bytes are there.

        Without a record of the same origin nothing is.
        """
        record = read_object(self._record) or {}
        if record.get("origin") != self.origin or not self.path.is_file():
            return NOTHING_SAID, 0
        size, etag, modified = (record.get(key) for key in ("size", "etag", "modified"))
        version = Version(
            size if isinstance(size, int) else None,
            etag if isinstance(etag, str) else None,
            modified if isinstance(modified, str) else None,
        )
        return version, self.path.stat().st_size

    def remember(self, version: Version) -> None:
        """Write which content it is a part of, before any byte of it is written."""
        content = {
            "origin": self.origin,
            "size": version.size_bytes,
            "etag": version.etag,
            "modified": version.modified,
        }
        if read_object(self._record) == content:
            return
        temporary = temporary_beside(self._record)
        temporary.write_text(json.dumps(content))
        temporary.replace(self._record)

    def forget(self) -> None:
        """Remove it."""
        for path in (self._record, self.path):
            path.unlink(missing_ok=True)
