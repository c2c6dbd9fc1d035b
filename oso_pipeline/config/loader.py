"""From YAML files, environment and options to one checked configuration."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from oso_pipeline.config.describe import names_below
from oso_pipeline.config.earlier import in_present_words
from oso_pipeline.config.findings import findings, nearest, path_of, where
from oso_pipeline.config.given_models import without_labels, without_reference
from oso_pipeline.config.layers import (
    ENVIRONMENT_PREFIX,
    apply_environment,
    apply_overrides,
    apply_settings,
    read_files,
    resolve_paths,
)
from oso_pipeline.config.model import MAX_NAME, Config
from oso_pipeline.config.nodes import Node
from oso_pipeline.core.errors import ConfigError, Problem, Problems

_LIKENESS = 0.82
"""From here on a variable is a mistyped key, not one of another program."""
_MOST = 100
"""Mistakes named at most; a file with more of them is the wrong file."""
_HINT = "is this the configuration? fix the mistakes named before"
_ROUNDS = 8
"""Validations at most; each looks behind the findings of the one before."""


def load_config(
    path: Path, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Config:
    """Load, merge and check a configuration.

    Later layers win: defaults, the files named by ``extends`` (each relative to the file that
    names it; mappings are joined key by key, lists replaced), the file, ``OSO_A__B=v`` of the
    environment, `overrides`. Paths are relative to the folder of the file that gives them,
    to the current folder when environment or options do; ``~`` and ``$VAR`` are expanded.

    Parameters
    ----------
    path
        The YAML file.
    overrides
        Settings ``a.b=value``, the value in YAML; ``a.0.b`` addresses an item of a list.
    environ
        Environment variables; those of the process by default. Names without ``__`` that
        resemble no key of the first level are left to others.

    Returns
    -------
    Config
        Complete, with absolute paths.

    Raises
    ------
    ConfigError
        With every problem found: ``file:line:column``, or the variable or option, in
        `where`, and ``key: what was found, what is allowed`` as message.
    """
    return _loaded(path, environ, lambda tree, problems: apply_overrides(tree, overrides, problems))


def load_with(
    path: Path, settings: Mapping[str, Node], environ: Mapping[str, str] | None = None
) -> Config:
    """Load a configuration with settings of another file, as `load_config` does with `overrides`.

    Parameters
    ----------
    path
        The YAML file.
    settings
        Values by dotted key. Paths are relative to the folder of their file, and messages name the
        place where the value is written.
    environ
        Environment variables; those of the process by default.

    Raises
    ------
    ConfigError
        With every problem found.
    """
    return _loaded(path, environ, lambda tree, _: apply_settings(tree, settings))


def _loaded(
    path: Path, environ: Mapping[str, str] | None, lay_over: Callable[[Node, Problems], Node]
) -> Config:
    """Load the files and the environment, lay the last layer over them, and check the whole."""
    environ = os.environ if environ is None else environ
    path = Path(os.path.abspath(os.path.expanduser(path)))
    problems = Problems()
    tree = read_files(path, environ, problems)
    if tree is None:  # then a problem says why
        raise ConfigError(*problems.errors)
    tree = apply_environment(tree, _settings(environ), problems)
    tree = lay_over(tree, problems)
    tree = in_present_words(_with_names(tree, path), problems)
    tree = without_reference(resolve_paths(tree, environ, problems))
    problems.extend(_problems_of(tree))
    problems.raise_errors(ConfigError)
    return without_labels(Config.model_validate(tree.plain())).loaded_from(path)


def _settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that mean a key, also those that mistype one."""
    known = names_below(())
    return {
        name: value
        for name, value in environ.items()
        if name.upper().startswith(ENVIRONMENT_PREFIX)
        and ("__" in name or nearest(name[len(ENVIRONMENT_PREFIX) :], known, _LIKENESS))
    }


def name_from(path: Path) -> str:
    """Return the name of a run that follows from the name of its file."""
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem).lstrip("_.-") or "run"
    return stem[:MAX_NAME]


def _with_names(tree: Node, path: Path) -> Node:
    """Add the name and the run folder that follow from the name of the file."""
    given = dict(tree.value)
    if "name" not in given:
        given["name"] = Node(name_from(path), f"{path}:1:1", path.parent)
    if "run_dir" not in given:
        run_dir = f"runs/{given['name'].value}"
        given["run_dir"] = Node(run_dir, f"{path}:1:1", path.parent)
    return Node(given, tree.where, tree.folder, tree.keys)


def _problems_of(tree: Node) -> list[Problem]:
    """Validate, and look again without what was wrong, for what it hid."""
    found: dict[tuple[str, str | None], Problem] = {}
    removed: set[tuple[str | int, ...]] = set()
    for _ in range(_ROUNDS):
        errors = [error for error in _errors(tree) if not _consequence(error, tree, removed)]
        if len(errors) > _MOST:
            few = findings(errors[:_MOST], tree)
            return [*found.values(), *few, _more(len(errors) - _MOST, errors[_MOST], tree)]
        for problem in findings(errors, tree):
            found.setdefault((problem.message, problem.where), problem)
        places = {path_of(error, tree) for error in errors if error["type"] != "missing"}
        if not places - removed:
            break
        removed |= places
        for place in places:
            tree = _without(tree, place)
    return list(found.values())


def _more(count: int, first: ErrorDetails, tree: Node) -> Problem:
    """Return what stands for the mistakes that are too many to be looked at one by one."""
    place = where(tree, path_of(first, tree), of_key=True)
    return Problem("E-CONFIG-VALUE", f"and {count} more mistakes from here on", place, _HINT)


def _consequence(error: ErrorDetails, tree: Node, removed: set[tuple[str | int, ...]]) -> bool:
    """Whether a value is missing only because it was wrong and taken away."""
    path = path_of(error, tree)
    return error["type"] == "missing" and any(gone[: len(path)] == path for gone in removed)


def _errors(tree: Node) -> list[ErrorDetails]:
    # In JSON mode strict means what a user of YAML expects: no number from a text, no count
    # from a truth value, yet dates and paths from texts and tuples from lists.
    content = json.dumps(tree.plain())
    try:
        Config.model_validate_json(content, strict=True)
        Config.model_validate(tree.plain())
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _without(tree: Node, path: tuple[str | int, ...]) -> Node:
    if not path or not isinstance(tree.value, dict):
        return tree
    key, rest = str(path[0]), path[1:]
    values: dict[str, Any] = dict(tree.value)
    if key in values and (not rest or isinstance(values[key].value, list)):
        del values[key]
    elif key in values:
        values[key] = _without(values[key], rest)
    return Node(values, tree.where, tree.folder, tree.keys)
