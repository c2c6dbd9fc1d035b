"""Results of the validation as messages: key, value found, values allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from oso_pipeline.config.describe import (
    Key,
    group_of,
    keys_by_name,
    keys_by_path,
    kinds_below,
    mark_of,
    names_below,
)
from oso_pipeline.config.nodes import Node
from oso_pipeline.config.template import example
from oso_pipeline.core.errors import Problem

Path = tuple[str | int, ...]
"""Keys and positions from the root of a configuration."""

_NAMED_KEY = re.compile(r"^([a-z_]+(?:\.[a-z_]+)*): ")


def path_of(error: ErrorDetails, tree: Node) -> Path:
    """Return where in the tree an error lies.

    pydantic puts the names of union members into its locations; they are not keys.
    """
    node, path = tree, []
    last = len(error["loc"]) - 1
    for position, part in enumerate(error["loc"]):
        child = node.child(part)
        if child is not None:
            node = child
            path.append(part)
        elif position == last and error["type"] in ("missing", "extra_forbidden"):
            path.append(part)
    if error["type"] == "union_tag_invalid":
        path.append("kind")
    return tuple(path)


def findings(errors: Iterable[ErrorDetails], tree: Node) -> list[Problem]:
    """Turn the errors of pydantic into findings, one per place of the file."""
    places: dict[Path, list[ErrorDetails]] = {}
    for error in errors:
        places.setdefault(path_of(error, tree), []).append(error)
    wrong = {path for path in places if path}
    return [
        _finding(path, found, tree)
        for path, found in places.items()
        if not _echo(path, found, wrong)
    ]


def section_findings(error: ValidationError, tree: Node, hint: str) -> list[Problem]:
    """Turn the errors of a section that is not a part of a configuration into findings."""
    return findings_of_details(error.errors(include_url=False), tree, hint)


def findings_of_details(details: Iterable[ErrorDetails], tree: Node, hint: str) -> list[Problem]:
    """Turn errors of a section, as pydantic details them, into findings."""
    errors = [(path_of(one, tree), one) for one in details]
    wrong = {path for path, _ in errors}
    return [
        _section_finding(path, one, tree, hint)
        for path, one in errors
        if one["type"] != "too_short" or not _echo(path, [one], wrong)
    ]


def _section_finding(place: Path, error: ErrorDetails, tree: Node, hint: str) -> Problem:
    unknown = error["type"] == "extra_forbidden"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        message = "is missing"
    elif unknown:
        message = "unknown key"
    elif error["type"] == "too_short":
        message = "found {actual_length} of at least {min_length}".format(**error["ctx"])
    elif error["type"] != "value_error":
        message = f"found {shown(error['input'])}; {message}"
    name = dotted(place)
    code = "E-CONFIG-KEY" if unknown else "E-CONFIG-VALUE"
    return Problem(
        code, f"{name}: {message}" if name else message, where(tree, place, unknown), hint
    )


def nearest(word: str, words: Iterable[str], likeness: float = 0.6) -> str | None:
    """Return the one of `words` most like `word`, None where none resembles it."""
    found = difflib.get_close_matches(word.lower(), list(words), n=1, cutoff=likeness)
    return found[0] if found else None


def _echo(path: Path, errors: list[ErrorDetails], wrong: set[Path]) -> bool:
    """Whether a place is named only because of one below it.

    A list is too short without the items that could not be read; a union is refused by each
    of its members.
    """
    return all(e["type"] == "too_short" or len(e["loc"]) > len(path) for e in errors) and any(
        other[: len(path)] == path and len(other) > len(path) for other in wrong
    )


def _finding(path: Path, errors: list[ErrorDetails], tree: Node) -> Problem:
    error = errors[0]
    if error["type"] == "extra_forbidden":
        return _unknown_key(path, tree)
    key = dotted(path)
    if error["type"] == "missing":
        return _missing(path, tree)
    if error["type"] == "union_tag_invalid":
        return _unknown_kind(path, tree)
    own = [e["msg"].removeprefix("Value error, ") for e in errors if e["type"] == "value_error"]
    if own:
        named = _NAMED_KEY.match(own[0])
        if named:
            return Problem("E-CONFIG-VALUE", own[0], where(tree, tuple(named[1].split("."))))
        code = (
            "E-TILE-NAME"
            if path[:2] == ("imagery", "tiles") and len(path) > 2
            else "E-CONFIG-VALUE"
        )
        return Problem(code, f"{key}: {own[0]}" if key else own[0], where(tree, path))
    return Problem(
        "E-CONFIG-VALUE",
        f"{key}: found {shown(error['input'])}, allowed: {_allowed(path, tree)}",
        where(tree, path),
    )


def _missing(path: Path, tree: Node) -> Problem:
    """Return the problem of a missing key, with its meaning and an example."""
    key, expected = _key_at(path, tree), _allowed(path, tree)
    if key is not None and key.section:
        expected = f"a section: {key.text[:1].lower()}{key.text[1:]}".rstrip(".")
    shape = example(key.plain) if key is not None else None
    meaning = f": {key.text}" if key is not None else ""
    advice = f"write for example `{shape}`" if shape else f"add `{path[-1]}`{meaning}"
    message = f"{dotted(path)}: is missing, expected {expected}"
    return Problem("E-CONFIG-VALUE", message, where(tree, path[:-1]), advice)


def _unknown_key(path: Path, tree: Node) -> Problem:
    marks = _marked(path, tree)
    known = names_below(marks[:-1])
    name = str(path[-1])
    if kinds := _kinds_with(name, marks):
        own = marks[-2][1:-1]
        message = f"{dotted(path)}: not a key of kind {own}, allowed: {', '.join(known)}"
        what = "item" if isinstance(path[-2], int) else "section"
        advice = f"{name} is a key of kind {', '.join(kinds)}; `kind` of this {what} is {own}"
        return Problem("E-CONFIG-KEY", message, where(tree, path, of_key=True), advice)
    close = nearest(name, known)
    hint = f"did you mean {close}?" if close else None
    if close is None:
        elsewhere = [full for full in keys_by_name() if full.rsplit(".", 1)[-1] == name]
        # A section may occur again inside another: the outermost is the likeliest.
        outermost = min(elsewhere, key=lambda full: full.count("."), default=None)
        hint = f"did you mean {outermost}?" if outermost else None
    message = f"{dotted(path)}: unknown key, allowed: {', '.join(known)}"
    return Problem("E-CONFIG-KEY", message, where(tree, path, of_key=True), hint)


def _unknown_kind(path: Path, tree: Node) -> Problem:
    section = path[:-2] if isinstance(path[-2], int) else path[:-1]
    marks = _marked(section, tree)
    known = kinds_below(marks)
    hint = "correct it, or install the package that offers it" if group_of(marks) else None
    node = _node_at(tree, path)
    found = node.value if node is not None else None
    close = nearest(str(found), known)
    return Problem(
        "E-CONFIG-VALUE",
        f"{dotted(path)}: found {shown(found)}, allowed: {', '.join(known)}",
        where(tree, path),
        f"did you mean {close}?" if close else hint,
    )


def _kinds_with(name: str, marks: tuple[str, ...]) -> list[str]:
    """Return the other kinds of the same list or section that have a key."""
    kinds = kinds_below(marks[:-2])
    return [kind for kind in kinds if name in names_below((*marks[:-2], f"[{kind}]"))]


def _marked(path: Path, tree: Node) -> tuple[str, ...]:
    """Return a path with the marks that keys are described under: the kind of an item counts."""
    marks: list[str] = []
    for position, part in enumerate(path):
        kinds = kinds_below(tuple(marks))
        if isinstance(part, int):
            marks.append(mark_of(_node_at(tree, path[: position + 1]), kinds) if kinds else "[]")
            continue
        if kinds:  # a section that comes in kinds
            marks.append(mark_of(_node_at(tree, path[:position]), kinds))
        marks.append(part)
    return tuple(marks)


def _node_at(tree: Node, path: Path) -> Node | None:
    node: Node | None = tree
    for part in path:
        node = None if node is None else node.child(part)
    return node


def where(tree: Node, path: Path, of_key: bool = False) -> str:
    """Return the position of the value at `path`, of the last part of it that exists."""
    node = tree
    for position, part in enumerate(path):
        if of_key and position == len(path) - 1 and str(part) in node.keys:
            return node.keys[str(part)]
        child = node.child(part)
        if child is None:
            break
        node = child
    return node.where


def dotted(path: Path) -> str:
    """Return a path as the user reads it: ``reference.sources[0].path``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def plain_name(path: Path) -> str:
    """Return a path without positions, as keys are named in the reference."""
    return ".".join(part for part in path if isinstance(part, str))


def shown(value: Any) -> str:
    """Return a value for a message, shortened."""
    text = {None: "null", True: "true", False: "false"}.get(value) if _simple(value) else None
    text = text or repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _simple(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _key_at(path: Path, tree: Node) -> Key | None:
    """Return the key that a path belongs to: its own, or that of a value it lies in."""
    marks = _marked(path, tree)
    while marks and marks not in keys_by_path():
        marks = marks[:-1]
    return keys_by_path().get(marks)


def _allowed(path: Path, tree: Node) -> str:
    key = _key_at(path, tree)
    allowed = key.allowed if key else "keys with values"
    if path and isinstance(path[-1], int) and allowed.startswith("list of"):
        allowed = allowed.split(": ", 1)[1]
    return allowed
