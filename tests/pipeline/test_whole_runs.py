"""Whole runs on a small simulated world, through the command that users type."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from rasterio.windows import from_bounds
from support.commit_checks import check_commits, check_complete
from support.machine_tools import as_nobody
from support.machine_tools import oso as command_of_user
from support.pipeline_tools import digests, oso, overall_accuracy, stdout_of, write_config
from typer.testing import CliRunner

import oso_pipeline
from oso_pipeline.cli import app
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.learning.training_set import Choice, read_training_set
from oso_pipeline.reference.split.variants import split_columns
from oso_pipeline.runtime.checks.disk import disk_space
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec

LAYERS = ("OCS_2018.tif", "OCS_2018_confidence.tif", "OCS_2018_validity.tif")


@pytest.fixture
def finished(small_run: Path) -> Path:
    """Return the configuration of a run that has ended."""
    return small_run


def run_dir(config: Path) -> Path:
    return config.parent / "run"


def test_what_the_soak_demands_holds_for_a_run_left_alone(finished: Path) -> None:
    check_commits(run_dir(finished))
    check_complete(run_dir(finished))


@pytest.mark.slow
def test_2_19_inputs_that_were_moved_and_renamed_give_the_same_bytes(
    finished: Path, small_world: Path, tmp_path: Path
) -> None:
    world = tmp_path / "another disk" / "renamed"
    shutil.copytree(small_world, world)
    (world / "products").rename(world / "images")
    config = write_config(tmp_path / "there", world).rename(tmp_path / "there" / "renamed.yaml")
    config.write_text(config.read_text().replace("/products]", "/images]"))
    oso("run", config)
    for pattern in ("maps/*", "blocks/*/*.tif", "validation/*"):
        assert digests(run_dir(config), pattern) == digests(run_dir(finished), pattern) != {}


def test_products_of_a_run(finished: Path) -> None:
    folder = run_dir(finished)
    assert set(LAYERS) <= set(digests(folder))
    with rasterio.open(folder / "maps" / LAYERS[0], driver="GTiff") as source:
        assert source.crs.to_epsg() == 2154
        assert source.res == (10, 10)
        assert (
            source.tags()["OSO_RUN_ID"] == json.loads((folder / "run.json").read_text())["run_id"]
        )
        assert (source.read(1) > 0).mean() > 0.5
    assert overall_accuracy(folder) > 0.5
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8")
    accuracy = json.loads((folder / "validation" / "accuracy.json").read_text())
    for part in (accuracy, accuracy["level1"]):
        assert part["overall_accuracy"].keys() >= {"estimate", "low", "high"}
        assert part["kappa"].keys() >= {"estimate", "low", "high"}
        for values in part["classes"].values():
            assert values.keys() >= {"precision", "recall", "f_score"}


def test_every_committed_file_has_its_sidecar(finished: Path) -> None:
    folder = run_dir(finished)
    committed = [
        file
        for pattern in (
            "inventory/*.parquet",
            "reference.parquet",
            "samples/*.parquet",
            "models/**/model.json",
            "models/**/forest.npz",
            "blocks/**/*.tif",
            "maps/*.tif",
            "validation/accuracy.json",
            "report.html",
        )
        for file in folder.glob(pattern)
    ]
    assert len(committed) > 10
    assert [file for file in committed if not Path(f"{file}.json").exists()] == []


def test_no_polygon_has_samples_on_both_sides(finished: Path) -> None:
    tables = [pd.read_parquet(file) for file in run_dir(finished).glob("samples/*.parquet")]
    samples = pd.concat(tables, ignore_index=True)
    assert samples.groupby("polygon_id")["split_0"].nunique().max() == 1
    assert set(samples["split_0"]) == {"train", "validation"}
    assert len(tables) == 2  # tiles of two zones that overlap
    reference = pd.read_parquet(
        run_dir(finished) / "reference.parquet", columns=["polygon_id", "split_0"]
    )
    sides = reference.drop_duplicates().set_index("polygon_id")["split_0"]
    assert sides.index.is_unique
    assert (sides[samples["polygon_id"]].to_numpy() == samples["split_0"].to_numpy()).all()


def table_of_block(config: Config, block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Return the series of a block as (pixel, date, band), NaN where nothing is clear, and days."""
    inventory = read_inventory(config.run_dir / "inventory" / f"{block.tile}.parquet")
    series = BlockReader(inventory, ReadSpec.of(config)).read(block)
    seen = np.where(series.clear[:, np.newaxis] > 0, series.values, np.float64(np.nan))
    days = np.unique(series.days)  # of the layers of a day one at most is clear
    cube = np.stack([np.fmax.reduce(seen[series.days == day], axis=0) for day in days])
    return cube.transpose(2, 0, 1), days.astype("datetime64[D]")


