"""Tests share what lies in `tests/support`; none imports another, so each can be run alone."""

from __future__ import annotations

import re

from support import TESTS

IMPORT = re.compile(r"^\s*(?:from|import) (test_\w+|conftest)\b", re.M)


def test_no_test_imports_another_one() -> None:
    found = {
        path.relative_to(TESTS).as_posix(): IMPORT.findall(path.read_text(encoding="utf-8"))
        for path in TESTS.rglob("*.py")
    }
    assert {path: names for path, names in found.items() if names} == {}


def test_names_of_test_files_are_unique() -> None:
    """Pytest imports each test file by its base name."""
    names = [path.name for path in TESTS.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
