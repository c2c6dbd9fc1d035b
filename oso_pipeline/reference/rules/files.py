"""Rules as they are written: YAML files that say which value of which field is which class.

The files of the package lie in ``rules/``; users write the same form. This module reads them
and says what is wrong with them, with ``file:line:column``; `rule_set` makes them work.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from oso_pipeline.config.findings import dotted, nearest, path_of, shown, where
from oso_pipeline.config.nodes import Node, read_yaml
from oso_pipeline.config.section import Section
from oso_pipeline.core.errors import Problems

FOLDER = Path(__file__).parent
"""Where the rules of the package lie, one file per database and edition."""

Scalar = str | int | float | bool | None
Use = Literal["label", "option", "exclude"]
Origin = Literal["confirmed", "inferred"]


class Written(Section):
    """A part of a rules file."""

    model_config = ConfigDict(**Section.model_config, populate_by_name=True, strict=True)


class Condition(Written):
    """Condition on a field that a list of values cannot express."""

    other_than: tuple[Scalar, ...] | None = Field(None, alias="not", min_length=1)
    """Any value but these; null stands for no value at all."""
    at_least: float | None = None
    """A number of this size or more."""
    at_most: float | None = None
    """A number of this size or less."""

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if self.other_than is None and self.at_least is None and self.at_most is None:
            raise ValueError("one of not, at_least and at_most must be given")
        return self


class Geometry(Written):
    """One operation on a polygon before it is used."""

    erode_m: float | None = Field(None, ge=0, le=200)
    """Remove this width inside the border, metres."""
    buffer_m: float | None = Field(None, ge=0, le=200)
    """Widen a line or polygon by this much, metres."""
    half_of: str | None = None
    """With `buffer_m`: half of what this field holds, where it holds a number above 0."""
    close_m: float | None = Field(None, gt=0, le=200)
    """Dilate by this much, join, and erode as much again, metres."""

    @model_validator(mode="after")
    def _one_operation(self) -> Geometry:
        given = [self.erode_m, self.buffer_m, self.close_m]
        if sum(value is not None for value in given) != 1:
            raise ValueError("one of erode_m, buffer_m and close_m must be given")
        if self.half_of is not None and self.buffer_m is None:
            raise ValueError("half_of goes with buffer_m")
        return self


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


class Meaning(Written):
    """Result of a rule for the objects it applies to."""

    name: str | None = None
    """The official name of the value."""
    classes: dict[str, int] = Field(default_factory=dict)
    """Class by nomenclature; a nomenclature that is absent has none for it."""
    use: Use = "label"
    """label: used. option: used if the configuration requests it. exclude: left out."""
    source: Origin | dict[str, Origin] = "inferred"
    """confirmed: read in a source of OSO itself; inferred: a proposal. By nomenclature where
    these differ."""
    note: str | None = None
    """Why."""
    geometry: Geometry | Literal["none", "default"] | None = None
    """Operation on the polygons; default: `reference.erosion_m`; none: no operation."""
    inside: dict[str, Annotated[tuple[str | int, ...], BeforeValidator(_as_tuple)]] = Field(
        default_factory=dict
    )
    """Only what lies inside these classes of another database, as {clc: [111]}."""

    @model_validator(mode="after")
    def _class_where_used(self) -> Meaning:
        if self.use == "exclude" and self.classes:
            raise ValueError("use: exclude has no classes")
        if self.use != "exclude" and not self.classes:
            raise ValueError(f"use: {self.use} needs classes, as {{oso17: 11}}")
        return self


class WrittenRule(Meaning):
    """A rule: to what it applies, and what it says."""

    id: str = Field(min_length=1)
    """Name of the rule, unique in the file."""
    layer: str | None = None
    """Layer it applies to; null where the database has a single one."""
    where: dict[str, Scalar | Condition | tuple[Scalar, ...]] = Field(default_factory=dict)
    """Conditions on fields, all required: a value, one of a list, or a condition."""


class RulesFile(Written):
    """The rules of a database in one edition."""

    database: str
    """Kind of source, as in the configuration."""
    edition: str
    """Generation or version of the database."""
    version: int = Field(1, ge=1)
    """Raised when a rule changes."""
    extends: Literal["default"] | None = None
    """In a file of the user: build upon the file of the package."""
    about: str | None = None
    """Where the facts come from."""
    layer: str | None = None
    """Layer of `values`."""
    field: str | None = None
    """Field of `values`."""
    by_value: dict[str, Meaning] = Field(default_factory=dict, alias="values")
    """For a database with one relevant field: the class of each value."""
    rules: tuple[WrittenRule, ...] = ()
    """Rules on one or several fields; of those that apply the first counts."""

    @model_validator(mode="after")
    def _complete(self) -> RulesFile:
        if self.by_value and self.field is None and self.extends is None:
            raise ValueError("field: values need the field they stand in")
        if not self.by_value and not self.rules:
            raise ValueError("there is not a single rule")
        names = [*self.by_value, *(rule.id for rule in self.rules)]
        if doubles := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"rules: {', '.join(doubles)} stand there more than once")
        return self


def packaged_path(database: str, edition: str) -> Path:
    """Return the path of a file of the package."""
    return FOLDER / f"{database}_{edition}.yaml"


@cache
def packaged_years(database: str, edition: str) -> tuple[int, ...]:
    """Return the years since which the package has further rules, ascending."""
    found = FOLDER.glob(f"{database}_{edition}_[12][0-9][0-9][0-9].yaml")
    return tuple(sorted(int(path.stem[-4:]) for path in found))


@cache
def packaged_rules(database: str, edition: str) -> RulesFile:
    """Return the rules of the package for a database."""
    problems = Problems()
    found = read_rules(packaged_path(database, edition), problems)
    if found is None:
        raise ValueError("\n".join(map(str, problems.errors)))
    return found


def read_rules(path: Path, problems: Problems) -> RulesFile | None:
    """Return the content of a rules file, None where it cannot be used.

    Problems found, each with ``file:line:column``: no strict YAML (``E-CONFIG-YAML``), unknown
    keys (``E-RULES-KEY``), impossible values (``E-RULES-VALUE``), an unreadable file
    (``E-PATH-READ``).
    """
    found = Problems()
    tree = read_yaml(path, found)
    problems.extend(found)
    if tree is None or found.errors:
        return None
    try:
        return RulesFile.model_validate(_with_tuples(tree.plain()))
    except ValidationError as error:
        _report(error.errors(include_url=False), tree, problems)
    return None


def _with_tuples(value: Any) -> Any:
    """Return a tree with tuples for lists, which strict models require."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list) else value


