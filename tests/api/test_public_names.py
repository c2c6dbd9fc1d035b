"""The names of ``import oso_pipeline``: what they are, and what importing them costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import oso_pipeline

SOURCE = Path(oso_pipeline.__file__)


def modules_after(code: str) -> set[str]:
    """Return the packages that a fresh interpreter has imported after some code."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return set(done.stdout.split())


def test_every_public_name_is_there_and_documented() -> None:
    assert len(set(oso_pipeline.__all__)) == len(oso_pipeline.__all__)
    for name in oso_pipeline.__all__:
        value = getattr(oso_pipeline, name)
        assert name in dir(oso_pipeline)
        assert name == "__version__" or (value.__doc__ and value.__name__ == name)


def test_every_public_function_and_class_has_an_example() -> None:
    values = [getattr(oso_pipeline, name) for name in oso_pipeline.__all__]
    errors = {one for one in values if isinstance(one, type) and issubclass(one, Exception)}
    others = [one for one in values if callable(one) and one not in errors]
    assert [one.__name__ for one in others if "    >>> " not in one.__doc__] == []


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == oso_pipeline._PUBLIC


def test_no_module_hides_a_public_name() -> None:
    modules = {path.stem for path in SOURCE.parent.iterdir()}
    assert not modules & set(oso_pipeline.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = oso_pipeline.nothing


def test_the_package_imports_neither_a_library_nor_an_extra_before_it_needs_one() -> None:
    needs = [Requirement(text) for text in metadata.requires("oso_pipeline") or ()]
    libraries = {one.name.replace("-", "_").lower() for one in needs} | {"sklearn", "PIL", "ruamel"}
    assert {"numpy", "pandas", "dask_jobqueue"} <= libraries
    assert not modules_after("import oso_pipeline") & libraries
    extras = {one.name.replace("-", "_") for one in needs if one.marker is not None}
    assert not modules_after("from oso_pipeline import *") & extras


@pytest.mark.parametrize("name", ["ConfigError", "InputDataError", "UnknownName", "RunFailed"])
def test_errors_are_also_builtin_ones(name: str) -> None:
    builtin = {"UnknownName": KeyError, "RunFailed": RuntimeError}.get(name, ValueError)
    kind = getattr(oso_pipeline, name)
    assert issubclass(kind, oso_pipeline.OsoError)
    assert issubclass(kind, builtin)
    assert issubclass(oso_pipeline.EnvironmentFailure, OSError)
