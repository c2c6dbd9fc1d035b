"""The loader: layers, positions, all problems at once (matrix rows 55-58, 60 and 63)."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from support.config_files import GOOD, load, refused, write

from oso_pipeline.config.describe import path_keys
from oso_pipeline.config.learning import LearnerSettings
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import Config
from oso_pipeline.config.nodes import MAX_ALIASES, parse_yaml, scalar
from oso_pipeline.config.reference import Source
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.plugins import built_in
from oso_pipeline.learners.mean.settings import MeanSettings


def test_defaults_name_and_run_folder_follow_from_the_file(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD))
    assert (config.name, config.run_dir) == ("mine", tmp_path / "runs" / "mine")
    assert config.season.start == date(2018, 1, 1)
    assert config.imagery.tiles == ("31TCJ", "31TDJ")  # row 60
    assert config.imagery.paths == (tmp_path / "products",)
    assert config.learning.n_trees == 100


def test_row_55_typo_names_position_and_nearest_key(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "learnig_rate: 3\nlearning:\n  n_tree: 50\n")
    first, second = sorted(refused(path), key=lambda problem: str(problem.where))
    assert first.code == second.code == "E-CONFIG-KEY"
    assert first.where == f"{path}:11:1"
    assert second.where == f"{path}:13:3"
    expected = "learning.n_tree: unknown key, allowed: kind, model, freeze, n_trees, "
    assert second.message.startswith(expected)
    assert second.hint == "did you mean n_trees?"


def test_row_55_key_of_another_section_is_pointed_to(tmp_path: Path) -> None:
    (problem,) = refused(write(tmp_path, GOOD + "n_trees: 3\n"))
    assert problem.hint == "did you mean learning.n_trees?"


def test_row_56_duplicate_key(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "learning:\n  n_trees: 5\n  n_trees: 6\n")
    (problem,) = refused(path)
    assert (problem.code, problem.where) == ("E-CONFIG-YAML", f"{path}:13:3")
    assert "stands twice, first at line 12" in problem.message


def test_row_56_words_and_numbers_of_yaml_1_2(tmp_path: Path) -> None:
    more = "      code_field: NO\n      layer: on\nvalidation: {bootstrap: 1e3}\n"
    config = load(write(tmp_path, GOOD + more))
    assert config.reference.sources[0].code_field == "NO"
    assert config.reference.sources[0].layer == "on"
    assert config.validation.bootstrap == 1000


@pytest.mark.parametrize("text", ["2018-13-01", "2018-02-30", "20180101", "2018-01-01T12:00:00"])
def test_row_56_impossible_dates(tmp_path: Path, text: str) -> None:
    (problem,) = refused(write(tmp_path, GOOD.replace("2018-01-01", text)))
    assert problem.message == f"season.start: found {scalar(text)!r}, allowed: date YYYY-MM-DD"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: !!python/object:os.system x\n", "tags are not allowed"),
        ("a: [1\nb: 2\n", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("a: *nowhere\n", "has no anchor"),
        ("a: \x07\n", "not valid YAML"),
        ("- a\n- b\n", "expected keys with values"),
        ("? [a]\n: 1\n", "a key must be a single word"),
        ("a: &x 1\nb: [" + "*x, " * (MAX_ALIASES + 1) + "]\n", "aliases"),
        ("a: " + "[" * 40 + "]" * 40 + "\n", "nested deeper"),
        ("a: '" + "x" * 1_000_001 + "'\n", "larger than"),
        (
            "a0: &a0 [1]\n"
            + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 25)),
            "once aliases are written out",
        ),
    ],
)
def test_row_56_yaml_that_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    problem = refused(path)[0]
    assert problem.code == "E-CONFIG-YAML"
    assert words in problem.message
    assert str(problem.where).startswith(str(path))


def test_few_aliases_serve(tmp_path: Path) -> None:
    text = GOOD.replace("start: 2018-01-01", "start: &day 2018-01-01")
    config = load(write(tmp_path, text + "      layer: *day\n"))
    assert config.reference.sources[0].layer == "2018-01-01"


def test_row_57_all_impossible_values_at_once_with_what_is_allowed(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
year: 3018
season: {start: 2018-12-31, end: 2018-01-01, step_days: 0}
imagery: {paths: a, tiles: [31TCJ, 31TXX], bands: [B2, B9], clear: [1, 9]}
reference: {sources: [{layer: x}]}
learning: {n_trees: -1, max_features: 3}
validation: {runs: 3, folds: 5}
map: {epsg: "2154", resolution_m: .nan, allow_partial: yes}
sampling: {max_train_pixels: 1.5, min_validity: true}
""",
    )
    found = {(p.message.split(":")[0], p.code, str(p.where)) for p in refused(path)}
    assert found == {
        (key, code, f"{path}:{place}")
        for key, code, place in [
            ("year", "E-CONFIG-VALUE", "1:7"),
            ("season.step_days", "E-CONFIG-VALUE", "2:57"),
            ("season", "E-CONFIG-VALUE", "2:9"),
            ("imagery.paths", "E-CONFIG-VALUE", "3:18"),
            ("imagery.tiles[1]", "E-TILE-NAME", "3:36"),
            ("imagery.bands[1]", "E-CONFIG-VALUE", "3:56"),
            ("imagery.clear[1]", "E-CONFIG-VALUE", "3:72"),
            ("reference.sources[0].path", "E-CONFIG-VALUE", "4:23"),
            ("learning.n_trees", "E-CONFIG-VALUE", "5:21"),
            ("learning.max_features", "E-CONFIG-VALUE", "5:39"),
            ("validation", "E-CONFIG-VALUE", "6:13"),
            ("map.epsg", "E-CONFIG-VALUE", "7:13"),
            ("map.resolution_m", "E-CONFIG-VALUE", "7:35"),
            ("map.allow_partial", "E-CONFIG-VALUE", "7:56"),
            ("sampling.max_train_pixels", "E-CONFIG-VALUE", "8:30"),
            ("sampling.min_validity", "E-CONFIG-VALUE", "8:49"),
        ]
    }
    messages = "\n".join(problem.message for problem in refused(path))
    assert "year: found 3018, allowed: whole number from 2015 to 2100" in messages
    assert "learning.n_trees: found -1, allowed: whole number from 1 to 2000" in messages
    assert "end 2018-01-01 must lie after start 2018-12-31" in messages
    assert "found 'a', allowed: list of one or more: path" in messages


