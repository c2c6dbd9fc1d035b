"""The file of an experiment: all mistakes at once, each with its place."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML
from support.minimal_config import MINIMAL_YAML

import oso_pipeline
from oso_pipeline.config.experiment import (
    experiment_of,
    is_experiment,
    load_experiment,
    node_of,
)
from oso_pipeline.config.schema import experiment_schema_text
from oso_pipeline.core.errors import ConfigError, Problems

ROOT = Path(oso_pipeline.__file__).resolve().parents[1]
GOOD = """\
base: base.yaml
price_per_core_hour: 0.05
variants:
  - name: as_it_is
  - name: few_trees
    set: {learning.n_trees: 10}
  - name: until_July
    set:
      imagery.as_of: 2018-07-01
      reference.sources.0.path: other.gpkg
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "base.yaml").write_text(MINIMAL_YAML)
    return tmp_path / "deep"


def written(folder: Path, text: str) -> Path:
    path = folder / "trees.yaml"
    path.write_text(text)
    return path


def found(path: Path) -> dict[str, str]:
    """Return the messages of a refusal by their place in the file."""
    with pytest.raises(ConfigError) as caught:
        load_experiment(path, {})
    return {
        str(one.where).removeprefix(f"{path.parent}/"): f"{one.code} {one.message}"
        for one in caught.value.problems
    }


def test_variants_are_the_base_with_their_settings(folder: Path) -> None:
    loaded = load_experiment(written(folder, GOOD), {})
    assert (loaded.name, loaded.price) == ("trees", 0.05)
    assert loaded.folder == folder / "runs" / "base" / "evaluation" / "experiments" / "trees"
    plain, few, july = loaded.variants
    assert [one.name for one in loaded.variants] == ["as_it_is", "few_trees", "until_July"]
    assert [one.config.run_dir for one in loaded.variants] == [
        loaded.folder / one.name for one in loaded.variants
    ]
    assert few.config.learning.n_trees == 10 != plain.config.learning.n_trees
    assert str(july.config.imagery.as_of) == "2018-07-01"
    assert july.config.reference.sources[0].path == folder / "other.gpkg"
    assert few.settings == {"learning.n_trees": 10}


def test_what_is_in_no_file_is_checked_alike(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    variants = [
        {"name": "a", "set": {"learning.n_trees": 10}},
        {"name": "b", "set": {"reference.sources.0.path": Path("here.gpkg")}},
    ]
    content = {"base": "deep/base.yaml", "variants": variants}
    loaded = experiment_of(node_of(content, "variants"), "mine", Problems(), {})
    assert loaded.variants[1].config.reference.sources[0].path == folder.parent / "here.gpkg"
    variants[1]["set"] = {"learning.n_tree": 5}
    with pytest.raises(ConfigError, match=r"variant b: learning.n_tree: unknown key"):
        experiment_of(node_of(content, "variants"), "mine", Problems(), {})


def test_all_mistakes_are_told_at_once_with_their_places(folder: Path) -> None:
    path = written(
        folder,
        """\
base: base.yaml
colour: red
price_per_core_hour: -1
variants:
  - name: few
    set: {learning.n_tree: 10}
  - name: Few
    set: {learning.n_trees: many}
  - name: same
    set: {seed: 5}
  - name: same_again
    set: {seed: 5}
  - name: elsewhere
    set: {run_dir: /tmp/x, seed: 6}
  - set: {seed: 7}
""",
    )
    told = found(path)
    assert told["trees.yaml:2:1"] == "E-CONFIG-KEY colour: unknown key"
    assert told["trees.yaml:3:22"].startswith("E-CONFIG-VALUE price_per_core_hour: found -1; ")
    assert "variant few: learning.n_tree: unknown key" in told["trees.yaml:6:28"]
    assert "two variants are called Few" in told["trees.yaml:7:11"]
    assert "variant Few: learning.n_trees: found 'many'" in told["trees.yaml:8:29"]
    assert "variants same and same_again have the same" in told["trees.yaml:11:5"]
    assert told["trees.yaml:14:20"].startswith("E-EXPERIMENT-KEY variant elsewhere: run_dir")
    assert told["trees.yaml:15:5"] == "E-CONFIG-VALUE variants[5].name: is missing"
    assert len(told) == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: none.yaml\nvariants: [{name: a}, {name: b}]", "base: there is no file"),
        ("base: base.yaml\nvariants: [{name: a}]", "variants: found 1 of at least 2"),
        ("variants: [{name: a}, {name: b, set: {seed: 9}}]", "base: is missing"),
        ("base: base.yaml\nvariants: [{name: a/b}, {name: b, set: {seed: 9}}]", "variants[0].name"),
        ("base: base.yaml\nvariants: [{name: a}, {name: b}]", "variants a and b have the same"),
        ("base: base.yaml\nvariants: [{name: a, set: [seed=1]}, {name: b}]", "variants[0].set"),
        ("base: [", "not valid YAML"),
    ],
)
def test_each_mistake_is_named(folder: Path, text: str, message: str) -> None:
    (told,) = found(written(folder, text)).values()
    assert message in told


def test_mistakes_of_the_base_are_told_once_and_a_variant_may_mend_them(folder: Path) -> None:
    (folder / "base.yaml").write_text(MINIMAL_YAML + "seed: many\n")
    few = "variants: [{name: a}, {name: b, set: {learning.n_trees: 5}}]"
    (where, told), *others = found(written(folder, f"base: base.yaml\n{few}")).items()
    assert (where, others) == ("base.yaml:5:7", [])
    assert told.startswith("E-CONFIG-VALUE seed: found 'many'")
    mended = "variants: [{name: a, set: {seed: 9}}, {name: b, set: {seed: 2}}]"
    assert len(load_experiment(written(folder, f"base: base.yaml\n{mended}"), {}).variants) == 2


def test_an_experiment_is_told_from_a_run(folder: Path) -> None:
    assert is_experiment(written(folder, GOOD))
    assert not is_experiment(folder / "base.yaml")
    assert not is_experiment(folder / "none.yaml")


def test_the_schema_is_up_to_date_and_accepts_what_is_loaded() -> None:
    text = (ROOT / "configs" / "experiment_schema.json").read_text("utf-8")
    assert text == experiment_schema_text(), "run `make schema`"
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    content = YAML(typ="safe").load(GOOD.replace("2018-07-01", '"2018-07-01"'))
    jsonschema.validate(content, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "colour": "red"}, schema)