def _report(errors: Iterable[ErrorDetails], tree: Node, problems: Problems) -> None:
    places: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for error in errors:
        places.setdefault(path_of(error, tree), []).append(error)
    for path, found in places.items():
        # Each member of a union refuses a value: the nested messages are more precise.
        if any(other != path and other[: len(path)] == path for other in places):
            continue
        error, key = found[0], dotted(path)
        if error["type"] == "extra_forbidden":
            known = _names(RulesFile if len(path) == 1 else WrittenRule)
            close = nearest(str(path[-1]), known)
            hint = f"did you mean {close}?" if close else None
            place = where(tree, path, of_key=True)
            problems.error("E-RULES-KEY", f"{key}: unknown key", place, hint)
        elif error["type"] == "missing":
            problems.error("E-RULES-VALUE", f"{key}: is missing", where(tree, path[:-1]), _EXAMPLE)
        else:
            words = {e["msg"].removeprefix("Value error, ") for e in found}
            own = "" if error["type"] == "value_error" else f"found {shown(error['input'])}; "
            message = f"{key + ': ' if key else ''}{own}{' or '.join(sorted(words))}"
            problems.error("E-RULES-VALUE", message, where(tree, path), _EXAMPLE)


def _names(model: type[Section]) -> list[str]:
    return sorted(field.alias or name for name, field in model.model_fields.items())


_EXAMPLE = "docs/reference_databases.md shows the form of a rules file"
