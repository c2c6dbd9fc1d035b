"""The files of a product, in a folder or in a zip.

Several products may share a folder or a zip. Files belong to one because they begin with its
stem and lie in its folder, never because of how they end.

GDAL reads inside zips but does not check the checksums of stored members, so archives are
verified and extracted. Only members on the list of needed names are taken, and only their
last path component is used: a hostile archive cannot write elsewhere.
"""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Protocol

from oso_pipeline.core.commit import (
    digest,
    read_sidecar,
    sha256_file,
    staged,
    withdraw_unless,
    write_sidecar,
)
from oso_pipeline.core.regular_files import is_odd
from oso_pipeline.imagery.damage import damage_as
from oso_pipeline.imagery.file_names import AllowList, is_clutter, is_file

MAX_MEMBERS = 100_000
MAX_MEMBER_BYTES = 4 * 1024**3
_CHUNK = 1 << 20


class ArchiveError(ValueError):
    """An archive that cannot be used; the text says why."""


def stems_in(path: Path, needed: AllowList) -> dict[str, list[str]]:
    """Return the names of the needed files at the top of each product, by its stem.

    Parameters
    ----------
    path
        A folder, or a zip.
    needed
        Which files count.

    Returns
    -------
    dict
        Of a zip, the stem has the folder within it in front: ``FOLDER/STEM``. Stems are in the
        order of their names.

    Raises
    ------
    ArchiveError
        If the zip cannot be read.
    """
    if path.is_dir():
        with os.scandir(path) as entries:
            files = sorted(e.name for e in entries if e.name in needed and is_file(e))
    else:
        files = sorted(name for name in member_names(path) if PurePosixPath(name).name in needed)
    stems: dict[str, list[str]] = {}
    for file in files:
        name = PurePosixPath(file).name
        stem = str(_home(file, needed) / needed.stem_of(name))
        known = next((one for one in stems if one.casefold() == stem.casefold()), stem)
        stems.setdefault(known, []).append(name)
    return stems


def member_names(archive: Path) -> list[str]:
    """Return the members of a zip, with ``/`` between folders and without those of systems.

    Raises
    ------
    ArchiveError
        If the zip cannot be read, or holds too many.
    """
    names = [i.filename.replace("\\", "/") for i in members_of(archive) if not i.is_dir()]
    return [name for name in names if not is_clutter(name)]


class Contents(Protocol):
    """The needed files of a product, by their names without folders."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Size of each needed file, bytes."""
        ...

    def read_bytes(self, name: str, limit: int) -> bytes:
        """Return the content of a small file, at most `limit` + 1 bytes of it."""
        ...

    def paths(self, names: Iterable[str]) -> dict[str, Path]:
        """Return where the files can be opened, extracting them where necessary."""
        ...

    def digest(self) -> str:
        """Return a digest of names, sizes and metadata, without reading images."""
        ...


class FolderContents:
    """The files of a product folder.

    Parameters
    ----------
    folder
        The folder.
    needed
        Which of its files are read.
    stem
        Prefix of the file names of the product; '' if the folder holds only this product.
    """

    def __init__(self, folder: Path, needed: AllowList, stem: str = "") -> None:
        self.folder = folder
        self.needed = needed
        self.stem = stem

    @cached_property
    def _files(self) -> dict[str, os.DirEntry[str]]:
        found: dict[str, os.DirEntry[str]] = {}
        for place in (self.folder, *_places(self.folder, self.needed.folders)):
            if place.is_dir():
                with os.scandir(place) as entries:
                    files = [
                        e for e in entries if self.needed.belongs(e.name, self.stem) and is_file(e)
                    ]
                for entry in sorted(files, key=lambda e: e.name):
                    found.setdefault(entry.name, entry)
        return found

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Size of each needed file, bytes."""
        return {name: entry.stat().st_size for name, entry in self._files.items()}

    def read_bytes(self, name: str, limit: int) -> bytes:
        """Return the content of a small file, at most `limit` + 1 bytes of it."""
        with Path(self._files[name].path).open("rb") as stream:
            return stream.read(limit + 1)

    def paths(self, names: Iterable[str]) -> dict[str, Path]:
        """Return where the files are."""
        return {name: Path(self._files[name].path).absolute() for name in names}

    def digest(self) -> str:
        """Return a digest of names and sizes, and of the content of metadata."""
        described: dict[str, object] = dict(self.sizes)
        for name, entry in self._files.items():
            if name.lower().endswith(self.needed.metadata):
                status = entry.stat()
                described[name] = _file_digest(entry.path, status.st_size, status.st_mtime_ns)
        return digest(described)


class ZipContents:
    """The files of a zipped product.

    Parameters
    ----------
    archive
        The zip.
    target
        Folder that takes the extracted files.
    needed
        Which of its members are read.
    stem
        Folder within the zip and what the names of the product begin with, ``FOLDER/STEM``, or
        the folder alone, ``FOLDER/``; '' where it has the zip to itself.
    """

    def __init__(self, archive: Path, target: Path, needed: AllowList, stem: str = "") -> None:
        self.archive = archive
        self.target = target
        self.needed = needed
        self.stem = stem

    @cached_property
    def _members(self) -> dict[str, zipfile.ZipInfo]:
        members: dict[str, zipfile.ZipInfo] = {}
        for info in members_of(self.archive):
            name = PurePosixPath(info.filename.replace("\\", "/")).name
            if not info.is_dir() and name in self.needed and self._is_own(info.filename):
                refuse_odd(info, name, members)
                members[name] = info
        return members

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Size of each needed file, bytes."""
        return {name: info.file_size for name, info in self._members.items()}

    def member_path(self, name: str) -> str:
        """Return the path of a member as GDAL opens it in place."""
        return f"/vsizip/{{{self.archive.absolute()}}}/{self._members[name].filename}"

    def read_bytes(self, name: str, limit: int) -> bytes:
        """Return the content of a small file, at most `limit` + 1 bytes of it."""
        with (
            opened_archive(self.archive) as stream,
            damage_as(ArchiveError, f"member {name} is damaged"),
            stream.open(self._members[name]) as member,
        ):
            return member.read(limit + 1)

    def paths(self, names: Iterable[str]) -> dict[str, Path]:
        """Extract the files and return where they are.

        A file that is already there with the right checksum is kept. Each has a commit record,
        so that `oso verify` and what reads it notice when it changes.

        Raises
        ------
        ArchiveError
            If the checksum of a member is wrong.
        """
        with opened_archive(self.archive) as stream:
            return {name: self._extract(stream, name) for name in names}

    def digest(self) -> str:
        """Return a digest of names, sizes and checksums from the archive's directory."""
        members = {n: [info.file_size, info.CRC] for n, info in self._members.items()}
        return digest([self.archive.stat().st_size, members])

    def _is_own(self, member: str) -> bool:
        if is_clutter(member):
            return False
        if self.stem.endswith("/"):
            return member.replace("\\", "/").startswith(self.stem)
        own = str(_home(member, self.needed) / self.needed.stem_of(PurePosixPath(member).name))
        return not self.stem or own.casefold() == self.stem.casefold()

    def _extract(self, stream: zipfile.ZipFile, name: str) -> Path:
        info, final = self._members[name], self.target / name
        key = digest([info.file_size, info.CRC])
        if not (final.is_file() and _checksum(final) == (info.file_size, info.CRC)):
            withdraw_unless(final, key)
            with staged(final) as temporary:
                with (
                    damage_as(ArchiveError, f"member {name} is damaged"),
                    stream.open(info) as source,
                    temporary.open("wb") as sink,
                ):
                    shutil.copyfileobj(source, sink, _CHUNK)  # verifies the checksum
                if _checksum(temporary) != (info.file_size, info.CRC):
                    raise ArchiveError(f"member {name} was not extracted whole")
        if (read_sidecar(final) or {}).get("key") != key:
            write_sidecar(final, {"key": key})
        return final.absolute()


