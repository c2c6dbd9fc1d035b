"""Compiled functions on the disk follow the files that they were compiled from."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from numba.core import caching

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


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "replaced"])
def test_2_14_damaged_compiled_code_is_compiled_again(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "kept.py"
    path.write_text(SOURCE)
    loaded(path).double(21)
    (kept,) = (tmp_path / "__pycache__").glob("*.nbc")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    half = len(content) // 2
    damages = {"empty": b"", "cut": content[:half], "changed": content, "replaced": b"x" * 100}
    kept.write_bytes(damages[damage])
    for expected_misses in (1, 0):
        double = loaded(path).double
        assert double(21) == 42
        assert sum(double.stats.cache_misses.values()) == expected_misses


def test_1_5_compiled_code_goes_to_a_private_folder_where_no_other_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.py"
    path.write_text(SOURCE)
    _close_all_folders(monkeypatch, tmp_path / "temporary")
    for expected_misses in (1, 0):
        double = loaded(path).double
        assert double(21) == 42
        assert sum(double.stats.cache_misses.values()) == expected_misses
    (private,) = (tmp_path / "temporary").iterdir()
    assert private.stat().st_mode & 0o077 == 0
    assert list(private.rglob("*.nbc"))


@pytest.mark.parametrize("obstacle", ["absent", "readable by others", "a link"])
def test_1_5_without_any_safe_folder_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    path, temporary = tmp_path / "kept.py", tmp_path / "temporary"
    path.write_text(SOURCE)
    _close_all_folders(monkeypatch, temporary)
    ours = temporary / f"oso_pipeline-{os.geteuid()}"
    if obstacle == "absent":
        temporary.rmdir()
    elif obstacle == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        ours.symlink_to(tmp_path / "elsewhere")
    else:
        ours.mkdir()
        ours.chmod(0o777)
    assert loaded(path).double(21) == 42
    assert not list(tmp_path.rglob("*.nbc"))


def _close_all_folders(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    """Let numba find no folder, as for a user without home of a read-only installation."""
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    for locator in ("InTreeCacheLocator", "UserWideCacheLocator"):
        monkeypatch.setattr(
            getattr(caching, locator), "from_function", classmethod(lambda cls, *_: None)
        )
