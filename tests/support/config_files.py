"""Configurations as files: written, loaded, refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import ConfigError, ExitCode, Problem

GOOD = """\
year: 2018
season:
  start: 2018-01-01
  end: 2018-12-31
imagery:
  paths: [products]
  tiles: [t31tcj, 31TDJ]
reference:
  sources:
    - path: parcels.gpkg
"""


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def load(path: Path, *overrides: str, **environ: str) -> Config:
    return load_config(path, overrides, environ)


def refused(path: Path, *overrides: str, **environ: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path, *overrides, **environ)
    assert caught.value.exit_code == ExitCode.CONFIG == 3
    return caught.value.problems
