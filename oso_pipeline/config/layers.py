"""The layers of a configuration: files that extend each other, environment, options."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from oso_pipeline.config.nodes import Node, parse_yaml, read_yaml
from oso_pipeline.core.errors import Problems

ENVIRONMENT_PREFIX = "OSO_"
"""``OSO_LEARNING__N_TREES=50`` sets ``learning.n_trees``."""

PATH_KEYS: tuple[tuple[str, ...], ...] = (
    ("run_dir",),
    ("nomenclature",),
    ("imagery", "paths", "*"),
    ("adaptation", "sources", "*", "imagery", "paths", "*"),
    ("reference", "sources", "*", "path"),
    ("reference", "sources", "*", "crosswalk"),
    ("reference", "sources", "*", "rules"),
    ("strata", "path"),
    ("validation", "independent", "path"),
    ("validation", "independent", "crosswalk"),
    ("validation", "independent", "compare", "*"),
    ("map", "area", "path"),
    ("runtime", "cluster", "tls"),
)
"""Keys that hold paths; ``*`` stands for every item of a list."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def read_files(
    path: Path, environ: Mapping[str, str], problems: Problems, chain: tuple[Path, ...] = ()
) -> Node | None:
    """Read a file and those it extends; its own values win.

    Parameters
    ----------
    path
        The file.
    environ
        Variables that ``extends`` may use.
    problems
        Takes what is wrong: unreadable files, YAML errors, cycles.
    chain
        The files that led here, to find cycles.
    """
    node = read_yaml(path, problems)
    if node is None or "extends" not in node.value:
        return node
    base = node.value["extends"]
    own = Node(
        {key: value for key, value in node.value.items() if key != "extends"},
        node.where,
        node.folder,
        node.keys,
    )
    if not isinstance(base.value, str) or not base.value:
        problems.error(
            "E-INPUT-057",
            f"extends: found {base.value!r}, allowed: path of a YAML file",
            base.where,
            "name one file to build upon, or remove extends",
        )
        return own
    text = expand(base.value, base.where, "extends", environ, problems)
    target = Path(os.path.abspath(path.parent / text))
    chain = (*chain, Path(os.path.abspath(path)))
    if target in chain:
        names = " -> ".join(item.name for item in (*chain, target))
        problems.error(
            "E-INPUT-057",
            f"extends: files extend each other: {names}",
            base.where,
            "remove extends from one of them",
        )
        return own
    if not target.is_file():
        problems.error(
            "E-INPUT-058",
            f"extends: there is no file {target}",
            base.where,
            "the path is relative to the file that holds it",
        )
        return own
    below = read_files(target, environ, problems, chain)
    return own if below is None else merge(below, own)


def merge(below: Node, above: Node) -> Node:
    """Lay one tree over another: mappings join key by key, all else is replaced.

    So is a section of another kind, as its keys mean nothing to the new one.
    """
    if not (isinstance(below.value, dict) and isinstance(above.value, dict)):
        return above
    kinds = [tree.value["kind"].value for tree in (below, above) if "kind" in tree.value]
    if len(kinds) == 2 and kinds[0] != kinds[1]:
        return above
    values = dict(below.value)
    for key, node in above.value.items():
        values[key] = merge(values[key], node) if key in values else node
    return Node(values, above.where, above.folder, {**below.keys, **above.keys})


def put(tree: Node, keys: Sequence[str], value: Node) -> Node:
    """Return the tree with one value set; a number addresses an item of a list."""
    if not keys:
        return merge(tree, value) if tree.value is not None else value
    key, rest = keys[0], keys[1:]
    if isinstance(tree.value, list) and key.isdecimal() and int(key) < len(tree.value):
        items = list(tree.value)
        items[int(key)] = put(items[int(key)], rest, value)
        return Node(items, tree.where, tree.folder)
    values = dict(tree.value) if isinstance(tree.value, dict) else {}
    values[key] = put(values.get(key, Node(None, value.where, value.folder)), rest, value)
    return Node(values, tree.where, tree.folder, {**tree.keys, key: value.where})


