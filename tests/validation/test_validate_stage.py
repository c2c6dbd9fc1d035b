"""Stage validate: from samples and models to accuracy.json and its tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.ensemble import RandomForestClassifier
from support.minimal_config import minimal_config

from oso_pipeline.config.model import Config
from oso_pipeline.core.commit import write_sidecar
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.learners.forest.classifier import ForestClassifier
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learning.confidence.tables import ConfidenceTables
from oso_pipeline.learning.model_file import Model, load_model, save_model
from oso_pipeline.reference.split.variants import variants
from oso_pipeline.report.stage import STAGE as REPORT
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.validation.accuracy import Method, Predictions, assess
from oso_pipeline.validation.stage import OUTPUTS, STAGE, ValidateJob, predict_variant, validate

OSO17 = load_nomenclature("oso17")
GRID = DateGrid(date(2018, 1, 1), date(2018, 1, 11), 10)
LAYOUT = FeatureLayout.optical(("B4", "B8"), GRID.dates, ())
CODES = np.array([11, 12, 211], dtype=np.int32)


def samples(tile: int, folds: int | None = None) -> pd.DataFrame:
    """Sixty polygons of three classes that features tell apart, with some noise."""
    generator = np.random.default_rng(tile)
    polygon = np.repeat(np.arange(60), 8)
    code = CODES[polygon % 3]
    level = (polygon % 3) * 1000 + np.repeat(generator.normal(0, 350, 60), 8)
    table = pd.DataFrame(
        {
            "polygon_id": polygon + 1000 * tile,
            "code": code,
            "stratum": "all",
            "validity": np.where(np.arange(480) % 100 == 0, 0, 9).astype(np.uint16),
            "draw": generator.integers(0, 2**63, 480, dtype=np.uint64),
        }
    )
    for run in range(3):
        side = np.random.default_rng([tile, run]).random(60) < 0.5
        table[f"split_{run}"] = np.where(side[polygon], "train", "validation")
    if folds:
        table["fold"] = (polygon % folds).astype(np.int8)
    for name in LAYOUT.names:
        table[name] = np.clip(level + generator.normal(0, 300, 480), -9000, 9000).astype(np.int16)
    return table


@dataclass
class World:
    folder: Path
    tables: list[pd.DataFrame]

    def models(self, variant: str, mask: np.ndarray) -> None:
        table = pd.concat(self.tables)[mask]
        forest = RandomForestClassifier(20, random_state=0, min_samples_leaf=3)
        forest.fit(table[list(LAYOUT.names)].to_numpy(), table["code"].to_numpy())
        model = Model(
            classifier=ForestClassifier(Forest.from_sklearn(forest)),
            layout=LAYOUT,
            grid=GRID,
            nomenclature=OSO17.to_json(),
            variant=variant,
            stratum="all",
            seed=0,
            counts={},
        )
        save_model(self.folder / "models" / variant / "all", model)

    def task(self, *variants: str, folds: bool = False) -> Task:
        job = ValidateJob(
            nomenclature=OSO17,
            bootstrap=100,
            confidence_level=0.95,
            seed=0,
            folds=folds,
            variants=variants,
            max_pixels=None,
            learning=ForestSettings(),
            samples={tile: Input(tile, f"samples/{tile}.parquet") for tile in "ab"},
            models={
                f"{variant}/all": Input(variant, f"models/{variant}/all/model.json")
                for variant in variants
            },
        )
        return Task(
            stage="validate",
            name="validate",
            function="oso_pipeline.validation.stage:validate",
            run_dir=self.folder,
            outputs=OUTPUTS,
            job=job,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    tables = [samples(0, 4), samples(1, 4)]
    (tmp_path / "samples").mkdir()
    for name, table in zip("ab", tables, strict=True):
        path = tmp_path / f"samples/{name}.parquet"
        table.to_parquet(path)
        counts = {"candidates": {"11": 100, "12": 50}, "not_clear": {"12": 4}}
        write_sidecar(path, {"summary": counts})
    world = World(tmp_path, tables)
    whole = pd.concat(tables)
    for run in range(3):
        world.models(f"run{run}", (whole[f"split_{run}"] == "train").to_numpy())
    return world


def accuracy_of(world: World) -> dict[str, Any]:
    return json.loads((world.folder / OUTPUTS[0]).read_text(encoding="utf-8"))


def test_stage_writes_accuracy_and_tables(world: World) -> None:
    result = do(world.task("run0"))
    assert result.status == "done", result.error
    found = accuracy_of(world)
    for score in (found["overall_accuracy"], found["kappa"]):
        assert 0.5 < score["low"] <= score["estimate"] <= score["high"] <= 1
    table = pd.concat(world.tables)
    held_out = table[(table["split_0"] == "validation")]
    assert found["excluded"]["no_clear_date"] == int((held_out["validity"] == 0).sum()) > 0
    assert found["pixels"] == int((held_out["validity"] > 0).sum())
    assert set(found["classes"]) == {str(code) for code in OSO17.codes}
    assert found["classes"]["11"]["recall"] > 0.5
    assert found["level1"]["overall_accuracy"]["estimate"] >= found["overall_accuracy"]["estimate"]
    assert found["level1"]["classes"]["110"]["f_score"] > 0.5
    assert "not a probability sample" in found["design"]
    assert (found["candidates"]["pixels"], found["candidates"]["not_clear"]) == (300, 8)
    assert "runs" not in found
    assert "folds" not in found

    rows = list(csv.reader((world.folder / OUTPUTS[1]).open()))
    total = sum(int(value) for row in rows[1:] for value in row[1:])
    assert total == found["pixels"]
    polygons = pd.read_csv(world.folder / OUTPUTS[4])
    assert polygons["pixels"].sum() == found["pixels"]
    share = polygons["right"].sum() / polygons["pixels"].sum()
    assert share == pytest.approx(found["overall_accuracy"]["estimate"])
    assert len(polygons) == found["polygons"]
    classes = pd.read_csv(world.folder / OUTPUTS[3])
    assert set(classes["level"]) == {1, 2}
    grassland = classes[classes["code"] == 211].iloc[0]
    assert grassland["recall"] == pytest.approx(found["classes"]["211"]["recall"], abs=1e-6)


def test_calibrated_models_are_shown_reliable_or_not(world: World) -> None:
    task = world.task("run0")
    validate(task.job, task)
    assert "calibration" not in accuracy_of(world)
    folder = world.folder / "models/run0/all"
    model = load_model(folder)
    classes = len(model.classifier.classes)
    tables = ConfidenceTables(
        np.full(101, 80, np.uint8),
        np.zeros((classes, 50)),
        np.linspace(0, 1, 100),
        np.array([60], np.int64),
        {"vote": "hard"},
    )
    save_model(folder, replace(model, tables=tables))
    validate(task.job, task)
    found = accuracy_of(world)
    shown, right = found["calibration"]["probability"], found["overall_accuracy"]["estimate"]
    assert shown["mean_probability"] == 0.8
    assert shown["right"] == pytest.approx(right)
    assert shown["error"] == pytest.approx(abs(0.8 - right))
    assert shown["brier"] == pytest.approx(np.mean([(0.8 - 1) ** 2 * right + 0.64 * (1 - right)]))
    (bin_of_all,) = shown["curve"]
    assert bin_of_all["pixels"] == found["pixels"]
    assert bin_of_all["polygons"] == found["polygons"]
    share = found["calibration"]["share"]
    assert sum(one["pixels"] for one in share["curve"]) == found["pixels"]
    assert share["floor"] <= share["floor_high"]


def test_prediction_of_validation_rows_only(world: World) -> None:
    paths = [world.folder / f"samples/{name}.parquet" for name in "ab"]
    models = {"all": load_model(world.folder / "models/run0/all")}
    found = predict_variant("run0", models, paths, None)
    table = pd.concat(world.tables)
    trained = set(table.loc[table["split_0"] == "train", "polygon_id"])
    assert not trained & set(found.polygon_id.tolist())
    capped = predict_variant("run0", models, paths, 10)
    assert np.bincount(capped.code)[[11, 12, 211]].tolist() == [10, 10, 10]
    eligible = table[(table["split_0"] == "validation") & (table["validity"] > 0)]
    lowest = eligible.sort_values("draw").groupby("code").head(10)
    assert sorted(capped.polygon_id) == sorted(lowest["polygon_id"])
    elsewhere = predict_variant("run0", {"alps": models["all"]}, paths, None)
    assert elsewhere.code.size == 0
    assert elsewhere.excluded["no_model_in_stratum"] == len(eligible)


def test_runs_have_student_interval_and_first_run_gives_the_estimate(world: World) -> None:
    assert do(world.task("run0")).status == "done"
    alone = accuracy_of(world)
    assert do(world.task("run0", "run1", "run2")).status == "done"
    found = accuracy_of(world)
    assert found["overall_accuracy"] == alone["overall_accuracy"]
    runs = {**found["runs"], **found["runs"]["overall_accuracy"]}
    assert (runs["n"], runs["degrees_of_freedom"], len(runs["values"])) == (3, 2, 3)
    assert runs["values"][0] == found["overall_accuracy"]["estimate"]
    assert runs["low"] < runs["mean"] < runs["high"]
    half = 4.302653 * np.std(runs["values"], ddof=1) / np.sqrt(3)
    assert runs["high"] - runs["mean"] == pytest.approx(half, rel=1e-6)
    assert runs["classes"]["31"]["recall"]["mean"] is None


def test_folds_are_pooled(world: World) -> None:
    whole = pd.concat(world.tables)
    names = [f"fold{fold}" for fold in range(4)]
    for fold, name in enumerate(names):
        world.models(name, (whole["fold"] != fold).to_numpy())
    assert do(world.task(*names, folds=True)).status == "done"
    found = accuracy_of(world)
    assert found["polygons"] == whole["polygon_id"].nunique()
    folds = found["folds"]
    assert sum(folds["pixels"]) == found["pixels"] == int((whole["validity"] > 0).sum())
    weighted = np.average(folds["values"], weights=folds["pixels"])
    assert found["overall_accuracy"]["estimate"] == pytest.approx(weighted)


def test_outputs_are_identical_when_made_again(world: World) -> None:
    contents = []
    task = world.task("run0", "run1")
    for _ in range(2):
        validate(task.job, task)
        contents.append([(world.folder / output).read_bytes() for output in OUTPUTS])
    assert contents[0] == contents[1]


def test_nothing_held_out_is_a_data_error(world: World) -> None:
    for name, table in zip("ab", world.tables, strict=True):
        table.assign(validity=np.uint16(0)).to_parquet(world.folder / f"samples/{name}.parquet")
    result = do(world.task("run0"))
    assert (result.status, result.exit_code) == ("failed", 4)
    assert result.error is not None
    assert "E-VALIDATION-EMPTY" in result.error
    assert "no clear date" in result.error


def method(**changes: Any) -> Method:
    return replace(Method(OSO17, 100, 0.95, 0, folds=False), **changes)


def test_classes_absent_in_map_or_reference_are_null() -> None:
    polygon = np.repeat(np.arange(40), 5)
    code = np.array([11, 12])[polygon % 2]
    predicted = np.where(code == 12, 31, 11)  # 12 is never predicted, 31 never in the reference
    excluded = {"no_clear_date": 3}
    found = assess([Predictions("run0", polygon, code, predicted, excluded)], method())
    twelve, forest, absent = (found["classes"][key] for key in ("12", "31", "211"))
    assert (twelve["precision"], twelve["recall"], twelve["f_score"]) == (None, 0.0, 0.0)
    # Nothing evaluates forest: that none of it was right says nothing of it.
    assert (forest["precision"], forest["recall"], forest["f_score"]) == (None, None, None)
    assert (absent["precision"], absent["recall"], absent["f_score"]) == (None, None, None)
    assert absent["intervals"]["f_score"] == {"low": None, "high": None}
    assert "NaN" not in json.dumps(found, allow_nan=False)
    warned = {one["code"]: one["message"] for one in found["warnings"]}
    assert "never predicted" in warned["W-CLASS-NOT-PREDICTED"]
    assert "winter crops" in warned["W-CLASS-NOT-PREDICTED"]
    assert "3 validation pixels left out: no clear date" in warned["W-VALIDATION-LEFT-OUT"]


def test_single_class_has_no_kappa_and_one_level_no_level1() -> None:
    ones = np.full(20, 11)
    flat = replace(
        OSO17, classes=tuple(replace(c, level1=None) for c in OSO17.classes), level1_classes=()
    )
    found = assess([Predictions("run0", np.arange(20), ones, ones, {})], method(nomenclature=flat))
    low = binomtest(20, 20).proportion_ci(0.95).low
    assert found["overall_accuracy"] == {"estimate": 1.0, "low": pytest.approx(low), "high": 1.0}
    assert found["kappa"] == {"estimate": None, "low": None, "high": None}
    assert found["level1"] is None


@dataclass
class Plan:
    """A context whose stages have one task each, two for training."""

    config: Any
    run_dir: Path
    stages: Sequence[Any] = STAGES

    def tasks(self, stage: str) -> tuple[Task, ...]:
        outputs = {"samples": "samples/31TCJ.parquet"}
        if stage == "train":
            return tuple(self.forest(variant) for variant in variants(self.config))
        path = outputs.get(stage, f"{stage}/x")
        return (Task(stage, stage, "m:f", self.run_dir, (path,)),)

    def forest(self, variant: str) -> Task:
        path = f"models/{variant}/all/model.json"
        return Task("train", f"{variant}/all", "m:f", self.run_dir, (path,))


def config(run_dir: Path, **changes: Any) -> Config:
    return minimal_config(run_dir, **changes)


def test_plan_with_folds_leaves_out_the_model_of_the_map(tmp_path: Path) -> None:
    (task,) = STAGE.plan(Plan(config(tmp_path, validation={"folds": 3}), tmp_path))
    assert task.job.variants == ("fold0", "fold1", "fold2")
    assert set(task.job.models) == {"fold0/all", "fold1/all", "fold2/all"}
    assert not any("map" in name for name in task.inputs)
    assert task.outputs[0] == "validation/accuracy.json"


def test_plan_with_runs_begins_with_the_model_of_the_map(tmp_path: Path) -> None:
    (task,) = STAGE.plan(Plan(config(tmp_path, validation={"runs": 2}), tmp_path))
    assert task.job.variants == ("run0", "run1")
    assert task.job.models_of("run1")["all"].path == "models/run1/all/model.json"
    assert [read.path for read in task.job.samples.values()] == ["samples/31TCJ.parquet"]
    other = config(tmp_path, validation={"runs": 2}, runtime={"workers": 7})
    assert STAGE.plan(Plan(other, tmp_path))[0].key == task.key
    (changed,) = STAGE.plan(Plan(config(tmp_path, seed=1, validation={"runs": 2}), tmp_path))
    assert changed.key != task.key


def test_plan_of_the_report_follows_every_stage(tmp_path: Path) -> None:
    (task,) = REPORT.plan(Plan(config(tmp_path), tmp_path))
    assert task.outputs == ("report.html",)
    assert [*task.inputs] == [stage.name for stage in STAGES[:-1]], "every stage, in its order"
    (changed,) = REPORT.plan(Plan(config(tmp_path, seed=1), tmp_path))
    assert changed.key != task.key
