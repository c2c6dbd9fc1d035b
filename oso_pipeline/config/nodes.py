"""Strict YAML: a tree of values with their positions in the file.

Only the part of YAML 1.2 that a configuration needs: one document, no tags, few aliases, no
duplicate keys, plain scalars by the core schema (YAML 1.2.2, chapter 10.3.2). ``NO`` is
therefore a text, ``1e3`` the number 1000 and an unquoted date a text that the models parse.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from oso_pipeline.config.file_text import read_text
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.plain_text import plain, strange_to_files

MAX_ALIASES = 50
"""Most aliases in a file."""
MAX_VALUES = 20_000
"""Most values in a file, also once its aliases are written out."""
MAX_DEPTH = 30
"""Most levels of nesting."""
_SYNTAX = "correct this place; `oso init DIR` writes a file that is right"

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **{sign + text: math.inf for sign in ("", "+") for text in (".inf", ".Inf", ".INF")},
    **{"-" + text: -math.inf for text in (".inf", ".Inf", ".INF")},
}


@dataclass(frozen=True, eq=False)
class Node:
    """A value of a configuration and where it comes from.

    Parameters
    ----------
    value
        A scalar, a mapping of names to nodes or a list of nodes.
    where
        ``file:line:column``, or the name of the variable or option that gave the value.
    folder
        Folder that relative paths of the value refer to.
    keys
        Of a mapping: where each key is written.
    size
        Number of values in the tree.
    """

    value: Any
    where: str
    folder: Path
    keys: dict[str, str] = field(default_factory=dict)
    size: int = 1

    def child(self, key: str | int) -> Node | None:
        """Return the value under a key or at a position, None where there is none."""
        if isinstance(self.value, dict):
            return self.value.get(str(key))
        if isinstance(self.value, list) and isinstance(key, int) and key < len(self.value):
            return self.value[key]
        return None

    def plain(self) -> Any:
        """Return the tree as dictionaries, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def read_yaml(path: Path, problems: Problems) -> Node | None:
    """Read a configuration file, recording what is wrong with it.

    Returns
    -------
    Node or None
        The content, a mapping; None where the file cannot be read at all.
    """
    text = read_text(path, problems)
    if text is None:
        return None
    node = parse_yaml(text, str(path), path.parent, problems)
    if node is not None and node.value is None:
        return Node({}, f"{path}:1:1", path.parent)
    if node is not None and not isinstance(node.value, dict):
        problems.error(
            "E-CONFIG-YAML",
            f"found {_kind(node.value)}, expected keys with values",
            node.where,
            "begin with the output of `oso init`",
        )
        return None
    return node


def parse_yaml(text: str, origin: str, folder: Path, problems: Problems) -> Node | None:
    """Parse YAML text; positions in messages are ``origin:line:column``."""
    try:
        events = YAML(typ="safe", pure=True).parse(io.StringIO(text))
        return _Composer(events, origin, folder, problems).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{origin}:{mark.line + 1}:{mark.column + 1}" if mark else origin
        problems.error(
            "E-CONFIG-YAML", f"not valid YAML: {error.problem or error.context}", where, _SYNTAX
        )
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.error(
            "E-CONFIG-YAML", f"not valid YAML: {error.reason}", f"{origin}:{line}:1", _SYNTAX
        )
    except YAMLError as error:
        problems.error("E-CONFIG-YAML", f"not valid YAML: {error}", origin, _SYNTAX)
    except _Refused as error:
        problems.error("E-CONFIG-YAML", str(error), error.where, _SYNTAX)
    return None


def scalar(text: str) -> str | int | float | bool | None:
    """Return the value of a plain scalar by the core schema of YAML 1.2.

    A float without fraction becomes an integer, so that ``1e3`` serves as a count.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) > 30:  # no number of a configuration is longer
        return text
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return text


class _Refused(Exception):
    """Content that is valid YAML but has no place in a configuration."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message)
        self.where = where