def apply_environment(tree: Node, environ: Mapping[str, str], problems: Problems) -> Node:
    """Lay ``OSO_A__B=v`` over the files; names are read without regard to case."""
    for name in sorted(environ):
        if not name.upper().startswith(ENVIRONMENT_PREFIX):
            continue
        keys = name[len(ENVIRONMENT_PREFIX) :].lower().split("__")
        tree = _apply(tree, keys, environ[name], f"environment {name}", problems)
    return tree


def apply_overrides(tree: Node, overrides: Sequence[str], problems: Problems) -> Node:
    """Lay ``a.b=v`` of the command line over everything else."""
    for text in overrides:
        origin = f"--set {text}"
        name, equals, value = text.partition("=")
        if not equals or not all(name.strip().split(".")):
            problems.error(
                "E-INPUT-057",
                f"found {text!r}, allowed: key.key=value",
                origin,
                "write for example --set learning.n_trees=50",
            )
            continue
        tree = _apply(tree, name.strip().split("."), value, origin, problems)
    return tree


def resolve_paths(tree: Node, environ: Mapping[str, str], problems: Problems) -> Node:
    """Make the paths absolute, each relative to the folder of the file that gave it."""
    for keys in PATH_KEYS:
        tree = _resolve(tree, keys, ".".join(keys), environ, problems)
    return tree


def expand(text: str, where: str, key: str, environ: Mapping[str, str], problems: Problems) -> str:
    """Expand ``~`` and ``$VAR`` or ``${VAR}`` of a path; an undefined variable is an error."""
    undefined = [
        name for match in _VARIABLE.findall(text) if (name := match[0] or match[1]) not in environ
    ]
    for name in undefined:
        problems.error(
            "E-INPUT-058",
            f"{key}: {text!r} uses the variable {name}, which is not defined",
            where,
            f"define {name} in the environment or write the path out",
        )
    if undefined:
        return text
    return os.path.expanduser(_VARIABLE.sub(lambda m: environ[m[1] or m[2]], text))


def is_builtin(nomenclature: str) -> bool:
    """Whether a nomenclature is meant by its name, not by the path of a file."""
    return not Path(nomenclature).suffix and not any(sign in nomenclature for sign in "/\\~$")


def _apply(tree: Node, keys: Sequence[str], text: str, origin: str, problems: Problems) -> Node:
    found = Problems()
    parsed = parse_yaml(text, origin, Path.cwd(), found)
    for problem in found:
        problems.error(problem.code, f"{'.'.join(keys)}: {problem.message}", origin)
    return tree if parsed is None else put(tree, keys, _from(parsed, origin))


def _from(node: Node, origin: str) -> Node:
    """Return the tree with its origin instead of positions in a short text."""
    value = node.value
    if isinstance(value, dict):
        value = {key: _from(child, origin) for key, child in value.items()}
    elif isinstance(value, list):
        value = [_from(child, origin) for child in value]
    return Node(value, origin, node.folder, dict.fromkeys(node.keys, origin))


def _resolve(
    node: Node, keys: tuple[str, ...], key: str, environ: Mapping[str, str], problems: Problems
) -> Node:
    value = node.value
    if not keys:
        if not isinstance(value, str) or (key == "nomenclature" and is_builtin(value)):
            return node
        if not value.strip() or "\0" in value:
            problems.error(
                "E-INPUT-058",
                f"{key}: {value!r} is not a path",
                node.where,
                f"write the path of {key}, or remove the key",
            )
            return node
        text = expand(value, node.where, key, environ, problems)
        return Node(os.path.abspath(node.folder / text), node.where, node.folder)
    if keys[0] == "*" and isinstance(value, list):
        items = [_resolve(item, keys[1:], key, environ, problems) for item in value]
        return Node(items, node.where, node.folder)
    if keys[0] == "*" and isinstance(value, dict):
        named = {
            name: _resolve(item, keys[1:], f"{key}.{name}", environ, problems)
            for name, item in value.items()
        }
        return Node(named, node.where, node.folder, node.keys)
    if isinstance(value, dict) and keys[0] in value:
        child = _resolve(value[keys[0]], keys[1:], key, environ, problems)
        return Node({**value, keys[0]: child}, node.where, node.folder, node.keys)
    return node
