"""Configurations and comparisons for tests of whole runs."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from oso_pipeline.cli import app

CONFIG = """\
year: 2018
run_dir: {run_dir}
season: {{start: 2018-01-01, end: 2018-12-31, step_days: 20}}
imagery:
  paths: [{world}/products]
  tiles: [{tiles}]
reference:
  erosion_m: 0
  rare_classes: drop
  sources:
    - {{path: {world}/reference.gpkg, code_field: code}}
sampling: {{max_train_pixels: 300, allow_missing_classes: true}}
learning: {{n_trees: 20}}
validation: {{bootstrap: 100}}
runtime: {{executor: serial}}
"""


def write_config(folder: Path, world: Path, extra: str = "", tiles: str = "30UYD, 31UCU") -> Path:
    """Write a configuration of a quick run on a simulated world and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "small.yaml"
    path.write_text(CONFIG.format(run_dir=folder / "run", world=world, tiles=tiles) + extra)
    return path


def digests(run_dir: Path, pattern: str = "maps/*") -> dict[str, str]:
    """Return the SHA-256 of the files that make up the map, by name."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(run_dir.glob(pattern))
        if not file.name.endswith(".json")
    }


def overall_accuracy(run_dir: Path) -> float:
    """Return the estimate in ``validation/accuracy.json``."""
    content: dict[str, Any] = json.loads((run_dir / "validation" / "accuracy.json").read_text())
    return float(content["overall_accuracy"]["estimate"])


def oso(*arguments: object) -> str:
    """Run the command in this process; it must end well. Return what a user sees of it."""
    return _ended_well(arguments).output


def stdout_of(*arguments: object) -> str:
    """Run the command as `oso`, and return what a program reads of it, without warnings."""
    return _ended_well(arguments).stdout


def _ended_well(arguments: tuple[object, ...]) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result


def copy_as_demo(config: Path, folder: Path) -> None:
    """Copy a finished run to where the examples of docstrings look for the demo.

    They read ``one_year.yaml`` and its run folder ``run_one_year`` in `folder`.
    """
    run = folder / "run_one_year"
    shutil.copytree(config.parent / "run", run)
    text = config.read_text(encoding="utf-8")
    assert f"run_dir: {config.parent / 'run'}\n" in text
    path = folder / "one_year.yaml"
    path.write_text(text.replace(f"{config.parent / 'run'}\n", f"{run}\n"), encoding="utf-8")
