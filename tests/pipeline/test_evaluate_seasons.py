"""``oso evaluate-adaptation`` on the configuration of a run, from images to tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import Result
from support.two_seasons import write_two_seasons
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.errors import OsoError
from oso_pipeline.simulation import PastYear, WorldSpec, simulate

pytestmark = pytest.mark.slow

QUICK = ("--seeds", "1", "--methods", "student")


@pytest.fixture(scope="module")
def fields_of_two_years(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a world of many small fields: the gate needs more than a handful of each class."""
    folder = tmp_path_factory.mktemp("pair") / "world"
    simulate(folder, WorldSpec(size_px=128, field_area_m2=2_000.0, past=PastYear()))
    return folder


def evaluate(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["evaluate-adaptation", str(config), *arguments])


def results(config: Path) -> dict[str, Any]:
    """Return the one setting that an evaluation wrote."""
    folder = config.parent / "run" / "evaluation"
    content = json.loads((folder / "adaptation.json").read_text(encoding="utf-8"))
    (setting,) = content["settings"]
    return dict(setting)


def made(config: Path) -> dict[str, tuple[int, int]]:
    """Return inode and time of every committed file of the seasons."""
    seasons = config.parent / "run" / "evaluation" / "seasons"
    found = {path: path.stat() for path in seasons.rglob("*.parquet")}
    return {str(path): (one.st_ino, one.st_mtime_ns) for path, one in found.items()}


@pytest.fixture(scope="module")
def evaluated(
    fields_of_two_years: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    config = write_two_seasons(
        tmp_path_factory.mktemp("evaluated"),
        fields_of_two_years,
        ("target_sample_size: 400", "target_sample_size: 1000"),
    )
    run = evaluate(config, *QUICK)
    assert run.exit_code == 0, run.output
    return config, run


def test_a_pair_of_years_is_evaluated_and_all_is_written(evaluated: tuple[Path, Result]) -> None:
    config, run = evaluated
    folder = config.parent / "run" / "evaluation"
    setting = results(config)
    assert setting["name"] == "all: 2017 -> 2018"
    assert set(setting["methods"]) == {"student", "student, no label"}
    student = setting["methods"]["student"]
    gain = student["adapted"]
    assert student["scores"]["overall"] - setting["baseline"]["overall"] == pytest.approx(
        gain["overall"], abs=0.001
    )
    assert gain["interval"]["low"] <= gain["overall"] <= gain["interval"]["high"]
    assert 0 < gain["mcnemar"]["p_value"] <= 1
    assert gain["mcnemar"]["better"] + gain["mcnemar"]["worse"] > 0
    assert setting["upper_bound"]["overall"] >= setting["baseline"]["overall"] - 2
    assert all(part["adapts"] for part in student["gates"][0])  # the seasons are 12 days apart
    page = (folder / "adaptation.md").read_text(encoding="utf-8")
    for text in ("| student |", "upper bound", "past years' forest (none)", "McNemar"):
        assert text in page
        assert text in run.output
    classes = pd.read_csv(folder / "adaptation_classes.csv")
    assert {"summer crops", "winter crops"} <= set(classes["class"])
    for name in ("adaptation.json", "adaptation.md", "adaptation_classes.csv"):
        assert read_sidecar(folder / name) is not None


def test_samples_of_the_seasons_are_drawn_once(evaluated: tuple[Path, Result]) -> None:
    config, _ = evaluated
    before = made(config)
    assert any("/2017/samples/" in name for name in before)
    assert any("/2018/samples/" in name for name in before)
    run = evaluate(config, *QUICK, "--hide", "all")
    assert run.exit_code == 0, run.output
    assert made(config) == before
    assert set(results(config)["methods"]) == {"student, no label"}


def test_a_placebo_stays_off(evaluated: tuple[Path, Result]) -> None:
    config, _ = evaluated
    before = made(config)
    run = evaluate(config, *QUICK, "--placebo")
    assert run.exit_code == 0, run.output
    assert made(config) == before
    setting = results(config)
    assert setting["kind"] == "placebo"
    for method in setting["methods"].values():
        assert not any(part["adapts"] for part in method["gates"][0])
        assert method["gated"]["overall"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("--target-year", "2016"), "E-ADAPT-YEAR", 3),
        (("--source-years", "2015"), "E-ADAPT-YEAR", 3),
        (("--source-years", "2018", "--target-year", "2018"), "E-ADAPT-YEAR", 3),
    ],
)
def test_years_that_are_not_there_are_named(
    fields_of_two_years: Path, tmp_path: Path, arguments: tuple[str, ...], code: str, exit_code: int
) -> None:
    error = evaluate(write_two_seasons(tmp_path, fields_of_two_years), *QUICK, *arguments).exception
    assert isinstance(error, OsoError)
    assert int(error.exit_code) == exit_code
    (problem,) = error.problems
    assert problem.code == code
    assert problem.hint
    assert not (tmp_path / "run").exists()  # before any image is read


def test_a_target_without_annual_labels_is_refused_before_any_work(
    fields_of_two_years: Path, tmp_path: Path
) -> None:
    perennial = "code_field: code, classes: [31, 32, 211], year: 2018"
    config = write_two_seasons(
        tmp_path, fields_of_two_years, ("code_field: code, year: 2018", perennial)
    )
    error = evaluate(config, *QUICK).exception
    assert isinstance(error, OsoError)
    assert int(error.exit_code) == 4
    (problem,) = error.problems
    assert problem.code == "E-ADAPT-LABELS"
    assert "2018 has no label of an annual class" in problem.message
    assert not (tmp_path / "run").exists()


def test_a_target_without_any_label_is_refused_before_any_work(
    fields_of_two_years: Path, tmp_path: Path
) -> None:
    config = write_two_seasons(
        tmp_path,
        fields_of_two_years,
        ("code_field: code, year: 2018", "code_field: code, year: 2017"),
        ("  target_sample_size: 400\n", "  perennial_span_years: 0\n"),
    )
    error = evaluate(config, *QUICK).exception
    assert isinstance(error, OsoError)
    (problem,) = error.problems
    assert problem.code == "E-ADAPT-YEAR"
    assert "labels that hold in 2018" in problem.message
    assert not (tmp_path / "run").exists()


def test_a_configuration_without_past_seasons_is_refused(
    fields_of_two_years: Path, tmp_path: Path
) -> None:
    config = write_two_seasons(tmp_path, fields_of_two_years)
    error = evaluate(config, *QUICK, "--set", "adaptation=null").exception
    assert isinstance(error, OsoError)
    (problem,) = error.problems
    assert problem.code == "E-ADAPT-SOURCES"
