"""The run time and the studies print nothing and never exit: who calls them decides that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import oso_pipeline

ROOT = Path(oso_pipeline.__file__).parent
SPEAKS = re.compile(r"\bprint\(|sys\.std|\bexit\(|SystemExit|^(from|import) (rich|typer)", re.M)


@pytest.mark.parametrize("room", ["runtime", "studies", "tasks", "report"])
def test_nothing_is_printed_and_nothing_exits(room: str) -> None:
    files = [*(ROOT / room).rglob("*.py")]
    assert files
    speaking = {file.name: found[0] for file in files if (found := SPEAKS.search(file.read_text()))}
    assert speaking == {}
