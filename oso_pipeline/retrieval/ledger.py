"""Writing the ledger, which several processes share."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.imagery.fetch_ledger import History, Key, LedgerReader, Record

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Ledger:
    """The ledger of a folder; its methods may be called from several threads.

    Parameters
    ----------
    path
        The file. It and its folder are made with the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = LedgerReader(path)
        self._lock = threading.Lock()

    def append(self, *records: Record) -> None:
        """Add records, all in one write, flushed to the disk.

        A line that a killed process left incomplete is closed first, so that it spoils no other.
        If the disk takes a part of the lines only, they are taken back.

        Raises
        ------
        EnvironmentFailure
            If the system refuses to write (``E-DISK``).
        """
        if not records:
            return
        content = b"".join(record.to_line() for record in records)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock:
                _append(self.path, content)
        except OSError as error:
            raise _refused(self.path, error) from error

    def history(self, place: tuple[str, str] | None = None) -> History:
        """Return what is known now, with what other processes added; a copy.

        Parameters
        ----------
        place
            Family and tile, for what is known of their products alone.

        Raises
        ------
        EnvironmentFailure
            If the file cannot be read (``E-DISK``).
        """
        with self._lock:
            self._refresh()
            return self._reader.history.copy(place)

    def latest(self, key: Key) -> Record | None:
        """Return the last record of a product, with what other processes added."""
        with self._lock:
            self._refresh()
            return self._reader.history.latest.get(key)

    def waiting_since(self, key: Key) -> datetime | None:
        """Return when a product was first found on tape; None where it does not wait."""
        with self._lock:
            self._refresh()
            return self._reader.history.waiting_since.get(key)

    def _refresh(self) -> None:
        try:
            self._reader.refresh()
        except OSError as error:
            raise _refused(self.path, error) from error


def _append(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # ends with the handle
        end = os.fstat(handle).st_size
        if end and os.pread(handle, 1, end - 1) != b"\n":
            content = b"\n" + content
        try:
            written = os.write(handle, content)
            if written != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(handle)
            if not end:  # the name of a new file is not on the disk before its folder is
                _flush_folder(path.parent)
        except OSError:
            with suppress(OSError):
                os.ftruncate(handle, end)
            raise
    finally:
        os.close(handle)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(path: Path, error: OSError) -> EnvironmentFailure:
    full = error.errno in _FULL
    return EnvironmentFailure(
        Problem(
            "E-DISK",
            f"the {'disk is full' if full else 'file cannot be used'}: {error.strerror or error}",
            str(path),
            "free disk space, then run again" if full else "check the disk, then run again",
        )
    )


def records_added(history: History, records: Iterable[Record]) -> list[Record]:
    """Return those of some records of the state ``seen`` that say something new."""
    return [
        one
        for one in records
        if (one.provider, one.entry, one.checksum) not in history.entries.get(one.key, ())
    ]
