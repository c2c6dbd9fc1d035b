"""The code of docs/python.md runs, and its tables name what is there."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import matplotlib as mpl
import pytest
from support import ROOT
from support.pipeline_tools import copy_as_demo

import oso_pipeline as oso

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


def test_the_code_of_the_page_runs(
    small_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy_as_demo(small_run, tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", oso.OsoWarning)
        for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S):
            exec(compile(block, "docs/python.md", "exec"), names)
    assert "overall accuracy 0." in capsys.readouterr().out
    assert names["part"].chunks is not None


def test_the_tables_name_what_is_there() -> None:
    first, second = re.findall(r"^\|---\|---\|\n(.*?)\n\n", PAGE, re.M | re.S)
    public = re.findall(r"`(\w+)", " ".join(line.split("|")[1] for line in first.splitlines()))
    assert set(public) <= set(oso.__all__)
    members = re.findall(r"`(\w+)", " ".join(line.split("|")[1] for line in second.splitlines()))
    fields = oso.Run.__dataclass_fields__
    assert [name for name in members if not hasattr(oso.Run, name) and name not in fields] == []
    errors = {name for name in oso.__all__ if isinstance(getattr(oso, name), type)}
    errors = {name for name in errors if issubclass(getattr(oso, name), Exception)}
    assert all(f"`{name}`" in PAGE for name in errors)
