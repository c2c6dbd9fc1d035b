"""A Zarr store in a folder or in a zip: its small files, and the sizes of its chunks.

Nothing is extracted: GDAL reads the chunks in place.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

from oso_pipeline.core.regular_files import open_regular
from oso_pipeline.imagery.archive import (
    ArchiveError,
    members_of,
    opened_archive,
    refuse_odd,
)
from oso_pipeline.imagery.damage import damage_as
from oso_pipeline.imagery.file_names import is_clutter, is_file, is_text

CONSOLIDATED, GROUP, ATTRIBUTES, ARRAY = ".zmetadata", ".zgroup", ".zattrs", ".zarray"
VERSION_3 = "zarr.json"
"""Names of the metadata files; the last is the only one of version 3 of the format."""

MARKERS = frozenset({CONSOLIDATED, GROUP, ATTRIBUTES, VERSION_3})
"""A folder that holds one of these is a store, or a group within one."""

SUFFIX = re.compile(r"\.zarr$", re.IGNORECASE)

_IN_ZIP = "/vsizip/{"
_PIECE = 1 << 20
_DEEPEST = 4  # folders of chunks below that of an array


class Store(Protocol):
    """The files of a store, by their names below its root with ``/`` between folders."""

    @property
    def gdal_path(self) -> str:
        """Path of the root as GDAL opens it."""
        ...

    def holds(self, name: str) -> bool:
        """Return whether there is a file of a name."""
        ...

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of a file, at most `limit` + 1 bytes of it."""
        ...

    def sizes(self, array: str) -> Mapping[str, int]:
        """Return the size of each chunk of an array, by its name below the array."""
        ...

    def verify(self, array: str) -> None:
        """Compare the chunks of an array with their checksums, where the store has any.

        Raises
        ------
        ArchiveError
            Naming the first that differs.
        """
        ...


class FolderStore:
    """A store in a folder.

    Parameters
    ----------
    root
        The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def gdal_path(self) -> str:
        """Path of the root as GDAL opens it."""
        return str(self.root.absolute())

    def holds(self, name: str) -> bool:
        """Return whether there is a file of a name."""
        return (self.root / name).is_file()

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of a file, at most `limit` + 1 bytes of it."""
        with open_regular(self.root / name) as stream:
            return stream.read(limit + 1)

    def sizes(self, array: str) -> Mapping[str, int]:
        """Return the size of each chunk of an array, by its name below the array."""
        return _sizes_below(self.root / array, "", _DEEPEST)

    def verify(self, array: str) -> None:
        """Files in a folder have no checksums."""


