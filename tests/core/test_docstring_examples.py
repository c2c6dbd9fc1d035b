"""The examples in docstrings do what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest
from support import ROOT
from support.pipeline_tools import copy_as_demo

# Only modules with examples are imported.
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "oso_pipeline").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
SLOW = {
    "oso_pipeline.studies.dataset.export",
    "oso_pipeline.studies.experiment.study",  # trains two forests
    "oso_pipeline.studies.parcel_series",  # compiles the drawing of parcels
    "oso_pipeline.studies.explain.explanation",
    "oso_pipeline.studies.explain.explain",  # compiles the count of votes
}


@pytest.mark.parametrize(
    "module",
    [pytest.param(one, marks=[pytest.mark.slow] if one in SLOW else []) for one in MODULES],
)
def test_examples_of_docstrings_hold(
    module: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # an example may write a file
    if "demo/" in Path(str(import_module(module).__file__)).read_text(encoding="utf-8"):
        copy_as_demo(request.getfixturevalue("small_run"), tmp_path / "demo")
    assert doctest.testmod(import_module(module)).failed == 0, "see what doctest printed above"


def test_an_example_that_is_wrong_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    def half(number: int) -> float:
        """Return a half.

        >>> half(3)
        1
        """
        return number / 2

    found = doctest.DocTestFinder().find(half, globs={"half": half})
    runner = doctest.DocTestRunner()
    assert [runner.run(one).failed for one in found] == [1]
    assert "Expected:\n    1\nGot:\n    1.5" in capsys.readouterr().out