def test_a_table_of_the_series_gets_the_classes_of_the_map(finished: Path) -> None:
    config, folder = load_config(finished), run_dir(finished)
    path = min((folder / "blocks" / "31UCU").glob("*.tif"))
    with rasterio.open(path, driver="GTiff") as source:
        code, confidence, validity = source.read()[:3].reshape(3, -1)
        block = Block("31UCU", 0, 0, source.height, source.width)
    cube, days = table_of_block(config, block)
    model = oso_pipeline.load_model(folder).set_params(dates=days, no_data=0)
    owned = code > 0
    assert owned.sum() > 1000
    np.testing.assert_array_equal(model.validity(cube)[owned], validity[owned])
    np.testing.assert_array_equal(model.predict(cube)[owned], code[owned])
    np.testing.assert_array_equal(model.confidence(cube)[owned], confidence[owned])


def test_training_by_hand_on_the_samples_makes_the_model_of_the_run(
    finished: Path, small_world: Path, tmp_path: Path
) -> None:
    config, folder = load_config(finished), run_dir(finished)
    seed = derived_seed(config.seed, "train", "all", "run0")
    samples = sorted(folder.glob("samples/*.parquet"))
    choice = Choice("run0", "all", split_columns(config), config.sampling.max_train_pixels)
    layout = FeatureLayout.of(config)
    drawn = read_training_set(samples, choice, layout)
    frame = pd.DataFrame(drawn.features, columns=list(layout.names))
    model = oso_pipeline.SeriesClassifier.of(config, random_state=seed)
    model.fit(frame, drawn.codes, drawn.polygon_id)
    pd.testing.assert_frame_equal(model.features(frame), frame)
    of_run = oso_pipeline.load_model(folder).classifier_.arrays()
    for name, array in model.classifier_.arrays().items():
        np.testing.assert_array_equal(array, of_run[name])
    table = oso_pipeline.open_run(folder).samples
    found = oso_pipeline.cross_validate(model, table, table["code"], table["polygon_id"], folds=2)
    assert (found.overall_accuracy.estimate or 0) > 0.5
    oso_pipeline.save_model(model, tmp_path / "by hand")
    given = write_config(tmp_path / "given", small_world)
    given.write_text(
        given.read_text().replace("n_trees: 20", f"n_trees: 20, model: {tmp_path / 'by hand'}")
    )
    assert "learning.model: models" in oso("check", given)


def test_second_run_redoes_nothing(finished: Path) -> None:
    before = digests(run_dir(finished))
    assert "nothing had to be redone" in oso("run", finished)
    assert digests(run_dir(finished)) == before


@pytest.mark.fault(
    row=43,
    injected="number of trees changed after a run",
    outcome="training and what follows it outdated, samples kept; 20 -> 21 shown",
)
def test_plan_and_status_of_a_finished_run(finished: Path) -> None:
    plan = json.loads(stdout_of("plan", finished, "--json"))
    assert [stage["stage"] for stage in plan][:3] == ["inventory", "polygons", "reference"]
    assert all(stage["done"] == stage["tasks"] > 0 for stage in plan)
    changed = json.loads(stdout_of("plan", finished, "--json", "--set", "learning.n_trees=21"))
    states = {stage["stage"]: stage["outdated"] for stage in changed}
    assert states["samples"] == 0
    assert states["train"] == states["mosaic"] / 3 == 1
    assert states["predict"] > 1
    reasons = next(stage["reasons"] for stage in changed if stage["stage"] == "train")
    assert any("n_trees" in reason and "20 -> 21" in reason for reason in reasons)
    assert "0 outdated" in oso("status", run_dir(finished), "--why")


