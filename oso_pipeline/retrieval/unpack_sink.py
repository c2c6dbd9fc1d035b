"""Where the content of members goes: files of a hidden folder, measured as they come."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from oso_pipeline.imagery.archive import ArchiveError


class FolderSink:
    """Takes the content of the members, each in one piece after the other.

    Parameters
    ----------
    work
        Folder to write to.
    wanted
        By the name of a member, its name below the folder and its size.
    on_bytes
        As of `unpack`.
    """

    def __init__(
        self,
        work: Path,
        wanted: Mapping[str, tuple[PurePosixPath, int]],
        on_bytes: Callable[[int], None],
    ) -> None:
        self._work = work
        self._wanted = wanted
        self._on_bytes = on_bytes
        self._open: tuple[str, BinaryIO] | None = None
        self._digests: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._wanted

    def write(self, name: str, chunk: bytes) -> None:
        """Append to a member; an empty chunk begins it where nothing came yet."""
        path, size = self._wanted[name]
        if self._open is None or self._open[0] != name:
            self._close()
            if name in self._digests:
                raise ArchiveError(f"member {name} comes twice")
            target = self._work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            self._open = (name, target.open("xb"))
            self._digests[name], self._sizes[name] = hashlib.sha256(), 0
        self._sizes[name] += len(chunk)
        if self._sizes[name] > size:
            raise ArchiveError(f"member {name} is larger than the {size} bytes that it states")
        self._open[1].write(chunk)
        self._digests[name].update(chunk)
        self._on_bytes(len(chunk))

    def finished(self) -> tuple[tuple[str, int, str], ...]:
        """Flush the files; return name, size and SHA-256 of each.

        Raises
        ------
        ArchiveError
            If one did not come whole.
        """
        self._close()
        for name, (_, size) in self._wanted.items():
            if self._sizes.get(name) != size:
                raise ArchiveError(
                    f"member {name} has {self._sizes.get(name, 0)} bytes, it states {size}"
                )
        return tuple(
            sorted(
                (path.as_posix(), size, self._digests[name].hexdigest())
                for name, (path, size) in self._wanted.items()
            )
        )

    def close(self) -> None:
        """Close the file that is open, after an error."""
        with suppress(OSError):
            self._close()

    def _close(self) -> None:
        if self._open is not None:
            _, file = self._open
            self._open = None
            with file:
                file.flush()
                os.fsync(file.fileno())
