"""Labels of a past year map the present one, from images to map, on a simulated world."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from support.pipeline_tools import digests
from support.two_seasons import write_two_seasons
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.core.errors import InputDataError, OsoError
from oso_pipeline.learning.model_file import load_model
from oso_pipeline.runtime.session import load
from oso_pipeline.simulation import PastYear

pytestmark = pytest.mark.slow

SHIFT_DAYS = -PastYear().season_shift_days
TILES = {"30UYD": 32630, "31UCU": 32631}
ANNUAL = {11, 12}


def oso(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, OsoError):  # the command prints it, and ends with its code
        return result.exception.exit_code, str(result.exception)
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture
def world(two_years: Path) -> Path:
    return two_years


@pytest.fixture(scope="module")
def finished(two_years: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run folder of a run in one process."""
    config = write_two_seasons(tmp_path_factory.mktemp("finished"), two_years)
    code, output = oso("run", config)
    assert code == 0, output
    return config.parent / "run"


def test_the_past_labels_the_crops_and_the_shift_of_the_season_is_found(finished: Path) -> None:
    reference = pd.read_parquet(finished / "reference.parquet")
    past = pd.read_parquet(finished / "past" / "2017" / "reference.parquet")
    assert set(reference["code"]) > ANNUAL  # of the year of the map: they evaluate, never teach
    assert set(past["code"]) > ANNUAL
    model = load_model(finished / "models" / "run0" / "all")
    assert set(model.classifier.forest.classes.tolist()) >= ANNUAL
    record = model.adaptation
    assert record is not None
    assert record.gate.adapted
    assert record.shift is not None
    assert abs(record.shift.mean_days - SHIFT_DAYS) < 2 * record.shift.sd_days
    assert record.target_samples == 400
    assert record.anchor_samples > 0
    assert set(record.pseudo_labels) <= {str(code) for code in ANNUAL}
    train = json.loads((finished / "models" / "run0" / "all" / "model.json.json").read_text())
    assert train["summary"]["adaptation"]["adapted"]


def test_nothing_that_trains_lies_on_ground_that_evaluates(finished: Path) -> None:
    reference = geopandas.read_parquet(finished / "reference.parquet")
    held_out = reference[reference["split_0"] == "validation"]
    assert len(held_out)
    for tile, epsg in TILES.items():
        tree = shapely.STRtree(np.asarray(held_out.to_crs(epsg).geometry))
        past = pd.read_parquet(finished / "past" / "2017" / "samples" / f"{tile}.parquet")
        unlabelled = pd.read_parquet(finished / "samples" / "unlabelled" / f"{tile}.parquet")
        labelled = pd.read_parquet(finished / "samples" / f"{tile}.parquet")
        for table in (
            past[past["split_0"] == "train"],
            unlabelled,
            labelled[labelled["split_0"] == "train"],
        ):
            assert len(table)
            points = shapely.points(table["x"], table["y"])
            assert tree.query(points, predicate="within").shape[1] == 0
        assert set(past["season"]) == {2017}
        assert set(labelled["season"]) == set(unlabelled["season"]) == {2018}
        assert len(unlabelled) == 400


def test_what_is_lost_is_made_again_and_nothing_else(finished: Path) -> None:
    patterns = ("maps/*", "samples/unlabelled/*.parquet", "past/2017/samples/*.parquet")
    before = [digests(finished, pattern) for pattern in patterns]
    (finished / "past" / "2017" / "samples" / "30UYD.parquet").unlink()
    (finished / "samples" / "unlabelled" / "31UCU.parquet").unlink()
    code, output = oso("run", finished.parent / "two.yaml")
    assert code == 0
    assert "2 tasks done" in output
    assert [digests(finished, pattern) for pattern in patterns] == before


def test_workers_and_blocks_make_no_difference(finished: Path, world: Path, tmp_path: Path) -> None:
    config = write_two_seasons(
        tmp_path, world, ("runtime: {executor: serial}", "runtime: {workers: 2, block_pixels: 900}")
    )
    code, output = oso("run", config)
    assert code == 0, output
    for pattern in ("maps/*", "samples/**/*.parquet", "past/2017/samples/*", "models/**/*.npz"):
        assert digests(tmp_path / "run", pattern) == digests(finished, pattern)


def test_seasons_without_images_are_found_before_any_work(world: Path, tmp_path: Path) -> None:
    wrong = (f"paths: [{world}/products]", f"paths: [{world}/products_2017]")
    with pytest.raises(InputDataError, match=r"imagery\.paths: the season 2018 has no image"):
        load(write_two_seasons(tmp_path / "target", world, wrong), None)
    landsat = tmp_path / "landsat" / "LC08_L1TP_198026_20170501_20200903_02_T1"
    landsat.mkdir(parents=True)
    (landsat / "LC08_L1TP_198026_20170501_20200903_02_T1_B4.TIF").touch()
    other = (f"{world}/products_2017", str(landsat.parent))
    with pytest.raises(InputDataError, match=r"2017 has no image.*only what is of another sensor"):
        load(write_two_seasons(tmp_path / "past", world, other), None)


def test_a_class_that_no_past_year_has_is_said_to_be_never_predicted(
    world: Path, tmp_path: Path
) -> None:
    config = write_two_seasons(
        tmp_path, world, ("form: ilots}", "form: ilots, classes: [12, 211, 221, 222]}")
    )
    code, output = oso("run", config, "--until", "report")
    assert code == 0, output
    model = load_model(tmp_path / "run" / "models" / "run0" / "all")
    assert model.adaptation is not None
    assert model.adaptation.never_predicted == ("11",)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for text in (
        "classes 11 of the target year are not among what the forest learnt",
        "Never predicted, as no past year has them: 11 summer crops",
        "400 unlabelled samples of the target year are few, 2000 or more are better",
    ):
        assert text in page


def test_labels_of_another_nomenclature_stop_the_run(world: Path, tmp_path: Path) -> None:
    foreign = geopandas.read_file(world / "reference.gpkg")
    foreign["code"] = foreign["code"] + 9000
    foreign.to_file(tmp_path / "foreign.gpkg", layer="parcels")
    rpg = f"{{kind: rpg, path: {world}/rpg/RPG_1-0_SHP_LAMB93_R031-2017, year: 2017, form: ilots}}"
    config = write_two_seasons(
        tmp_path, world, (rpg, f"{{path: {tmp_path}/foreign.gpkg, year: 2017}}")
    )
    code, output = oso("run", config, "--until", "past_reference")
    assert code == 4
    assert "E-CLASS-UNKNOWN" in output
    assert "17 values of 'code'" in output
    assert "foreign.gpkg" in output
