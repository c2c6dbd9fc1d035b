"""Words around numbers: one and many, and texts that are alike but for their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*")


def counted(number: int, thing: str, things: str | None = None) -> str:
    """Return a number of things as text.

    Parameters
    ----------
    number
        How many.
    thing, things
        One, and many; by default with an s.

    Examples
    --------
    >>> counted(1, "seed"), counted(3, "seed"), counted(0, "class", "classes")
    ('1 seed', '3 seeds', '0 classes')
    """
    return f"{number} {thing if number == 1 else things or thing + 's'}"


def duration(seconds: float) -> str:
    """Return a time as people say it.

    Examples
    --------
    >>> [duration(s) for s in (0.25, 61, 3600 * 5.5)]
    ['0.2 s', '61 s', '5.5 h']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def grouped(texts: Iterable[str]) -> list[str]:
    """Return texts of which those that differ in nothing but numbers stand for one another.

    The first of such a group is shown, in its place, with how many there are and from where to
    where each number goes.

    Examples
    --------
    >>> grouped(["moved by 0.3, more than 0.2", "no anchor", "moved by 0.5, more than 0.2"])
    ['moved by 0.3 to 0.5, more than 0.2 (2 values, first 0.3)', 'no anchor']
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for text in dict.fromkeys(texts):
        alike.setdefault(tuple(_NUMBER.split(text)), []).append(text)
    return [_as_one(words, found) for words, found in alike.items()]


def _as_one(words: tuple[str, ...], found: list[str]) -> str:
    if len(found) == 1:
        return found[0]
    columns = list(zip(*(_NUMBER.findall(text) for text in found), strict=True))
    shown = [_span(column) for column in columns]
    text = "".join(a + b for a, b in zip(words, [*shown, ""], strict=True))
    first = ", ".join(column[0] for column in columns if len(set(column)) > 1)
    return f"{text} ({len(found)} values, first {first})"


def _span(column: tuple[str, ...]) -> str:
    if len(set(column)) == 1:
        return column[0]
    ordered = sorted(column, key=_size)
    return f"{ordered[0]} to {ordered[-1]}"


def _size(text: str) -> float:
    """Return a number as it counts; of what has several points, as a version, the first part."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return float(text.partition(".")[0].replace(",", ""))
