"""Maps with the images of up to a day, and what a later map takes over from them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import rasterio
from support.pipeline_tools import digests, oso, write_config
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.core.errors import OsoError

pytestmark = pytest.mark.slow
DAY = "2018-06-30"
QUICK = "label_check: {enabled: false}\n"
MADE = ("samples/**/*.parquet", "models/*/*/*", "blocks/*/*.tif")


def up_to(world: Path, folder: Path) -> Path:
    """Return a copy of a world without the products after `DAY`."""
    shutil.copytree(world, folder)
    for product in (folder / "products").rglob("SENTINEL*_L2A_T*_V?-?*"):
        if product.name[11:19] > DAY.replace("-", "") and product.exists():
            shutil.rmtree(product) if product.is_dir() else product.unlink()
    return folder


def contents(run: Path) -> dict[str, bytes]:
    """Return the files of a run but its records and logs."""
    files = (path for path in run.rglob("*.*") if path.is_file() and path.parent != run)
    return {str(path): path.read_bytes() for path in files if path.suffix != ".json"}


def refusal(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(result.exception, OsoError), result.output
    return str(result.exception)


@pytest.fixture(scope="module")
def provisional(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the configuration of a whole season in whose run folder the map of a day is."""
    config = write_config(tmp_path_factory.mktemp("provisional"), small_world, QUICK)
    assert "E-RUN-NONE] there is nothing to update" in refusal("update", config)
    shown = oso("run", config, "--set", f"imagery.as_of={DAY}")
    assert f"map, with images up to {DAY}: " in shown
    shutil.copy(config.parent / "run" / "validation" / "accuracy.json", config.parent)
    return config


def test_a_map_as_of_a_day_is_that_of_a_world_that_ends_then(
    provisional: Path, small_world: Path, tmp_path: Path
) -> None:
    run = provisional.parent / "run"
    cut = write_config(tmp_path / "cut", up_to(small_world, tmp_path / "world"), QUICK)
    oso("run", cut, "--until", "mosaic")
    for pattern in MADE:
        assert digests(run, pattern) == digests(tmp_path / "cut" / "run", pattern) != {}
    with rasterio.open(run / "maps" / "OCS_2018.tif") as source:
        assert source.tags()["OSO_AS_OF"] == DAY
    with rasterio.open(tmp_path / "cut" / "run" / "maps" / "OCS_2018.tif") as source:
        assert "OSO_AS_OF" not in source.tags()
    report = (run / "report.html").read_text(encoding="utf-8")
    assert f"Land cover 2018, images up to {DAY}" in report
    assert "acquired_later" in report


def test_an_update_takes_what_came_and_ends_where_a_run_at_once_ends(
    provisional: Path, small_world: Path, tmp_path: Path
) -> None:
    config, run = provisional, provisional.parent / "run"
    before = contents(run)
    shown = oso("update", config, "--dry-run")
    assert f"imagery.as_of: {DAY} -> not set" in shown
    assert "tile 30UYD: " in shown
    assert "nothing was done" in shown
    assert contents(run) == before
    other = refusal("update", config, "--set", "learning.n_trees=7")
    assert "E-RUN-OTHER] the run folder is of another" in other
    assert "learning.n_trees: 20 -> 7" in other
    reference = (run / "reference.parquet.json").stat().st_mtime_ns
    oso("update", config)
    assert (run / "reference.parquet.json").stat().st_mtime_ns == reference
    assert "nothing has to be made again" in oso("update", config)
    at_once = write_config(tmp_path / "there", small_world, QUICK)
    oso("run", at_once, "--until", "mosaic")
    assert digests(run) == digests(tmp_path / "there" / "run")


def test_accuracies_by_day_are_those_of_runs_of_these_days(provisional: Path) -> None:
    run = provisional.parent / "run"
    oso("run", provisional)
    shown = oso("evaluate-season", provisional, "--dates", f"{DAY},2018-04-30", "--reach", "0.9")
    rows = json.loads((run / "evaluation" / "season" / "season.json").read_text())["rows"]
    assert [row["day"] for row in rows] == ["2018-04-30", DAY, None]
    of_day, of_all = (provisional.parent / "accuracy.json", run / "validation" / "accuracy.json")
    for row, path in ((rows[1], of_day), (rows[2], of_all)):
        assert row["overall"] == json.loads(path.read_text())["overall_accuracy"]
    assert rows[1]["interval"]["low"] <= rows[1]["share"] <= rows[1]["interval"]["high"]
    assert "| the whole season |" in shown
    assert not any((run / "evaluation" / "season").glob("20*/samples/*"))
    logs = {path: path.read_bytes() for path in run.glob("evaluation/season/*/log.jsonl")}
    again = oso("evaluate-season", provisional, "--dates", f"{DAY},2018-04-30", "--reach", "0.9")
    assert again == shown
    assert len(logs) == 3
    assert all(path.read_bytes() == text for path, text in logs.items())  # nothing was done again
    assert "E-SEASON-DAY" in refusal("evaluate-season", provisional, "--dates", "2017-01-01")


def test_what_was_cleaned_is_made_again_byte_for_byte(provisional: Path) -> None:
    config, run = provisional, provisional.parent / "run"
    oso("run", config)
    whole, maps = contents(run), digests(run)
    assert "nothing to remove" in oso("clean", run)
    kinds = "inventory,samples,blocks,parts"
    assert "would remove" in oso("clean", run, "--kind", kinds, "--dry-run")
    assert contents(run) == whole
    oso("clean", run, "--kind", kinds)
    assert not any((run / name).exists() for name in ("blocks", "samples", "mosaic", "inventory"))
    oso("run", config)
    assert contents(run) == whole
    oso("run", config, "--set", "imagery.tiles=[30UYD]", "--until", "inventory")
    assert "outdated" in oso("clean", run)
    assert not (run / "blocks" / "31UCU").exists()
    assert (run / "blocks" / "30UYD").exists()
    assert digests(run) == maps