class _Composer:
    """Builds the tree from the events of the parser."""

    def __init__(
        self, events: Iterator[Event], origin: str, folder: Path, problems: Problems
    ) -> None:
        self._events = events
        self._origin = origin
        self._folder = folder
        self._problems = problems
        self._anchors: dict[str, Node] = {}
        self._aliases = 0
        self._values = 0

    def document(self) -> Node:
        """Return the only document of the stream."""
        root: Node | None = None
        for event in self._events:
            if isinstance(event, DocumentStartEvent) and root is not None:
                raise _Refused("more than one document, expected one", self._where(event))
            if isinstance(event, DocumentStartEvent | DocumentEndEvent):
                continue
            if isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent | AliasEvent):
                root = self._node(event, 0)
        return root or Node(None, f"{self._origin}:1:1", self._folder)

    def _where(self, event: Event) -> str:
        mark = event.start_mark
        return f"{self._origin}:{mark.line + 1}:{mark.column + 1}"

    def _node(self, event: Any, depth: int) -> Node:
        where = self._where(event)
        if depth > MAX_DEPTH:
            raise _Refused(f"nested deeper than {MAX_DEPTH} levels", where)
        if isinstance(event, AliasEvent):
            return self._alias(event, where)
        self._values += 1
        if self._values > MAX_VALUES:
            raise _Refused(f"more than {MAX_VALUES} values", where)
        if event.tag is not None:
            self._problems.error(
                "E-CONFIG-YAML", f"tag {event.tag}: tags are not allowed", where, "remove the tag"
            )
        if isinstance(event, MappingStartEvent):
            node = self._mapping(where, depth)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(where, depth)
        else:
            node = Node(self._scalar(event, where), where, self._folder)
        if node.size > MAX_VALUES:
            raise _Refused(f"more than {MAX_VALUES} values once aliases are written out", where)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: ScalarEvent, where: str) -> str | int | float | bool | None:
        if odd := strange_to_files(event.value):
            self._problems.error(
                "E-CONFIG-YAML",
                f"a text holds {plain(odd)}, which no path and no UTF-8 file can hold",
                where,
                "write the text without it",
            )
            return plain(event.value)
        return scalar(event.value) if event.implicit[0] else event.value

    def _alias(self, event: AliasEvent, where: str) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise _Refused(f"more than {MAX_ALIASES} aliases", where)
        if event.anchor not in self._anchors:
            raise _Refused(f"alias *{event.anchor} has no anchor before it", where)
        target = self._anchors[event.anchor]
        return Node(target.value, where, target.folder, target.keys, target.size)

    def _sequence(self, where: str, depth: int) -> Node:
        items: list[Node] = []
        for event in self._events:
            if isinstance(event, SequenceEndEvent):
                break
            items.append(self._node(event, depth + 1))
        return Node(items, where, self._folder, size=1 + sum(item.size for item in items))

    def _mapping(self, where: str, depth: int) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, str] = {}
        for event in self._events:
            if isinstance(event, MappingEndEvent):
                break
            key, place = self._node(event, depth + 1), self._where(event)
            value = self._node(next(self._events), depth + 1)
            if isinstance(key.value, dict | list):
                self._problems.error(
                    "E-CONFIG-YAML",
                    "a key must be a single word",
                    place,
                    "write one word before the colon",
                )
                continue
            name = plain(event.value) if isinstance(event, ScalarEvent) else str(key.value)
            if name in values:
                self._problems.error(
                    "E-CONFIG-YAML",
                    f"{name}: this key stands twice, first at line {_line(keys[name])}",
                    place,
                    "keep one of the two",
                )
                continue
            values[name], keys[name] = value, place
        size = 1 + sum(node.size for node in values.values())
        return Node(values, where, self._folder, keys, size)


def _kind(value: object) -> str:
    return "a list" if isinstance(value, list) else f"the value {value!r}"


def _line(where: str) -> str:
    return where.rsplit(":", 2)[1]
