"""What the models say about their keys, in words: for messages, the template and the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from oso_pipeline.config.model import Config

GIVEN_BY_LOADER = ("name", "run_dir")
"""Required keys of the model that the loader fills from the name of the file."""


@dataclass(frozen=True)
class Key:
    """A key of the configuration.

    Parameters
    ----------
    path
        Names from the root; ``[]`` marks an item of a list.
    text
        What the key means.
    allowed
        The values it takes, in words.
    required
        Whether the user must give it.
    default
        Its value otherwise, as it is written in JSON.
    section
        Whether further keys stand below it.
    """

    path: tuple[str, ...]
    text: str
    allowed: str
    required: bool
    default: Any
    section: bool


@cache
def schema() -> dict[str, Any]:
    """Return the JSON schema of the models."""
    return Config.model_json_schema()


@cache
def keys() -> tuple[Key, ...]:
    """Return every key, in the order of the models, sections before their keys."""
    return tuple(_keys(schema(), ()))


@cache
def keys_by_name() -> dict[str, Key]:
    """Return every key by its dotted name, without the marks of list items."""
    return {".".join(part for part in key.path if part != "[]"): key for key in keys()}


def names_below(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys that may stand in the section at `path` (``[]`` marks list items)."""
    return tuple(key.path[-1] for key in keys() if key.path[:-1] == path and key.path[-1] != "[]")


def allowed_values(node: dict[str, Any]) -> str:
    """Describe the values that a part of the JSON schema admits."""
    node = _resolved(node)
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(allowed_values(option) for option in node["anyOf"]))
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
            return "letters, digits, _ . -"
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


def _section_of(node: dict[str, Any]) -> tuple[dict[str, Any], bool] | None:
    """Return the section that a key holds, and whether it holds a list of them."""
    node = _resolved(node)
    if "properties" in node:
        return node, False
    if node.get("type") == "array" and "properties" in (item := _resolved(node["items"])):
        return item, True
    for option in node.get("anyOf", ()):
        if "properties" in _resolved(option):
            return _resolved(option), False
    return None


def _keys(node: dict[str, Any], path: tuple[str, ...]) -> Iterator[Key]:
    for name, content in node["properties"].items():
        below = _section_of(content)
        required = name in node.get("required", ()) and (path or name not in GIVEN_BY_LOADER)
        yield Key(
            (*path, name),
            " ".join(_described(content).split()),
            allowed_values({k: v for k, v in content.items() if k != "default"}),
            bool(required),
            content.get("default"),
            below is not None,
        )
        if below is not None:
            section, is_list = below
            yield from _keys(section, (*path, name, "[]") if is_list else (*path, name))


def _described(content: dict[str, Any]) -> str:
    return str(content.get("description") or _resolved(content).get("description", ""))
