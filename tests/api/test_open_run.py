"""Runs from Python: plan, run, and what a finished run gives."""

from __future__ import annotations

import json
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import rasterio

import oso_pipeline as oso
from oso_pipeline.validation.figures import Accuracy


@pytest.fixture
def folder(small_run: Path) -> Path:
    """Return the folder of a finished run, only to be read."""
    return small_run.parent / "run"


@pytest.fixture
def opened(folder: Path) -> oso.Run:
    return oso.open_run(folder)


@pytest.mark.parametrize(
    ("name", "file"),
    [("map", "OCS_2018"), ("confidence", "OCS_2018_confidence"), ("validity", "OCS_2018_validity")],
)
def test_layers_are_what_rasterio_reads(folder: Path, name: str, file: str) -> None:
    layer = getattr(oso.open_run(folder), name)
    assert layer.chunks is not None  # nothing was read yet
    with rasterio.open(folder / "maps" / f"{file}.tif") as source:
        np.testing.assert_array_equal(layer.values, source.read(1))
        assert layer.dtype == source.dtypes[0]
        assert layer.rio.crs == source.crs
        assert layer.rio.transform() == source.transform
        assert layer.rio.nodata == source.nodata
        x, y = source.xy(0, 0)
        assert (layer.x[0], layer.y[0]) == (x, y)


def test_the_map_knows_names_and_colours(folder: Path, opened: oso.Run) -> None:
    codes = opened.map.attrs["flag_values"]
    names = opened.map.attrs["flag_meanings"].split()
    colours = opened.map.attrs["flag_colors"].split()
    assert len(codes) == len(names) == len(colours)
    with rasterio.open(folder / "maps" / "OCS_2018.tif") as source:
        table = source.colormap(1)
    for code, colour in zip(codes, colours, strict=True):
        assert tuple(bytes.fromhex(colour[1:])) == table[int(code)][:3]
    assert opened.classes.index.tolist() == codes.tolist()
    assert opened.classes.loc[211, "name_en"] == "grassland"
    assert names[codes.tolist().index(211)] == "grassland"


def test_accuracy_is_that_of_the_files(folder: Path, opened: oso.Run) -> None:
    content = json.loads((folder / "validation" / "accuracy.json").read_text())
    accuracy = opened.accuracy
    assert accuracy.overall_accuracy.estimate == content["overall_accuracy"]["estimate"]
    assert f"{accuracy.overall_accuracy.estimate:.3f}" in repr(accuracy)
    matrix = accuracy.confusion
    counts = matrix.to_numpy()
    assert np.trace(counts) / counts.sum() == pytest.approx(accuracy.overall_accuracy.estimate)
    table = pd.read_csv(folder / "validation" / "confusion_matrix.csv", index_col=0)
    np.testing.assert_array_equal(counts, table.to_numpy())
    classes = pd.read_csv(folder / "validation" / "classes.csv").query("level == 2 or level == 17")
    assert accuracy.classes.index.tolist() == sorted(int(code) for code in content["classes"])
    judged = classes.set_index("code").recall.dropna()
    ours = accuracy.classes.recall.reindex(judged.index)
    np.testing.assert_allclose(ours, judged, atol=1e-6)
    assert accuracy.level1 is not None
    assert accuracy.level1.overall_accuracy.estimate >= accuracy.overall_accuracy.estimate
    assert accuracy.compared_maps.empty


def test_other_maps_are_a_table_by_their_name() -> None:
    one = {
        "name": "forest of 2017",
        "pixels": 200,
        "overall_accuracy": {"run": 0.9, "other": 0.7},
        "difference": {"estimate": 0.2, "low": None, "high": None},
    }
    table = Accuracy({"compared_maps": [one]}).compared_maps
    assert table.loc["forest of 2017", ["pixels", "run", "other"]].tolist() == [200, 0.9, 0.7]
    assert table.loc["forest of 2017", "difference"] == 0.2
    assert table.difference_low.isna().all()


def test_tables_are_those_of_the_files(folder: Path, opened: oso.Run) -> None:
    samples = opened.samples
    files = sorted((folder / "samples").glob("*.parquet"))
    assert len(samples) == sum(pq.ParquetFile(file).metadata.num_rows for file in files)
    assert set(samples.tile) == {"30UYD", "31UCU"}
    few = opened.read_samples(["31UCU"], ["code", "NDVI_20180101"])
    assert few.columns.tolist() == ["tile", "code", "NDVI_20180101"]
    assert len(few) == (samples.tile == "31UCU").sum()
    assert opened.inventory.status.isin(["used", "skipped"]).all()
    assert opened.reference.crs.to_epsg() == 2154
    assert set(samples.polygon_id) <= set(opened.reference.polygon_id)


def test_the_model_classifies_the_samples(opened: oso.Run) -> None:
    assert opened.strata == ("all",)
    model = opened.model()
    held_out = opened.samples.query("split_0 == 'validation'")
    features = held_out[list(model.layout.names)].to_numpy().T
    codes, _ = model.classifier.classify(np.ascontiguousarray(features), held_out.validity)
    right = (codes == held_out.code).mean()
    assert right == pytest.approx(opened.accuracy.overall_accuracy.estimate)


@pytest.mark.parametrize(
    ("what", "kind", "words"),
    [
        (lambda run: run.model("alps"), KeyError, "stratum 'alps', expected one of all"),
        (lambda run: run.model("all", "run7"), KeyError, "variant 'run7', expected one of run0"),
        (lambda run: run.read_samples(["31TCJ"]), KeyError, "tile '31TCJ'"),
        (lambda run: run.read_samples(columns=["B77"]), KeyError, "column 'B77'"),
        (lambda run: run.independent_accuracy, ValueError, "independent"),
    ],
)
def test_names_that_are_not_there(opened: oso.Run, what, kind: type, words: str) -> None:
    with pytest.raises(oso.OsoError, match=words) as error:
        what(opened)
    assert isinstance(error.value, kind)


