"""Odd YAML: values, keys and amounts that a configuration may hold by mistake or malice."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import yaml

TEXTS = (
    "",
    "x",
    "0",
    "-1",
    "1e400",
    ".nan",
    ".inf",
    "~",
    "null",
    "yes",
    "[]",
    "{}",
    "[[]]",
    "{a: 1}",
    "[1, 2]",
    '"\\0"',
    '"\\ud800"',
    '"\\u001b[2J"',
    "!!python/object:os.system x",
    "&a [*a]",
    "*b",
    "2018-13-45",
    "10000000000000000000000000",
    "0x1F",
    "0o17",
    "1_000",
    "'9'",
    "\ttab",
    "|\n  text",
    "9" * 5000,
    "é" * 300,
    "../..",
    "${HOME}",
    "$NOWHERE",
    "~nobody/x",
    "%n%s",
    "[31TCJ, 31TCJ]",
    "1.5",
    "-0",
    "true",
    "<<: {}",
    "? x",
    "@at",
    "`",
    "a: b: c",
    "#",
    "0.1e-320",
)


def _value(text: str, draw: random.Random) -> str:
    """Put an odd text where a value stands."""
    lines = text.splitlines()
    at = draw.choice([n for n, line in enumerate(lines) if ": " in line])
    key, _, rest = lines[at].partition(": ")
    close = "}" * (rest.count("}") - rest.count("{"))
    lines[at] = f"{key}: {draw.choice(TEXTS)}{close}"
    return "\n".join(lines) + "\n"


def _leaf(text: str, draw: random.Random) -> str:
    """Put an odd value anywhere into the tree, and write it as JSON, which is YAML too."""
    tree = json.loads(json.dumps(yaml.safe_load(text), default=str))
    places = list(_places(tree))
    for holder, key in draw.sample(places, draw.choice((1, 1, 2, 3))):
        holder[key] = draw.choice(
            (
                None,
                True,
                -1,
                0,
                10**30,
                1.5,
                "",
                "x",
                "\0",
                "\ud800",
                [],
                {},
                [None],
                {"a": []},
                "/dev/zero",
                "/",
                ".",
                "a" * 5000,
                1e308,
                2**31,
                "2018",
                "31TCJ",
                "EPSG:999999",
                ["31TCJ"] * 2,
                [1, 2, 3],
            )
        )
    return json.dumps(tree)


def _key(text: str, draw: random.Random) -> str:
    """Rename, lose or add a key somewhere in the tree."""
    tree = json.loads(json.dumps(yaml.safe_load(text), default=str))
    holders = [(holder, key) for holder, key in _places(tree) if isinstance(holder, dict)]
    holder, key = draw.choice(holders)
    odd = draw.choice(
        ("x", "", "\0", "\ud800", "a.b", "0", "<<", "extends", "kind", "path", key[:-1])
    )
    value = holder[key]
    if draw.random() < 0.7:
        del holder[key]
    if draw.random() < 0.7:
        holder[odd] = value
    return json.dumps(tree)


def _places(tree: Any) -> Any:
    if isinstance(tree, dict | list):
        for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
            yield tree, key
            yield from _places(value)


def _much(text: str, draw: random.Random) -> str:
    """Add very many keys, items, anchors, levels or letters."""
    n = draw.choice((100, 5000, 50_000))
    return text + draw.choice((
        "".join(f"k{i}: 1\n" for i in range(n)),
        "x: [" + "1," * n + "]\n",
        "".join(f"a{i}: &a{i} {i}\n" for i in range(n)),
        "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)),
        "x: " + "[" * n + "]" * n + "\n",
        "x: " + "{a: " * n + "1" + "}" * n + "\n",
        "x: '" + "é" * n + "'\n",
        "".join(" " * i + f"k{i}:\n" for i in range(min(n, 1000))),
    ))  # fmt: skip


WAYS: dict[str, Callable[[str, random.Random], str]] = {
    "value": _value, "value again": _value, "leaf": _leaf, "leaf again": _leaf, "key": _key,
    "much": _much,
}  # fmt: skip
