"""Tiny EOPF products for tests, whole or with one fault."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from oso_pipeline.simulation.writers.eopf import array_path, write_eopf
from support.safe_factory import facts, scene

Documents = dict[str, Any]


def write(folder: Path, name: str | None = None, as_zip: bool = False, **changes: Any) -> Path:
    if as_zip or changes:
        return write_eopf(folder, facts(**changes), scene(), name, as_zip)
    return Path(shutil.copytree(_product(), folder / (name or _product().name)))


@cache
def _product() -> Path:
    """Return a product that is written once per process, as its hundreds of files take long."""
    folder = Path(tempfile.mkdtemp(prefix="oso-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_eopf(folder, facts(), scene())


def edit(product: Path, change: Callable[[Documents], None]) -> None:
    """Change the metadata of a product, which are given by their file names."""
    path = product / ".zmetadata"
    content = json.loads(path.read_text(encoding="utf-8"))
    before = json.dumps(content)
    change(content["metadata"])
    assert json.dumps(content) != before, "the fault changes nothing"
    path.write_text(json.dumps(content), encoding="utf-8")


def chunk(product: Path, band: str, name: str = "0.0") -> Path:
    return product / array_path(band) / name
