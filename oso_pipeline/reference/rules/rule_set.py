"""Rules at work: which rule applies to which feature, and what follows for a nomenclature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from oso_pipeline.config.reference import Database, Source
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.reference.rules.files import (
    Condition,
    RulesFile,
    WrittenRule,
    packaged_path,
    packaged_rules,
    packaged_years,
    read_rules,
)
from oso_pipeline.reference.rules.parts import FieldTest, Operation
from oso_pipeline.vectors.values import normal_text

NO_RULE = -1
"""In place of the position of a rule: none applies."""
LEFT_OUT_BY_USER = "left out by the crosswalk"
OPTION_OFF = "an option that is not switched on"
NO_CLASS = "no class of the nomenclature"


@dataclass(frozen=True)
class Rule:
    """A rule for one nomenclature.

    Parameters
    ----------
    id
        Its name, or the value it is about.
    layer
        Layer it applies to; None for the only one.
    tests
        Conditions by field.
    operation
        Operation on the polygons.
    inside
        Classes of other databases that the polygons must lie in, by database.
    code
        The class, None where the features are left out.
    why
        Why they are left out; empty otherwise.
    """

    id: str
    layer: str | None
    tests: Mapping[str, FieldTest]
    operation: Operation
    inside: Mapping[str, tuple[str, ...]]
    code: int | None
    why: str = ""


@dataclass(frozen=True)
class RuleSet:
    """The rules of a database for one nomenclature, in the order in which they count.

    Parameters
    ----------
    database, edition
        Name of the database and edition.
    version
        Of the file of the package.
    rules
        The rules, those that leave out included.
    files
        The files that they were read from.
    """

    database: str
    edition: str
    version: int
    rules: tuple[Rule, ...]
    files: tuple[Path, ...]

    def of_layer(self, layer: str | None) -> RuleSet:
        """Return the rules that apply to a layer."""
        wanted = normal_text(layer)
        rules = tuple(rule for rule in self.rules if normal_text(rule.layer) == wanted)
        return replace(self, rules=rules)

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Layers that rules with a class apply to."""
        named = (rule.layer for rule in self.rules if rule.code is not None)
        return tuple(dict.fromkeys(layer for layer in named if layer is not None))

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Fields that the rules look at, and those that give a width."""
        tested = [field for rule in self.rules for field in rule.tests]
        widths = [rule.operation.half_of for rule in self.rules if rule.operation.half_of]
        return tuple(dict.fromkeys([*tested, *widths]))

    def first_match(self, values: Mapping[str, pd.Series]) -> npt.NDArray[np.int32]:
        """Return the position of the first rule that applies to each feature, or `NO_RULE`.

        Parameters
        ----------
        values
            The columns by the names that the rules use, all of the same length ``n``. A field
            without a column counts as one without any value.

        Returns
        -------
        array of int32, shape (n,)
        """
        tested = [f for f in values if any(f in rule.tests for rule in self.rules)]
        n = len(next(iter(values.values()))) if values else 0
        group = np.zeros(n, dtype=np.int64)
        for field in tested:
            positions, distinct = pd.factorize(values[field], use_na_sentinel=False)
            group = np.unique(group * max(len(distinct), 1) + positions, return_inverse=True)[1]
        _, samples, group = np.unique(group, return_index=True, return_inverse=True)
        found = [self._first({f: values[f].iloc[row] for f in tested}) for row in samples]
        return np.array(found, dtype=np.int32)[group] if n else np.empty(0, np.int32)

    def _first(self, values: Mapping[str, object]) -> int:
        for position, rule in enumerate(self.rules):
            if all(test.holds(values.get(field)) for field, test in rule.tests.items()):
                return position
        return NO_RULE


def load_rules(
    source: Database, edition: str, nomenclature: Nomenclature, problems: Problems
) -> RuleSet | None:
    """Return the rules of a source, those of the package or of the user.

    Problems found: those of `read_rules`; rules for another database or edition
    (``E-CONFIG-VALUE``); codes that the nomenclature lacks, or none for it at all
    (``E-CLASS-UNKNOWN``); options that no rule offers and rules changed that are none
    (``E-CONFIG-VALUE``); those of `check_chosen`. The result is then None.
    """
    before = len(problems.errors)
    written, files = _of_year(source, edition)
    if source.rules is not None:
        own = read_rules(source.rules, problems)
        if own is None:
            return None
        _check_purpose(own, source, edition, problems)
        files = (source.rules,) if own.extends is None else (*files, source.rules)
        written = own if own.extends is None else extended(written, own)
    _check_classes(written, nomenclature, files[-1], problems)
    check_chosen(source, nomenclature, problems)
    rules = _Resolver(nomenclature, source).rules(written, problems)
    if len(problems.errors) > before:
        return None
    return RuleSet(written.database, written.edition, written.version, rules, files)


def _of_year(source: Database, edition: str) -> tuple[RulesFile, tuple[Path, ...]]:
    """Return the rules of the package for the year of a source, and their files.

    A file ``DATABASE_EDITION_YEAR.yaml`` holds what is new since that year.
    """
    written = packaged_rules(source.kind, edition)
    files = [packaged_path(source.kind, edition)]
    for year in packaged_years(source.kind, edition):
        if source.year is not None and source.year >= year:
            newer = packaged_rules(source.kind, f"{edition}_{year}")
            written = extended(written, newer).model_copy(update={"edition": edition})
            files.append(packaged_path(source.kind, f"{edition}_{year}"))
    return written, tuple(files)


def extended(base: RulesFile, own: RulesFile) -> RulesFile:
    """Lay the rules of a user over others: those of the same name are replaced, others come first.

    A value or rule of the user counts before those of the package.
    """
    taken = {normal_text(name) for name in [*own.by_value, *(rule.id for rule in own.rules)]}
    values = {name: v for name, v in base.by_value.items() if normal_text(name) not in taken}
    rules = tuple(rule for rule in base.rules if normal_text(rule.id) not in taken)
    return own.model_copy(
        update={
            "version": base.version,
            "field": own.field or base.field,
            "layer": own.layer or base.layer,
            "by_value": {**own.by_value, **values},
            "rules": (*own.rules, *rules),
        }
    )


@dataclass(frozen=True)
class _Resolver:
    """Makes rules for one nomenclature out of written ones."""

    nomenclature: Nomenclature
    source: Database

    def rules(self, written: RulesFile, problems: Problems) -> tuple[Rule, ...]:
        """Return the rules: those of the configuration, the written ones, then the values."""
        whole = [*written.rules, *_of_values(written)]
        self._check_options(written, whole, problems)
        chosen = {normal_text(option) for option in self.source.options}
        resolved = [self._resolved(rule, chosen) for rule in whole]
        return tuple(self._changed(resolved, written, problems))

    def _check_options(
        self, written: RulesFile, whole: Sequence[WrittenRule], problems: Problems
    ) -> None:
        offered = [rule for rule in whole if rule.use == "option"]
        names = {name: rule.id for rule in offered for name in _names(rule)}
        for option in self.source.options:
            if normal_text(option) not in names:
                known = ", ".join(dict.fromkeys(names.values())) or "none"
                message = f"options: {option!r} is not an option of {written.database}"
                hint = f"options of {written.database} {written.edition}: {known}"
                problems.error("E-CONFIG-VALUE", message, "reference.sources.options", hint)

    def _changed(
        self, rules: Sequence[Rule], written: RulesFile, problems: Problems
    ) -> Iterable[Rule]:
        """Yield the rules with what the crosswalk of the source changes; new values come first."""
        changes = {normal_text(name): code for name, code in self.source.crosswalk.items()}
        known = {normal_text(rule.id) for rule in rules}
        for name, code in self.source.crosswalk.items():
            if normal_text(name) not in known and written.field is not None:
                why = "" if code is not None else LEFT_OUT_BY_USER
                tests = {written.field: FieldTest.of(name)}
                yield Rule(str(name), written.layer, tests, Operation(), {}, code, why)
            elif normal_text(name) not in known:
                message = f"crosswalk: {name!r} is not a rule of {written.database}"
                hint = f"rules of {written.database}: {', '.join(rule.id for rule in rules)}"
                problems.error("E-CONFIG-VALUE", message, "reference.sources.crosswalk", hint)
        for rule in rules:
            key = normal_text(rule.id)
            if key in changes:
                why = "" if changes[key] is not None else LEFT_OUT_BY_USER
                yield replace(rule, code=changes[key], why=why)
            else:
                yield rule

    def _resolved(self, rule: WrittenRule, chosen: set[str | None]) -> Rule:
        code, why = rule.classes.get(self.nomenclature.name), ""
        if rule.use == "exclude":
            why = "left out by the rules"
        elif rule.use == "option" and not chosen & _names(rule):
            why = OPTION_OFF
        elif code is None:
            why = NO_CLASS
        inside = {name: tuple(str(code) for code in codes) for name, codes in rule.inside.items()}
        tests = {field: FieldTest.of(value) for field, value in rule.where.items()}
        operation = Operation.of(rule.geometry)
        return Rule(rule.id, rule.layer, tests, operation, inside, None if why else code, why)


def check_chosen(source: Source, nomenclature: Nomenclature, problems: Problems) -> None:
    """Report codes of `classes` and `crosswalk` outside the nomenclature (``E-CLASS-UNKNOWN``)."""
    crosswalk = source.crosswalk if isinstance(source, Database) else {}
    named = {"classes": source.classes or (), "crosswalk": tuple(crosswalk.values())}
    for key, codes in named.items():
        lacking = sorted({code for code in codes if code is not None} - set(nomenclature.codes))
        if lacking:
            problems.error(
                "E-CLASS-UNKNOWN",
                f"{key} names codes that {nomenclature.name} lacks: {lacking}",
                f"reference.sources.{key}",
                f"codes of the nomenclature: {', '.join(map(str, nomenclature.codes))}",
            )


def _of_values(written: RulesFile) -> list[WrittenRule]:
    """Return the values of the short form as rules."""
    return [
        WrittenRule(
            **{name: getattr(value, name) for name in type(value).model_fields},
            id=name,
            layer=written.layer,
            where={written.field or "": name},
        )
        for name, value in written.by_value.items()
    ]


def _names(rule: WrittenRule) -> set[str | None]:
    """Return what an option may be called: its id, or a value it is about."""
    found: set[str | None] = {normal_text(rule.id)}
    for value in rule.where.values():
        if not isinstance(value, Condition):
            found |= {normal_text(v) for v in (value if isinstance(value, tuple) else (value,))}
    return found


def _check_purpose(own: RulesFile, source: Database, edition: str, problems: Problems) -> None:
    if (own.database, own.edition) == (source.kind, edition):
        return
    problems.error(
        "E-RULES-PURPOSE",
        f"these are rules for {own.database} {own.edition}, "
        f"the source needs some for {source.kind} {edition}",
        source.rules,
        f"write database: {source.kind} and edition: {edition} if they are meant for it",
    )


def _check_classes(
    written: RulesFile, nomenclature: Nomenclature, path: Path, problems: Problems
) -> None:
    labellings: Iterable[tuple[str, Mapping[str, int]]] = [
        *((name, value.classes) for name, value in written.by_value.items()),
        *((rule.id, rule.classes) for rule in written.rules),
    ]
    codes = {name: classes.get(nomenclature.name) for name, classes in labellings}
    if all(code is None for code in codes.values()):
        known = sorted({name for _, classes in labellings for name in classes})
        problems.error(
            "E-RULES-NOMENCLATURE",
            f"no rule of {written.database} names a class of {nomenclature.name}, "
            f"only of {', '.join(known)}",
            path,
            f"give rules of your own, with classes: {{{nomenclature.name}: ...}}",
        )
    known_codes = set(nomenclature.codes)
    wrong = {name: code for name, code in codes.items() if code not in {None, *known_codes}}
    if wrong:
        shown = ", ".join(f"{code} ({name})" for name, code in wrong.items())
        problems.error(
            "E-CLASS-UNKNOWN",
            f"rules lead to codes that {nomenclature.name} lacks: {shown}",
            path,
            f"codes of the nomenclature: {', '.join(map(str, nomenclature.codes))}",
        )