def contents_of(
    path: Path, target: Path, needed: AllowList, stem: str = ""
) -> FolderContents | ZipContents:
    """Return the needed files of the product at `path`; an archive is extracted to `target`."""
    if path.is_dir():
        return FolderContents(path, needed, stem)
    return ZipContents(path, target, needed, stem)


def _places(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """Return the folders below one of some names; ``*`` stands for any folder."""
    for name in names:
        if "*" in name:
            yield from sorted(folder.glob(name))
        else:
            yield folder / name


def _home(file: str, needed: AllowList) -> PurePosixPath:
    """Return the folder of the product that a file lies in, or in a folder of which it lies."""
    folder = PurePosixPath(file.replace("\\", "/")).parent
    return folder.parent if folder.name.upper() in needed.folders else folder


def members_of(archive: Path) -> list[zipfile.ZipInfo]:
    """Return all members of a zip, folders included.

    Raises
    ------
    ArchiveError
        If the zip cannot be read, or holds too many.
    """
    with opened_archive(archive) as stream:
        # An empty name is legal in the format and means nothing.
        infos = [info for info in stream.infolist() if info.filename]
    if len(infos) > MAX_MEMBERS:
        raise ArchiveError(f"holds {len(infos)} members, at most {MAX_MEMBERS} are accepted")
    return infos


def opened_archive(archive: Path) -> zipfile.ZipFile:
    """Return a zip, open.

    Raises
    ------
    ArchiveError
        If it is no zip, cut, or no regular file.
    """
    if archive.is_symlink() and not archive.exists():
        raise ArchiveError("is a link that leads nowhere")
    size = archive.stat().st_size
    if is_odd(archive):
        raise ArchiveError("is not a regular file")
    with damage_as(ArchiveError, f"is not a zip or is cut ({size} bytes)"):
        return zipfile.ZipFile(archive)


def refuse_odd(
    info: zipfile.ZipInfo,
    name: str,
    members: Mapping[str, object],
    max_bytes: int = MAX_MEMBER_BYTES,
) -> None:
    """Refuse a member that is not what a delivery holds.

    Parameters
    ----------
    info, name
        The member, and its name in the product.
    members
        Those before it, by name.
    max_bytes
        The largest size that is accepted.

    Raises
    ------
    ArchiveError
        If it is there twice, a link, encrypted or too large.
    """
    if name in members:
        raise ArchiveError(f"holds two members named {name}")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ArchiveError(f"member {name} is a symbolic link")
    if info.flag_bits & 1:
        raise ArchiveError(f"member {name} is encrypted")
    if info.file_size > max_bytes:
        raise ArchiveError(
            f"member {name} has {info.file_size} bytes, at most {max_bytes} are accepted"
        )


def _checksum(path: Path) -> tuple[int, int]:
    checksum, size = 0, 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
            size += len(chunk)
    return size, checksum


@lru_cache(maxsize=100_000)
def _file_digest(path: str, size: int, modified_ns: int) -> str:
    """Digest of a file; size and time only decide when this process reads it again."""
    return sha256_file(Path(path))
