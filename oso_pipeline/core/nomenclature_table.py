"""Read and check the table of classes that a user writes, as CSV or as YAML."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from oso_pipeline.core.csv_tables import Row, read_rows, read_text
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.plain_text import is_plain

_INTEGER = re.compile(r"[+-]?\d+(\.0*)?")
_COLOUR = re.compile(r"#?([0-9a-fA-F]{6})")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,9}")
_COLUMNS = (
    "code, name (or name_fr, name_en), colour, vector_field, level1, level1_name, level1_colour"
)
_LISTED = 20
"""Codes of parents named at most in one message."""
_KEYS = f"keys: {_COLUMNS}"
_LARGEST_YAML = 300_000


@dataclass(frozen=True, slots=True)
class NomenclatureRow:
    """A class as written: `colour` and `vector_field` are empty where not given."""

    where: str
    code: int
    name_fr: str
    name_en: str
    colour: str
    vector_field: str
    level1: int | None


def read_nomenclature_rows(
    path: Path, problems: Problems
) -> tuple[list[NomenclatureRow], list[NomenclatureRow]]:
    """Return the classes and the level-1 classes that a file describes.

    A CSV file has one line per class with the columns ``code`` and ``name`` (or ``name_fr``
    and ``name_en``), and optionally ``colour``, ``vector_field``, ``level1`` (code of the
    parent), ``level1_name`` (or ``_fr``, ``_en``) and ``level1_colour``. A YAML file has the
    same keys in a list ``classes``, and may describe the parents in a list ``level1`` of
    their own. Every problem found goes to `problems`.
    """
    if path.suffix.lower() in (".yaml", ".yml"):
        rows, parents = _yaml_rows(path, problems)
    else:
        _, rows = read_rows(path, problems)
        parents = []
    if not rows and not problems.errors:
        problems.error(
            "E-NOMENCLATURE",
            "the file describes no class",
            path,
            f"a header and one line per class are expected; columns: {_COLUMNS}",
        )
    for row in (*rows, *parents):
        for column, value in row.values.items():
            if not is_plain(value):
                message = f"{column} {value!r} holds control characters"
                _error(problems, row.where, message, "GIS software cannot show them; remove them")
    classes = [one for one in (_row(row, problems) for row in rows) if one is not None]
    _doubles(classes, "class", problems)
    level1 = _explicit_parents(parents, problems) if parents else _inline_parents(rows, problems)
    _check_parents(classes, level1, problems)
    return classes, level1


def _row(row: Row, problems: Problems, level: str = "class") -> NomenclatureRow | None:
    code = _code(row.get("code"), f"code of a {level}", row.where, problems)
    parent_text = row.get("level1", "level1_code")
    parent = _code(parent_text, "level1", row.where, problems) if parent_text else None
    french, english = row.get("name_fr", "name", "name_en"), row.get("name_en", "name", "name_fr")
    if not french:
        _error(problems, row.where, f"a {level} has no name", "fill in `name`")
    colour = row.get("colour", "color")
    match = _COLOUR.fullmatch(colour)
    if colour and not match:
        _error(problems, row.where, f"colour {colour!r} is not of the form #rrggbb", "as #00ff7f")
    field = row.get("vector_field")
    if field and not _FIELD.fullmatch(field):
        hint = "a letter, then letters, digits or _, at most 10 ASCII characters"
        _error(problems, row.where, f"vector_field {field!r} cannot name a column", hint)
    if code is None or not french:
        return None
    colour = f"#{match.group(1).lower()}" if match else ""
    return NomenclatureRow(row.where, code, french, english, colour, field, parent)


def _code(text: str, what: str, where: str, problems: Problems) -> int | None:
    if not _INTEGER.fullmatch(text):
        _error(problems, where, f"{what} must be a whole number, found {text!r}", "1 to 65535")
        return None
    code = int(text.split(".")[0])
    if 1 <= code <= 65535:
        return code
    problems.error(
        "E-NOMENCLATURE-CODE",
        f"{what} is {code}, but must lie in 1 to 65535 (0 is no data, rasters hold 16 bit)",
        where,
        "renumber the classes, for example with a crosswalk from the codes of the vector file",
    )
    return None


def _doubles(rows: list[NomenclatureRow], level: str, problems: Problems) -> None:
    """Report codes, names and fields that occur twice."""
    for what in ("code", "name_fr", "name_en", "vector_field"):
        seen: dict[str, NomenclatureRow] = {}
        for row in rows:
            value = str(getattr(row, what))
            first = seen.setdefault(value.casefold(), row)
            if first is row or not value:
                continue
            if what == "name_en" and first.name_fr.casefold() == row.name_fr.casefold():
                continue  # one name serves both languages: already reported
            line = first.where.rpartition(":")[2]
            message = f"{what} {value!r} of a {level} occurs twice (first in line {line})"
            _error(problems, row.where, message, f"give every {level} its own {what}")


def _explicit_parents(parents: list[Row], problems: Problems) -> list[NomenclatureRow]:
    level1 = [one for one in (_row(row, problems, "level-1 class") for row in parents) if one]
    _doubles(level1, "level-1 class", problems)
    return level1


def _inline_parents(rows: Iterable[Row], problems: Problems) -> list[NomenclatureRow]:
    """Collect the parents named beside the classes; repeated entries must agree."""
    found: dict[str, dict[str, str]] = {}
    places: dict[str, str] = {}
    for row in rows:
        code = row.get("level1", "level1_code")
        if not _INTEGER.fullmatch(code):
            continue
        code = str(int(code.split(".")[0]))
        parent = found.setdefault(code, {"code": code})
        places.setdefault(code, row.where)
        for column in ("name", "name_fr", "name_en", "colour"):
            value = row.get(f"level1_{column}")
            if value and parent.setdefault(column, value) != value:
                message = f"level1_{column} of {code} is {value!r}, before it was"
                _error(problems, row.where, f"{message} {parent[column]!r}", "use one of them")
    ignored = Problems()  # an impossible code was reported with the class that names it
    described = [
        _row(Row(places[code], {"name": f"Level 1: {code}", **_named(values)}), ignored)
        for code, values in found.items()
    ]
    level1 = [one for one in described if one is not None]
    _doubles(level1, "level-1 class", problems)
    return level1


def _named(values: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def _check_parents(
    classes: list[NomenclatureRow], level1: list[NomenclatureRow], problems: Problems
) -> None:
    known = {parent.code for parent in level1}
    orphans = [row for row in classes if level1 and row.level1 not in known]
    listed = ", ".join(str(code) for code in sorted(known)[:_LISTED])
    if len(known) > _LISTED:
        listed += f" and {len(known) - _LISTED} more"
    for row in orphans:
        found = "has no level1" if row.level1 is None else f"has level1 {row.level1}"
        _error(
            problems,
            row.where,
            f"class {row.code} {found}, its parent is missing among {listed}",
            "give every class a level1 that is described, or none",
        )
    if not level1:
        for row in (row for row in classes if row.level1 is not None):
            message = f"class {row.code} has level1 {row.level1}, which is described nowhere"
            _error(problems, row.where, message, "describe it in the list `level1`")


def _yaml_rows(path: Path, problems: Problems) -> tuple[list[Row], list[Row]]:
    text = read_text(path, problems)
    if text is None:
        return [], []
    if len(text) > _LARGEST_YAML:
        message = f"a YAML file of {len(text)} characters, at most {_LARGEST_YAML} are read"
        _error(problems, str(path), message, "write the classes as CSV")
        return [], []
    try:
        content: Any = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        _error(problems, f"{path}:{line}", f"not valid YAML: {error.problem}", "correct the line")
        return [], []
    except YAMLError as error:
        _error(problems, str(path), f"not valid YAML: {error}", "correct the file")
        return [], []
    except RecursionError:
        _error(problems, str(path), "nested too deeply", "write a list of classes")
        return [], []
    if isinstance(content, CommentedSeq):
        return _mappings(path, content, problems), []
    if not isinstance(content, CommentedMap):
        _error(problems, str(path), "no list of classes", "write `classes:` and one item per class")
        return [], []
    return (
        _mappings(path, content.get("classes"), problems),
        _mappings(path, content.get("level1"), problems),
    )


def _mappings(path: Path, items: object, problems: Problems) -> list[Row]:
    """Turn a list of mappings into rows, so that CSV and YAML pass the same checks."""
    if items is None:
        return []
    if not isinstance(items, CommentedSeq):
        _error(problems, str(path), "a list of classes was expected", "begin each class with '-'")
        return []
    rows = []
    for position, item in enumerate(items):
        where = f"{path}:{items.lc.item(position)[0] + 1}"
        if not isinstance(item, CommentedMap):
            _error(problems, where, f"a class must have keys, found {_shown(item)}", _KEYS)
            continue
        # An alias may stand for a list of lists of lists, which no memory holds once written out.
        if any(isinstance(value, CommentedMap | CommentedSeq) for value in item.values()):
            _error(problems, where, "a value of a class must be a single word or number", _KEYS)
            continue
        values = {
            str(key).lower(): "" if value is None else str(value).strip()
            for key, value in item.items()
        }
        rows.append(Row(where, values))
    return rows


def _shown(item: object) -> str:
    return "a list" if isinstance(item, CommentedSeq) else repr(item)[:60]


def _error(problems: Problems, where: str, message: str, hint: str) -> None:
    problems.error("E-NOMENCLATURE", message, where, hint)
