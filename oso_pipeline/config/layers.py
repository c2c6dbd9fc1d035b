"""The layers of a configuration: files that extend each other, environment, options."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.config.describe import is_mark, kinds_below, mark_of, path_keys
from oso_pipeline.config.nodes import Node, parse_yaml, read_yaml
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.plain_text import plain, strange_to_files

ENVIRONMENT_PREFIX = "OSO_"
"""``OSO_LEARNING__N_TREES=50`` sets ``learning.n_trees``."""

MAX_CHAIN = 20
"""Most files that extend one another."""
MAX_PATH_BYTES, MAX_NAME_BYTES = 4000, 255
"""Longest path and longest name of a file that systems take."""

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
            "E-CONFIG-VALUE",
            f"extends: found {base.value!r}, allowed: path of a YAML file",
            base.where,
            "name one file to build upon, or remove extends",
        )
        return own
    text = expand(base.value, base.where, "extends", environ, problems)
    target = Path(os.path.abspath(path.parent / text))
    chain = (*chain, Path(os.path.abspath(path)))
    if len(chain) > MAX_CHAIN:
        problems.error(
            "E-CONFIG-VALUE",
            f"extends: more than {MAX_CHAIN} files extend one another",
            base.where,
            "join some of them",
        )
        return own
    if target in chain:
        names = " -> ".join(item.name for item in (*chain, target))
        problems.error(
            "E-CONFIG-VALUE",
            f"extends: files extend each other: {names}",
            base.where,
            "remove extends from one of them",
        )
        return own
    if not target.is_file():
        problems.error(
            "E-PATH-MISSING",
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
                "E-CONFIG-VALUE",
                f"found {text!r}, allowed: key.key=value",
                origin,
                "write for example --set learning.n_trees=50",
            )
            continue
        tree = _apply(tree, name.strip().split("."), value, origin, problems)
    return tree


def apply_settings(tree: Node, settings: Mapping[str, Node]) -> Node:
    """Lay values under dotted keys over everything else; each says where it is written."""
    for name, value in settings.items():
        tree = put(tree, name.split("."), value)
    return tree


def resolve_paths(tree: Node, environ: Mapping[str, str], problems: Problems) -> Node:
    """Make the paths absolute, each relative to the folder of the file that gave it.

    Which keys hold paths, the models say: those of this package and of plug-ins.
    """
    for path in (("nomenclature",), *path_keys()):
        tree = _PathKey(path, environ, problems).resolve(tree)
    return tree


def expand(text: str, where: str, key: str, environ: Mapping[str, str], problems: Problems) -> str:
    """Expand ``~`` and ``$VAR`` or ``${VAR}`` of a path; an undefined variable is an error."""
    undefined = [
        name for match in _VARIABLE.findall(text) if (name := match[0] or match[1]) not in environ
    ]
    for name in undefined:
        problems.error(
            "E-PATH-VARIABLE",
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


@dataclass(frozen=True)
class _PathKey:
    """A key that holds a path, or several, as `path_keys` names it."""

    path: tuple[str, ...]
    environ: Mapping[str, str]
    problems: Problems

    def resolve(self, node: Node, depth: int = 0, more: str = "") -> Node:
        """Return a part of the tree, `depth` steps below the root, with absolute paths."""
        if depth == len(self.path):
            return self._absolute(node, more)
        part, value = self.path[depth], node.value
        if is_mark(part):
            if isinstance(value, list):
                items = [self._of_kind(item, depth, more) for item in value]
                return Node(items, node.where, node.folder)
            return self._of_kind(node, depth, more)
        if part == "*" and isinstance(value, list):
            items = [self.resolve(item, depth + 1, more) for item in value]
            return Node(items, node.where, node.folder)
        if part == "*" and isinstance(value, dict):
            named = {
                name: self.resolve(item, depth + 1, f"{more}.{name}")
                for name, item in value.items()
            }
            return Node(named, node.where, node.folder, node.keys)
        if isinstance(value, dict) and part in value:
            child = self.resolve(value[part], depth + 1, more)
            return Node({**value, part: child}, node.where, node.folder, node.keys)
        return node

    def _of_kind(self, node: Node, depth: int, more: str) -> Node:
        kinds = kinds_below(self.path[:depth])
        if kinds and mark_of(node, kinds) != self.path[depth]:
            return node
        return self.resolve(node, depth + 1, more)

    def _absolute(self, node: Node, more: str) -> Node:
        key = ".".join(part for part in self.path if not is_mark(part) and part != "*") + more
        value = node.value
        if not isinstance(value, str) or (key == "nomenclature" and is_builtin(value)):
            return node
        if not value.strip() or "\0" in value:
            self.problems.error(
                "E-PATH-NAME",
                f"{key}: {value!r} is not a path",
                node.where,
                f"write the path of {key}, or remove the key",
            )
            return node
        text = expand(value, node.where, key, self.environ, self.problems)
        path = os.path.abspath(node.folder / text)
        if reason := _impossible(path):
            self.problems.error(
                "E-PATH-NAME", f"{key}: {reason}", node.where, "rename the folder or the file"
            )
            return Node(plain(text)[:MAX_NAME_BYTES], node.where, node.folder)
        return Node(path, node.where, node.folder)


def _impossible(path: str) -> str | None:
    """Return why a path cannot be used, None where it can."""
    if odd := strange_to_files(path):
        return f"{path!r} holds {plain(odd)}: its name is not UTF-8 text"
    if len(path.splitlines()) > 1:
        return f"{path!r} has several lines"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"the path has {len(path.encode())} bytes, at most {MAX_PATH_BYTES} are allowed"
    longest = max(len(name.encode()) for name in path.split(os.sep))
    if longest > MAX_NAME_BYTES:
        return f"a name in the path has {longest} bytes, at most {MAX_NAME_BYTES} are allowed"
    return None
