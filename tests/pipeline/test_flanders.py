"""Real Sentinel-2 pixels and parcels, from products to report.

The data hold few parcels of few classes: these figures show that the chain works on real
pixels, not how well it maps a country.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.pipeline_tools import overall_accuracy
from typer.testing import CliRunner

from oso_pipeline.cli import app

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.mark.slow
@pytest.mark.parametrize(("year", "floor"), [(2018, 0.93), (2019, 0.85)])
def test_accuracy_by_whole_parcels(
    shared_data: Path, tmp_path: Path, year: int, floor: float
) -> None:
    config = CONFIGS / f"flanders_{year}.yaml"
    arguments = ["run", str(config), "--set", f"run_dir={tmp_path / 'run'}"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert overall_accuracy(tmp_path / "run") >= floor
    accuracy = json.loads((tmp_path / "run" / "validation" / "accuracy.json").read_text())
    tested = [code for code, values in accuracy["classes"].items() if values["polygons"]]
    assert len(tested) == 3
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
