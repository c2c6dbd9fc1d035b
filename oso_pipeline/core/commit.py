"""Publish files so that a file under its final name is always whole.

A file is written under a temporary name in its final folder, read back, flushed to disk and
renamed. Its sidecar ``<file>.json`` is written last in the same way: the sidecar is the
commit. A process may be killed at any moment; a file without a sidecar does not count.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from oso_pipeline.core.errors import EnvironmentFailure, InputDataError, OsoError, Problem
from oso_pipeline.core.json_files import read_object
from oso_pipeline.core.regular_files import open_regular

TEMPORARY_SUFFIX = ".tmp"
_TEMPORARY = re.compile(r"\..+\.\d+\.[0-9a-f]{8}(\.flat)?\.tmp")

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LITTLE_BYTES = 1_000_000
"""With less free space, an error without number, for example of GDAL, is a full disk."""
_STALE_PAUSES_S = (0.1, 1.0, 5.0)


def temporary_beside(final: Path) -> Path:
    """Return where to write what becomes `final`: a name that no other writer takes."""
    unique = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
    return final.with_name(f".{final.name}.{unique}{TEMPORARY_SUFFIX}")


def is_temporary(name: str) -> bool:
    """Return whether a file is named as `temporary_beside` names it, or beside such a one."""
    return _TEMPORARY.fullmatch(name) is not None


@contextmanager
def staged(final: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `final` when the body succeeds.

    The body must write the file and may read it back to verify it. If the body raises, the
    temporary file is removed and `final` is left as it was.

    Raises
    ------
    EnvironmentFailure
        If the system refuses to write (``E-DISK``): it names `final` and the free disk space.
    """
    temporary = temporary_beside(final)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _persistently(_flush, temporary)
        _persistently(temporary.replace, final)
        _persistently(_flush, final.parent)
    except OsoError:
        raise
    except OSError as error:
        raise refused(final, temporary, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def set_aside(final: Path) -> Iterator[Path]:
    """Give a path beside `final` for a file that the body needs on the way; it is removed then."""
    aside = temporary_beside(final)
    try:
        yield aside
    finally:
        with suppress(OSError):
            aside.unlink()


def publish_bytes(final: Path, content: bytes) -> None:
    """Write `content` to `final`, all or nothing."""
    with staged(final) as temporary:
        temporary.write_bytes(content)


def publish_file(source: Path, final: Path) -> None:
    """Move a file that is whole to `final`, all or nothing.

    Of another file system, it is copied beside `final` first.

    Raises
    ------
    EnvironmentFailure
        If the system refuses (``E-DISK``).
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _persistently(_flush, source)
        _persistently(lambda path: path.replace(final), source)
        _persistently(_flush, final.parent)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise refused(final, source, error) from error
        with staged(final) as temporary:
            shutil.copyfile(source, temporary)
        source.unlink()


def publish_folder(source: Path, final: Path, aside: Path) -> None:
    """Move a folder that is whole to `final`, which appears at once with all its files.

    Parameters
    ----------
    source
        The folder; it holds folders and regular files.
    final
        Where it becomes visible.
    aside
        Takes what is at `final` before; on the same file system.

    Raises
    ------
    EnvironmentFailure
        If the system refuses (``E-DISK``).
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        for folder, _, names in os.walk(source, topdown=False):
            for name in (*names, "."):
                _persistently(_flush, Path(folder, name))
        if final.exists():
            _persistently(lambda path: path.replace(aside), final)
        try:
            _persistently(lambda path: path.replace(final), source)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            near = temporary_beside(final)
            shutil.copytree(source, near)
            publish_folder(near, final, aside)
        _persistently(_flush, final.parent)
    except EnvironmentFailure:
        raise
    except OSError as error:
        raise refused(final, source, error) from error


def publish_json(final: Path, content: Mapping[str, Any]) -> None:
    """Write `content` to `final` as JSON with sorted keys, all or nothing."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, default=str)
    publish_bytes(final, text.encode() + b"\n")


def sidecar_of(path: Path) -> Path:
    """Return the path of the commit record of `path`."""
    return path.with_name(path.name + ".json")


def write_sidecar(path: Path, record: Mapping[str, Any]) -> None:
    """Commit `path`: write its sidecar with size, SHA-256 and `record`."""
    content = {"sha256": sha256_file(path), "size": path.stat().st_size, **record}
    publish_json(sidecar_of(path), content)


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """Return the commit record of `path`, or None where there is none that can be trusted.

    A record that is damaged, or that names another size than the file has, does not count.
    """
    record = read_object(sidecar_of(path))
    with suppress(OSError):
        if record and record.get("size") == path.stat().st_size:
            return record
    return None


def withdraw_unless(path: Path, key: str) -> None:
    """Withdraw the commit of `path` before it is replaced, unless `key` made it.

    Otherwise a process killed between file and sidecar would leave the new file under the commit of
    the old one, and a return to the old configuration would accept it. The
    same key makes the same file, so two workers at one task do not withdraw each other's commit.

    Raises
    ------
    EnvironmentFailure
        If the system refuses to remove the record (``E-DISK``), for example a folder in its place.
    """
    sidecar = sidecar_of(path)
    if read_object(sidecar).get("key") != key:  # what cannot be read commits nothing
        try:
            sidecar.unlink(missing_ok=True)
        except OSError as error:  # a folder lies there, or it belongs to somebody else
            raise refused(sidecar, sidecar, error) from error


def require_sound(path: Path) -> None:
    """Refuse a committed file whose content is not what was committed.

    Each content is read once a process. A file without a commit record passes: whether it
    may be used is for the plan to say.

    Raises
    ------
    InputDataError
        If the content has changed (``E-FILE-CHANGED``).
    """
    record = read_sidecar(path)
    if record is None:
        return
    status = path.stat()
    if _content(path, status.st_mtime_ns, status.st_size) != record["sha256"]:
        raise InputDataError(
            Problem(
                "E-FILE-CHANGED",
                "a file has changed since it was committed; is the disk sound?",
                str(path),
                "`oso verify RUN --repair`, then run again: it is made again",
            )
        )


@lru_cache(maxsize=4096)
def _content(path: Path, modified_ns: int, size: int) -> str:
    return sha256_file(path)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of the file's content, in hexadecimal; OSError where it is not a file."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(content: object) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """Raise EnvironmentFailure if the system refuses to write while the body fills `folder`."""
    try:
        yield
    except OsoError:
        raise
    except OSError as error:
        problem = f"the folder cannot be written: {error.strerror or error}"
        raise EnvironmentFailure(
            Problem("E-FOLDER", problem, str(folder), "name a folder with write permission")
        ) from error


def sweep_temporaries(folder: Path) -> int:
    """Remove what killed writers left below `folder`; return how many files and folders that were.

    Hidden files with other names than those of `temporary_beside` are somebody's, and stay.
    Only call this while holding the lock of the run folder.
    """
    found = folder.rglob(f".*{TEMPORARY_SUFFIX}")
    strays = [path for path in found if is_temporary(path.name)]
    for stray in strays:
        if stray.is_dir() and not stray.is_symlink():
            shutil.rmtree(stray, ignore_errors=True)
        else:
            stray.unlink(missing_ok=True)
    return len(strays)


def verified(write: Callable[[Path], None], check: Callable[[Path], None], final: Path) -> None:
    """Write `final` all or nothing, and only keep it when `check` reads it back happily."""
    with staged(final) as temporary:
        write(temporary)
        check(temporary)


def _persistently(action: Callable[[Path], Any], path: Path) -> None:
    """Do `action`, again where a network file system has lost its handle (ESTALE)."""
    for pause_s in _STALE_PAUSES_S:
        try:
            action(path)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            time.sleep(pause_s)
        else:
            return
    action(path)


def refused(final: Path, temporary: Path, error: OSError) -> EnvironmentFailure:
    """Return the error of the system, with the free disk space if that may be the cause.

    Parameters
    ----------
    final
        What was to be written.
    temporary
        What there is of it, a file or a folder.
    error
        What the system said.
    """
    message, hint = f"the file cannot be written: {error}", "check the disk, then run again"
    with suppress(OSError):
        free = shutil.disk_usage(final.parent).free
        parts = temporary.rglob("*") if temporary.is_dir() else [temporary]
        written = sum(part.stat().st_size for part in parts if part.is_file())
        if error.errno in _FULL or free < _LITTLE_BYTES:
            message = (
                f"the disk is full: {error}; {written / 1e6:.1f} MB of the file were written, "
                f"{free / 1e6:.1f} MB are free"
            )
            hint = f"free more than that on the disk of {final.parent}, then run again"
    return EnvironmentFailure(Problem("E-DISK", message, str(final), hint))


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