def test_row_57_missing_keys(tmp_path: Path) -> None:
    messages = [problem.message for problem in refused(write(tmp_path, ""))]
    assert [message.split(":")[0] for message in messages] == [
        "year",
        "season",
        "imagery",
        "reference",
    ]


def test_row_57_index_without_its_bands(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("[products]", "[products]\n  bands: [B4, B8]"))
    (problem,) = refused(path)
    assert problem.message == "features.indices: NDWI needs B11 in imagery.bands"


def test_extends_merges_mappings_replaces_lists_and_resolves_paths_where_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "base" / "deep").mkdir(parents=True)
    write(tmp_path / "base" / "deep", GOOD, "first.yaml")
    write(
        tmp_path / "base",
        "extends: deep/first.yaml\nlearning: {n_trees: 7, max_depth: 9}\nnomenclature: own.csv\n",
        "second.yaml",
    )
    path = write(
        tmp_path,
        "extends: base/second.yaml\nlearning: {n_trees: 8}\nimagery: {tiles: [31UDS]}\n",
    )
    config = load(path)
    assert (config.learning.n_trees, config.learning.max_depth) == (8, 9)
    assert config.imagery.tiles == ("31UDS",)
    assert config.imagery.paths == (tmp_path / "base" / "deep" / "products",)
    assert config.nomenclature == str(tmp_path / "base" / "own.csv")
    assert config.run_dir == tmp_path / "runs" / "mine"
    assert config.science()["nomenclature"] == "own.csv"


