"""The notebooks run from top to bottom."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


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
    assert all(not cell.get("outputs") for cell in notebook.cells), (
        "commit notebooks without output"
    )
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert "overall accuracy" in printed
    assert "failed" not in printed


def lines_of_code(cell: Any) -> list[str]:
    """Return the lines of a cell that are code."""
    lines = [line.strip() for line in cell.source.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def test_a_table_needs_20_lines_of_the_public_names_to_an_accuracy() -> None:
    (path,) = (one for one in NOTEBOOKS if one.stem.startswith("03"))
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert len(lines_of_code(code[0])) <= 20
    assert "cross_validate" in code[0].source
    tree = ast.parse("\n".join(cell.source for cell in code))
    imported = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    ours = {name for name in imported if name and name.startswith("oso_pipeline")}
    assert ours == {"oso_pipeline"}
    for cell in code:
        figures = cell.source.count("subplots")
        assert cell.source.count("set_xlabel") == cell.source.count("set_ylabel") == figures
