"""What must hold of the commits of a run, told by plain reading."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

UNCOMMITTED = {"run.json", "config.yaml", "log.jsonl", "run.lock"}
CHANGING = {"report.html"}
"""What tells of the run itself, as how long it took."""

APART = {"activity", "extracted", "batch"}
"""Folders that tell who works, or hold what is read from archives; nothing there is a result."""


class Lost(AssertionError):
    """An invariant does not hold."""


def committed_files(run_dir: Path) -> dict[Path, dict[str, Any]]:
    """Return the files with a commit record that counts, by plain reading."""
    found = {}
    for file in run_dir.rglob("*"):
        record = file.with_name(f"{file.name}.json")
        apart = APART & set(file.relative_to(run_dir).parts)
        if apart or not record.is_file() or not file.is_file():
            continue
        try:
            content = json.loads(record.read_bytes())
        except ValueError:
            continue  # damaged by us; counts for nothing
        if isinstance(content, dict) and content.get("size") == file.stat().st_size:
            found[file] = content
    return found


def check_commits(run_dir: Path) -> None:
    """Raise Lost if the content of a committed file is not what was committed."""
    for file, record in committed_files(run_dir).items():
        if hashlib.sha256(file.read_bytes()).hexdigest() != record["sha256"]:
            raise Lost(f"a commit does not tell the truth: {file}")


def check_complete(run_dir: Path) -> None:
    """Raise Lost if a file of a finished run has no commit."""
    committed = committed_files(run_dir)
    records = {file.with_name(f"{file.name}.json") for file in committed}
    for file in run_dir.rglob("*"):
        known = file in committed or file in records or file.name in UNCOMMITTED
        apart = APART & set(file.relative_to(run_dir).parts)
        if file.is_file() and not known and not apart:
            raise Lost(f"a file without commit: {file}")


def digests(run_dir: Path) -> dict[str, str]:
    """Return the committed SHA-256 of everything that must not depend on what went wrong."""
    return {
        str(file.relative_to(run_dir)): record["sha256"]
        for file, record in committed_files(run_dir).items()
        if file.name not in CHANGING
    }


def compare(
    expected: dict[str, str],
    found: dict[str, str],
    is_same: Callable[[str], bool] | None = None,
) -> None:
    """Raise Lost unless all files are those of the clean run, or the same by another measure."""
    differ = sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    )
    if is_same is not None:
        both = expected.keys() & found.keys()
        differ = [name for name in differ if name not in both or not is_same(name)]
    if differ:
        raise Lost(f"other files than those of the clean run: {differ[:10]}")
