"""Control characters of names reach no terminal and no XML (2.12)."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oso_pipeline.cli.console import PatientConsole
from oso_pipeline.core.csv_tables import read_text
from oso_pipeline.core.errors import ConfigError, InputDataError, Problem, Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.core.plain_text import is_plain, plain


@given(st.text(st.characters()))
def test_2_12_plain_text_is_utf_8_and_xml(text: str) -> None:
    shown = plain(text)
    assert is_plain(shown)
    assert ET.fromstring(f"<a>{_escaped(shown)}</a>") is not None
    assert plain(shown) == shown


def _escaped(text: str) -> str:
    return text.encode("utf-8").decode().replace("&", "&amp;").replace("<", "&lt;")


@pytest.mark.parametrize("odd", ["\x1b[2J", "\x07", "\x9b31m", "\r", "\u202e", "\udcff", "\0"])
def test_2_12_no_message_steers_a_terminal(odd: str) -> None:
    stream = io.StringIO()
    error = InputDataError(Problem("E-TOY", f"found {odd}", f"a{odd}.tif", odd))
    console = PatientConsole(file=stream)
    console.print(str(error), markup=False)
    console.print(f"wheat {odd}", markup=False)
    assert odd not in stream.getvalue()
    stream.getvalue().encode("utf-8")


def test_words_of_all_scripts_stay_as_they_are() -> None:
    text = "Forêts de conifères\t小麦\nالقمح «» – é"
    assert plain(text) == text


@pytest.mark.parametrize("column", ["name", "level1_name"])
def test_2_12_a_class_name_with_control_characters_is_refused(tmp_path: Path, column: str) -> None:
    names = {"name": "wheat", "level1_name": "crops", column: "whe\x1bat"}
    path = tmp_path / "own.csv"
    lines = ["code,name,level1,level1_name", f"1,{names['name']},1,{names['level1_name']}"]
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="holds control characters"):
        load_nomenclature(str(path), tmp_path)


@pytest.mark.parametrize("path", ["/dev/zero", "a\0b", "a\udcffb\0"])
def test_2_11_a_table_that_is_no_file_is_a_finding(path: str) -> None:
    problems = Problems()
    assert read_text(Path(path), problems) is None
    assert [problem.code for problem in problems.errors] == ["E-PATH-READ"]
