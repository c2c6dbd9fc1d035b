"""The command on tables of series: what it writes, and what it says of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.evaluated_table import DAYS, YAML, changed, table
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.errors import ConfigError, InputDataError, OsoError
from oso_pipeline.studies.adaptation.description import load_evaluation
from oso_pipeline.studies.adaptation.table_reader import read_seasons


@pytest.fixture
def described(tmp_path: Path) -> Path:
    table().to_parquet(tmp_path / "table.parquet")
    path = tmp_path / "pair.yaml"
    path.write_text(YAML, encoding="utf-8")
    return path


def codes_of(path: Path) -> set[str]:
    with pytest.raises(OsoError) as caught:
        read_seasons(load_evaluation(path))
    return {problem.code for problem in caught.value.problems}


def test_gaps_are_filled_as_numpy_would(described: Path) -> None:
    frame = table()
    frame.loc[0, ["n33", "n65"]] = np.nan
    frame.to_parquet(described.parent / "table.parquet")
    seasons, rule = read_seasons(load_evaluation(described))
    known = frame.loc[0, ["n1", "n97", "n129"]].to_numpy(float)
    whole = np.rint(known * 10_000)
    expected = np.rint(np.interp(DAYS, (1, 97, 129), whole))
    assert np.abs(seasons[2016].features[0] - expected).max() <= 1
    assert set(rule.classes.values()) == {"wheat", "maize", "woody"}
    assert [rule.classes[code] for code in rule.perennial] == ["woody"]


def test_npz_and_parquet_give_the_same_seasons(described: Path) -> None:
    frame = table()
    np.savez(
        described.parent / "table.npz",
        X=frame[[f"n{day}" for day in DAYS]].to_numpy()[:, :, None],
        dates=np.array(DAYS),
        **{name: frame[name].to_numpy().astype(str) for name in ("crop", "year", "field")},
    )
    first, _ = read_seasons(load_evaluation(described))
    changed(described, "kind: parquet\n  path: table.parquet", "kind: npz\n  path: table.npz")
    second, _ = read_seasons(load_evaluation(changed(described, '  bands: {NDVI: "n{day}"}\n', "")))
    assert np.array_equal(first[2018].features, second[2018].features)
    assert np.array_equal(first[2018].labels, second[2018].labels)


def test_the_command_prints_and_commits_its_tables(described: Path) -> None:
    arguments = ["evaluate-adaptation", str(described), "--seeds", "1", "--methods", "student"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    folder = described.parent / "out" / "evaluation"
    content = json.loads((folder / "adaptation.json").read_text(encoding="utf-8"))
    (setting,) = content["settings"]
    assert set(setting["methods"]) == {"student", "student, no label"}
    assert read_sidecar(folder / "adaptation.json") is not None
    classes = pd.read_csv(folder / "adaptation_classes.csv")
    assert set(classes["class"]) == {"wheat", "maize", "woody"}
    assert "upper bound" in result.output


def test_hiding_all_labels_leaves_what_needs_none(described: Path) -> None:
    arguments = ["evaluate-adaptation", str(described), "--seeds", "1", "--hide", "all"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    text = (described.parent / "out/evaluation/adaptation.json").read_text(encoding="utf-8")
    (setting,) = json.loads(text)["settings"]
    assert set(setting["methods"]) == {"jitter", "aligned", "student, no label"}


def test_a_placebo_needs_one_season(described: Path) -> None:
    arguments = ["evaluate-adaptation", str(described), "--seeds", "1", "--placebo"]
    result = CliRunner().invoke(app, [*arguments, "--methods", "student"])
    assert result.exit_code == 0, result.output
    assert "placebo 2018" in result.output


def test_seasons_of_different_sensors_are_distinguished(described: Path) -> None:
    frame = table()
    for day in DAYS:
        frame[f"red{day}"] = np.where(frame["year"] == "2016", 0.05, np.nan)
    frame.to_parquet(described.parent / "table.parquet")
    changed(described, '{NDVI: "n{day}"}', '{NDVI: "n{day}", B4: "red{day}"}')
    with pytest.raises(InputDataError, match="2018 has none of B4; they are of different sensors"):
        read_seasons(load_evaluation(described))


def test_seasons_without_common_dates_are_not_made_up(described: Path) -> None:
    frame = table()
    early = frame["year"] == "2016"
    frame.loc[early, ["n97", "n129"]] = np.nan
    frame.loc[~early, ["n1", "n33"]] = np.nan
    frame.to_parquet(described.parent / "table.parquet")
    with pytest.raises(
        InputDataError, match=r"1 days of the season have values in every year"
    ) as e:
        read_seasons(load_evaluation(described))
    assert "2016 1, 33, 65; 2018 65, 97, 129" in str(e.value)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("label: crop", "label: culture", "E-TABLE-COLUMN"),
        ("n{day}", "x{day}", "E-ADAPT-DATES"),
        ("sources: [2016]", "sources: [2015]", "E-ADAPT-YEAR"),
        ("orchard: woody", "vineyard: woody", "E-ADAPT-LABELS"),
        ("season: year", "season: year\n  scale: 1000000", "E-ADAPT-VALUES"),
        ("path: table.parquet", "path: absent.parquet", "E-TABLE-READ"),
    ],
)
def test_bad_tables_are_named(described: Path, old: str, new: str, code: str) -> None:
    assert code in codes_of(changed(described, old, new))


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("target: 2018", "target: 2016", None),
        ("target: 2018", "target: soon", 11),
        ("perennial: [woody]", "perennial: [forest]", None),
        ("season: year", "seasons: year", 5),
    ],
)
def test_bad_descriptions_are_located(
    described: Path, old: str, new: str, line: int | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_evaluation(changed(described, old, new))
    places = [problem.where for problem in caught.value.problems]
    assert any(place is not None and f":{line or 1}:" in place for place in places)


def test_other_nomenclature_is_an_error_with_exit_code(described: Path) -> None:
    frame = table()
    frame["crop"] = frame["crop"].where(frame["year"] == "2016", "code " + frame["crop"])
    frame.to_parquet(described.parent / "table.parquet")
    with pytest.raises(InputDataError):
        read_seasons(load_evaluation(described))


@pytest.mark.parametrize("arguments", [["--methods", "coral"], ["--source-years", "16"]])
def test_unknown_methods_and_years_are_usage_errors(described: Path, arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["evaluate-adaptation", str(described), *arguments])
    assert result.exit_code == 2
