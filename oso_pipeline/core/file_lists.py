"""Folders of many files that are committed by a list of their SHA-256, as a Zarr store is.

The list lies beside the folder and is named as it with ``.sha256`` behind. It has the lines of
``sha256sum``, which checks it: ``sha256sum --check 31TCJ_10m.zarr.sha256``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from oso_pipeline.core.commit import sha256_file

LIST_SUFFIX = ".sha256"


def is_list(path: Path) -> bool:
    """Return whether a file is named as the list of a folder."""
    return path.name.endswith(LIST_SUFFIX)


def folder_of(listing: Path) -> Path:
    """Return the folder that a list is of."""
    return listing.with_name(listing.name.removesuffix(LIST_SUFFIX))


def list_of(folder: Path, name: str) -> str:
    """Return the list of the files below a folder, sorted, for when it is called `name`."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(
        f"{sha256_file(path)}  {name}/{path.relative_to(folder).as_posix()}\n" for path in paths
    )


def listed(listing: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of a list with its SHA-256.

    Raises
    ------
    OSError, ValueError
        If the list cannot be read.
    """
    for line in listing.read_text(encoding="utf-8").splitlines():
        sha256, name = line.split("  ", 1)
        yield listing.parent / name, sha256


def damage(listing: Path) -> str | None:
    """Return what is wrong with the first file that is not as listed; None for a sound folder."""
    for path, sha256 in listed(listing):
        try:
            found = sha256_file(path)
        except OSError as error:
            return f"{path} of the list cannot be read: {error.strerror or error}"
        if found != sha256:
            return f"{path} has changed since it was listed"
    return None
