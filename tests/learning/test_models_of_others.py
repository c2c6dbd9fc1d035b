"""Given models are taken where they fit, and refused with a message before any work."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from support.learning_tools import GRID, LAYOUT, small_model, train_job
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.config import Config
from oso_pipeline.config.check import check_paths
from oso_pipeline.config.loader import load_config
from oso_pipeline.core.commit import digest, publish_json, write_sidecar
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.errors import ConfigError, ExitCode, InputDataError, Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.learning.given_models import check_given
from oso_pipeline.learning.kept_models import KeptTask, kept
from oso_pipeline.learning.model_bank import all_models, export_models, find_models, origin_of
from oso_pipeline.learning.model_description import check_arrays, describe_model
from oso_pipeline.learning.model_file import Model, load_model, save_model
from oso_pipeline.learning.train_stage import STAGE
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do
from oso_pipeline.timeseries.feature_layout import FeatureLayout

TEXT = """\
year: 2018
season: {start: 2018-01-01, end: 2018-02-01, step_days: 10}
imagery: {paths: [products], tiles: [31TCJ], bands: [B4, B8]}
features: {indices: [NDVI]}
learning: {model: models, n_trees: 10}
"""


def whole_model(**fields: Any) -> Model:
    nomenclature = load_nomenclature("oso17").to_json()
    return replace(small_model(), **{"nomenclature": nomenclature, **fields})


def dated(first: date, step: int = 10, number: int = 4) -> dict[str, Any]:
    """Return features and dates of a model of a season."""
    end = date.fromordinal(first.toordinal() + step * (number - 1))
    grid = DateGrid(first, end, step)
    return {"layout": FeatureLayout.optical(("B4", "B8"), grid.dates, ("NDVI",)), "grid": grid}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "models" / "run0" / "all", whole_model())
    return tmp_path


def config_of(folder: Path, *settings: str) -> Config:
    (folder / "products").mkdir(exist_ok=True)
    (folder / "oso.yaml").write_text(TEXT)
    return load_config(folder / "oso.yaml", settings, {})


def found(folder: Path, *settings: str) -> Problems:
    config = config_of(folder, *settings)
    assert config.learning.model is not None
    return check_given(config, config.learning.model)


def error_of(folder: Path, *settings: str) -> str:
    """Return the one error of the check; the plan refuses for the same reason."""
    (error,) = found(folder, *settings).errors
    with pytest.raises(InputDataError) as refused:
        Planner(config_of(folder, *settings), STAGES).tasks("train")
    assert refused.value.problems == (error,)
    return str(error)


def test_a_model_that_fits_is_taken_and_nothing_else_is_planned(folder: Path) -> None:
    assert [*found(folder)] == []
    config = config_of(folder)
    assert config.reference.sources == ()
    planner = Planner(config, STAGES)
    for stage in ("polygons", "reference", "samples", "labels", "past_samples", "validate"):
        assert planner.tasks(stage) == ()
    (task,) = planner.tasks("train")
    assert do(task).status == "done"
    given = folder / "models/run0/all"
    for name in ("model.json", "forest.npz"):
        assert (config.run_dir / given.relative_to(folder) / name).read_bytes() == (
            given / name
        ).read_bytes()
    assert "1 model, 1 of another run" in STAGE.gather((task,)).headline


def test_keys_hold_the_content_of_models_and_not_where_they_lie(
    folder: Path, tmp_path: Path
) -> None:
    (task,) = Planner(config_of(folder), STAGES).tasks("train")
    (folder / "models").rename(folder / "elsewhere")
    moved = config_of(folder, f"learning.model={folder}/elsewhere/run0")
    assert Planner(moved, STAGES).tasks("train")[0].key == task.key
    save_model(folder / "elsewhere" / "run0" / "all", whole_model(seed=1))
    assert Planner(moved, STAGES).tasks("train")[0].key != task.key


@pytest.mark.parametrize("shape", ["run", "models", "variant", "bank", "year"])
def test_folders_that_hold_models(folder: Path, shape: str) -> None:
    save_model(folder / "bank" / "2018" / "all", whole_model())
    there = {"run": ".", "models": "models", "variant": "models/run0"}
    path = folder / {**there, "bank": "bank", "year": "bank/2018"}[shape]
    assert {*find_models(path)} == {"all"}


def test_another_year_is_the_same_season_and_takes_its_dates(folder: Path) -> None:
    save_model(folder / "models/run0/all", whole_model(**dated(date(2017, 1, 1))))
    assert found(folder).errors == []
    config = config_of(folder)
    (task,) = Planner(config, STAGES).tasks("train")
    assert do(task).status == "done"
    model = load_model(config.run_dir / "models/run0/all")
    assert model.layout == LAYOUT
    assert model.grid == config.season.grid == GRID
    assert task.commit_record()["summary"]["trained_from"] == "2017-01-01"


def test_a_season_over_29_february_is_the_same_in_any_year(folder: Path) -> None:
    """After 28 February days count from the first date, as for past seasons."""
    save_model(folder / "models/run0/all", whole_model(**dated(date(2016, 2, 20), number=4)))
    season = "season={start: 2018-02-20, end: 2018-03-25, step_days: 10}"
    assert found(folder, season).errors == []
    save_model(folder / "models/run0/all", whole_model(**dated(date(2016, 2, 29), number=4)))
    season = "season={start: 2018-02-28, end: 2018-03-31, step_days: 10}"
    assert found(folder, season).errors == []


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("season.start=2018-01-04", ("E-MODEL-DATES", "2018-01-01", "2018-01-04")),
        ("season.step_days=8", ("E-MODEL-DATES", "every 10 days", "every 8 days")),
        ("season.end=2018-03-31", ("E-MODEL-DATES", "4 dates", "9 dates")),
        ("imagery.bands=[B8, B4]", ("E-MODEL-FEATURES", "bands B4, B8", "bands B8, B4")),
        ("features.derived=[relative]", ("E-MODEL-FEATURES", "indices NDVI, derived relative")),
        ("features.indices=[]", ("E-MODEL-FEATURES", "indices NDVI", "indices -")),
        ("nomenclature=oso23", ("E-MODEL-CLASSES", "of the nomenclature alone: ", "oso23")),
    ],
)
def test_a_model_of_another_configuration_is_refused(
    folder: Path, setting: str, words: tuple[str, ...]
) -> None:
    shown = error_of(folder, setting)
    for word in (*words, "model.json", "fix:"):
        assert word in shown


def altered_arrays(model: Path) -> None:
    path = model / "forest.npz"
    path.write_bytes(path.read_bytes()[:-1])


def altered_description(model: Path) -> None:
    path = model / "model.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))


def described_anew(**changed: Any) -> Callable[[Path], None]:
    def change(model: Path) -> None:
        content = {**json.loads((model / "model.json").read_text()), **changed}
        del content["sha256"]
        publish_json(model / "model.json", {**content, "sha256": digest(content)})

    return change


@pytest.mark.fault(
    row=46,
    injected="a given model or bank damaged, altered, truncated or of another version",
    outcome="refused by `oso check` before any work",
)
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (altered_arrays, "sha256 does not fit"),
        (altered_description, "sha256 does not fit"),
        (lambda model: (model / "forest.npz").unlink(), "cannot be read"),
        (lambda model: (model / "model.json").write_text("{"), "cannot be read"),
        (described_anew(format=99), "model format 99 found, this version reads 2"),
        (described_anew(kind="oracle"), "made by the learner 'oracle'"),
        (described_anew(layout={"bands": 3}), "cannot be used"),
        (described_anew(nomenclature=None), "cannot be used"),
        (described_anew(stratum="north"), "E-MODEL-STRATA"),
        (described_anew(stratum=["north"]), "cannot be used"),
        (described_anew(parameters=3), "cannot be used"),
    ],
)
def test_damaged_models_are_refused_before_any_work(
    folder: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(folder / "models" / "run0" / "all")
    (error,) = found(folder).errors
    assert words in str(error)
    assert "run `oso run` again" not in (error.hint or "")
    assert error.hint


def test_a_model_that_changes_after_the_plan_is_not_taken(folder: Path) -> None:
    (task,) = Planner(config_of(folder), STAGES).tasks("train")
    save_model(folder / "models" / "run0" / "all", whole_model(seed=1))
    result = do(task)
    assert "the model has changed since the run was planned" in str(result.error)


def test_strata_without_model_and_models_without_stratum(folder: Path) -> None:
    for name in ("north", "south"):
        save_model(folder / "bank/2018" / name, whole_model(stratum=name))
    regions = {"region": ["north", "west"]}
    boxes = [shapely.box(0, y, 1e6, y + 5e6) for y in (6e6, 1e6)]
    geopandas.GeoDataFrame(regions, geometry=boxes, crs=2154).to_file(folder / "r.gpkg")
    strata = f"strata={{path: {folder}/r.gpkg, field: region}}"
    shown = error_of(folder, strata, f"learning.model={folder}/bank")
    assert "E-MODEL-STRATA] no model of west; the folder has models of north, south" in shown
    frame = geopandas.GeoDataFrame({"region": ["north"]}, geometry=boxes[:1], crs=2154)
    frame.to_file(folder / "r.gpkg")
    problems = found(folder, strata, f"learning.model={folder}/bank")
    assert problems.errors == []
    assert "W-MODEL-STRATA] models of south are not used" in str(problems.warnings[0])
    without = error_of(folder, f"learning.model={folder}/bank")
    assert "no model of all" in without


def test_one_set_of_models_is_requested(folder: Path) -> None:
    for year in (2017, 2018):
        save_model(folder / "bank" / str(year) / "all", whole_model())
    shown = error_of(folder, f"learning.model={folder}/bank")
    assert "E-MODEL-FOLDER] several sets of models: 2017, 2018; expected one" in shown
    save_model(folder / "models" / "run1" / "all", whole_model(variant="run1"))
    assert found(folder).errors == []  # the first of repeated splits makes the map
    (folder / "empty").mkdir()
    assert "E-MODEL-FOLDER] no models" in error_of(folder, f"learning.model={folder}/empty")


def test_other_settings_are_a_warning_and_another_learner_an_error(folder: Path) -> None:
    save_model(folder / "models/run0/all", whole_model(parameters={"n_trees": 10}))
    assert [*found(folder)] == []
    (warning,) = found(folder, "learning.n_trees=50").warnings
    assert "W-MODEL-SETTINGS] " in str(warning)
    assert "n_trees 10 (here 50)" in str(warning)


def test_a_model_without_calibration_is_refused_where_a_band_needs_one(folder: Path) -> None:
    for wanted in ("map.bands=[probability]", "confidence.level=0.8"):
        assert "E-CONFIDENCE-MODEL" in error_of(folder, wanted)
    assert [*found(folder, "map.bands=[margin]")] == []


def test_mistakes_of_the_configuration(folder: Path) -> None:
    past = "{year: 2017, imagery: {paths: [products]}}"
    with pytest.raises(ConfigError, match="models are trained already; take `adaptation` out"):
        config_of(folder, f"adaptation={{sources: [{past}]}}")
    (problem,) = check_paths(config_of(folder, f"run_dir={folder}/models")).errors
    assert "run_dir: holds the models that learning.model names" in problem.message
    (problem,) = check_paths(config_of(folder, "learning.model=nowhere")).errors
    assert problem.code == "E-PATH-MISSING"
    assert "learning.model: there is nothing" in problem.message
    with pytest.raises(ConfigError, match="reference: is missing"):
        config_of(folder, "learning.model=null")


def test_a_bank_refuses_another_model_and_one_without_a_year(folder: Path) -> None:
    with pytest.raises(InputDataError, match=r"E-MODEL-BANK. the year of the model is not known"):
        export_models(folder, folder / "bank")
    publish_json(folder / "run.json", {"run_id": "abc", "name": "mine"})
    (folder / "config.yaml").write_text("year: 2018\n")
    (exported,) = export_models(folder, folder / "bank")
    assert exported == folder / "bank" / "2018" / "all"
    assert origin_of(exported) == origin_of(folder / "models/run0/all")
    assert origin_of(exported).run_id == "abc"
    assert export_models(folder, folder / "bank") == [exported]
    assert [model.stratum for _, model in all_models(folder / "bank")] == ["all"]
    save_model(folder / "models/run0/all", whole_model(seed=3))
    with pytest.raises(InputDataError, match="has another model of 2018 and stratum all"):
        export_models(folder, folder / "bank")
    altered_arrays(folder / "models/run0/all")
    with pytest.raises(InputDataError, match="E-INPUT-MODEL"):
        export_models(folder, folder / "other")
    assert not (folder / "other").exists()


def test_accuracy_goes_with_the_model_that_it_was_measured_with(folder: Path) -> None:
    publish_json(folder / "run.json", {"run_id": "abc"})
    model = folder / "models/run0/all"
    write_sidecar(model / "model.json", {"key": "k1"})
    measured = folder / "validation" / "accuracy.json"
    publish_json(measured, {"overall_accuracy": {"estimate": 0.9}, "kappa": {}})
    for key, expected in (("k1", 0.9), ("k2", None)):
        recipe = {"inputs": {"train/run0/all": key}, "params": {"folds": False}}
        write_sidecar(measured, {"key": "v", "recipe": recipe})
        assert origin_of(model).overall_accuracy == expected


def test_digest_of_arrays_is_that_of_the_file(folder: Path) -> None:
    model = describe_model(folder / "models/run0/all")
    check_arrays(model)
    assert np.load(model.arrays).files
    assert model.counts == whole_model().counts


def committed(run_dir: Path, **changed: Any) -> Task:
    """Return a task of training that read samples of the key ``a``, committed."""
    task = trained_from("a", run_dir, **changed)
    for output in task.outputs:
        (run_dir / output).parent.mkdir(parents=True, exist_ok=True)
        (run_dir / output).write_text("x")
        write_sidecar(run_dir / output, {"key": task.key, "recipe": task.recipe})
    return task


def trained_from(key: str, run_dir: Path, **changed: Any) -> Task:
    job = train_job(samples={"samples/31TCJ": Input(key, "samples/31TCJ.parquet")}, **changed)
    outputs = ("models/run0/all/model.json", "models/run0/all/forest.npz")
    return Task("train", "run0/all", "-", run_dir, outputs, job)


def test_a_frozen_model_stays_when_inputs_alone_change(tmp_path: Path) -> None:
    first = trained_from("a", tmp_path)
    assert kept(first) is first  # nothing is there to keep
    committed(tmp_path)
    assert kept(first) is first
    late = trained_from("b", tmp_path)
    assert late.state().status == "outdated"
    frozen = kept(late)
    assert isinstance(frozen, KeptTask)
    assert frozen.state().status == "done"
    assert Input.of(frozen) == Input.of(first)
    other = trained_from("b", tmp_path, seed=6)
    assert kept(other) is other  # a setting changed
    other_split = trained_from("b", tmp_path, reference=Input("new", "reference.parquet"))
    assert kept(other_split) is other_split  # what is held out may have trained the old model
    version = replace(late, version=2)
    assert kept(version) is version


def oso(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_commands_refuse_before_any_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir = config_of(folder).run_dir
    save_model(folder / "other" / "all", whole_model(**dated(date(2018, 3, 1))))
    monkeypatch.chdir(folder)
    for command in (
        ("apply", "oso.yaml", "--model", "other"),
        ("run", "oso.yaml", "--set", "learning.model=other"),
        ("check", "oso.yaml", "--set", "learning.model=other"),
    ):
        result = oso(*command)
        assert isinstance(result.exception, InputDataError)
        assert "E-MODEL-DATES" in str(result.exception)
        assert "E-TILE-NO-IMAGE" in str(result.exception)  # nothing hides anything
    assert not run_dir.exists()
    assert oso("reference", "oso.yaml").exit_code == ExitCode.USAGE
    assert "E-MODEL-FOLDER" in str(oso("models", "products").exception)
    listed = oso("models", folder).output.split()
    assert " ".join(listed[8:]) == "all run0 - 2018-01-01 4 x 10 d 2 + 1 4 200 -"


def test_models_of_images_up_to_another_day_are_a_warning(folder: Path) -> None:
    day = "imagery.as_of=2018-01-20"
    (warning,) = found(folder, day).warnings
    assert "W-MODEL-AS-OF] the models were trained with the whole season, the map" in str(warning)
    (folder / "config.yaml").write_text("year: 2018\nimagery: {as_of: 2018-01-20}\n")
    assert found(folder, day).warnings == []
    (warning,) = found(folder).warnings
    assert "images up to 2018-01-20, the map is made with the whole season" in str(warning)