class ZipStore:
    """A store in a zip.

    Parameters
    ----------
    archive
        The zip.
    root
        Folder within it, '' where the store has the zip to itself.
    """

    def __init__(self, archive: Path, root: str) -> None:
        self.archive = archive
        self.root = root

    @property
    def gdal_path(self) -> str:
        """Path of the root as GDAL opens it."""
        path = f"/vsizip/{{{self.archive.absolute()}}}"
        return f"{path}/{self.root}" if self.root else path

    @cached_property
    def _members(self) -> dict[str, zipfile.ZipInfo]:
        members: dict[str, zipfile.ZipInfo] = {}
        start = f"{self.root}/" if self.root else ""
        for info in members_of(self.archive):
            if not info.is_dir() and info.filename.startswith(start):
                name = info.filename[len(start) :]
                refuse_odd(info, name, members)
                members[name] = info
        return members

    @cached_property
    def _arrays(self) -> dict[str, dict[str, zipfile.ZipInfo]]:
        """Chunks by the array that holds them, which is the nearest folder with metadata."""
        arrays = {name[: -len(ARRAY) - 1] for name in self._members if name.endswith(f"/{ARRAY}")}
        found: dict[str, dict[str, zipfile.ZipInfo]] = {}
        for name, info in self._members.items():
            if not _is_metadata(name):
                folder = next(
                    (str(one) for one in PurePosixPath(name).parents if str(one) in arrays),
                    str(PurePosixPath(name).parent),
                )
                found.setdefault(folder, {})[name[len(folder) + 1 :]] = info
        return found

    def holds(self, name: str) -> bool:
        """Return whether there is a member of a name."""
        return name in self._members

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of a member, at most `limit` + 1 bytes of it."""
        with (
            opened_archive(self.archive) as stream,
            damage_as(ArchiveError, f"member {name} is damaged"),
            stream.open(self._members[name]) as member,
        ):
            return member.read(limit + 1)

    def sizes(self, array: str) -> Mapping[str, int]:
        """Return the size of each chunk of an array, by its name below the array."""
        return {name: info.file_size for name, info in self._arrays.get(array, {}).items()}

    def verify(self, array: str) -> None:
        """Read the chunks of an array and compare them with the checksums of the zip."""
        with opened_archive(self.archive) as stream:
            for name, info in self._arrays.get(array, {}).items():
                with (
                    damage_as(ArchiveError, f"member {array}/{name} is damaged"),
                    stream.open(info) as member,
                ):
                    while member.read(_PIECE):
                        pass


def open_store(path: Path, root: str = "") -> FolderStore | ZipStore:
    """Return the store in a folder, or that of a root within a zip.

    Raises
    ------
    ArchiveError
        If the path is a zip that holds no store there, or several and `root` names none.
    """
    if path.is_dir():
        return FolderStore(path)
    roots = roots_in(path)
    if root.rstrip("/") in roots:
        return ZipStore(path, root.rstrip("/"))
    if root or len(roots) != 1:
        raise ArchiveError(f"holds {len(roots)} Zarr stores, expected one")
    return ZipStore(path, roots[0])


def store_at(gdal_path: str) -> FolderStore | ZipStore:
    """Return the store that :attr:`Store.gdal_path` names.

    Raises
    ------
    ArchiveError
        If there is no such store in the zip.
    """
    if not gdal_path.startswith(_IN_ZIP):
        return open_store(Path(gdal_path))
    depth = 0
    for place, letter in enumerate(gdal_path):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "}" and not depth:
            archive, root = gdal_path[len(_IN_ZIP) : place], gdal_path[place + 1 :]
            return open_store(Path(archive), root.lstrip("/"))
    raise ArchiveError(f"{gdal_path} is not the path of a store")


def roots_in(archive: Path) -> list[str]:
    """Return the folders of a zip that are stores, not groups of one; '' is its top.

    Raises
    ------
    ArchiveError
        If the zip cannot be read.
    """
    folders = sorted(
        {
            str(PurePosixPath(info.filename).parent)
            for info in members_of(archive)
            if PurePosixPath(info.filename).name in MARKERS and not _is_of_system(info.filename)
        },
        key=lambda folder: (folder.count("/"), folder),
    )
    roots: list[str] = []
    for folder in folders:
        bare = "" if folder == "." else folder
        if not any(root == "" or bare.startswith(f"{root}/") for root in roots):
            roots.append(bare)
    return roots


def is_store(names: Iterable[str]) -> bool:
    """Return whether the names in a folder are those of a store."""
    return not MARKERS.isdisjoint(names)


def _sizes_below(folder: Path, start: str, levels: int) -> dict[str, int]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    sizes: dict[str, int] = {}
    for entry in entries:
        if entry.name.startswith(".") or not is_text(entry.name):
            continue
        if is_file(entry):
            sizes[start + entry.name] = entry.stat().st_size
        elif levels and entry.is_dir():
            sizes |= _sizes_below(folder / entry.name, f"{start}{entry.name}/", levels - 1)
    return sizes


def _is_metadata(name: str) -> bool:
    return PurePosixPath(name).name.startswith(".")


def _is_of_system(name: str) -> bool:
    """Return whether a member is one that systems leave; names of metadata begin with a dot too."""
    path = PurePosixPath(name)
    return is_clutter(str(path.parent)) or path.name.startswith("._")
