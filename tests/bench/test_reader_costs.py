"""The bench of readers measures every family on the same scenes, and writes its table."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import ROOT

from bench.readers import BEGIN, END, FAMILIES, GOLDEN, measure, write_table


@pytest.mark.slow
def test_a_small_measurement_gives_a_table(tmp_path: Path) -> None:
    results = measure(tmp_path / "work", size=64, dates=2, rounds=1)
    assert not (tmp_path / "work").exists()
    copied = {"safe, copies", "eopf, copies"}
    assert set(results["us_per_pixel_and_date"]) == {*FAMILIES, *copied} - {"eopf"}
    assert set(results["us_to_copy_once"]) == {"safe", "eopf"}
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_table(results, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert all(f"| {name} |" in text for name in FAMILIES.values())


def test_the_tests_that_the_table_names_are_there() -> None:
    for names in GOLDEN.values():
        assert all((ROOT / name.strip("`")).is_file() for name in names)
