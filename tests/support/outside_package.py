"""Packages of others, written to a folder as an installer leaves them there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from support import ROOT

_BLOCK = re.compile(r"^```python\n# (?P<path>[\w/]+\.py)\n(?P<text>.*?)^```$", re.M | re.S)


def files_of_page(name: str) -> dict[str, str]:
    """Return the Python files that a page of the documentation shows, by path."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return {found["path"]: found["text"] for found in _BLOCK.finditer(text)}


def install(folder: Path, name: str, group: str, points: Mapping[str, str]) -> None:
    """Write the metadata of a package whose modules lie in `folder`."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"[oso_pipeline.{group}]", *(f"{kind} = {place}" for kind, place in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write the modules of a package."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def python_with(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python where the package in `folder` is installed."""
    paths = os.pathsep.join(map(str, (folder, ROOT, os.environ.get("PYTHONPATH", ""))))
    command = [sys.executable, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": paths, "COLUMNS": "300"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)


def oso_with(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command ``oso`` where the package in `folder` is installed."""
    return python_with(folder, "-m", "oso_pipeline.cli", *arguments)
