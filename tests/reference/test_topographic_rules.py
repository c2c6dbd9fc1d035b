"""Every value of BD TOPO, BD Forêt and CLC is mapped or left out on purpose."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.reference.databases.kinds import (
    BdForetSource,
    BdTopoSource,
    ClcSource,
    RandolphSource,
)
from oso_pipeline.reference.rules.files import RulesFile, WrittenRule, packaged_rules
from oso_pipeline.reference.rules.rule_set import NO_RULE, RuleSet, load_rules
from oso_pipeline.vectors.field_names import plain_name

SOURCES = {
    "bdtopo": BdTopoSource, "clc": ClcSource, "bdforet": BdForetSource, "randolph": RandolphSource
}  # fmt: skip


def rules(database: str, edition: str, nomenclature: str, *options: str) -> RuleSet:
    source = SOURCES[database](kind=database, path=Path("x"), options=options)
    problems = Problems()
    found = load_rules(source, edition, load_nomenclature(nomenclature), problems)
    assert found is not None, [str(problem) for problem in problems]
    return found


def table(shared_data: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(shared_data / "nomenclatures" / name, keep_default_na=False, dtype=str)


def code_of(found: RuleSet, values: dict[str, str]) -> int | None:
    """Return the class of a feature; it must be known to the rules."""
    columns = {name: pd.Series([value], dtype=object) for name, value in values.items()}
    (position,) = found.first_match(columns or {"ID": pd.Series(["x"])})
    assert position != NO_RULE, values
    return found.rules[position].code


def test_every_value_met_in_deliveries_is_known(shared_data: Path) -> None:
    met = pd.read_csv(
        shared_data / "reference_vectors" / "bdtopo_values.csv", keep_default_na=False, dtype=str
    )
    walked = 0
    for (file, field), values in met.groupby(["file", "field"])["value"]:
        edition = "v2" if "v2" in file else "v3"
        found = rules("bdtopo", edition, "oso17").of_layer(Path(file).stem)
        assert found.rules, f"no rule names the layer of {file}"
        tested = {name for rule in found.rules for name in rule.tests}
        # What a feature of the layer holds in the other fields.
        usual = {
            "NATURE": "Retenue", "PERSISTANC": "Permanent", "POS_SOL": "0", "USAGE1": "Annexe",
            "LEGER": "Non", "ETAT": "En service", "REGIME": "Permanent", "FICTIF": "Non",
        }  # fmt: skip
        if edition == "v2":
            usual["NATURE"] = "Surface d'eau"
        for value in values if field else []:
            walked += 1
            code_of(found, {**{n: v for n, v in usual.items() if n in tested}, field: value})
    assert walked == (met.field != "").sum() == 204


CONDITION = re.compile(r"(\w+) (=|>=|NOT IN|IN) (\((?:'[^)]*')\)|'(?:[^']|'')*'|\d+)")


def parsed(condition: str) -> list[tuple[str, str, list[str]]]:
    """Return field, operator and values of each part of a condition."""
    return [
        (
            name,
            operator,
            [v.replace("''", "'") for v in re.findall(r"'((?:[^']|'')*)'", values)] or [values],
        )
        for name, operator, values in CONDITION.findall(condition)
    ]


def satisfying(condition: str) -> list[dict[str, str]]:
    """Return features that satisfy a condition, one for each value of a list."""
    features: list[dict[str, str]] = [{}]
    for name, operator, values in parsed(condition):
        chosen = values if operator in ("=", "IN", ">=") else ["Retenue"]
        features = [{**one, name: value} for one in features for value in chosen]
    return features


def test_table_of_bdtopo(shared_data: Path) -> None:
    usual = {"ETAT": "En service", "FICTIF": "Non", "POS_SOL": "0", "LEGER": "Non"}
    rows = table(shared_data, "bdtopo_to_oso.csv")
    for row in rows.to_dict("records"):
        options = [row["condition"].split("'")[1]] if row["use"] == "option" else []
        for nomenclature in ("oso17", "oso23"):
            found = rules("bdtopo", row["version"], nomenclature, *options)
            found = found.of_layer(row["layer"])
            expected = int(row[nomenclature]) if row["use"] != "exclude" else None
            for feature in satisfying(row["condition"]):
                tests = {name for rule in found.rules for name in rule.tests}
                values = {k: v for k, v in usual.items() if k in tests} | feature
                columns = {name: pd.Series([v], dtype=object) for name, v in values.items()}
                (position,) = found.first_match(columns or {"ID": pd.Series(["x"])})
                first = found.rules[position]
                alike = [rule for rule in found.rules if rule.tests == first.tests]
                zone = (row["clc_filter"],) if row["clc_filter"] else ()
                (rule,) = [r for r in alike if r.inside.get("clc", ()) == zone]
                assert rule.code == expected, (row, feature)
                metres = re.search(r"\d+", row["geometry"])
                kind = {"closing": "close", "buffer": "buffer", "erosion": "erode"}
                word = row["geometry"].split(" ")[0]
                if expected is not None:
                    assert rule.operation.kind == kind.get(word, "none")
                if word in ("closing", "buffer") and metres:
                    assert rule.operation.metres == float(metres[0])


def test_table_of_clc(shared_data: Path) -> None:
    rows = table(shared_data, "clc_to_oso.csv")
    assert len(rows) == 44
    options = rows.code[rows.use == "option"].tolist()
    for nomenclature in ("oso17", "oso23"):
        plain = rules("clc", "all", nomenclature)
        chosen = rules("clc", "all", nomenclature, *options)
        for row in rows.to_dict("records"):
            expected = int(row[nomenclature] or 0) or None
            label = expected if row["use"] == "label" else None
            option = expected if row["use"] in ("label", "option") else None
            assert code_of(plain, {"CODE": row["code"]}) == label
            assert code_of(chosen, {"CODE": row["code"]}) == option


def test_table_of_forest_and_glaciers(shared_data: Path) -> None:
    for row in table(shared_data, "bdforet_randolph_to_oso.csv").to_dict("records"):
        database, edition = row["database"].lower(), row["version"] or "all"
        for nomenclature in ("oso17", "oso23"):
            found = rules(database, edition, nomenclature)
            name, _, value = row["condition"].partition(" = ")
            values = {name: value.strip("'")} if value else {}
            assert code_of(found, values) == int(row[nomenclature])


def test_all_groups_of_bdforet_v2_are_known() -> None:
    covers = ("sans couvert arboré", "feuillus", "conifères", "mixte")
    groups = [f"Forêt {kind} {cover}" for kind in ("fermée", "ouverte") for cover in covers]
    found = rules("bdforet", "v2", "oso17")
    codes = [code_of(found, {"TFV_G11": group}) for group in groups]
    assert codes == [None, 31, 32, None, None, None, None, None]
    assert code_of(found, {"TFV_G11": "Lande"}) == 36
    assert code_of(found, {"TFV_G11": "Peupleraie"}) is None
    assert code_of(found, {"TFV_G11": "Formation herbacée"}) is None


@pytest.mark.parametrize(
    ("database", "edition"),
    [("bdtopo", "v2"), ("bdtopo", "v3"), ("clc", "all"), ("bdforet", "v1"), ("bdforet", "v2")],
)
def test_what_is_left_out_says_why(database: str, edition: str) -> None:
    written: RulesFile = packaged_rules(database, edition)
    for rule in written.rules:
        assert isinstance(rule, WrittenRule)
        assert rule.use != "exclude" or rule.note, rule.id
    for name, value in written.by_value.items():
        assert value.use != "exclude" or value.note or value.name, name


def test_layers_tell_the_versions_apart() -> None:
    v2, v3 = (
        {plain_name(r.layer or "") for r in packaged_rules("bdtopo", v).rules} for v in ("v2", "v3")
    )
    assert not v2 & v3


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"PERSISTANC": "Permanent", "POS_SOL": "0", "NATURE": "Lac"}, 51),
        ({"PERSISTANC": "permanent", "POS_SOL": 1, "NATURE": "Canal"}, 51),
        ({"PERSISTANC": "Permanent", "POS_SOL": "-1", "NATURE": "Canal"}, None),
        ({"PERSISTANC": "Permanent", "POS_SOL": None, "NATURE": "Canal"}, None),
        ({"PERSISTANC": "Permanent", "POS_SOL": "0", "NATURE": "Marais"}, None),
        ({"PERSISTANC": "Permanent", "POS_SOL": "0", "NATURE": "Glacier, névé"}, 53),
        ({"PERSISTANC": "Intermittent", "POS_SOL": "0", "NATURE": "GLACIER  NÉVÉ"}, 53),
        ({"PERSISTANC": "Intermittent", "POS_SOL": "0", "NATURE": "Lac"}, None),
        ({"PERSISTANC": None, "POS_SOL": "0", "NATURE": "Lac"}, None),
    ],
)
def test_water_and_glaciers(values: dict[str, str], code: int | None) -> None:
    assert (
        code_of(rules("bdtopo", "v3", "oso17").of_layer("SURFACE_HYDROGRAPHIQUE"), values) == code
    )