def test_plan_of_a_fresh_run_writes_nothing(small_world: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, small_world)
    plan = {stage["stage"]: stage for stage in json.loads(stdout_of("plan", config, "--json"))}
    assert plan["predict"]["new"] >= 2
    assert plan["predict"]["bytes_to_read"] > 0
    assert plan["predict"]["core_hours"] > 0
    assert plan["predict"]["memory_bytes"] > 0
    assert sorted(file.name for file in tmp_path.iterdir()) == [config.name]


def test_disk_space_of_a_run_is_about_what_was_planned(finished: Path, tmp_path: Path) -> None:
    fresh = Planner(load_config(finished, [f"run_dir={tmp_path / 'fresh'}"]), STAGES)
    expected = disk_space(fresh, fresh.stages).to_write
    stages = {"inventory": "extracted", "samples": "samples", "predict": "blocks", "mosaic": "maps"}
    for stage, name in stages.items():
        files = [path for path in (run_dir(finished) / name).rglob("*") if path.suffix != ".json"]
        actual = sum(path.stat().st_size for path in files)
        assert expected[stage] / 8 <= actual <= 8 * expected[stage], stage
    done = Planner(load_config(finished, ()), STAGES)
    assert disk_space(done, done.stages).needed_bytes == 0
    assert "about 0.00 GB to write, " in oso("plan", finished)


def test_report_command_names_the_report(finished: Path) -> None:
    assert oso("report", run_dir(finished)).strip().endswith("report.html")


@pytest.mark.slow
def test_2_17_status_and_report_of_a_run_of_another_user(finished: Path) -> None:
    nobody, folder = as_nobody(), run_dir(finished)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for command, last in (
        ("status", "report     1 done, 0 new, 0 outdated"),
        ("report", "html"),
    ):
        told = command_of_user(command, folder, user=nobody)
        assert told.returncode == 0, told.stderr
        assert told.stdout.strip().endswith(last)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    refused = command_of_user("run", finished, user=nobody)
    assert refused.returncode == 4
    assert "no permission to write" in refused.stderr


@pytest.mark.slow
@pytest.mark.fault(row=47, injected="blocks of another size", outcome="maps equal byte for byte")
def test_maps_do_not_depend_on_block_size(
    finished: Path, small_world: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, small_world)
    oso("run", config, "--set", "runtime.block_pixels=2048")
    assert len(list((tmp_path / "run" / "blocks").rglob("*.tif"))) > len(
        list((run_dir(finished) / "blocks").rglob("*.tif"))
    )
    assert digests(tmp_path / "run") == digests(run_dir(finished))


@pytest.mark.slow
@pytest.mark.fault(row=47, injected="1 and 2 workers", outcome="maps equal byte for byte")
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_maps_do_not_depend_on_workers(
    finished: Path, small_world: Path, tmp_path: Path, workers: int
) -> None:
    config = write_config(tmp_path, small_world)
    command = [sys.executable, "-m", "oso_pipeline.cli", "run", config, "--workers", workers]
    command += ["--set", "runtime.executor=local", "--set", "runtime.block_pixels=8192"]
    ended = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert digests(tmp_path / "run") == digests(run_dir(finished))


@pytest.mark.slow
def test_tiles_can_be_done_one_after_the_other(
    finished: Path, small_world: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, small_world)
    assert "waits for" in oso("run", config, "--tiles", "T30UYD")
    assert [file.stem for file in (tmp_path / "run" / "samples").glob("*.parquet")] == ["30UYD"]
    oso("run", config, "--tiles", "31ucu")
    oso("run", config)
    assert digests(tmp_path / "run") == digests(run_dir(finished))


def test_json_log_is_json(small_world: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, small_world)
    lines = stdout_of("run", config, "--until", "reference", "--json-log").splitlines()
    events = [json.loads(line) for line in lines]
    assert {event["event"] for event in events} == {"stage_begins", "task_ended", "stage_ends"}
    assert {event["stage"] for event in events} == {"inventory", "polygons", "reference"}


@pytest.mark.slow
def test_runs_give_intervals_over_splits(small_world: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, small_world)
    oso("run", config, "--set", "validation.runs=3", "--set", "learning.n_trees=5")
    runs = json.loads((tmp_path / "run" / "validation" / "accuracy.json").read_text())["runs"]
    assert runs["n"] == 3
    assert runs["overall_accuracy"]["degrees_of_freedom"] == 2


