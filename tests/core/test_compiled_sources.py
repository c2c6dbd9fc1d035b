"""Compiled functions on the disk follow the files that they were compiled from."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import oso_pipeline
from oso_pipeline.core import kernels

SOURCE = """
from oso_pipeline.core.kernels import kernel


@kernel
def double(x):
    return 2 * x
"""


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("kept", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_kept_until_any_file_with_compiled_code_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.py"
    path.write_text(SOURCE)
    compiled = []
    for digest in ("one", "one", "other", "other"):
        monkeypatch.setattr(kernels, "_digest", lambda digest=digest: digest)
        double = loaded(path).double
        assert double(21) == 42
        compiled.append(sum(double.stats.cache_misses.values()))
    assert compiled == [1, 0, 1, 0]


def test_all_compiled_functions_are_made_that_way() -> None:
    package = Path(oso_pipeline.__file__).parent
    direct = [path.name for path in package.rglob("*.py") if "njit" in path.read_text("utf-8")]
    assert direct == ["kernels.py"]
