"""Publish files so that a file under its final name is always whole.

A file is written under a temporary name in its final folder, read back, flushed to disk and
renamed. Its sidecar ``<file>.json`` is written last in the same way: the sidecar is the
commit. A process may be killed at any moment; what has no sidecar does not count.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEMPORARY_SUFFIX = ".tmp"


@contextmanager
def staged(final: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `final` when the body succeeds.

    The body must write the file and may read it back to verify it. If the body raises, the
    temporary file is removed and `final` is left as it was.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    unique = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
    temporary = final.parent / f".{final.name}.{unique}{TEMPORARY_SUFFIX}"
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(final)
        _flush(final.parent)
    finally:
        temporary.unlink(missing_ok=True)


def publish_bytes(final: Path, content: bytes) -> None:
    """Write `content` to `final`, all or nothing."""
    with staged(final) as temporary:
        temporary.write_bytes(content)


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
    try:
        record = json.loads(sidecar_of(path).read_text(encoding="utf-8"))
        if isinstance(record, dict) and record.get("size") == path.stat().st_size:
            return record
    except (OSError, ValueError):
        pass
    return None


def withdraw_unless(path: Path, key: str) -> None:
    """Withdraw the commit of `path` before it is replaced, unless `key` made it.

    Else a process killed between file and sidecar would leave the new file under the commit of
    the old one, and a return to the old configuration would take that at its word. What the
    same key makes is the same, so two workers at one task do not take away each other's commit.
    """
    sidecar = sidecar_of(path)
    try:
        if json.loads(sidecar.read_text(encoding="utf-8"))["key"] == key:
            return
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        pass  # what cannot be read commits nothing
    sidecar.unlink(missing_ok=True)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of the file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(content: object) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def sweep_temporaries(folder: Path) -> int:
    """Remove what killed writers left below `folder`; return how many files that were.

    Only call this while holding the lock of the run folder.
    """
    strays = list(folder.rglob(f".*{TEMPORARY_SUFFIX}"))
    for stray in strays:
        stray.unlink(missing_ok=True)
    return len(strays)


def verified(write: Callable[[Path], None], check: Callable[[Path], None], final: Path) -> None:
    """Write `final` all or nothing, and only keep it when `check` reads it back happily."""
    with staged(final) as temporary:
        write(temporary)
        check(temporary)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
