"""Descriptions of configuration keys, for messages, the template and the reference page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from oso_pipeline.config.cluster import ADDRESS_PATTERN, WALLTIME_PATTERN
from oso_pipeline.config.model import NAME_PATTERN, Config
from oso_pipeline.config.nodes import Node
from oso_pipeline.config.reference import CRS_PATTERN
from oso_pipeline.config.shell_words import HOST_PATTERN, WORD_PATTERN
from oso_pipeline.core.plugins import BUILT_IN, Group, built_in, plugins

_PATTERNS = {
    NAME_PATTERN: "letters, digits, _ . -",
    WALLTIME_PATTERN: "a time such as 02:00:00",
    ADDRESS_PATTERN: "an address such as tls://node1:8786",
    WORD_PATTERN: "one word",
    HOST_PATTERN: "the name of a host or of an interface",
    CRS_PATTERN: "a code such as EPSG:2154",
}
GIVEN_BY_LOADER = ("name", "run_dir")
"""Required keys of the model that the loader fills from the name of the file."""


@dataclass(frozen=True)
class Key:
    """A key of the configuration.

    Parameters
    ----------
    path
        Names from the root; ``[]`` marks an item of a list, ``[rpg]`` an item or a section of
        kind rpg.
    text
        Meaning of the key.
    allowed
        The values it takes, as text.
    required
        Whether the user must give it.
    default
        Its value otherwise, as it is written in JSON.
    section
        Whether further keys stand below it.
    paths
        Where it holds paths of files: () is its value, ``*`` each item of it.
    """

    path: tuple[str, ...]
    text: str
    allowed: str
    required: bool
    default: Any
    section: bool
    paths: tuple[tuple[str, ...], ...] = ()

    @property
    def plain(self) -> tuple[str, ...]:
        """The path without the marks of items."""
        return tuple(part for part in self.path if not is_mark(part))


def is_mark(part: str) -> bool:
    """Whether a part of a path stands for an item of a list, or for a kind."""
    return part.startswith("[")


@cache
def schema() -> dict[str, Any]:
    """Return the JSON schema of the models."""
    return Config.model_json_schema()


@cache
def keys() -> tuple[Key, ...]:
    """Return every key, in the order of the models, sections before their keys."""
    return tuple(_keys(schema(), ()))


@cache
def keys_by_path() -> dict[tuple[str, ...], Key]:
    """Return every key by its path, with the marks of list items."""
    return {key.path: key for key in keys()}


@cache
def keys_by_name() -> dict[str, Key]:
    """Return every key by its dotted name, without the marks; of kinds the first with it."""
    return {".".join(key.plain): key for key in reversed(keys())}


def names_below(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys that may stand in the section at `path`, which holds marks."""
    return tuple(key.path[-1] for key in keys() if key.path[:-1] == path)


