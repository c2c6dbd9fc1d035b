"""Digests of the files of the user, which decide whether a task has to be done again.

National databases hold gigabytes and a plan is made many times, so the digest of a large file
is remembered in the run folder, by path, size and time of its last change. The key of a task
holds the content alone; a forgotten memory only costs the reading. A file that changes and keeps
both its size and its time is taken for the one that was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from oso_pipeline.core.commit import digest, publish_json, sha256_file
from oso_pipeline.core.json_files import read_object
from oso_pipeline.core.regular_files import real_place

MEMORY = "reference/digests.json"
LARGE_BYTES = 64 * 2**20
"""From here on a digest is remembered."""


class FileDigests(Protocol):
    """Gives digests of files, and remembers them where there is a place for it."""

    def of(self, file: Path) -> str:
        """Return the digest of the content of a file; OSError where it cannot be read."""
        ...

    def remember(self) -> None:
        """Write down what was learnt."""
        ...


@dataclass
class RememberedDigests:
    """SHA-256 of files, those of large ones remembered in a run folder.

    Parameters
    ----------
    run_dir
        The run folder; where it does not exist nothing is remembered.
    """

    run_dir: Path
    _known: dict[str, str] = field(default_factory=dict)
    _before: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = _remembered(self.run_dir / MEMORY)

    def of(self, file: Path) -> str:
        """Return the SHA-256 of a file, read once per state of it where it is large."""
        state = file.stat()
        if state.st_size < LARGE_BYTES:
            return _sha256(file, state.st_size, state.st_mtime_ns)
        name = f"{real_place(file)}|{state.st_size}|{state.st_mtime_ns}"
        known = self._before.get(name) or _sha256(file, state.st_size, state.st_mtime_ns)
        self._known[name] = known
        return known

    def remember(self) -> None:
        """Write down the digests of large files, where there are new ones."""
        if self.run_dir.is_dir() and not self._known.items() <= self._before.items():
            publish_json(self.run_dir / MEMORY, {**self._before, **self._known})


class StateDigests:
    """Stand-ins for plans of which only sizes and costs count: no large file is read.

    Tasks of such a plan have keys that nothing was committed under.
    """

    def of(self, file: Path) -> str:
        """Return a digest of path, size and time of a large file; the SHA-256 of a small one."""
        state = file.stat()
        if state.st_size < LARGE_BYTES:
            return _sha256(file, state.st_size, state.st_mtime_ns)
        return digest(["not read", str(file), state.st_size, state.st_mtime_ns])

    def remember(self) -> None:
        """Do nothing: nothing was learnt."""


@lru_cache(maxsize=65_536)
def _sha256(path: Path, size: int, modified_ns: int) -> str:
    return sha256_file(path)


def _remembered(path: Path) -> dict[str, str]:
    return read_object(path)
