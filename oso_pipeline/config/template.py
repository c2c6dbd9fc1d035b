"""The commented configuration that ``oso init`` writes, generated from the models."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from oso_pipeline.config.describe import (
    Key,
    is_mark,
    keys,
    keys_by_path,
    kinds_below,
    names_below,
    texts_of_kinds,
)
from oso_pipeline.core.plugins import built_in

_EXAMPLES: dict[tuple[str, ...], str] = {
    ("year",): "2018",
    ("season", "start"): "2018-01-01",
    ("season", "end"): "2018-12-31",
    ("imagery", "paths"): "[products]",
    ("imagery", "tiles"): "[31TCJ]",
    ("reference", "sources", "path"): "reference.gpkg",
    ("adaptation", "sources", "year"): "2017",
    ("adaptation", "sources", "imagery", "paths"): "[products]",
    ("adaptation", "sources", "season", "start"): "2017-01-01",
    ("strata", "path"): "regions.gpkg",
    ("strata", "field"): "region",
    ("validation", "independent", "path"): "points.gpkg",
    ("map", "area", "path"): "area.gpkg",
    ("series", "parcels", "path"): "parcels.gpkg",
    ("series", "parcels", "id_field"): "ID_PARCEL",
}
"""Values of the keys that have no default."""

_SHOWN = ("[]", "[vector]", "[local]", "[forest]")
"""Items and kinds whose keys are written out."""

_HEAD = """\
# A land-cover map from Sentinel-2 time series.
#
# Adapt the keys without a hash: they are needed. Keys right behind a hash, as #seed, show
# their default: take the hash away to change one, and that of its section.
# Paths are relative to the folder of this file; ~ and $VARIABLE are expanded.
# `oso check` reports problems, `oso plan` shows the tasks of a run.
"""


def template() -> str:
    """Return a commented YAML configuration with every key.

    It can be loaded as it is: required keys hold examples, all others are comments that show
    the default. It can be loaded with every hash before a key taken away as well.
    """
    return _HEAD + "\n".join(_lines())


_SHORT_HEAD = """\
# A land-cover map from Sentinel-2 time series: the keys that are needed.
# All others have defaults; `oso init --full DIR` shows them, docs/config.md explains them.
# Paths are relative to the folder of this file; then: oso check, oso plan, oso run.

"""


def short_template() -> str:
    """Return a YAML configuration of the keys that are needed, a line each."""
    return _SHORT_HEAD + "".join(f"{line}\n" for line in _needed_lines())


def _needed_lines() -> Iterator[str]:
    for key, dash in _needed_keys():
        indent = "  " * _depth(key)
        start = f"{indent[:-2]}- " if dash else indent
        text = f"{start}{key.path[-1]}:{'' if key.section else f' {_value(key)}'}"
        yield f"{text:<34}# {_first_sentence(key.text)}"


def _needed_keys() -> Iterator[tuple[Key, bool]]:
    """Yield the required keys below required ones, and whether each begins an item of a list."""
    active: dict[tuple[str, ...], bool] = {(): True}
    begun: set[tuple[str, ...]] = set()
    for key in keys():
        if any(is_mark(part) and part not in _SHOWN for part in key.path):
            continue
        active[key.plain] = active.get(key.plain[:-1], False) and key.required
        if active[key.plain]:
            above = key.path[:-1]
            yield key, _of_item(above) and above not in begun
            begun.add(above)


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")


def example(path: tuple[str, ...]) -> str | None:
    """Return a required key with an example of its value, on one line; None for other keys.

    Examples
    --------
    >>> example(("season",))
    'season: {start: 2018-01-01, end: 2018-12-31}'
    """
    needed = {key.plain: key for key, _ in _needed_keys()}
    return f"{path[-1]}: {_example(needed[path], needed)}" if path in needed else None


def _example(key: Key, needed: Mapping[tuple[str, ...], Key]) -> str:
    if not key.section:
        return _value(key)
    below = [one for plain, one in needed.items() if plain[:-1] == key.plain]
    inside = f"{{{', '.join(f'{one.path[-1]}: {_example(one, needed)}' for one in below)}}}"
    return f"[{inside}]" if key.allowed.startswith("list") else inside


def _lines() -> Iterator[str]:
    active: dict[tuple[str, ...], bool] = {(): True}
    shown = (*_SHOWN, f"[{built_in('readers')[0].kind}]")
    for key in keys():
        if any(is_mark(part) and part not in shown for part in key.path):
            continue
        above = key.path[:-1]
        needed = active[key.plain[:-1]] and key.required
        active[key.plain] = needed
        indent = "  " * _depth(key)
        dash = _of_item(above) and key.path[-1] == names_below(above)[0]
        if dash:  # the first key of an item of a list
            indent = indent[:-2]
        if not above:
            yield ""
        yield from _comment(key, indent)
        value = "" if key.section else f" {_value(key)}"
        yield f"{indent}{'' if needed else '#'}{'- ' if dash else ''}{key.path[-1]}:{value}"
        if kinds := kinds_below(key.path):
            of_what = "an item" if key.allowed.startswith("list") else "this section"
            yield from _kinds(kinds, of_what, indent)
    yield ""


def _of_item(path: tuple[str, ...]) -> bool:
    """Whether a path ends in the mark of an item of a list, not of a kind of section."""
    return bool(path) and is_mark(path[-1]) and keys_by_path()[path[:-1]].allowed.startswith("list")


def _depth(key: Key) -> int:
    """Return how many steps a key is indented: one for each section and each item of a list."""
    paths = [key.path[: position + 1] for position in range(len(key.path) - 1)]
    return sum(not is_mark(path[-1]) or _of_item(path) for path in paths)


def _kinds(kinds: tuple[str, ...], of_what: str, indent: str) -> Iterator[str]:
    """Return a comment that lists the kinds; the keys shown are those of the first."""
    yield f"{indent}  # `kind` of {of_what}, each with keys of its own (docs/config.md):"
    for kind in kinds:
        yield f"{indent}  #   {kind}: {texts_of_kinds()[kind]}"


def _comment(key: Key, indent: str) -> Iterator[str]:
    text = key.text if key.section else f"{key.text} ({key.allowed})"
    for line in textwrap.wrap(text, width=96 - len(indent)):
        yield f"{indent}# {line}"


def _value(key: Key) -> str:
    if key.plain in _EXAMPLES:
        return _EXAMPLES[key.plain]
    if key.path == ("name",):
        return "my_map"
    if key.path == ("run_dir",):
        return "runs/my_map"
    return written(key.default)


def written(value: Any) -> str:
    """Return a default as it is written in YAML."""
    if isinstance(value, list):
        return f"[{', '.join(written(item) for item in value)}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str):
        return value
    return json.dumps(value)
