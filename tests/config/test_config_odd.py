"""Odd texts and sizes in configurations end in few clean findings, and soon (2.11)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.config_files import GOOD, load, refused, write

from oso_pipeline.config.layers import MAX_CHAIN
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.nodes import MAX_VALUES
from oso_pipeline.core.errors import ConfigError


@pytest.mark.parametrize("odd", ["\\uD800", "\\0", "\\x1b", "\\x7f"])
@pytest.mark.parametrize(
    "lines",
    [
        'run_dir: "a%s"',
        'name: "a%s"',
        'nomenclature: "own%s.csv"',
        'nomenclature: "own%s"',
        'strata: {path: a.gpkg, field: "a%s"}',
        'strata: {path: a.gpkg, layer: "a%s", field: a}',
        'map: {area: {path: "a%s.gpkg"}}',
        '"year%s": 2018',
        'extends: "a%s.yaml"',
        'label_check: {"fol%sds": 3}',
    ],
)
def test_2_11_characters_that_no_file_holds_are_named_with_their_place(
    tmp_path: Path, lines: str, odd: str
) -> None:
    path = write(tmp_path, GOOD + lines.replace("%s", odd) + "\n")
    first = refused(path)[0]
    assert first.code == "E-CONFIG-YAML"
    assert str(first.where).startswith(f"{path}:11:")
    str(first).encode("utf-8")


def test_2_11_a_tab_and_marks_of_direction_are_text(tmp_path: Path) -> None:
    text = GOOD + 'strata: {path: "a\\u200fb.gpkg", field: "a\\tb"}\n'
    strata = load(write(tmp_path, text)).strata
    assert strata is not None
    assert (strata.path.name, strata.field) == ("a\u200fb.gpkg", "a\tb")


def test_2_11_names_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "run_dir: $PLACE\n")
    (problem,) = refused(path, PLACE=os.fsdecode(b"for\xeat"))
    assert (problem.code, "not UTF-8 text" in problem.message) == ("E-PATH-NAME", True)
    folder = tmp_path / os.fsdecode(b"for\xeat")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes text alone")
    assert {one.code for one in refused(write(folder, GOOD))} == {"E-PATH-NAME"}
    with pytest.raises(ConfigError):
        load_config(Path("a\0b.yaml"))


@pytest.mark.parametrize("value", ["a/" * 3000, "a" * 300])
def test_2_11_paths_and_names_longer_than_systems_take(tmp_path: Path, value: str) -> None:
    (problem,) = refused(write(tmp_path, GOOD + f"run_dir: {value}\n"))
    assert (problem.code, "are allowed" in problem.message) == ("E-PATH-NAME", True)
    if "/" not in value:
        assert refused(write(tmp_path, GOOD + f"name: {value}\n"))[-1].message.startswith("name: ")
        assert len(load(write(tmp_path, GOOD, name=f"{'b' * 240}.yaml")).name) == 100


def test_2_11_a_long_chain_of_files_and_a_cycle(tmp_path: Path) -> None:
    for number in range(1500):
        (tmp_path / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    write(tmp_path, GOOD, "1500.yaml")
    found = [one for one in refused(tmp_path / "0.yaml") if "extends" in one.message]
    assert [one.message for one in found] == [
        f"extends: more than {MAX_CHAIN} files extend one another"
    ]
    assert load(tmp_path / f"{1500 - MAX_CHAIN}.yaml").year == 2018
    write(tmp_path, "extends: 0.yaml\n", "1.yaml")
    assert any("0.yaml -> 1.yaml -> 0.yaml" in p.message for p in refused(tmp_path / "0.yaml"))


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"k{n}: 1\n" for n in range(50_000)),
        "learning:\n" + "".join(f"  k{n}: 1\n" for n in range(50_000)),
        "x:\n" + "".join(f"- &a{n} 1\n" for n in range(20_000)),
        "l0: &l0 [x]\n"
        + "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 20)),
    ],
)
def test_2_11_values_without_number_are_refused_as_such(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, GOOD + text)
    with pytest.raises(ConfigError, match=f"more than ({MAX_VALUES} values|50 aliases)") as caught:
        load(path)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "".join(f"k{n}: 1\n" for n in range(2000)),
        GOOD.replace("[t31tcj, 31TDJ]", str([f"x{n}" for n in range(2000)])),
        GOOD + "adaptation:\n  sources:\n" + "  - {year: 2000}\n" * 500,
        GOOD.replace("[t31tcj, 31TDJ]", str(["31TCJ"] * 9000)),
    ],
)
def test_2_11_thousands_of_mistakes_are_reported_in_a_hundred_lines(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    assert len(caught.value.problems) <= 101
    assert len(caught.value.problems) == 1 or "more" in str(caught.value).splitlines()[-1]


def test_2_11_a_pipe_is_no_configuration(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (problem,) = refused(tmp_path / "pipe.yaml")
    assert "it is not a regular file" in problem.message
