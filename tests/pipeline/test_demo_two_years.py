"""The demo maps a year with the labels of the year before, better than the forest of that year."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.warp import Resampling, reproject
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.runtime.reuse import begin_with_preparation
from oso_pipeline.simulation import PastYear, WorldSpec
from oso_pipeline.simulation.demo import prepare_demo

pytestmark = pytest.mark.slow
QUICK = ("--set", "learning.n_trees=40", "--set", "runtime.executor=serial")


@pytest.fixture(scope="module")
def demo(two_years: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo that has run."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "world").symlink_to(two_years)
    configs = prepare_demo(folder, spec=WorldSpec(size_px=128, past=PastYear()))
    for config, until in ((configs.past_forest, "mosaic"), (configs.main, "report")):
        begin_with_preparation(folder / "run_past_forest", folder / "run")
        run = CliRunner().invoke(app, ["run", str(config), "--until", until, *QUICK])
        assert run.exit_code == 0, run.output
    return folder


def agreement(demo: Path, run: str) -> float:
    """Return the share of the pixels of the first tile on which map and truth (OSO 23) agree."""
    with (
        rasterio.open(demo / "world" / "truth" / "30UYD.tif") as truth,
        rasterio.open(demo / run / "maps" / "OCS_2018.tif") as found,
    ):
        classes = np.zeros(truth.shape, np.uint8)
        reproject(
            rasterio.band(found, 1), classes, dst_transform=truth.transform, dst_crs=truth.crs,
            resampling=Resampling.nearest,
        )  # fmt: skip
        right = classes == truth.read(2)
    return float(right[classes > 0].mean())


def test_the_adapted_map_is_nearer_to_the_truth_everywhere(demo: Path) -> None:
    assert agreement(demo, "run") > agreement(demo, "run_past_forest")


def test_the_gain_is_measured_on_fields_that_train_nothing(demo: Path) -> None:
    path = demo / "run" / "validation" / "independent" / "accuracy.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    (other,) = content["compared_maps"]
    assert other["polygons"] > 20
    assert content["excluded"]["points_or_polygons_in_training_polygons"] > 20
    assert other["difference"]["estimate"] > 0


def test_the_record_finds_the_later_season(demo: Path) -> None:
    (path,) = (demo / "run").glob("models/*/*/model.json")
    record = json.loads(path.read_text(encoding="utf-8"))["adaptation"]
    assert record["gate"]["adapted"]
    assert record["shift"]["mean_days"] == pytest.approx(12, abs=8)
    assert {"6", "9", "10"} <= set(record["pseudo_labels"])


def test_the_report_shows_both(demo: Path) -> None:
    page = (demo / "run" / "report.html").read_text(encoding="utf-8")
    for text in ("Against other maps", "forest of 2017 as it is", "Mean series", "Pseudo-labels"):
        assert text in page
    assert "30UYD, past season 2017" in page


def test_both_runs_share_labels_and_samples(demo: Path) -> None:
    log = (demo / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    done = {event["stage"] for event in map(json.loads, log) if event["event"] == "task_ended"}
    assert {"inventory", "train", "predict", "validate"} <= done
    assert not done & {"polygons", "reference", "samples", "past_polygons", "past_samples"}
    for name in ("reference.parquet", "samples/30UYD.parquet", "past/2017/samples/30UYD.parquet"):
        mine, other = demo / "run" / name, demo / "run_past_forest" / name
        assert mine.samefile(other)