def test_error_in_an_extended_file_is_placed_there(tmp_path: Path) -> None:
    base = write(tmp_path, GOOD.replace("year: 2018", "year: 1018"), "base.yaml")
    (problem,) = refused(write(tmp_path, "extends: base.yaml\n"))
    assert problem.where == f"{base}:1:7"


def test_extends_cycle_missing_file_and_wrong_type(tmp_path: Path) -> None:
    write(tmp_path, "extends: mine.yaml\n" + GOOD, "other.yaml")
    (problem,) = refused(write(tmp_path, "extends: other.yaml\n"))
    assert "mine.yaml -> other.yaml -> mine.yaml" in problem.message
    (problem,) = refused(write(tmp_path, "extends: nowhere.yaml\n" + GOOD))
    assert (problem.code, str(tmp_path / "nowhere.yaml") in problem.message) == (
        "E-PATH-MISSING",
        True,
    )
    (problem,) = refused(write(tmp_path, "extends: [a]\n" + GOOD))
    assert problem.message.startswith("extends: found")


def test_environment_and_options_win_in_that_order(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "learning: {n_trees: 5, max_depth: 5, min_samples_leaf: 5}\n")
    environ = {"OSO_LEARNING__N_TREES": "6", "oso_learning__Max_Depth": "6", "OSO_SEED": "4"}
    config = load(
        path,
        "learning.n_trees=7",
        "imagery.tiles=[31UDS]",
        "reference.sources.0.code_field=crop",
        "strata={path: s.gpkg, field: f}",
        **environ,
        OSO_NOTEBOOK_FOLDER="of another program",
    )
    assert (config.learning.n_trees, config.learning.max_depth) == (7, 6)
    assert (config.learning.min_samples_leaf, config.seed) == (5, 4)
    assert config.imagery.tiles == ("31UDS",)
    assert config.reference.sources[0].code_field == "crop"
    assert config.strata is not None
    assert config.strata.path == Path.cwd() / "s.gpkg"


def test_problems_of_environment_and_options_name_them(tmp_path: Path) -> None:
    found = refused(
        write(tmp_path, GOOD),
        "learning.max_dept=3",
        "seed",
        "year=[1",
        OSO_SEED="many",
        OSO_LEARNING__N_TREE="3",
    )
    assert {(str(problem.where), problem.hint) for problem in found} == {
        ("--set learning.max_dept=3", "did you mean max_depth?"),
        ("--set seed", "write for example --set learning.n_trees=50"),
        ("--set year=[1", None),
        ("environment OSO_SEED", None),
        ("environment OSO_LEARNING__N_TREE", "did you mean n_trees?"),
    }


def test_row_58_home_and_variables_are_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = write(tmp_path, GOOD.replace("[products]", "[~/p, $DATA/p, '${DATA}2', /abs/p]"))
    config = load(path, DATA="/data")
    home = tmp_path / "home" / "p"
    assert config.imagery.paths == (home, Path("/data/p"), Path("/data2"), Path("/abs/p"))


def test_row_58_undefined_variable_and_unreadable_file(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("[products]", "[$OSO_NOWHERE_SET/p]"))
    (problem,) = refused(path)
    assert (problem.code, problem.where) == ("E-PATH-VARIABLE", f"{path}:6:11")
    assert "OSO_NOWHERE_SET, which is not defined" in problem.message
    (problem,) = refused(tmp_path / "none.yaml")
    assert (problem.code, problem.where) == ("E-PATH-READ", str(tmp_path / "none.yaml"))
    (problem,) = refused(tmp_path)
    assert "is a folder" in problem.message


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [("''", "E-PATH-NAME", "is not a path"), ('"a\\0b"', "E-CONFIG-YAML", "which no path")],
)
def test_row_58_what_cannot_be_a_path(tmp_path: Path, text: str, code: str, words: str) -> None:
    (problem,) = refused(write(tmp_path, GOOD + f"run_dir: {text}\n"))
    assert (problem.code, words in problem.message) == (code, True)


