"""Differences between two states of nested values, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_LONGEST = 80  # characters of a value that are shown


def leaves(content: Mapping[str, Any] | Sequence[Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings and lists as one mapping, with names as ``a.b[3].c``."""
    if isinstance(content, Mapping):
        items = [
            (f"{prefix}.{name}" if prefix else str(name), one) for name, one in content.items()
        ]
    else:
        items = [(f"{prefix}[{index}]", one) for index, one in enumerate(content)]
    found: dict[str, Any] = {}
    for name, value in items:
        # What JSON gives back is a list where a tuple was written.
        if isinstance(value, Mapping) or (isinstance(value, list | tuple) and _is_nested(value)):
            found |= leaves(value, name)
        else:
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def _is_nested(values: Sequence[Any]) -> bool:
    """Return whether a list holds mappings or lists; one of plain values is shown as a whole."""
    return any(isinstance(one, Mapping | list | tuple) for one in values)


def change(old: object, new: object) -> str:
    """Return what a value was and is; of lists the items that differ."""
    if isinstance(old, list) and isinstance(new, list):
        gone = [one for one in old if one not in new]
        come = [one for one in new if one not in old]
        if gone or come:
            return ", ".join(
                f"{word} {_short(', '.join(map(str, items)))}"
                for word, items in (("without", gone), ("with", come))
                if items
            )
    return f"{_short(old)} -> {_short(new)}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
