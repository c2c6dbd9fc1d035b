"""Rules as data: the lists of crops and groups are covered, users may change them, strictly."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.reference.databases.kinds import RpgSource
from oso_pipeline.reference.rules.files import FOLDER, Condition, packaged_rules, read_rules
from oso_pipeline.reference.rules.parts import FieldTest
from oso_pipeline.reference.rules.rule_set import NO_RULE, RuleSet, load_rules
from oso_pipeline.reference.split.summary import Unknown, report_unknown
from oso_pipeline.vectors.values import normal_text

OSO17, OSO23 = load_nomenclature("oso17"), load_nomenclature("oso23")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def rules_of(edition: str = "parcels", nomenclature: Nomenclature = OSO17, **keys: Any) -> RuleSet:
    problems = Problems()
    year = 2012 if edition == "ilots" else 2018
    source = RpgSource.model_validate({"path": "x", "kind": "rpg", "year": year, **keys})
    found = load_rules(source, edition, nomenclature, problems)
    assert found is not None, [*problems]
    return found


def refused(text: str, folder: Path, edition: str = "parcels", **keys: Any) -> Problems:
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    problems = Problems()
    source = RpgSource.model_validate(
        {"path": "x", "kind": "rpg", "year": 2018, "rules": path, **keys}
    )
    assert load_rules(source, edition, OSO17, problems) is None
    return problems


def codes(rules: RuleSet, values: list[Any]) -> dict[Any, int | str | None]:
    match = rules.first_match({"CODE_CULTU": pd.Series(values, dtype=object)})
    return {
        value: "unknown" if row == NO_RULE else rules.rules[row].code
        for value, row in zip(values, match, strict=True)
    }


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_of_the_package_is_right(path: Path) -> None:
    problems = Problems()
    found = read_rules(path, problems)
    assert found is not None, [str(problem) for problem in problems]
    assert f"{found.database}_{found.edition}" == path.stem
    targets = {"oso17": OSO17.codes, "oso23": OSO23.codes}
    for rule in [*found.by_value.values(), *found.rules]:
        for nomenclature, code in rule.classes.items():
            assert code in targets[nomenclature]


def crops_of(year: int) -> RuleSet:
    problems = Problems()
    source = RpgSource(kind="rpg", path=Path("rpg"), year=year)
    found = load_rules(source, "parcels", OSO23, problems)
    assert found is not None, [str(problem) for problem in problems]
    return found


@pytest.mark.parametrize(
    ("year", "name", "count"), [(2020, "rpg_crops", 351), (2023, "rpg_crops_2023", 372)]
)
def test_5_every_crop_of_the_list_of_a_year_has_a_rule(
    shared_data: Path, year: int, name: str, count: int
) -> None:
    crops = [row["code"] for row in rows(shared_data / "nomenclatures" / f"{name}.csv")]
    assert len(crops) == count
    match = crops_of(year).first_match({"CODE_CULTU": pd.Series(crops, dtype=object)})
    assert [code for code, row in zip(crops, match, strict=True) if row == NO_RULE] == []


def test_5_the_crops_in_use_in_2023_have_rules_since_then_only(shared_data: Path) -> None:
    listed = rows(shared_data / "nomenclatures" / "rpg_crops_2023.csv")
    active = pd.Series([row["code"] for row in listed if row["active"] == "oui"], dtype=object)
    assert len(active) == 141
    known = {
        year: crops_of(year).first_match({"CODE_CULTU": active}) for year in (2022, 2023, 2030)
    }
    assert int((known[2022] == NO_RULE).sum()) == 20
    assert not (known[2023] == NO_RULE).any()
    assert (known[2030] == known[2023]).all()


def test_5_silage_maize_is_declared_as_maize_since_2023(shared_data: Path) -> None:
    listed = rows(shared_data / "nomenclatures" / "rpg_crops_2023.csv")
    active = {row["code"]: row["active"] == "oui" for row in listed}
    assert not active["MIE"]  # its own code is out of use
    rules = crops_of(2023)
    match = rules.first_match({"CODE_CULTU": pd.Series(["MIS", "MIE"], dtype=object)})
    assert [rules.rules[row].code for row in match] == [10, 10]


def test_5_unknown_codes_are_reported_with_counts_and_hectares() -> None:
    cells = [
        {
            "values": {"RPG": {"CODE_CULTU=XYZ": 2}},
            "value_hectares": {"RPG": {"CODE_CULTU=XYZ": 3.5}},
        },
        {
            "values": {"RPG": {"CODE_CULTU=XYZ": 1}},
            "value_hectares": {"RPG": {"CODE_CULTU=XYZ": 1.0}},
        },
        {"values": {"RPG": {"CODE_CULTU=QQQ": 1}}},  # of an earlier version
    ]
    problems = Problems()
    report_unknown(Unknown.of(cells), False, problems)
    (warning,) = problems.warnings
    assert warning.code == "W-CLASS-UNKNOWN"
    assert "4 features have 2 values" in warning.message
    assert "4.5 ha: 'CODE_CULTU=XYZ': 3 (4.5 ha), 'CODE_CULTU=QQQ': 1" in warning.message


def test_every_crop_of_the_official_list_is_mapped_or_left_out(shared_data: Path) -> None:
    crops = rows(shared_data / "nomenclatures" / "rpg_crops.csv")
    facts = {row["code"]: row for row in rows(shared_data / "nomenclatures" / "rpg_to_oso.csv")}
    written = packaged_rules("rpg", "parcels").by_value
    assert len(crops) == 351
    assert {crop["code"] for crop in crops} == set(written) == set(facts)
    uses = {"core": "label", "optional": "option", "excluded": "exclude"}
    for code, rule in written.items():
        fact = facts[code]
        assert rule.use == uses[fact["status"]], code
        classes = {name: int(fact[name]) for name in ("oso17", "oso23") if fact[name]}
        assert rule.classes == classes, code
        if rule.use == "exclude":
            assert rule.note, code
        else:
            both = {"oso17": fact["source"], "oso23": fact["oso23_source"]}
            assert rule.source in (both, fact["source"]), code
    for crop in crops:
        assert normal_text(written[crop["code"]].name) == normal_text(crop["name_fr"])
    labels = [code for code, rule in written.items() if rule.use == "label"]
    options = [code for code, rule in written.items() if rule.use == "option"]
    assert (len(labels), len(options)) == (56, 19)


def test_every_group_is_mapped_or_left_out(shared_data: Path) -> None:
    groups = rows(shared_data / "nomenclatures" / "rpg_groups.csv")
    written = packaged_rules("rpg", "ilots").by_value
    assert {int(code) for code in written} == {int(group["code"]) for group in groups}
    for group in groups:
        rule = written[f"{int(group['code']):02d}"]
        assert normal_text(rule.name) == normal_text(group["name_fr"])
        if group["oso17"]:  # the published rule
            assert (rule.use, rule.classes["oso17"]) == ("label", int(group["oso17"]))
            assert isinstance(rule.source, dict)
            assert rule.source["oso17"] == "confirmed"


def test_groups_used_for_23_classes_lie_in_one_class(shared_data: Path) -> None:
    """No crop of a group that is used belongs to another class than the group."""
    crops = rows(shared_data / "nomenclatures" / "rpg_to_oso.csv")
    used = {
        int(rule.id): rule.code for rule in rules_of("ilots", OSO23).rules if rule.code is not None
    }
    assert used == {1: 6, 2: 10, 3: 6, 5: 5, 6: 9, 14: 11, 18: 13, 20: 14, 21: 15}
    for crop in crops:
        if crop["oso23"] and (code := used.get(int(crop["group_code"]))):
            assert int(crop["oso23"]) == code, crop["code"]


def test_values_of_both_generations() -> None:
    found = codes(rules_of(), ["BTH", "bth", " MIS ", "SOG", "PTR", "XYZ", None, "JAC"])
    assert found == {
        "BTH": 12, "bth": 12, " MIS ": 11, "SOG": None, "PTR": None, "XYZ": "unknown",
        None: "unknown", "JAC": None,
    }  # fmt: skip
    found = codes(rules_of("ilots"), ["01", "1", 1.0, "28", "18", "BTH", "29"])
    assert found == {"01": 12, "1": 12, 1.0: 12, "28": None, "18": 211, "BTH": "unknown",
                     "29": "unknown"}  # fmt: skip


def test_options_are_switched_on_by_value() -> None:
    assert codes(rules_of(options=["ptr", "SPL"]), ["PTR", "SPL", "SPH"]) == {
        "PTR": 211, "SPL": 36, "SPH": None,
    }  # fmt: skip
    assert codes(rules_of("ilots", OSO23, options=[8]), ["08"]) == {"08": 7}


def test_option_that_is_none_lists_those_that_are() -> None:
    problems = Problems()
    source = RpgSource.model_validate(
        {"path": "x", "kind": "rpg", "year": 2012, "options": ["BTH", 19]}
    )
    assert load_rules(source, "ilots", OSO17, problems) is None
    (problem,) = problems.errors
    assert problem.message == "options: 'BTH' is not an option of rpg"
    assert problem.hint == "options of rpg ilots: 08, 19, 22, 23"


def test_user_extends_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "database: rpg\nedition: parcels\nextends: default\nvalues:\n"
        "  SOG: {classes: {oso17: 11}}\n  bth: {use: exclude}\n  NEW: {classes: {oso17: 51}}\n",
        encoding="utf-8",
    )
    rules = rules_of(rules=path)
    found = codes(rules, ["SOG", "BTH", "NEW", "MIS"])
    assert found == {"SOG": 11, "BTH": None, "NEW": 51, "MIS": 11}
    assert rules.files[-1] == path
    assert len(rules.files) == 2


def test_user_replaces_the_rules_for_classes_of_their_own(tmp_path: Path) -> None:
    table = tmp_path / "crops.csv"
    table.write_text("code,name\n1,wheat\n2,other\n", encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(
        "database: rpg\nedition: parcels\nfield: CODE_CULTU\n"
        "values: {BTH: {classes: {crops: 1}}}\n",
        encoding="utf-8",
    )
    nomenclature = load_nomenclature(str(table))
    rules = rules_of(nomenclature=nomenclature, rules=path)
    assert codes(rules, ["BTH", "MIS"]) == {"BTH": 1, "MIS": "unknown"}
    assert rules.files == (path,)
    problems = Problems()
    source = RpgSource.model_validate({"path": "x", "kind": "rpg", "year": 2018})
    assert load_rules(source, "parcels", nomenclature, problems) is None
    assert problems.errors[0].code == "E-RULES-NOMENCLATURE"
    assert "no rule of rpg names a class of crops, only of oso17, oso23" in str(problems.errors[0])


def test_crosswalk_of_a_source_changes_single_values() -> None:
    rules = rules_of(crosswalk={"sog": 11, "MCR": None, "NEW": 51, "PTR": 211})
    found = codes(rules, ["SOG", "MCR", "NEW", "PTR", "BTH", "RGA"])
    assert found == {"SOG": 11, "MCR": None, "NEW": 51, "PTR": 211, "BTH": 12, "RGA": None}
    assert codes(rules_of("ilots", crosswalk={4: 12}), ["04", "05"]) == {"04": 12, "05": 12}


def test_crosswalk_and_classes_name_codes_of_the_nomenclature() -> None:
    problems = Problems()
    keys = {"crosswalk": {"SOG": 10}, "classes": [11, 99]}
    source = RpgSource.model_validate({"path": "x", "kind": "rpg", "year": 2018, **keys})
    assert load_rules(source, "parcels", OSO17, problems) is None
    assert [(p.code, p.where, p.message) for p in problems.errors] == [
        (
            "E-CLASS-UNKNOWN", "reference.sources.classes",
            "classes names codes that oso17 lacks: [99]",
        ),
        (
            "E-CLASS-UNKNOWN", "reference.sources.crosswalk",
            "crosswalk names codes that oso17 lacks: [10]",
        ),
    ]  # fmt: skip


HEAD = "database: rpg\nedition: parcels\nfield: CODE_CULTU\n"


@pytest.mark.parametrize(
    ("text", "code", "place", "words"),
    [
        (HEAD + "values: {BTH: {clases: {oso17: 12}}}\n", "RULES-KEY", "4:16", "values.BTH.clases"),
        (HEAD + "valeus: {}\n", "RULES-KEY", "4:1", "valeus: unknown key"),
        (HEAD + "values: {BTH: {use: label}}\n", "RULES-VALUE", "4:15", "use: label needs classes"),
        (
            HEAD + "values: {BTH: {use: exclude, classes: {oso17: 12}}}\n",
            "RULES-VALUE", "4:15", "use: exclude has no classes",
        ),
        (HEAD + "values: {BTH: {use: maybe}}\n", "RULES-VALUE", "4:21", "found 'maybe'"),
        (HEAD + "values: {BTH: {classes: {oso17: '12'}}}\n", "RULES-VALUE", "4:33", "integer"),
        (HEAD + "values: {BTH: {classes: {oso17: 13}}}\n", "CLASS-UNKNOWN", "", "13 (BTH)"),
        (HEAD + "values: {BTH: {use: exclude}, BTH: {}}\n", "CONFIG-YAML", "4:31", "stands twice"),
        (HEAD, "RULES-VALUE", "1:1", "not a single rule"),
        (HEAD.replace("parcels", "ilots") + "values: {1: {classes: {oso17: 12}}}\n",
         "RULES-PURPOSE", "", "these are rules for rpg ilots, the source needs some for rpg"),
        ("edition: parcels\nrules: [{id: a, classes: {oso17: 11}}]\n", "RULES-VALUE", "1:1",
         "database: is missing"),
        ("database: rpg\nedition: parcels\nvalues: {A: {use: exclude}}\n", "RULES-VALUE", "1:1",
         "values need the field"),
        (HEAD + "rules: [{id: a, classes: {oso17: 11}, geometry: {erode_m: 5, close_m: 5}}]\n",
         "RULES-VALUE", "4:49", "one of erode_m, buffer_m and close_m"),
        (HEAD + "rules: [{id: a, classes: {oso17: 11}, where: {F: {atleast: 5}}}]\n",
         "RULES-KEY", "4:51", "atleast"),
        ("a: [", "CONFIG-YAML", "", "not valid YAML"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_place(
    tmp_path: Path, text: str, code: str, place: str, words: str
) -> None:
    problems = refused(text, tmp_path)
    found = {(problem.code, str(problem.where)) for problem in problems.errors}
    where = f"{tmp_path / 'rules.yaml'}" + (f":{place}" if place else "")
    assert any(c == f"E-{code}" and w.startswith(where) for c, w in found), found
    assert words in "\n".join(problem.message for problem in problems.errors)


def test_all_mistakes_of_a_file_at_once(tmp_path: Path) -> None:
    problems = refused(
        HEAD + "values:\n  A: {use: no}\n  B: {source: guess, use: exclude}\n  C: {nota: x}\n",
        tmp_path,
    )
    lines = {str(problem.where).rsplit(":", 2)[1] for problem in problems.errors}
    assert lines == {"5", "6", "7"}


@given(st.text(max_size=30))
def test_normal_text_is_stable(text: str) -> None:
    once = normal_text(text)
    assert normal_text(once) == once
    if "İ" not in text:  # the only letter whose lower case is two
        assert normal_text(text.upper().lower()) == normal_text(text.lower().upper().lower())


@pytest.mark.parametrize(
    ("written", "passing", "failing"),
    [
        ("Forêt fermée", ["FORÊT FERMÉE", "Fore\u0302t  fermée", "forêt-fermée"], ["Forêt", None]),
        (("1", 2, 3), ["1", 1.0, "03", 2], ["4", "", None]),
        (None, [None, "", float("nan")], ["x"]),
        ({"not": ["Marais", None]}, ["Lac"], ["marais", None]),
        ({"not": ["Marais"]}, ["Lac", None], ["MARAIS"]),
        ({"at_least": 0}, ["0", 0, "2,5", 1e9], [-1, "-1", "NC", None]),
        ({"at_least": 1, "at_most": 3, "not": [2]}, [1, "3"], [2, "2", 0, 4]),
    ],
)
def test_conditions(written: Any, passing: list[Any], failing: list[Any], tmp_path: Path) -> None:
    if isinstance(written, dict):
        written = Condition.model_validate(
            {k: tuple(v) if isinstance(v, list) else float(v) for k, v in written.items()}
        )
    test = FieldTest.of(written)
    assert [value for value in passing if not test.holds(value)] == []
    assert [value for value in failing if test.holds(value)] == []
