"""Damage to texts: XML, JSON, CSV, the systems of shapefiles."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from fuzz.damage import DAMAGES, Damage

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_ODD_NUMBERS = (
    b"nan", b"inf", b"-inf", b"1e999", b"-1", b"0", b"", b"9" * 400, b"0x1F", b"1_000", b"1e-320",
    b"10.5", b"\xd9\xa3", b"18446744073709551616", b"-0.0", b"--1",
)  # fmt: skip
_ODD_TEXTS = (
    b"\0", b"\x1b[31m", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xae", b"<", b"&", b"&#0;", b"&x;",
    b"]]>", b"'", b'"', b"\\", b"\n", b";", b",", b"${HOME}", b"\xc3",
)  # fmt: skip


def odd_number(content: bytes, draw: random.Random) -> bytes:
    """Put an odd number where one stands."""
    places = list(_NUMBER.finditer(content))
    if not places:
        return content
    place = draw.choice(places)
    return content[: place.start()] + draw.choice(_ODD_NUMBERS) + content[place.end() :]


def odd_text(content: bytes, draw: random.Random) -> bytes:
    """Put an odd text anywhere."""
    at = draw.randrange(len(content) + 1)
    return content[:at] + draw.choice(_ODD_TEXTS) + content[at:]


def lose_line(content: bytes, draw: random.Random) -> bytes:
    """Lose a line, or a tag where all is one line."""
    parts = _parts(content)
    del parts[draw.randrange(len(parts))]
    return b"".join(parts)


def double_line(content: bytes, draw: random.Random) -> bytes:
    """Write a line, or a tag, twice."""
    parts = _parts(content)
    at = draw.randrange(len(parts))
    return b"".join([*parts[: at + 1], *parts[at:]])


def swap_lines(content: bytes, draw: random.Random) -> bytes:
    """Let two lines, or tags, change places."""
    parts = _parts(content)
    one, other = draw.randrange(len(parts)), draw.randrange(len(parts))
    parts[one], parts[other] = parts[other], parts[one]
    return b"".join(parts)


def typing_error(content: bytes, draw: random.Random) -> bytes:
    """Replace a letter by another one."""
    at = draw.randrange(max(1, len(content)))
    return content[:at] + bytes([draw.choice(b"abcxyzEPSGX?_0. ")]) + content[at + 1 :]


def utf_16(content: bytes, draw: random.Random) -> bytes:
    """Write the text in UTF-16."""
    return content.decode("latin-1").encode("utf-16")


def byte_order_mark(content: bytes, draw: random.Random) -> bytes:
    """Begin with a mark of byte order."""
    return b"\xef\xbb\xbf" + content


def windows_lines(content: bytes, draw: random.Random) -> bytes:
    """End lines as Windows does, or as the old Mac."""
    return content.replace(b"\n", draw.choice((b"\r\n", b"\r")))


def _parts(content: bytes) -> list[bytes]:
    lines = content.splitlines(keepends=True)
    parts = lines if len(lines) > 5 else re.split(rb"(?<=[>,}])", content)
    return parts or [b""]


TEXT_DAMAGES: dict[str, Damage] = {
    **DAMAGES,
    **{
        function.__name__: function
        for function in (odd_number, odd_text, lose_line, double_line, swap_lines, typing_error,
                         utf_16, byte_order_mark, windows_lines)
    },
    "odd_number_again": odd_number,
}  # fmt: skip


def entities(content: bytes, draw: random.Random) -> bytes:
    """Declare entities that grow without end, or that name a file."""
    bomb = b'<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(8)
    )
    outside = b'<!ENTITY i SYSTEM "file:///etc/passwd">'
    head, _, rest = content.partition(b"?>")
    return head + b"?><!DOCTYPE x [" + draw.choice((bomb, outside)) + b"]>" + rest


def nested(content: bytes, draw: random.Random) -> bytes:
    """Nest elements deeply."""
    depth = draw.choice((100, 5000, 200_000))
    head, _, rest = content.rpartition(b"</")
    return head + b"<d>" * depth + b"</d>" * depth + b"</" + rest


XML_DAMAGES: dict[str, Damage] = {**TEXT_DAMAGES, "entities": entities, "nested": nested}

_ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 1e300, float("nan"), float("inf"), 10**30, "", "x", "\0", "\ud800",
    "\x1b[2J", [], {}, [[]], {"a": 1}, [None], "../../..", "/dev/zero", "9" * 5000, [1] * 3,
)  # fmt: skip


def odd_value(content: bytes, draw: random.Random) -> bytes:
    """Put an odd value somewhere into JSON."""
    try:
        tree = json.loads(content)
    except ValueError:
        return content
    places = list(_places(tree))
    if not places:
        return b"[]"
    for holder, key in draw.sample(places, min(len(places), draw.choice((1, 1, 2)))):
        holder[key] = draw.choice(_ODD_VALUES)
    return json.dumps(tree, allow_nan=True).encode()


def lose_key(content: bytes, draw: random.Random) -> bytes:
    """Take a key or an item out of JSON."""
    try:
        tree = json.loads(content)
    except ValueError:
        return content
    places = list(_places(tree))
    if places:
        holder, key = draw.choice(places)
        del holder[key]
    return json.dumps(tree).encode()


def other_json(content: bytes, draw: random.Random) -> bytes:
    """Replace the file by other JSON, some of it deep."""
    deep = draw.choice((900, 100_000))
    choices = (b"null", b"[]", b"3", b'"x"', b"{}", b"[" * deep + b"]" * deep, b'{"a":' * deep,
               b"NaN", b"[1, 2", b'{"size": 1e400}', b"1" * 5000)  # fmt: skip
    return draw.choice(choices)


def _places(tree: Any) -> Any:
    if not isinstance(tree, dict | list):
        return
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        yield from _places(value)


JSON_DAMAGES: dict[str, Damage] = {
    **TEXT_DAMAGES, "odd_value": odd_value, "odd_value_again": odd_value, "lose_key": lose_key,
    "other_json": other_json,
}  # fmt: skip
