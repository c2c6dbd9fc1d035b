"""The notebooks run from top to bottom, on the public names alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from support import ROOT

import oso_pipeline

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LABELLED = """
import matplotlib.pyplot
for number in matplotlib.pyplot.get_fignums():
    for axis in matplotlib.pyplot.figure(number).axes:
        assert axis.get_xlabel() or axis.get_ylabel(), "an axis without a label"
"""


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_uses_public_names_and_is_kept_without_output(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    used = set(_names_of_the_package(ast.parse(code)))  # also refuses magics and shell commands
    assert used
    assert used <= set(oso_pipeline.__all__)


def _names_of_the_package(tree: ast.AST) -> Iterator[str]:
    """Yield what code takes from the package: ``oso.name``, or what it imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "oso":
            yield node.attr
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("oso_pipeline"):
            assert node.module == "oso_pipeline", f"{node.module} is not public"
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names if one.name.startswith("oso_pipeline")]
            assert set(names) <= {"oso_pipeline"}, f"{names} are not public"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(
    path: Path, two_years: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "first"
    monkeypatch.setenv("OSO_NOTEBOOK_FOLDER", str(folder))
    if "past" in path.stem:
        folder.mkdir()
        (folder / "world").symlink_to(two_years)  # the same world, not to be made again
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "plt." in cell.source:
            cell.source += LABELLED
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs: list[Any] = [one for cell in notebook.cells for one in cell.get("outputs", [])]
    streams = [one for one in outputs if one.output_type == "stream"]
    assert [one.text for one in streams if one.name == "stderr"] == []
    printed = "".join(one.text for one in streams)
    assert ("growing season" if "village" in path.stem else "overall accuracy") in printed
    assert len(printed.splitlines()) < 100
    assert any("image/png" in one.get("data", {}) for one in outputs)


def test_a_table_needs_20_lines_to_an_accuracy() -> None:
    (path,) = (one for one in NOTEBOOKS if one.stem.startswith("03"))
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    lines = [line.strip() for line in code[0].source.splitlines()]
    assert len([line for line in lines if line and not line.startswith("#")]) <= 20
    assert "cross_validate" in code[0].source
