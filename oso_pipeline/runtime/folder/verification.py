"""Compare the files of a run folder with what was committed.

A disk can change a byte without a word, and no reader of TIFF or Parquet notices all of that.
The commit record of every file holds its SHA-256, so damage is found by reading everything.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oso_pipeline.core import machine
from oso_pipeline.core.commit import is_temporary, sha256_file, sidecar_of
from oso_pipeline.core.errors import Problem, Problems
from oso_pipeline.core.file_lists import LIST_SUFFIX, damage, is_list
from oso_pipeline.core.json_files import object_in
from oso_pipeline.core.regular_files import read_regular
from oso_pipeline.runtime.folder.ownership import MARK
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.tasks.heartbeat import ACTIVITY
from oso_pipeline.tasks.stage import Stage

_RECORD_SUFFIX = ".json"
FOLDERS_APART = (ACTIVITY, "batch")
"""Folders with the state of runs; stages name theirs."""
RECORD_KEYS = {"sha256", "size", "key"}
_UNCOMMITTED = {"run.json", "config.yaml", "log.jsonl", "run.lock"}
"""Files at the top of a run folder that describe the run and are not results of a task."""

_REPAIR = "`oso verify RUN --repair`, then `oso run` makes it again"


@dataclass
class Verification:
    """Result of the verification of a run folder.

    Parameters
    ----------
    folder
        The run folder.
    sound
        Number of committed files that are as they were committed.
    n_bytes
        Their size.
    problems
        All findings: errors where a commit cannot be trusted, warnings about the rest.
    condemned
        Commit records that must not count any more.
    temporaries
        Temporary files of killed writers.
    """

    folder: Path
    sound: int = 0
    n_bytes: int = 0
    problems: Problems = field(default_factory=Problems)
    condemned: list[Path] = field(default_factory=list)
    temporaries: list[Path] = field(default_factory=list)

    def condemn(self, record: Path, code: str, message: str, where: Path) -> None:
        """Note that a commit record does not match its file."""
        self.condemned.append(record)
        self.problems.error(code, message, where, _REPAIR)


def verify_run(folder: Path, stages: Iterable[Stage] = STAGES) -> Verification:
    """Read every file of a run folder and compare it with its commit record.

    Parameters
    ----------
    folder
        The run folder. A run may work in it; files that it replaces meanwhile are read again.
    stages
        They say which folders hold no outputs.

    Returns
    -------
    Verification
        Findings, sorted by path: ``E-VERIFY-CONTENT`` and ``E-VERIFY-SIZE`` where a file
        differs from what was committed, ``E-VERIFY-GONE`` for a record without its file,
        ``E-VERIFY-RECORD`` for a record that cannot be read, ``W-VERIFY-ORPHAN`` for a file
        without commit, ``W-VERIFY-TEMPORARY`` for what killed writers left behind.
    """
    found = Verification(folder)
    apart = {*FOLDERS_APART, *(name for stage in stages for name in stage.unverified)}
    files = sorted(_files_of(folder, apart))
    records = {path for path in files if _is_record(path)}
    committed = [path for path in files if sidecar_of(path) in records]
    with ThreadPoolExecutor(min(4, machine.cores())) as pool:  # hashing frees the GIL
        for path, compared in zip(committed, pool.map(_examine, committed), strict=True):
            _record(found, path, compared)
    for record in sorted(records - {sidecar_of(path) for path in committed}):
        file = record.with_name(record.name.removesuffix(_RECORD_SUFFIX))
        found.condemn(record, "E-VERIFY-GONE", "a committed file is gone", file)
    for path in files:
        _note_stray(found, path, records, folder)
    return found


def repair(found: Verification) -> None:
    """Withdraw the commits that cannot be trusted and remove temporaries; delete no result.

    The next run makes again what has lost its commit. Only call this while holding the lock
    of the run folder.
    """
    for path in (*found.condemned, *found.temporaries):
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Comparison:
    code: str | None = None
    message: str = ""
    size: int = 0


def _examine(path: Path) -> _Comparison:
    """Compare a file with its record; again where the record was replaced meanwhile."""
    compared, before = _Comparison(), b""
    for _ in range(3):
        try:
            before = read_regular(sidecar_of(path))
            compared = _compare(path, before)
            if compared.code is None or read_regular(sidecar_of(path)) == before:
                break
        except OSError as error:
            compared = _Comparison("E-VERIFY-CONTENT", f"a committed file cannot be read: {error}")
    return compared


def _compare(path: Path, raw: bytes) -> _Comparison:
    record = _parsed(raw)
    if record is None:
        return _Comparison("E-VERIFY-RECORD", "the commit record of a file is damaged")
    size = path.stat().st_size
    if size != record["size"]:
        message = f"a file has {size} bytes, {record['size']} were committed"
        return _Comparison("E-VERIFY-SIZE", message)
    digest = sha256_file(path)
    if digest != record["sha256"]:
        message = (
            f"the content of a file has changed since it was committed: SHA-256 {digest[:12]}..., "
            f"committed {str(record['sha256'])[:12]}..."
        )
        return _Comparison("E-VERIFY-CONTENT", message)
    if is_list(path) and (found := damage(path)) is not None:
        return _Comparison("E-VERIFY-CONTENT", f"a listed file is not as it was: {found}")
    return _Comparison(size=size)


def _record(found: Verification, path: Path, compared: _Comparison) -> None:
    if compared.code is None:
        found.sound += 1
        found.n_bytes += compared.size
    else:
        found.condemn(sidecar_of(path), compared.code, compared.message, path)


def _note_stray(found: Verification, path: Path, records: set[Path], folder: Path) -> None:
    if is_temporary(path.name):
        found.temporaries.append(path)
        message = "left behind by a writer that was killed, or of a run at work"
        found.problems.warn("W-VERIFY-TEMPORARY", message, path, "the next run removes it")
    elif path not in records and sidecar_of(path) not in records:
        at_top = path.parent == folder or (path.parent / MARK).is_file()
        if at_top and path.name in _UNCOMMITTED:
            return
        message = "a file without commit record; nothing of the pipeline uses it"
        hint = "the next run replaces it if it is needed; otherwise remove it"
        found.problems.warn("W-VERIFY-ORPHAN", message, path, hint)


def _files_of(folder: Path, apart: Collection[str]) -> Iterator[Path]:
    """Give the files that belong to the run, and to runs within it, as those of studies."""
    for root, folders, names in os.walk(folder):
        here = Path(root)
        if here == folder or MARK in names:
            folders[:] = [name for name in folders if name not in apart]
        # The list of a folder vouches for its files.
        folders[:] = [name for name in folders if f"{name}{LIST_SUFFIX}" not in names]
        yield from (here / name for name in names)


def _is_record(path: Path) -> bool:
    """Return whether a file is a commit record, be it damaged: other JSON files are results.

    Sound JSON of another kind beside a file of that name is somebody's.
    """
    if path.suffix != _RECORD_SUFFIX:
        return False
    try:
        raw = read_regular(path)
    except OSError:
        return path.with_name(path.name.removesuffix(_RECORD_SUFFIX)).is_file()
    if _parsed(raw) is not None:
        return True
    is_beside = path.with_name(path.name.removesuffix(_RECORD_SUFFIX)).is_file()
    return is_beside and not object_in(raw.decode(errors="replace"))


def _parsed(raw: bytes) -> dict[str, Any] | None:
    content = object_in(raw.decode(errors="replace"))
    return content if content.keys() >= RECORD_KEYS else None


def lines(found: Verification) -> Iterable[str]:
    """Return the problems to show; of many warnings of one kind the rest is counted."""
    shown: dict[str, int] = {}
    warnings: Sequence[Problem] = found.problems.warnings
    for problem in warnings:
        shown[problem.code] = shown.get(problem.code, 0) + 1
        if shown[problem.code] <= _SHOWN:
            yield str(problem)
    yield from (f"... {n - _SHOWN} more of {code}" for code, n in shown.items() if n > _SHOWN)
    yield from map(str, found.problems.errors)
    size = found.n_bytes / 1e6
    yield f"{found.sound} committed files are sound ({size:.1f} MB), {len(found.condemned)} are not"


_SHOWN = 20
