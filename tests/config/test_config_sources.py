"""Sources of several kinds: each has keys of its own, and messages speak of the kind meant."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import Config
from oso_pipeline.config.schema import json_schema, reference_page
from oso_pipeline.config.template import template
from oso_pipeline.core.errors import ConfigError, Problem
from oso_pipeline.reference.databases.kinds import RpgSource, VectorSource

HEAD = """\
year: 2018
season: {start: 2018-01-01, end: 2018-12-31}
imagery: {paths: [products], tiles: [31TCJ]}
reference:
  sources:
"""
KINDS = ("vector", "rpg", "bdtopo", "clc", "bdforet", "randolph")


def written(folder: Path, *sources: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(HEAD + "".join(f"    - {source}\n" for source in sources), encoding="utf-8")
    return path


def load(folder: Path, *sources: str) -> Config:
    return load_config(written(folder, *sources), (), {})


def refused(folder: Path, *sources: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(folder, *sources)
    return caught.value.problems


def test_kinds_side_by_side_with_their_defaults(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "{path: a.gpkg}",
        "{path: a.gpkg, kind: vector, priority: 7}",
        "{path: rpg, kind: rpg, year: 2013, rules: mine.csv, options: [SPH, 8]}",
        "{path: bdtopo, kind: bdtopo, departments: [31, 2A], classes: [51]}",
        "{path: clc.gpkg, kind: clc, crs: 'EPSG:2154'}",
        "{path: foret, kind: bdforet}",
        "{path: rgi, kind: randolph}",
    )
    sources = config.reference.sources
    assert [source.kind for source in sources] == ["vector", *KINDS]
    assert [source.rank for source in sources] == [0, 7, 1, 2, 5, 3, 4]
    assert isinstance(sources[0], VectorSource)
    assert isinstance(sources[2], RpgSource)
    assert (sources[2].purity, sources[2].options) == ("pure", ("SPH", 8))
    assert sources[2].tables == {"rules": tmp_path / "mine.csv"}
    assert config.science()["reference"]["sources"][2]["rules"] == "mine.csv"
    assert Config.model_validate(config.model_dump()).reference == config.reference


def test_unknown_kind_suggests_the_nearest(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "{path: a, kind: bdtop, departments: [31]}")
    assert problem.message == (
        f"reference.sources[0].kind: found 'bdtop', allowed: {', '.join(KINDS)}"
    )
    assert (problem.code, problem.hint) == ("E-CONFIG-VALUE", "did you mean bdtopo?")
    assert problem.where == f"{tmp_path / 'mine.yaml'}:6:23"


def test_kind_that_is_no_word(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "{path: a, kind: [rpg]}")
    assert problem.message.startswith("reference.sources[0].kind: found ['rpg'], allowed: ")


def test_key_of_another_kind_says_whose_it_is(tmp_path: Path) -> None:
    found = refused(
        tmp_path,
        "{path: a, kind: rpg, year: 2018, code_field: CODE}",
        "{path: a, purity: majority}",
        "{path: a, kind: clc, code_feild: CODE_12}",
    )
    assert [(p.code, p.message.split(", allowed")[0], p.hint) for p in found] == [
        (
            "E-CONFIG-KEY",
            "reference.sources[0].code_field: not a key of kind rpg",
            "code_field is a key of kind vector, clc; `kind` of this item is rpg",
        ),
        (
            "E-CONFIG-KEY",
            "reference.sources[1].purity: not a key of kind vector",
            "purity is a key of kind rpg; `kind` of this item is vector",
        ),
        (
            "E-CONFIG-KEY",
            "reference.sources[2].code_feild: unknown key",
            "did you mean code_field?",
        ),
    ]
    assert [str(p.where).split(":", 1)[1] for p in found] == ["6:40", "7:17", "8:28"]


def test_values_are_evaluated_by_the_kind(tmp_path: Path) -> None:
    found = refused(
        tmp_path,
        "{path: a, kind: rpg}",
        "{path: a, kind: rpg, year: 1999, purity: half}",
        "{path: a, kind: bdforet, version: v3, crs: Lambert-93, priority: -1, classes: []}",
        "{kind: randolph}",
        "a.gpkg",
    )
    messages = [problem.message for problem in found]
    assert messages == [
        "reference.sources[0].year: is missing, expected whole number from 2006 to 2100",
        "reference.sources[1].year: found 1999, allowed: whole number from 2006 to 2100",
        "reference.sources[1].purity: found 'half', allowed: pure, majority",
        "reference.sources[2].classes: found [], allowed: list of one or more: whole number "
        "from 1 or null",
        "reference.sources[2].priority: found -1, allowed: whole number from 0 to 99 or null",
        "reference.sources[2].crs: found 'Lambert-93', allowed: a code such as EPSG:2154 or null",
        "reference.sources[2].version: found 'v3', allowed: auto, v1, v2",
        "reference.sources[3].path: is missing, expected path",
        "reference.sources[4]: found 'a.gpkg', allowed: keys with values",
    ]


def test_column_split_goes_with_vector_files_only(tmp_path: Path) -> None:
    path = written(tmp_path, "{path: a}", "{path: b, kind: rpg, year: 2018}")
    with path.open("a", encoding="utf-8") as file:
        file.write("  split: {method: column, column: side}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, (), {})
    (problem,) = caught.value.problems
    assert problem.message.endswith("in every source, which sources of kind rpg do not have")
    assert problem.where == f"{path}:8:19"


def test_schema_for_editors_has_the_kinds() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())

    def holds(source: dict[str, object]) -> bool:
        return validator.is_valid({"extends": "x.yaml", "reference": {"sources": [source]}})

    assert holds({"path": "a"})
    assert holds({"path": "a", "kind": "rpg", "year": 2014})
    assert not holds({"path": "a", "kind": "rpg"})
    assert not holds({"path": "a", "kind": "rgp", "year": 2014})
    assert not holds({"path": "a", "purity": "pure"})


def test_page_and_template_show_every_kind() -> None:
    for kind in KINDS:
        assert f"### `kind: {kind}`" in reference_page()
        assert f"  #   {kind}: " in template()
