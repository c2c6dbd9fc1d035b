"""Unpacking deliveries of databases: zip, 7z and 7z in parts, all or nothing.

An archive from elsewhere is not trusted. Names, kinds, number and sizes of its members are checked
before anything is written, only files with the extensions of vector databases are taken, and each
is written by this module, so that no library decides where. What was unpacked lies in a hidden
folder until it is whole, and is published by one rename.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from oso_pipeline.core.commit import publish_json
from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.imagery.archive import ArchiveError
from oso_pipeline.imagery.file_names import is_clutter, is_text
from oso_pipeline.retrieval.unpack_formats import Member, opened
from oso_pipeline.retrieval.unpack_sink import FolderSink

RECORD = "oso_fetch.json"
"""Name of the record in the folder of a delivery: where it came from, sizes and checksums."""

EXTENSIONS = frozenset(
    (".shp", ".shx", ".dbf", ".prj", ".cpg", ".gpkg", ".parquet", ".csv", ".txt", ".md")
)
"""What is unpacked: vector files, tables, and texts such as the licence. Indices (``.qix``) are
left out, since GDAL would believe them."""

_UNFINISHED = ".unpacking"
_DEEPEST, _LONGEST_NAME = 12, 200
_DRIVE = re.compile(r"^[A-Za-z]:")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GEOMETRY = (".shp", ".gpkg", ".parquet")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an archive may hold.

    Parameters
    ----------
    members
        Their number, folders included.
    member_bytes, total_bytes
        Size of one, and of all that are taken. A register of all of France has some 10 GB in one
        file.
    keep_free_bytes
        What has to be free on the disk beside them.
    """

    members: int = 20_000
    member_bytes: int = 64 * 1024**3
    total_bytes: int = 128 * 1024**3
    keep_free_bytes: int = 1024**3


