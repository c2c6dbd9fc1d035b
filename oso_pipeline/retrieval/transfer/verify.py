"""Whether what came is the file that is wanted: size, begin, checksums, and what it holds."""

from __future__ import annotations

import hashlib
import html
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from oso_pipeline.core.commit import digest
from oso_pipeline.core.regular_files import open_regular
from oso_pipeline.imagery import jp2, tiff
from oso_pipeline.imagery.archive import (
    ArchiveError,
    members_of,
    opened_archive,
    refuse_odd,
)
from oso_pipeline.imagery.damage import UnreadableRaster, damage_as
from oso_pipeline.imagery.file_names import is_text
from oso_pipeline.imagery.remote.download import method_of
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.offers import RemoteFile
from oso_pipeline.retrieval.transfer.members import Expected, listed

MOST_UNPACKED_BYTES = 16 * 1024**3
"""A SAFE product has less than 2 GB when it is unpacked."""

_CHUNK = 1 << 20
_EXCERPT = 120
_BLAKE3 = "1e20"
_ERROR = re.compile(rb"^\s*(?:<!doctype html|<html|<\?xml|<[a-z]|[{\[])", re.IGNORECASE)
_OF_ERRORS = re.compile(rb"<(?:!doctype html|html|error|fault|m:error|exception)", re.IGNORECASE)
_OF_HTML = re.compile(rb"<(?:!doctype html|html)", re.IGNORECASE)
_PLAIN = re.compile(rb"(?!PK)[\t\r\n -~]{5,}")
_NO_TEXTS = (".zip", ".tif", ".tiff", ".jp2", ".7z", ".gz", ".jpg", ".png")
_TAPE = re.compile(
    r"offline|off-line|on tape|staging|staged|not online|not available|evict|order(?:ed|ing)|"
    r"being restored|retriev(?:al|ed|ing) from",
    re.IGNORECASE,
)


class TapeText(Exception):
    """The server sent a text that says that the product is on tape."""


@dataclass(frozen=True)
class Checked:
    """What checks of a file found.

    Parameters
    ----------
    size_bytes, sha256
        Of the file.
    identity
        The same for downloads with the same content: of an archive, that of its members.
    damage
        Why the file cannot be what is wanted, whatever is published of it; None where it may be.
    unlike
        Why it is not as published, although it is whole; None where it is.
    is_proven
        Whether its checksum is the published one.
    remarks
        What could not be checked, or is worth a flag.
    missing
        Files that its reader needs and that are not in the archive.
    """

    size_bytes: int
    sha256: str
    identity: str
    damage: str | None = None
    unlike: str | None = None
    is_proven: bool = False
    remarks: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def look_at_begin(name: str, url: str) -> Callable[[bytes], None]:
    """Return what refuses the text of an error in place of a file.

    Parameters
    ----------
    name
        Name of the file: of one that may be text, only pages and messages of servers are refused.
    url
        Its address, for messages.
    """

    def look(head: bytes) -> None:
        if not _is_message(name.lower(), head):
            return
        excerpt = excerpt_of(head)
        if not _OF_HTML.search(head) and _TAPE.search(excerpt):
            raise TapeText(excerpt)
        text = f"the server sent a message in place of the file: {excerpt}"
        raise Failure("E-FETCH-SERVER", text, url, is_passing=True)

    return look


def _is_message(name: str, head: bytes) -> bool:
    if not name.endswith(_NO_TEXTS):
        return _OF_ERRORS.search(head) is not None
    return _ERROR.match(head) is not None or _PLAIN.fullmatch(head) is not None


def excerpt_of(head: bytes) -> str:
    """Return the begin of a text as one line without tags, for a message.

    Examples
    --------
    >>> excerpt_of(b"<html><title>Maintenance</title><body>until  noon</body>")
    'Maintenance until noon'
    """
    text = html.unescape(re.sub(r"<[^>]*>?", " ", head.decode("utf-8", "replace")))
    plain = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(plain.split())[:_EXCERPT] or repr(head[:40])


def check_file(path: Path, wanted: RemoteFile, name: str) -> Checked:
    """Check a file of a product of many files.

    Parameters
    ----------
    path
        Where it is now.
    wanted
        What is published of it.
    name
        Name that it will have.
    """
    size, sums = _sums(path, wanted.checksum)
    damage = None
    try:
        with open_regular(path) as stream:
            _check_kind(name.lower(), stream, size)
    except UnreadableRaster as error:
        damage = str(error)
    return _compared(wanted, Checked(size, sums["sha256"], sums["sha256"], damage), sums)


