"""A year without a single label: everything is learnt from the past, and the run says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from support.two_seasons import write_two_seasons
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.config.check import check_paths
from oso_pipeline.config.loader import load_config
from oso_pipeline.learning.model_file import load_model

pytestmark = pytest.mark.slow

PERENNIAL = "[31, 32, 34, 36, 41, 42, 43, 44, 45, 46, 51, 53, 211, 221, 222]"


def without_labels(folder: Path, world: Path, validation: str) -> Path:
    """Write a configuration all of whose labels are of 2017 and hold in no other year."""
    return write_two_seasons(
        folder,
        world,
        ("  target_sample_size: 400\n", "  target_sample_size: 2000\n  perennial_span_years: 0\n"),
        ("code_field: code, year: 2018", f"code_field: code, classes: {PERENNIAL}, year: 2017"),
        ("label_check: {enabled: false}\n", ""),
        ("validation: {bootstrap: 100}", f"validation: {validation}"),
    )


@pytest.fixture(scope="module")
def finished(two_years: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the run folder and all that the run said."""
    folder = tmp_path_factory.mktemp("finished")
    independent = f"{{bootstrap: 100, independent: {{path: {two_years}/truth/fields.gpkg}}}}"
    run = CliRunner().invoke(app, ["run", str(without_labels(folder, two_years, independent))])
    assert run.exit_code == 0, run.output
    return folder / "run", " ".join((run.output + run.stderr).split())


def test_the_forest_adapts_without_anchors(finished: tuple[Path, str]) -> None:
    model = load_model(finished[0] / "models" / "run0" / "all")
    record = model.adaptation
    assert record is not None
    assert record.gate.adapted
    assert record.anchor_samples == 0
    assert record.target_samples == 2000
    assert record.shift is not None
    assert record.shift.mean_days == pytest.approx(12, abs=8)
    # Without labels of the year guesses of all classes teach, not of the annual ones alone.
    assert {"12", "31", "51"} <= set(record.pseudo_labels)
    assert record.perennial_from_target == ()
    reference = pd.read_parquet(finished[0] / "reference.parquet")
    assert len(reference) == 0
    assert {"polygon_id", "code", "split_0", "bbox"} <= set(reference.columns)


def test_the_run_says_what_evaluates_the_map_and_what_does_not(finished: tuple[Path, str]) -> None:
    run, said = finished
    assert "W-SEASON-NO-LABELS" in said
    assert "nothing evaluates the map but validation.independent" in said
    assert "no label of 2018 is known: no polygon was held out to evaluate the map" in said
    assert "overall accuracy on the independent set" in said
    assert not (run / "validation" / "accuracy.json").exists()
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "No label of 2018 is known" in page
    assert "warning[W-SEASON-NO-LABELS]" in page
    assert "Independent validation" in page
    assert "0 of 2018 with a label that holds for years" in page


def test_the_map_is_a_map(finished: tuple[Path, str]) -> None:
    path = finished[0] / "validation" / "independent" / "accuracy.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["overall_accuracy"]["estimate"] > 0.8
    with rasterio.open(finished[0] / "maps" / "OCS_2018.tif") as found:
        assert len(np.unique(found.read(1))) > 12


def test_what_is_done_is_not_done_again(finished: tuple[Path, str]) -> None:
    run = CliRunner().invoke(app, ["run", str(finished[0].parent / "two.yaml")])
    assert run.exit_code == 0, run.output
    assert "nothing had to be redone" in run.output
    status = CliRunner().invoke(app, ["status", str(finished[0])])
    assert status.exit_code == 0, status.output


def test_folds_have_nothing_to_evaluate_and_the_warning_names_a_way_out(
    two_years: Path, tmp_path: Path
) -> None:
    config = without_labels(tmp_path, two_years, "{folds: 2}")
    (warning,) = check_paths(load_config(config)).warnings
    assert warning.code == "W-SEASON-NO-LABELS"
    assert "unless validation.independent names a set" in warning.message
    assert "evaluate-adaptation --hide all" in str(warning)
    run = CliRunner().invoke(app, ["run", str(config)])
    assert run.exit_code == 0, run.output
    assert "no polygon was held out" in run.output
    assert "overall accuracy" not in run.output
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "validation.independent" in page