USUAL = Bounds()


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What was unpacked.

    Parameters
    ----------
    folder
        Where it lies.
    files
        Name below the folder, size in bytes, SHA-256.
    left_out
        How many members were not taken, by extension.
    """

    folder: Path
    files: tuple[tuple[str, int, str], ...]
    left_out: Mapping[str, int]


def unpack(
    parts: Sequence[Path],
    final: Path,
    work_in: Path,
    record: Mapping[str, object],
    bounds: Bounds = USUAL,
    on_bytes: Callable[[int], None] = lambda n: None,
) -> Unpacked:
    """Unpack an archive into a new folder, all or nothing, with a record of it.

    Parameters
    ----------
    parts
        The archive, or its parts.
    final
        The folder, which must not exist.
    work_in
        Folder on the same file system, for what is not whole yet.
    record
        What to write into `RECORD` beside the files, sizes and checksums.
    bounds
        What it may hold.
    on_bytes
        Called with the number of bytes that were written.

    Raises
    ------
    ArchiveError
        If the archive is damaged, incomplete or holds what it must not; nothing is published.
    EnvironmentFailure
        If py7zr is missing (``E-FETCH-EXTRA``), or the disk is full or refuses (``E-DISK``).
    """
    work = work_in / f"{final.name}.{secrets.token_hex(4)}{_UNFINISHED}"
    try:
        with closing(opened(parts)) as archive:
            wanted, left_out = _wanted(archive.members(), bounds)
            _require_space(final, sum(wanted[name].size_bytes for name in wanted), bounds)
            work.mkdir(parents=True)
            names = _without_common(wanted, final.name)
            places = {name: (names[name], wanted[name].size_bytes) for name in wanted}
            with closing(FolderSink(work, places, on_bytes)) as sink:
                archive.extract(sink)
                files = sink.finished()
        described = [{"name": n, "size": size, "sha256": digest} for n, size, digest in files]
        publish_json(work / RECORD, {**record, "files": described, "left_out": dict(left_out)})
        _publish(work, final)
    except OSError as error:
        if isinstance(error, EnvironmentFailure):
            raise
        raise _refused(final, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Unpacked(final, files, left_out)


def remove_unfinished(folder: Path) -> int:
    """Remove what killed unpackings left in their `work_in`; return how many that were.

    Only call this while holding the lock of the folder.
    """
    found = [*folder.glob(f"*{_UNFINISHED}")] if folder.is_dir() else []
    for one in found:
        shutil.rmtree(one, ignore_errors=True)
    return len(found)


def _wanted(members: Sequence[Member], bounds: Bounds) -> tuple[dict[str, Member], dict[str, int]]:
    """Return the members to take, by name, and how many are left out, by extension."""
    if len(members) > bounds.members:
        raise ArchiveError(f"holds {len(members)} members, at most {bounds.members} are accepted")
    wanted: dict[str, Member] = {}
    places: set[str] = set()
    left_out: dict[str, int] = {}
    for member in members:
        _refuse(member)
        extension = member.path.suffix.lower()
        if member.kind == "folder":
            continue
        if extension not in EXTENSIONS or is_clutter(member.path.as_posix()):
            left_out[extension] = left_out.get(extension, 0) + 1
            continue
        if member.path.as_posix().casefold() in places:
            raise ArchiveError(f"holds two members named {member.name}")
        if member.size_bytes > bounds.member_bytes:
            raise ArchiveError(
                f"member {member.name} has {member.size_bytes} bytes, at most "
                f"{bounds.member_bytes} are accepted"
            )
        places.add(member.path.as_posix().casefold())
        wanted[member.name] = member
    total = sum(member.size_bytes for member in wanted.values())
    if total > bounds.total_bytes:
        raise ArchiveError(f"holds {total} bytes, at most {bounds.total_bytes} are accepted")
    if not any(member.path.suffix.lower() in _GEOMETRY for member in wanted.values()):
        raise ArchiveError("holds no .shp, .gpkg or .parquet")
    return wanted, left_out


def _refuse(member: Member) -> None:
    """Refuse an archive for a member that no delivery has."""
    name, path = member.name, member.path
    if member.kind == "other":
        raise ArchiveError(f"member {name} is a link or not a regular file")
    is_outside = path.is_absolute() or ".." in path.parts or _DRIVE.match(name) is not None
    if is_outside or not path.parts:
        raise ArchiveError(f"member {name!r} would lie outside of the folder")
    is_odd = not is_text(name) or any(ord(letter) < 32 for letter in name)
    if is_odd or len(path.parts) > _DEEPEST or len(max(path.parts, key=len)) > _LONGEST_NAME:
        raise ArchiveError(f"member {name!r} has a name that is not accepted")


def _without_common(wanted: Mapping[str, Member], folder: str) -> dict[str, PurePosixPath]:
    """Return the names below the folder: without a first folder that is named like it."""
    first = {member.path.parts[0] for member in wanted.values()}
    is_common = first == {folder} and all(len(m.path.parts) > 1 for m in wanted.values())
    cut = 1 if is_common else 0
    return {name: PurePosixPath(*m.path.parts[cut:]) for name, m in wanted.items()}


def _require_space(final: Path, n_bytes: int, bounds: Bounds) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(final.parent).free
    if free < n_bytes + bounds.keep_free_bytes:
        needed = (n_bytes + bounds.keep_free_bytes) / 1e9
        raise EnvironmentFailure(
            Problem(
                "E-DISK",
                f"{needed:.1f} GB are needed to unpack it, {free / 1e9:.1f} GB are free",
                str(final),
                "free the space, then run again",
            )
        )


def _publish(work: Path, final: Path) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    _flush_folder(work)
    os.rename(work, final)
    _flush_folder(final.parent)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(final: Path, error: OSError) -> EnvironmentFailure:
    what = "the disk is full" if error.errno in _NO_SPACE else "it cannot be unpacked there"
    hint = "free space or check the folder, then run again"
    return EnvironmentFailure(Problem("E-DISK", f"{what}: {error}", str(final), hint))
