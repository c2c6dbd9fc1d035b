"""Compiled functions on the disk follow the files that they were compiled from."""

from __future__ import annotations

import importlib.util
import shutil
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


def test_signatures_that_are_compiled_side_by_side_do_not_mix(tmp_path: Path) -> None:
    # What is left of two processes that both found nothing and both wrote what they had made.
    folders = [tmp_path / name for name in ("one", "other")]
    for folder, value in zip(folders, (21, 10.5), strict=True):
        folder.mkdir()
        (folder / "kept.py").write_text(SOURCE)
        loaded(folder / "kept.py").double(value)
    shutil.copytree(folders[1] / "__pycache__", folders[0] / "__pycache__", dirs_exist_ok=True)
    double = loaded(folders[0] / "kept.py").double
    assert [double(21), double(10.5)] == [42, 21.0]
    assert [type(double(21)), type(double(10.5))] == [int, float]
    assert not sum(double.stats.cache_misses.values())
    assert sum(double.stats.cache_hits.values()) == 2


def test_all_compiled_functions_are_made_that_way() -> None:
    package = Path(oso_pipeline.__file__).parent
    direct = [path.name for path in package.rglob("*.py") if "njit" in path.read_text("utf-8")]
    assert direct == ["kernels.py"]


def test_files_that_say_how_to_compile_count() -> None:
    names = {path.name for path in kernels.compiled_sources()}
    assert {"kernels.py", "llvm_vectors.py", "simd.py", "bit_masks.py", "walk.py"} <= names
    assert "errors.py" not in names