def test_a_run_without_maps_says_what_is_missing(folder: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    for name in ("run.json", "config.yaml"):
        shutil.copy(folder / name, begun)
    run = oso.open_run(begun)
    assert run.folder == begun
    for name in ("map", "confidence", "accuracy", "samples", "inventory", "reference", "strata"):
        with pytest.raises(oso.InputDataError, match=r"oso_pipeline.run\(config\)"):
            getattr(run, name)
    with pytest.raises(ValueError, match="models"):
        run.model()


def test_a_damaged_file_is_an_error_with_its_name(folder: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged, ignore=shutil.ignore_patterns("extracted", "blocks"))
    for name in ("samples/30UYD.parquet", "maps/OCS_2018.tif", "reference.parquet"):
        path = damaged / name
        path.write_bytes(b"\0" * path.stat().st_size)
    run = oso.open_run(damaged)
    for name in ("samples", "map", "reference"):
        with pytest.raises(oso.InputDataError, match="cannot be read"):
            getattr(run, name)


def test_what_is_no_run_is_refused(tmp_path: Path, small_run: Path) -> None:
    with pytest.raises(oso.InputDataError, match="holds no config"):
        oso.open_run(tmp_path)
    with pytest.raises(oso.ConfigError, match="No such file"):
        oso.open_run(tmp_path / "none")
    assert oso.open_run(small_run).folder == small_run.parent / "run"
    assert oso.open_run(str(small_run)).config.year == 2018


def test_settings_win_over_the_file(small_run: Path) -> None:
    config = oso.load_config(small_run, {"learning.n_trees": 5, "imagery.tiles": ["31UCU"]})
    assert (config.learning.n_trees, config.imagery.tiles) == (5, ("31UCU",))
    assert oso.load_config(str(small_run), ["learning.n_trees=6"]).learning.n_trees == 6
    with pytest.raises(oso.ConfigError, match="n_tree"):
        oso.load_config(small_run, {"learning.n_tree": 5})


def test_plan_tells_what_is_to_do(small_run: Path, tmp_path: Path) -> None:
    done = oso.plan(small_run)
    assert (done.tasks == done.done).all()
    assert (done.core_seconds == 0).all()
    changed = oso.plan(oso.load_config(small_run, {"learning.n_trees": 21}))
    assert changed.loc["train", "outdated"] == 1
    assert "n_trees" in changed.loc["train", "reason"]
    assert changed.attrs["wall_seconds"] > 0
    fresh = oso.plan(oso.load_config(small_run, {"run_dir": tmp_path / "fresh"}))
    assert (fresh.new == fresh.tasks).all()
    assert not (tmp_path / "fresh").exists()


def test_run_prints_nothing_and_goes_on(
    small_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = oso.load_config(small_run, {"run_dir": tmp_path / "run"})
    seen: list[str] = []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run = oso.run(config, until="inventory", progress=lambda now: seen.append(str(now)))
    assert [one.category for one in told] == [oso.OsoWarning] * len(told) != []
    assert told[0].filename == __file__
    assert seen == ["inventory: 1 of 2 tasks", "inventory: 2 of 2 tasks"]
    assert run.folder == tmp_path / "run"
    assert len(run.inventory) > 10
    seen.clear()
    warnings.simplefilter("ignore", oso.OsoWarning)
    with ThreadPoolExecutor(1) as thread:  # as a server or a widget does
        again = {"until": "inventory", "progress": lambda now: seen.append(str(now))}
        assert thread.submit(oso.run, config, **again).result().folder == run.folder
    assert seen == []
    assert capfd.readouterr() == ("", "")


def test_a_run_begins_with_the_samples_of_another(small_run: Path, tmp_path: Path) -> None:
    config = oso.load_config(small_run, {"run_dir": tmp_path / "run"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", oso.OsoWarning)
        run = oso.run(config, until="samples", begin_with=oso.open_run(small_run))
    pd.testing.assert_frame_equal(run.samples, oso.open_run(small_run).samples)
    plan = oso.plan(config)
    assert plan.loc["samples", "done"] == 2


def test_run_refuses_an_unknown_stage(small_run: Path) -> None:
    with pytest.raises(oso.UnknownName, match="stage 'trian', expected one of inventory") as error:
        oso.run(small_run, until="trian")
    assert isinstance(error.value, KeyError)


def test_failed_tasks_are_an_error_that_names_them(
    small_run: Path, small_world: Path, tmp_path: Path
) -> None:
    shutil.copytree(small_world / "products", tmp_path / "products", symlinks=True)
    for path in (tmp_path / "products").glob("T31UCU/*/*_FRE_B4.tif"):
        path.write_bytes(path.read_bytes()[:2000])
    overrides = {"imagery.paths": [tmp_path / "products"], "run_dir": tmp_path / "run"}
    config = oso.load_config(small_run, overrides | {"imagery.incomplete": "error"})
    warnings.simplefilter("ignore", oso.OsoWarning)
    with pytest.raises(oso.OsoError, match="B4"):
        oso.run(config, until="inventory")


def test_a_demo_in_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(oso.EnvironmentFailure, match="cannot be written") as error:
        oso.prepare_demo(file / "demo")
    assert isinstance(error.value, OSError)


def test_a_folder_of_others_stays_as_it_is(small_run: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to_anna.txt").touch()
    config = oso.load_config(small_run, {"run_dir": tmp_path / "letters"})
    with pytest.raises(oso.ConfigError, match="letters"):
        oso.run(config, begin_with=small_run)
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["to_anna.txt"]
