"""Section ``features``: names of the catalogue and expressions, checked before any work."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import ROOT

from oso_pipeline.config import load_config
from oso_pipeline.core.errors import ConfigError
from oso_pipeline.core.index_catalogue import catalogue_index, catalogue_names, catalogue_title

EVI = "2.5 * (nir - red) / (nir + 6 * red - 7.5 * blue + 1)"
BASE = """
year: 2018
season: {start: 2018-01-01, end: 2018-12-31}
imagery: {paths: [images], tiles: [31TCJ]BANDS}
reference: {sources: [{kind: vector, path: fields.gpkg, code_field: code}]}
features: FEATURES
"""


def write(tmp_path: Path, features: str, bands: str = "") -> Path:
    path = tmp_path / "oso.yaml"
    text = BASE.replace("FEATURES", features).replace("BANDS", f", bands: {bands}" if bands else "")
    path.write_text(text, encoding="utf-8")
    return path


def test_indices_of_the_catalogue_and_expressions_are_features_in_order(tmp_path: Path) -> None:
    text = f"{{indices: [NDVI, EVI2], expressions: {{EVI: '{EVI}', A: B8}}, scales: {{A: 5}}}}"
    features = load_config(write(tmp_path, text)).features
    assert features.index_names == ("NDVI", "EVI2", "EVI", "A")
    assert [(one.name, one.scale) for one in features.defined] == [
        ("EVI2", 1000),
        ("EVI", 1000),
        ("A", 5),
    ]
    assert features.defined[2].formula == "nir"


def test_ids_do_not_change_where_nothing_is_defined_and_do_where_something_is(
    tmp_path: Path,
) -> None:
    plain = load_config(write(tmp_path, "{indices: [NDVI]}"))
    empty = load_config(write(tmp_path, "{indices: [NDVI], expressions: {}}"))
    own = load_config(write(tmp_path, "{indices: [NDVI], expressions: {A: nir}}"))
    other = load_config(write(tmp_path, "{indices: [NDVI], expressions: {A: red}}"))
    assert plain.run_id == empty.run_id
    assert len({plain.run_id, own.run_id, other.run_id}) == 3
    assert "expressions" not in plain.science()["features"]


@pytest.mark.parametrize(
    ("features", "bands", "message"),
    [
        ("{indices: [NDVI, EVI3]}", "", "features.indices[1]: found 'EVI3', allowed: NDVI, NDWI"),
        ("{indices: [NDVI, evi]}", "", "did you mean EVI or"),
        ("{indices: [qqqqqq]}", "", "see docs/features.md"),
        ("{indices: [NDVI, NDVI]}", "", "features.indices: NDVI is named more than once"),
        ("{indices: [EVI], expressions: {EVI: nir}}", "", "EVI is named more than once"),
        ("{expressions: {A: nir + gren}}", "", "unknown band 'gren', did you mean green"),
        ("{expressions: {A: nir / (red - red)}}", "", "(red - red), which is zero everywhere"),
        ("{expressions: {NDVI: nir}}", "", "NDVI is named more than once"),
        ("{indices: [], expressions: {NDVI: nir}}", "", "NDVI is that of an index"),
        ("{expressions: {B8: red}}", "", "B8 is that of a band"),
        ("{expressions: {LAI: red}}", "", "LAI is that of a variable"),
        ("{expressions: {A_B: red}}", "", "letters and digits"),
        ("{expressions: {A: red}, scales: {A: 0}}", "", "features.scales.A: found 0"),
        ("{expressions: {A: red}, scales: {A: 40000}}", "", "features.scales.A: found 40000"),
        ("{expressions: {A: red}, scales: {B: 10}}", "", "features.scales: found B"),
        ("{scales: {NDVI: 10}}", "", "features.scales: found NDVI"),
        ("{indices: [S2REP], scales: {S2REP: 1000}}", "", "S2REP: exceeds int16 at scale 1000"),
        ("{expressions: {A: 3}}", "", "features.expressions.A"),
        ("{expressions: [A]}", "", "features.expressions"),
        ("{indices: [NBR, EVI]}", "[B2, B4, B8]", "features.indices: NBR needs B12 in imagery"),
        ("{indices: [], expressions: {A: red + B2}}", "[B4]", "features.expressions: A needs B2"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    tmp_path: Path, features: str, bands: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, features, bands))
    (problem,) = caught.value.problems
    assert message in problem.message
    assert ":6:" in str(problem.where)


def test_a_name_that_stands_twice_in_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="A"):
        load_config(write(tmp_path, "{expressions: {A: red, A: nir}}"))


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = "{indices: [NDVI, EVI3], expressions: {A: nir +, B: red}, scales: {B: 0}}"
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    found = "\n".join(problem.message for problem in caught.value.problems)
    assert all(word in found for word in ("'EVI3'", "expressions.A", "scales.B: found 0"))


def test_the_page_lists_every_index_of_the_catalogue() -> None:
    page = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
    for name in catalogue_names():
        index = catalogue_index(name)
        row = f"| {name} | {catalogue_title(name)} | `{index.formula}` | {index.scale} |\n"
        assert row in page, name