@cache
def kinds_below(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the kinds of a section, or of items of a list, at `path`; empty where all are one."""
    n = len(path)
    marks = [k.path[n] for k in keys() if k.path[:n] == path and len(k.path) == n + 2]
    return tuple(dict.fromkeys(mark[1:-1] for mark in marks if is_mark(mark) and mark != "[]"))


def group_of(path: tuple[str, ...]) -> Group | None:
    """Return the group of plug-ins whose settings stand at `path`; None for other sections."""
    kinds = kinds_below(path)
    return next((group for group in BUILT_IN if kinds and {*kinds} == {*plugins(group)}), None)


@cache
def own_kinds(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the kinds of `kinds_below` without those of other packages."""
    group = group_of(path)
    ours = {plugin.kind for plugin in built_in(group)} if group else kinds_below(path)
    return tuple(kind for kind in kinds_below(path) if kind in ours)


@cache
def own_keys() -> tuple[Key, ...]:
    """Return every key without those of kinds of other packages."""
    return tuple(key for key in keys() if _is_own(key))


def mark_of(node: Node | None, kinds: tuple[str, ...]) -> str:
    """Return the mark of the kind that a node claims to be of, or of the first."""
    claimed = None if node is None else node.child("kind")
    kind = None if claimed is None else claimed.value
    return f"[{kind if kind in kinds else kinds[0]}]"


@cache
def path_keys() -> tuple[tuple[str, ...], ...]:
    """Return the keys that hold paths of files, with marks; ``*`` stands for every item."""
    return tuple((*key.path, *below) for key in keys() for below in key.paths)


def _is_own(key: Key) -> bool:
    marks = [(key.path[:n], part[1:-1]) for n, part in enumerate(key.path) if is_mark(part)]
    return all(not kind or kind in own_kinds(path) for path, kind in marks)


@cache
def texts_of_kinds() -> dict[str, str]:
    """Return what each kind of item is, as text."""
    return {
        part["properties"]["kind"]["const"]: " ".join(part.get("description", "").split())
        for part in schema()["$defs"].values()
        if "const" in part.get("properties", {}).get("kind", {})
    }


def allowed_values(node: dict[str, Any]) -> str:
    """Describe the values that a part of the JSON schema admits."""
    node = _resolved(node)
    if options := node.get("anyOf", node.get("oneOf")):
        return " or ".join(dict.fromkeys(allowed_values(option) for option in options))
    if "const" in node:
        return str(node["const"])
    if "enum" in node:
        return ", ".join(str(value) for value in node["enum"])
    kind = node.get("type")
    if kind == "array":
        least = "list of one or more: " if node.get("minItems") else "list of: "
        return least + allowed_values(node.get("items", {}))
    if kind == "object":
        return "keys with values"
    if kind in ("integer", "number"):
        return _number(kind, node)
    if kind == "string":
        formats = {"path": "path", "date": "date YYYY-MM-DD"}
        if "pattern" in node:
            return _PATTERNS.get(node["pattern"], f"text like {node['pattern']}")
        return formats.get(node.get("format", ""), "text")
    return {"boolean": "true, false", "null": "null"}.get(str(kind), "any value")


def _number(kind: str, node: dict[str, Any]) -> str:
    words = ["whole number" if kind == "integer" else "number"]
    low, above = node.get("minimum"), node.get("exclusiveMinimum")
    high, under = node.get("maximum"), node.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{words[0]} from {low:g} to {high:g}" if high < 1e6 else f"{words[0]} from {low}"
    for value, text in ((low, "from"), (above, "above"), (high, "up to"), (under, "below")):
        if value is not None:
            words.append(f"{text} {int(value) if float(value).is_integer() else value}")
    return " ".join(words)


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return {**schema()["$defs"][node["$ref"].rsplit("/", 1)[1]], **node}
    return node


def _sections_of(node: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the sections that a key holds by their mark, which is empty for a plain section."""
    node = _resolved(node)
    if "properties" in node:
        return {"": node}
    if kinds := _kinds_of(node):
        return kinds
    if node.get("type") == "array":
        item = _resolved(node["items"])
        return _kinds_of(item) or ({"[]": item} if "properties" in item else {})
    for option in node.get("anyOf", ()):
        if "properties" in _resolved(option):
            return {"": _resolved(option)}
    return {}


def _kinds_of(node: dict[str, Any]) -> dict[str, dict[str, Any]]:
    kinds = [_resolved(option) for option in node.get("oneOf", ())]
    return {f"[{one['properties']['kind']['const']}]": one for one in kinds}


def _keys(node: dict[str, Any], path: tuple[str, ...]) -> Iterator[Key]:
    for name, content in node["properties"].items():
        below = _sections_of(content)
        required = name in node.get("required", ()) and (path or name not in GIVEN_BY_LOADER)
        yield Key(
            (*path, name),
            " ".join(_described(content).split()),
            allowed_values({k: v for k, v in content.items() if k != "default"}),
            bool(required),
            content.get("default", {} if below else None),
            bool(below),
            tuple(_paths(content)),
        )
        for mark, section in below.items():
            yield from _keys(section, (*path, name, mark) if mark else (*path, name))


def _paths(node: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Return where a value holds paths, keys of sections left out."""
    node = _resolved(node)
    if node.get("format") == "path":
        yield ()
    for option in node.get("anyOf", ()):
        yield from _paths(option)
    for items in (node.get("items"), node.get("additionalProperties")):
        if isinstance(items, dict):
            yield from (("*", *below) for below in _paths(items))


def _described(content: dict[str, Any]) -> str:
    return str(content.get("description") or _resolved(content).get("description", ""))
