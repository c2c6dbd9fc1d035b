"""Packaged and user nomenclatures, and what is said about bad ones (rows 44, 45, 63)."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oso_pipeline.core.errors import ConfigError, ExitCode
from oso_pipeline.core.nomenclature import (
    LandCoverClass,
    Nomenclature,
    _classes,
    load_nomenclature,
    oso23_to_oso17,
    recode,
)
from oso_pipeline.core.nomenclature_table import NomenclatureRow

LEVEL1_OF_2016 = {  # published groups of the 17 classes
    "Culture annuelle": {11, 12},
    "Culture pérenne": {211, 221, 222},
    "Forêt": {31, 32},
    "Formation naturelle basse": {34, 36},
    "Urbain": {41, 42, 43, 44},
    "Surface minérale": {45, 46},
    "Eau": {51},
    "Glaciers et neiges éternelles": {53},
}


def write(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_bytes(text.encode(encoding))
    return str(path)


def refused(ref: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_nomenclature(ref)
    assert caught.value.exit_code == ExitCode.CONFIG
    return caught.value


def test_oso17_groups_colours_and_type() -> None:
    oso = load_nomenclature("oso17")
    groups = {
        parent.name_fr: {one.code for one in oso.classes if one.level1 == parent.code}
        for parent in oso.level1_classes
    }
    assert groups == LEVEL1_OF_2016
    assert oso.by_code[31].colour == "#009c00"
    assert oso.colour_table()[12] == (255, 255, 127, 255)
    assert oso.colour_table()[0] == (0, 0, 0, 0)
    assert oso.raster_dtype == "uint8"


@pytest.mark.parametrize("name", ["oso17", "oso23"])
def test_packaged_classes_equal_the_published_tables(name: str, shared_data: Path) -> None:
    with (shared_data / "nomenclatures" / f"{name}.csv").open(encoding="utf-8") as stream:
        published = list(csv.DictReader(stream))
    found = load_nomenclature(name)
    expected = {
        int(row["code"]): (
            row["name_fr"],
            row["name_en"],
            row["colour"],
            int(row["level1_code"]),
        )
        for row in published
    }
    assert {c.code: (c.name_fr, c.name_en, c.colour, c.level1) for c in found.classes} == expected
    if name == "oso23":
        assert {r["vector_field"] for r in published} == {c.vector_field for c in found.classes}
        assert oso23_to_oso17() == {int(r["code"]): int(r["oso17"]) for r in published}


@pytest.mark.parametrize("name", ["oso17", "oso23"])
def test_vector_fields_fit_a_shapefile(name: str) -> None:
    fields = [one.vector_field for one in load_nomenclature(name).classes]
    assert len({field.lower() for field in fields}) == len(fields)
    assert all(field.isascii() and field.isidentifier() and len(field) <= 10 for field in fields)


def test_aggregation_from_23_to_17_to_level_1_agrees_with_23_to_level_1() -> None:
    fine, coarse, mapping = load_nomenclature("oso23"), load_nomenclature("oso17"), oso23_to_oso17()
    for code in fine.codes:
        assert coarse.level1_of(mapping[code]) == fine.level1_of(code)
    assert recode(np.array([[0, 23]], np.uint8), mapping).tolist() == [[0, 51]]
    with pytest.raises(ValueError, match="24"):
        recode([24], mapping)


@pytest.mark.parametrize("name", ["oso17", "oso23"])
def test_survives_json(name: str) -> None:
    oso = load_nomenclature(name)
    assert Nomenclature.from_json(oso.to_json()) == oso


def test_real_user_table_needs_16_bit(shared_data: Path) -> None:
    path = shared_data / "flanders_2018" / "reference" / "nomenclature.csv"
    crops = load_nomenclature("nomenclature.csv", path.parent)
    assert crops.codes == (1200, 2130, 5100, 7900, 9120)
    assert crops.by_code[1200] == LandCoverClass(1200, "maize", "maize", "#ff5500", None, "Maize")
    assert crops.raster_dtype == "uint16"
    assert crops.level1_classes == ()
    assert crops.level1_of(9120) is None


def test_row_063_windows_line_ends_byte_order_mark_and_semicolons(tmp_path: Path) -> None:
    text = "\ufeffCode;Name\r\n2;forêt, dense\r\n\r\n1;eau\r\n"
    classes = load_nomenclature(write(tmp_path / "n.csv", text)).classes
    assert [(one.code, one.name_fr) for one in classes] == [(1, "eau"), (2, "forêt, dense")]


@pytest.mark.parametrize("suffix", ["csv", "yaml"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_row_063_other_encodings_are_refused(tmp_path: Path, suffix: str, encoding: str) -> None:
    path = write(tmp_path / f"n.{suffix}", "code,name\n1,forêt\n", encoding)
    message = str(refused(path))
    assert "E-TEXT-ENCODING" in message
    assert path in message
    assert "UTF-8" in message


def test_row_045_all_doubles_and_orphans_are_reported_with_their_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path / "n.csv",
        "code,name,level1,level1_name,colour\n"
        "1,water,10,Wet,\n1,lake,10,Wet,\n2,Water,10,Damp,\n3,wood,,,\nx,town,10,Wet,red\n,,,,#000000\n",
    )
    found = refused(path).problems
    assert {problem.code for problem in found} == {"E-NOMENCLATURE"}
    by_line = [(p.where or "").rpartition(":")[2] + " " + p.message for p in found]
    expected = [
        ("3 ", "code '1'", "line 2"),
        ("4 ", "'Water'", "line 2"),
        ("4 ", "'Damp'", "'Wet'"),
        ("5 ", "class 3", "parent is missing"),
        ("6 ", "whole number", "'x'"),
        ("6 ", "'red'", "#rrggbb"),
        ("7 ", "no name", ""),
    ]
    for line, *words in expected:
        assert any(m.startswith(line) and all(w in m for w in words) for m in by_line), words


def test_row_045_yaml_parent_not_described(tmp_path: Path) -> None:
    text = (
        "level1:\n- {code: 10, name: Wet}\nclasses:\n- {code: 1, name: a, level1: 10}\n"
        "- code: 2\n  name: b\n  level1: 20\n"
    )
    path = write(tmp_path / "n.yaml", text)
    (problem,) = refused(path).problems
    assert problem.where == f"{path}:5"
    assert "level1 20" in problem.message
    fixed = load_nomenclature(write(tmp_path / "m.yml", text.replace("20", "10")))
    assert fixed.level1_mapping == {1: 10, 2: 10}
    assert [one.name_en for one in fixed.level1_classes] == ["Wet"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {code: 1, name: a, code: 2}\n", "duplicate key"),
        ("a: [\n", "not valid YAML"),
        ("water\n", "no list of classes"),
        ("- water\n", "must have keys"),
        ("classes: 3\n", "a list"),
    ],
)
def test_row_045_broken_yaml_is_a_message(tmp_path: Path, text: str, words: str) -> None:
    message = str(refused(write(tmp_path / "n.yaml", text)))
    assert "E-NOMENCLATURE" in message
    assert words in message


@pytest.mark.parametrize("code", [0, -3, 65536])
def test_row_044_codes_that_no_raster_holds(tmp_path: Path, code: int) -> None:
    path = write(tmp_path / "n.csv", f"code,name\n1,a\n{code},b\n")
    (problem,) = refused(path).problems
    assert problem.code == "E-NOMENCLATURE-CODE"
    assert problem.where == f"{path}:3"
    assert "65535" in problem.message


@pytest.mark.parametrize(("code", "dtype"), [(255, "uint8"), (256, "uint16"), (65535, "uint16")])
def test_row_044_type_of_raster_follows_the_greatest_code(
    tmp_path: Path, code: int, dtype: str
) -> None:
    ref = write(tmp_path / "n.csv", f"code,name\n1,a\n{code},b\n")
    assert load_nomenclature(ref).raster_dtype == dtype


@pytest.mark.parametrize(("ref", "code"), [("oso18", "PATH-MISSING"), ("missing.csv", "PATH-READ")])
def test_missing_nomenclature_names_what_was_tried(tmp_path: Path, ref: str, code: str) -> None:
    message = str(refused(str(tmp_path / ref)))
    assert f"E-{code}" in message
    assert ref in message


def test_empty_table_is_refused(tmp_path: Path) -> None:
    assert "no class" in str(refused(write(tmp_path / "n.csv", "code,name\n")))


@given(st.sets(st.integers(1, 65535), min_size=1, max_size=60))
def test_given_colours_and_fields_are_distinct_and_reproducible(codes: set[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = "".join(f"{code},Très long nom {code:05d}\n" for code in sorted(codes))
        path = write(Path(folder) / "n.csv", "code,name\n" + lines)
        first, second = load_nomenclature(path), load_nomenclature(path)
    assert first == second
    assert len({one.colour for one in first.classes}) == len(codes)
    assert len({one.vector_field.lower() for one in first.classes}) == len(codes)
    assert all(one.vector_field.isascii() for one in first.classes)
    assert all(len(one.vector_field) <= 10 for one in first.classes)


def test_2_10_as_many_classes_as_a_map_can_hold_have_colours() -> None:
    rows = [NomenclatureRow("", code, f"A {code}", "", "", "", None) for code in range(1, 65536)]
    found = _classes(rows)
    assert len({one.colour for one in found}) == len(rows)
    assert len({one.vector_field.lower() for one in found}) == len(rows)
    assert all(len(one.vector_field) <= 10 for one in found)


def test_2_10_the_colours_of_few_classes_stay_as_they_were(tmp_path: Path) -> None:
    text = "code,name\n1,a\n2,b\n3,c\n"
    found = load_nomenclature(write(tmp_path / "own.csv", text))
    assert [one.colour for one in found.classes] == ["#e62222", "#425fa6", "#42660f"]


def test_2_10_short_names_that_end_in_digits_stay_apart(tmp_path: Path) -> None:
    text = "code,name,vector_field\n1,x,Ab\n2,y,Ab1\n23,ab1,\n123,ab,\n"
    found = load_nomenclature(write(tmp_path / "own.csv", text))
    assert len({one.vector_field.lower() for one in found.classes}) == 4


LAUGHS = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    "text",
    [
        f"l0: &l0 [x]\n{LAUGHS}classes:\n- {{code: 1, name: *l11}}\n",
        f"l0: &l0 [x]\n{LAUGHS}classes:\n- *l11\n",
        "classes: " + "{a: " * 5000,
        "classes: [" + "x, " * 200_000 + "x]",
    ],
)
def test_2_11_a_table_of_classes_that_grows_without_end_is_refused(
    tmp_path: Path, text: str
) -> None:
    assert len(str(refused(write(tmp_path / "own.yaml", text)))) < 1000


def test_2_11_a_thousand_wrong_lines_are_counted(tmp_path: Path) -> None:
    lines = [f"{code},name {code},{70000 + code}" for code in range(1, 1001)]
    error = refused(write(tmp_path / "own.csv", "\n".join(["code,name,level1", *lines])))
    assert len(error.problems) == 1000
    assert str(error).endswith("more; fix these first")
    assert len(str(error)) < 20_000
