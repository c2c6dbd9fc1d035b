"""What is generated from the models is current and valid; the configurations shipped load."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML
from support import ROOT

from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import Config
from oso_pipeline.config.schema import json_schema, reference_page, schema_text, write
from oso_pipeline.config.template import template
from oso_pipeline.core.errors import ConfigError
from oso_pipeline.core.message_codes import REPLACED, current_codes

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
DEMO = ROOT / "oso_pipeline" / "simulation"
BASES = {"flanders.yaml"}
ENVIRON = {"OSO_DATA": "/data"}


def content_of(path: Path) -> dict[str, object]:
    yaml = YAML(typ="rt")
    text = json.dumps(yaml.load(path.read_text(encoding="utf-8")), default=str)
    return json.loads(text)


def test_schema_and_page_are_current(tmp_path: Path) -> None:
    hint = "out of date: run `make schema`"
    assert (ROOT / "configs" / "schema.json").read_text("utf-8") == schema_text(), hint
    assert (ROOT / "docs" / "config.md").read_text("utf-8") == reference_page(), hint
    (tmp_path / "configs").mkdir()
    (tmp_path / "docs").mkdir()
    for path in write(tmp_path):
        assert path.read_bytes() == (ROOT / path.relative_to(tmp_path)).read_bytes()


def test_schema_is_a_schema_and_refuses_what_the_loader_refuses() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    good = content_of(DEMO / "demo.yaml")
    validator = jsonschema.Draft202012Validator(json_schema())
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "learnig": {}})
    assert not validator.is_valid({**good, "year": 3018})
    assert not validator.is_valid({**good, "season": {"start": "2018-01-01"}})
    assert not validator.is_valid({key: good[key] for key in good if key != "reference"})
    assert validator.is_valid({"extends": "demo.yaml", "season": {"step_days": 5}})
    assert not validator.is_valid({"extends": "demo.yaml", "reference": {"sources": [{}]}})


@pytest.mark.parametrize(
    ("smoothing", "accepted"),
    [
        ("linear", True),
        ("whittaker", True),
        ({"kind": "whittaker", "smoothness": 10}, True),
        ("lineer", False),
        ({"kind": "lineer"}, False),
        (3, False),
    ],
)
def test_schema_and_loader_agree_on_a_word_for_smoothing(smoothing: object, accepted: bool) -> None:
    content = content_of(DEMO / "demo.yaml") | {"series": {"smoothing": smoothing}}
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(content) == accepted
    given = f"series.smoothing={json.dumps(smoothing)}"
    try:
        loaded = load_config(DEMO / "demo.yaml", (given,), ENVIRON).series
    except ConfigError:
        assert not accepted
    else:
        assert accepted
        assert loaded is not None


@pytest.mark.parametrize("path", [*CONFIGS, *DEMO.glob("*.yaml")], ids=lambda path: path.name)
def test_shipped_configurations_follow_schema_and_loader(path: Path) -> None:
    content = content_of(path)
    if path.name in BASES:  # a part for others to extend
        content["extends"] = "x.yaml"
        users = [other for other in CONFIGS if f"extends: {path.name}" in other.read_text("utf-8")]
        assert users
    else:
        assert load_config(path, (), ENVIRON).name == path.stem
    jsonschema.Draft202012Validator(json_schema()).validate(content)


def test_the_promised_configurations_are_there() -> None:
    names = {path.stem for path in CONFIGS}
    assert names >= {"regional", "national", "flanders_2018", "flanders_2019"}


def test_the_demo_is_written_once() -> None:
    """`oso demo` copies the configurations of the package; a copy elsewhere would fall behind."""
    assert {path.stem for path in DEMO.glob("*.yaml")} == {"demo", "past_forest", "one_year"}
    assert [path.name for path in CONFIGS if "world/products" in path.read_text("utf-8")] == []


def test_the_demo_compares_with_its_own_forest_of_the_past(tmp_path: Path) -> None:
    for name in ("demo.yaml", "past_forest.yaml"):
        (tmp_path / name).write_bytes((DEMO / name).read_bytes())
    demo = load_config(tmp_path / "demo.yaml", (), {})
    rival = load_config(tmp_path / "past_forest.yaml", (), {})
    assert demo.adaptation is not None
    assert rival.adaptation is not None
    assert (demo.adaptation.method, rival.adaptation.method) == ("student", "none")
    assert rival.adaptation.model_copy(update={"method": "student"}) == demo.adaptation
    for key in (
        "year",
        "season",
        "imagery",
        "features",
        "reference",
        "sampling",
        "learning",
        "map",
    ):
        assert getattr(demo, key) == getattr(rival, key)
    assert demo.validation.independent is not None
    (path,) = demo.validation.independent.compare.values()
    assert path == rival.run_dir / "maps" / "OCS_2018.tif"


def test_national_covers_every_tile_that_alone_sees_land(shared_data: Path) -> None:
    config = load_config(ROOT / "configs" / "national.yaml", (), ENVIRON)
    assert len(config.imagery.tiles) == 89
    with (shared_data / "tiles_france.csv").open(encoding="utf-8") as file:
        alone = {row["tile"] for row in csv.DictReader(file) if float(row["unique_km2"]) > 0}
    assert alone <= set(config.imagery.tiles)
    assert config.nomenclature == "oso17"
    assert config.strata is not None


@pytest.mark.parametrize("year", [2018, 2019])
def test_flanders_seasons_lie_within_the_images(year: int, shared_data: Path) -> None:
    config = load_config(ROOT / "configs" / f"flanders_{year}.yaml", (), {})
    with (shared_data / f"flanders_{year}" / "products.csv").open(encoding="utf-8") as file:
        dates = sorted(row["acquisition_utc"][:10] for row in csv.DictReader(file))
    assert dates[0] < str(config.season.start) < str(config.season.end) < dates[-1]
    assert config.validation.folds == 5


def test_template_loads_as_it_is_and_with_every_key_taken_up(tmp_path: Path) -> None:
    plain = tmp_path / "plain.yaml"
    plain.write_text(template(), encoding="utf-8")
    full = tmp_path / "full.yaml"
    every = re.sub(r"^( *)#(?=[a-z]|- )", r"\1", template(), flags=re.MULTILINE)
    full.write_text(every, encoding="utf-8")
    first, second = load_config(plain, (), {}), load_config(full, (), {})
    assert isinstance(first, Config)
    assert first.learning == second.learning
    assert second.imagery.readers == first.imagery.readers[:1]  # others stand in comments
    assert first.imagery.model_copy(update={"readers": second.imagery.readers}) == second.imagery
    assert first.reference == second.reference
    assert second.strata is not None
    assert set(content_of(full)) == set(Config.model_fields)


def test_page_names_every_key() -> None:
    page = reference_page()
    for definition in json_schema()["$defs"].values():
        for name in definition["properties"]:
            assert f"| `{name}` |" in page


def test_every_code_of_a_message_is_explained() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`(?:[EW]-)?([A-Z]+(?:-[A-Z]+)*)`", page))
    for path in (ROOT / "oso_pipeline").rglob("*.py"):
        for name in re.findall(r"\"[EW]-([A-Z]+(?:-[A-Z]+)*)\"", path.read_text(encoding="utf-8")):
            assert name in explained, f"{path.name}: {name} is not in docs/errors.md"


def test_numbers_of_earlier_versions_are_explained_beside_the_codes_that_replaced_them() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*) \|.*\| ([\d, ]+) \|$", page, re.MULTILINE)
    listed = {
        (code, number)
        for names, numbers in rows
        for code in re.findall(r"`([A-Z-]+)`", names)
        for number in numbers.split(", ")
    }
    for old, new in REPLACED.items():
        kind, number = old.split("-")
        for code in new:
            assert kind == "FAULT" or (code, number) in listed, f"{code} is not beside {number}"
    assert current_codes("E-INPUT-030") == tuple(f"E-{code}" for code in REPLACED["INPUT-030"])
    assert current_codes("W-TILE-NO-IMAGE") == ("W-TILE-NO-IMAGE",)


def test_links_of_the_documentation_lead_somewhere() -> None:
    pages = [*ROOT.glob("docs/*.md"), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
