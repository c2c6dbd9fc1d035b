"""Digests of the files that the polygons come from.

National databases hold gigabytes and a plan is made many times, so the digest of a large file
is remembered in the run folder, by path, size and time of its last change. The key of a task
holds the content alone; a forgotten memory only costs the reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from oso_pipeline.core.commit import digest, publish_json, sha256_file
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.json_files import read_object
from oso_pipeline.core.regular_files import real_place

MEMORY = "reference/digests.json"
_LARGE_BYTES = 64 * 2**20


@dataclass
class Digests:
    """Digests of files, those of large ones remembered in a run folder.

    Parameters
    ----------
    run_dir
        The run folder; where it does not exist nothing is remembered.
    """

    run_dir: Path
    bytes_seen: int = 0
    _known: dict[str, str] = field(default_factory=dict)
    _before: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = _remembered(self.run_dir / MEMORY)

    def of(self, files: Iterable[Path], name: str, problems: Problems) -> str:
        """Return the digest over names and content of `files`.

        Problems found: a file that cannot be read (``E-INPUT-058``).
        """
        contents = []
        for file in files:
            try:
                contents.append([file.name, self._one(file)])
            except OSError as error:
                hint = "correct the path; relative paths begin at the configuration file"
                message = f"{name} cannot be read: {error.strerror}"
                problems.error("E-INPUT-058", message, file, hint)
        return digest(contents)

    def remember(self) -> None:
        """Write down the digests of large files, where there are new ones."""
        if self.run_dir.is_dir() and not self._known.items() <= self._before.items():
            publish_json(self.run_dir / MEMORY, {**self._before, **self._known})

    def _one(self, file: Path) -> str:
        state = file.stat()
        self.bytes_seen += state.st_size
        if state.st_size < _LARGE_BYTES:
            return _sha256(file, state.st_size, state.st_mtime_ns)
        name = f"{real_place(file)}|{state.st_size}|{state.st_mtime_ns}"
        known = self._before.get(name) or _sha256(file, state.st_size, state.st_mtime_ns)
        self._known[name] = known
        return known


@lru_cache(maxsize=65_536)
def _sha256(path: Path, size: int, modified_ns: int) -> str:
    return sha256_file(path)


def _remembered(path: Path) -> dict[str, str]:
    return read_object(path)
