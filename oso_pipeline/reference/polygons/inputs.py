"""The files that polygons come from, as an input of tasks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from oso_pipeline.core.commit import digest
from oso_pipeline.core.errors import Problems
from oso_pipeline.tasks.file_digests import FileDigests


def digest_of(files: Iterable[Path], name: str, digests: FileDigests, problems: Problems) -> str:
    """Return the digest over names and content of the files of a source.

    Problems found: a file that cannot be read (``E-PATH-READ``), which `name` lacks.
    """
    contents = []
    for file in files:
        try:
            contents.append([file.name, digests.of(file)])
        except OSError as error:
            hint = "correct the path; relative paths begin at the configuration file"
            message = f"{name} cannot be read: {error.strerror}"
            problems.error("E-PATH-READ", message, file, hint)
    return digest(contents)


def bytes_of(files: Iterable[Path]) -> int:
    """Return the size of files; of those that are there."""
    return sum(file.stat().st_size for file in files if file.is_file())