def check_archive(path: Path, wanted: RemoteFile, expected: Expected) -> Checked:
    """Check an archive with all its members.

    Parameters
    ----------
    path
        Where it is now.
    wanted
        What is published of it.
    expected
        Which product it should be.
    """
    size, sums = _sums(path, wanted.checksum)
    damage, identity, missing = None, sums["sha256"], tuple[str, ...]()
    try:
        members = check_members(path)
        identity = digest([[one.filename, one.file_size, one.CRC] for one in members])
        names = [one.filename for one in members if not one.is_dir()]
        if other := expected.other_product(names):
            damage = f"it holds another product, {other}"
        missing = expected.missing(names)
    except ArchiveError as error:
        damage = f"the archive {error}"
    return _compared(wanted, Checked(size, sums["sha256"], identity, damage, missing=missing), sums)


def check_members(archive: Path) -> list[zipfile.ZipInfo]:
    """Read each member of a zip whole, and return them all.

    Raises
    ------
    ArchiveError
        If it is no zip, or is cut, a checksum of a member is wrong, or a member is a link, is
        encrypted, leads out of the folder, or is too large.
    """
    members = members_of(archive)
    if not members:
        raise ArchiveError("holds nothing")
    seen: dict[str, object] = {}
    for info in members:
        _refuse_outside(info.filename)
        if not info.is_dir():
            refuse_odd(info, info.filename, seen)
            seen[info.filename] = info
    if sum(info.file_size for info in members) > MOST_UNPACKED_BYTES:
        raise ArchiveError(f"would have more than {MOST_UNPACKED_BYTES} bytes when it is unpacked")
    with opened_archive(archive) as stream:
        for info in members:
            if not info.is_dir():
                _read_whole(stream, info)
    return members


def _read_whole(stream: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    read = 0
    with (
        damage_as(ArchiveError, f"has a damaged member {info.filename[:120]}"),
        stream.open(info) as member,
    ):
        while chunk := member.read(_CHUNK):  # compares the checksum at the end
            read += len(chunk)
    if read != info.file_size:
        raise ArchiveError(f"has a member {info.filename[:120]} of another size than it states")


def _refuse_outside(name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    is_outside = path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name)
    if is_outside or "\0" in name or not is_text(name):
        raise ArchiveError(f"has a member that leads out of its folder: {name[:120]!r}")


def _check_kind(name: str, stream: Any, size: int) -> None:
    if name.endswith((".tif", ".tiff")):
        with damage_as(UnreadableRaster, "it is no whole TIFF file"):
            tiff.check_whole(stream, size)
    elif name.endswith(".jp2"):
        with damage_as(UnreadableRaster, "it is no whole JPEG 2000 file"):
            jp2.check_whole(stream, size)
    elif name.endswith((".xml", ".gml", ".safe")):
        with damage_as(UnreadableRaster, "it is no whole XML file"):
            _check_xml(stream)


def _check_xml(stream: Any) -> None:
    text = stream.read(_CHUNK * 64).strip()
    if not text.startswith((b"<", b"\xef\xbb\xbf<")) or not text.endswith(b">"):
        raise UnreadableRaster("it is no whole XML file")


def _compared(wanted: RemoteFile, found: Checked, sums: dict[str, str]) -> Checked:
    """Return what was found, with how it compares to what is published."""
    remarks, unlike, is_proven = list[str](), None, False
    if (method := _method(wanted.checksum)) in sums and wanted.checksum is not None:
        is_proven = wanted.checksum.lower().endswith(sums[method or ""])
        if not is_proven:
            unlike = f"its {method} is not the published one"
    elif wanted.checksum:
        what = "BLAKE3, for which no library is there" if method else "of an unknown kind"
        remarks.append(f"the published checksum is {what}: it was not compared")
    is_stated = wanted.size_bytes is not None and not wanted.is_size_a_hint
    if is_stated and wanted.size_bytes != found.size_bytes and not is_proven and unlike is None:
        unlike = f"it has {found.size_bytes} bytes, published are {wanted.size_bytes}"
    if found.missing:
        remarks.append(f"it lacks {listed(found.missing)}")
    return replace(found, unlike=unlike, is_proven=is_proven, remarks=tuple(remarks))


def _sums(path: Path, checksum: str | None) -> tuple[int, dict[str, str]]:
    """Return the size of a file, its SHA-256, and its checksum by the method of another."""
    method = _method(checksum)
    sums: dict[str, Any] = {"sha256": hashlib.sha256()}
    if method == "blake3":
        if (made := _blake3()) is not None:
            sums[method] = made
    elif method is not None:
        sums.setdefault(method, hashlib.new(method, usedforsecurity=False))
    size = 0
    for chunk in _chunks(path):
        size += len(chunk)
        for one in sums.values():
            one.update(chunk)
    return size, {name: one.hexdigest() for name, one in sums.items()}


def _method(checksum: str | None) -> str | None:
    if checksum and re.fullmatch(rf"{_BLAKE3}[0-9a-fA-F]{{64}}", checksum):
        return "blake3"
    return method_of(checksum.lower() if checksum else None)


def _blake3() -> Any | None:
    """Return a BLAKE3 that is empty yet; None without a library for it."""
    try:
        from blake3 import blake3  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    return blake3()


def _chunks(path: Path) -> Iterator[bytes]:
    with open_regular(path) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