def test_every_path_of_the_models_is_resolved() -> None:
    # The models hold the classes that all kinds of sources and of learners derive from.
    learners = [plugin.settings for plugin in built_in("learners")]
    learners.remove(MeanSettings)  # a member of a mean is no mean
    kinds = {
        Source: [plugin.settings for plugin in built_in("sources")],
        LearnerSettings: learners,
    }

    def found(kind: Any) -> int:
        if kind in kinds:
            return sum(map(found, kinds[kind]))
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return sum(found(field.annotation) for field in kind.model_fields.values())
        return (kind is Path) + sum(map(found, get_args(kind)))

    assert len(path_keys()) == found(Config) + found(MeanSettings)
    assert ("reference", "sources", "[rpg]", "rules") in path_keys()
    assert ("imagery", "paths", "*") in path_keys()
    assert ("runtime", "cluster", "[pilot]", "tls") in path_keys()


def test_a_path_of_one_kind_is_a_text_of_another(tmp_path: Path) -> None:
    sources = "[{path: a.gpkg, layer: $x}, {kind: rpg, path: b, year: 2018, rules: my.yaml}]"
    path = write(tmp_path, GOOD[: GOOD.index("  sources:")] + f"  sources: {sources}\n")
    first, second = load_config(path).reference.sources
    assert (first.layer, first.path) == ("$x", tmp_path / "a.gpkg")
    assert second.rules == tmp_path / "my.yaml"


def test_row_63_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(path).year == 2018
    path.write_bytes(b"\xef\xbb\xbf" + (GOOD + "foo: 1\n").replace("\n", "\r\n").encode())
    assert refused(path)[0].where == f"{path}:11:1"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_row_63_other_encodings_are_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "other.yaml"
    path.write_bytes(("# été\n" + GOOD if encoding == "latin-1" else GOOD).encode(encoding))
    (problem,) = refused(path)
    assert (problem.code, problem.hint) == ("E-TEXT-ENCODING", "save it as UTF-8")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"), ("yes", "yes"), ("null", None), ("~", None), ("True", True), ("0o17", 15),
        ("017", 17), ("0x1F", 31), ("1e3", 1000), ("-.5", -0.5), ("1_000", "1_000"),
        ("12:30:00", "12:30:00"), ("2018-01-01", "2018-01-01"), ("1.", 1), ("+12", 12),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


@given(st.text(max_size=60))
def test_no_text_ends_in_a_traceback(text: str) -> None:
    problems = Problems()
    node = parse_yaml(text, "x", Path(os.curdir), problems)
    assert node is not None or problems.errors


def test_2_19_the_id_of_a_run_is_that_of_its_settings(tmp_path: Path) -> None:
    """Places do not count, nor does how the work is run; settings and the two names do."""
    own = "nomenclature: %s\nstrata: {path: %s, field: region}\n"
    first = load(write(tmp_path, GOOD + own % ("own.csv", "regions.gpkg")))
    (tmp_path / "there").mkdir()
    moved = GOOD.replace("[products]", "[images, more]").replace("parcels", "deep/er/parcels")
    second = load(
        write(tmp_path / "there", moved + own % ("deep/own.csv", "r.gpkg"), "renamed.yaml"),
        "runtime.workers=3",
        "run_dir=elsewhere",
        "validation.bootstrap=200",
    )
    assert first.run_id == second.run_id
    changes = ["seed=1", "nomenclature=oso23", "map.resolution_m=20", "strata.field=other"]
    changes += ["nomenclature=mine.csv", "reference.sources.0.path=other.gpkg"]
    ids = {load(tmp_path / "mine.yaml", change).run_id for change in changes}
    assert len({first.run_id, *ids}) == 1 + len(changes)


@pytest.mark.parametrize("epsg", ["0", "-1", "4326", "5720", "2263", "1" + "0" * 28])
def test_row_57_a_map_in_no_projected_system_in_metres(tmp_path: Path, epsg: str) -> None:
    path = write(tmp_path, GOOD + f"map:\n  epsg: {epsg}\n")
    (problem,) = refused(path)
    assert (problem.code, problem.where) == ("E-CONFIG-VALUE", f"{path}:12:9")
    for word in ("map.epsg", epsg, "allowed"):
        assert word in problem.message
