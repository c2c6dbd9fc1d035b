"""The formats of archives that deliveries come in: zip, 7z, and 7z in parts.

A format says what members an archive has, and gives the content of those that a sink wants. It
writes no file itself.
"""

from __future__ import annotations

import io
import re
import stat
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.imagery.archive import ArchiveError, members_of, opened_archive, refuse_odd
from oso_pipeline.imagery.damage import damage_as

_CHUNK = 1 << 20
_PART = re.compile(r"\.(7z|zip)(?:\.(\d{3}))?$", re.IGNORECASE)
_ANY_SIZE = 1 << 62
_MAGIC = b"7z\xbc\xaf\x27\x1c"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive, as the archive describes it.

    Parameters
    ----------
    name
        As it stands there.
    size_bytes
        Of its content.
    kind
        What it is; ``other`` is a link, a device or the like.
    """

    name: str
    size_bytes: int
    kind: str

    @property
    def path(self) -> PurePosixPath:
        """The name with ``/`` between folders."""
        return PurePosixPath(self.name.replace("\\", "/"))


class Sink(Protocol):
    """Takes the content of the members that are wanted."""

    def __contains__(self, name: str) -> bool:
        """Return whether a member is wanted."""
        ...

    def write(self, name: str, chunk: bytes) -> None:
        """Append to a member; an empty chunk begins one without content."""
        ...


class Archive(Protocol):
    """An open archive."""

    def members(self) -> list[Member]:
        """Return all members, folders included.

        Raises
        ------
        ArchiveError
            If one is encrypted, or there twice.
        """
        ...

    def extract(self, sink: Sink) -> None:
        """Give the content of the members that the sink wants, one after the other.

        Raises
        ------
        ArchiveError
            If the content is damaged.
        """
        ...

    def close(self) -> None:
        """Close its files."""
        ...


def is_archive(name: str) -> bool:
    """Return whether a file can be unpacked, by its name.

    Examples
    --------
    >>> [is_archive(name) for name in ("a.7z", "a.7z.002", "CLC.ZIP", "a.tar", "a.7z.md5")]
    [True, True, True, False, False]
    """
    return _PART.search(name) is not None


def opened(parts: Sequence[Path]) -> Archive:
    """Return an archive, open, from its file or its parts in any order.

    Raises
    ------
    ArchiveError
        If it is none, or parts are missing.
    EnvironmentFailure
        As of `unpack`.
    """
    is_named = len(parts) != 1 or is_archive(parts[0].name)
    ordered = in_order(parts) if is_named else list(parts)
    with ordered[0].open("rb") as stream:
        begin = stream.read(len(_MAGIC))
    if begin.startswith(b"PK") and len(ordered) == 1:
        return _Zip(ordered[0])
    if begin != _MAGIC:
        raise ArchiveError("is neither a zip nor a 7z, or is cut")
    return _SevenZip(ordered)


def in_order(parts: Sequence[Path]) -> list[Path]:
    """Return the parts of one archive by their numbers, and refuse them with a gap.

    Raises
    ------
    ArchiveError
        If a part is missing or they are not of one archive.
    """
    if not parts:
        raise ArchiveError("there is no file of it")
    found: dict[int, Path] = {}
    for part in parts:
        match = _PART.search(part.name)
        if match is None:
            raise ArchiveError(f"{part.name} is neither .zip nor .7z nor a part .7z.001")
        if match[2] and match[1].lower() == "zip":
            raise ArchiveError(f"{part.name} is a part of a zip, which is not unpacked")
        found[int(match[2] or 0)] = part
    if len({_PART.sub("", part.name) for part in parts}) > 1 or len(found) < len(parts):
        raise ArchiveError("its files are of several archives")
    first = min(found)
    missing = sorted({*range(1, max(found) + 1)} - {*found}) if max(found) else []
    if missing or (first == 0 and len(found) > 1):
        shown = ", ".join(f"{number:03d}" for number in missing[:5])
        raise ArchiveError(f"part {shown} of it is missing" if missing else "it is there twice")
    return [found[number] for number in sorted(found)]


class _Zip:
    """A zip; the standard library verifies the checksum of each member."""

    def __init__(self, path: Path) -> None:
        self._infos = members_of(path)
        self._stream = opened_archive(path)

    def close(self) -> None:
        self._stream.close()

    def members(self) -> list[Member]:
        seen: dict[str, object] = {}
        found = []
        for info in self._infos:
            refuse_odd(info, info.filename, seen, max_bytes=_ANY_SIZE)
            seen[info.filename] = info
            mode = info.external_attr >> 16
            odd = stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR)
            kind = "other" if odd else "folder" if info.is_dir() else "file"
            found.append(Member(info.filename, info.file_size, kind))
        return found

    def extract(self, sink: Sink) -> None:
        for info in self._infos:
            if info.filename in sink:
                with damage_as(ArchiveError, f"member {info.filename} is damaged"):
                    self._copy(info, sink)

    def _copy(self, info: zipfile.ZipInfo, sink: Sink) -> None:
        with self._stream.open(info) as source:
            while chunk := source.read(_CHUNK):
                sink.write(info.filename, chunk)
        sink.write(info.filename, b"")


class _SevenZip:
    """A 7z, or one in parts; py7zr of the extra ``fetch`` decompresses and checks the sums."""

    def __init__(self, parts: Sequence[Path]) -> None:
        py7zr = require_seven_zip(str(parts[0]))
        self._stack = ExitStack()
        try:
            files = [self._stack.enter_context(part.open("rb")) for part in parts]
            joined = self._stack.enter_context(io.BufferedReader(Joined(files), _CHUNK))
            with damage_as(ArchiveError, "is not a 7z, or is cut"):
                self._archive = self._stack.enter_context(py7zr.SevenZipFile(joined))
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        self._stack.close()

    def members(self) -> list[Member]:
        with damage_as(ArchiveError, "the list of its members is damaged"):
            infos = self._archive.list()
            if self._archive.needs_password():
                raise ArchiveError("is encrypted")
        found, seen = [], set()
        for info in infos:
            if info.filename in seen:
                raise ArchiveError(f"holds two members named {info.filename}")
            seen.add(info.filename)
            kind = "folder" if info.is_directory else "file" if info.is_file else "other"
            found.append(Member(info.filename, info.uncompressed or 0, kind))
        return found

    def extract(self, sink: Sink) -> None:
        wanted = [info.filename for info in self._archive.list() if info.filename in sink]
        # The library names members by where it would write them: below a folder that is not there.
        writers = _Writers(sink, {Path("/", name).as_posix(): name for name in wanted})
        with damage_as(ArchiveError, "is damaged"):
            self._archive.extract(path="/", targets=wanted, factory=writers)


@dataclass
class _Writers:
    """Gives py7zr what it writes members to."""

    sink: Sink
    names: dict[str, str]

    def create(self, filename: str) -> _Writer:
        """Return what takes the content of a member."""
        if filename not in self.names:
            raise ArchiveError(f"member {filename} has another name in its data")
        return _Writer(self.sink, self.names[filename])


class _Writer:
    """What py7zr writes a member to: forward only."""

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink = sink
        self._name = name
        self._size = 0
        sink.write(name, b"")

    def write(self, chunk: bytes | bytearray) -> int:
        """Take the next bytes."""
        self._sink.write(self._name, bytes(chunk))
        self._size += len(chunk)
        return len(chunk)

    def read(self, size: int | None = None) -> bytes:
        """Give nothing: there is no way back."""
        return b""

    def seek(self, offset: int, origin: int = 0) -> int:
        """Stay where it is; the library rewinds a member that is complete."""
        return self._size

    def seekable(self) -> bool:
        """Return that it only goes on."""
        return False

    def flush(self) -> None:
        """Do nothing; the sink flushes."""

    def size(self) -> int:
        """Return how many bytes came."""
        return self._size

    def close(self) -> None:
        """Do nothing; the sink closes its files."""


class Joined(io.RawIOBase):
    """Files that are one after the other, to read.

    Parameters
    ----------
    files
        Open, in their order; they are not closed.
    """

    def __init__(self, files: Sequence[Any]) -> None:
        self._files = files
        self._sizes = [file.seek(0, io.SEEK_END) for file in files]
        self._at = 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read from anywhere."""
        return True

    def seek(self, offset: int, origin: int = io.SEEK_SET) -> int:
        """Go to a byte of the whole."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: sum(self._sizes)}[origin]
        if begin + offset < 0:
            raise OSError("before the begin of the file")
        self._at = begin + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read on, at most to the end of one file."""
        start = self._at
        for file, size in zip(self._files, self._sizes, strict=True):
            if start < size:
                file.seek(start)
                n = int(file.readinto(memoryview(buffer)[: size - start]))
                self._at += n
                return n
            start -= size
        return 0


def require_seven_zip(where: str) -> Any:
    """Return the library for 7z, which is imported with the first archive of its kind.

    Raises
    ------
    EnvironmentFailure
        If it is not installed (``E-FETCH-EXTRA``).
    """
    try:
        import py7zr
    except ImportError as error:
        message = "archives of 7-Zip need the package py7zr, which is not installed"
        hint = (
            "pip install 'oso_pipeline[fetch]', or unpack the archive yourself, for example with "
            "`7z x FILE`"
        )
        raise EnvironmentFailure(Problem("E-FETCH-EXTRA", message, where, hint)) from error
    return py7zr