@pytest.mark.slow
def test_strata_have_models_of_their_own(small_world: Path, tmp_path: Path) -> None:
    strata = f"strata: {{path: {small_world}/regions.gpkg, field: region}}\n"
    config = write_config(tmp_path, small_world, strata)
    oso("run", config)
    models = tmp_path / "run" / "models" / "run0"
    assert sorted(folder.name for folder in models.iterdir()) == ["north", "south"]
    forests = {(folder / "forest.npz").read_bytes() for folder in models.iterdir()}
    assert len(forests) == 2
    with rasterio.open(tmp_path / "run" / "maps" / LAYERS[0], driver="GTiff") as source:
        assert (source.read(1) > 0).mean() > 0.5
    assert overall_accuracy(tmp_path / "run") > 0.5


@pytest.mark.slow
def test_an_area_is_the_full_map_cut_out(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(run_dir(finished), tmp_path / "run")
    with rasterio.open(run_dir(finished) / "maps" / LAYERS[0], driver="GTiff") as source:
        full, bounds, transform = source.read(1), source.bounds, source.transform
    middle = (bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2
    disc = shapely.Point(middle).buffer(400)
    geopandas.GeoDataFrame(geometry=[disc], crs=2154).to_file(tmp_path / "area.gpkg")
    area = ("--set", f"map.area.path={tmp_path}/area.gpkg", "--set", f"run_dir={tmp_path}/run")
    oso("run", finished, *area)
    with rasterio.open(tmp_path / "run" / "maps" / LAYERS[0], driver="GTiff") as source:
        found = source.read(1)
        window = from_bounds(*source.bounds, transform)
        x, y = source.transform @ tuple(np.indices(source.shape)[::-1] + 0.5)
        assert "OSO_PARTIAL" not in source.tags()
    full = full[window.round_offsets().round_lengths().toslices()]
    assert ((found == full) | (found == 0)).all()
    inside = shapely.contains_xy(disc.buffer(-8), x, y)
    assert (found == full)[inside].all()
    assert (found[~shapely.contains_xy(disc.buffer(8), x, y)] == 0).all()
    assert (found > 0).sum() > 3000
    # The same model was evaluated by the same polygons, inside and outside.
    assert overall_accuracy(tmp_path / "run") == overall_accuracy(run_dir(finished))


@pytest.mark.slow
def test_non_ascii_paths_and_c_locale(small_world: Path, tmp_path: Path) -> None:
    folder = tmp_path / "été 2018"
    config = write_config(folder, small_world)
    command = [sys.executable, "-m", "oso_pipeline.cli", "run", str(config), "--until", "samples"]
    environment = {**os.environ, "LC_ALL": "C"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
def test_3_9_a_set_that_fails_suppresses_neither_accuracy_nor_report(
    finished: Path, small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path, small_world)
    shutil.copytree(run_dir(finished), run_dir(config))
    fields = geopandas.read_file(small_world / "reference.gpkg")
    points = fields[["code"]].set_geometry(fields.representative_point(), crs=fields.crs)
    points.to_file(tmp_path / "points.gpkg")

    def refuse(*_: object) -> None:
        problem = Problem("E-VALIDATION-EMPTY", "nothing to compare", "points.gpkg", "add points")
        raise InputDataError(problem)

    command = ["run", str(config), "--set", f"validation.independent.path={tmp_path}/points.gpkg"]
    with monkeypatch.context() as patch:
        patch.setattr("oso_pipeline.validation.independent_stage.pixels_on_map", refuse)
        ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 5, ended.output
    said = " ".join((ended.output + ended.stderr).split())
    assert "independent independent failed" in said
    assert "nothing to compare" in said
    assert "without independent all else was made" in said
    assert "overall accuracy on held-out polygons" in said
    page = (run_dir(config) / "report.html").read_text(encoding="utf-8")
    assert "The independent validation could not be made" in page
    assert "nothing to compare" in page
    assert f"{100 * overall_accuracy(run_dir(config)):.1f} %" in page
    # Mended, the page is made again with it.
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert "overall accuracy on the independent set" in again.output
    page = (run_dir(config) / "report.html").read_text(encoding="utf-8")
    assert "could not be made" not in page
