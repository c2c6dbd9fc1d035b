"""A validation set of the user, held against the finished map."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from rasterio.transform import from_origin

from oso_pipeline.config.independent import IndependentSet
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do
from oso_pipeline.validation.independent import (
    Units,
    against_map,
    apart_from_training,
    read_units,
)
from oso_pipeline.validation.independent_stage import OUTPUTS, IndependentJob

OSO17 = load_nomenclature("oso17")
LEFT, TOP, SIDE = 600_000, 6_300_000, 40
TRANSFORM = from_origin(LEFT, TOP, 10, 10)


@pytest.fixture(scope="module")
def map_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of random classes with a corner that has none."""
    values = np.random.default_rng(0).choice([11, 12, 211], (SIDE, SIDE)).astype(np.uint8)
    values[:5, :5] = 0
    path = tmp_path_factory.mktemp("map") / "OCS_2018.tif"
    profile = {"driver": "GTiff", "height": SIDE, "width": SIDE, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", crs="EPSG:2154", transform=TRANSFORM, nodata=0, **profile) as out:
        out.write(values, 1)
    return path


def units(*geometries: shapely.Geometry, code: int = 11) -> Units:
    n = len(geometries)
    return Units(np.arange(n), np.full(n, code), np.array(geometries, dtype=object))


def values_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read(1).astype(int)


def test_a_point_takes_the_pixel_it_lies_in(map_path: Path) -> None:
    found = against_map(units(shapely.Point(LEFT + 103, TOP - 57)), map_path)
    assert found.predicted.tolist() == [values_of(map_path)[5, 10]]


def test_what_cannot_be_compared_is_counted(map_path: Path) -> None:
    nowhere, dark = shapely.Point(LEFT - 5, TOP - 5), shapely.Point(LEFT + 5, TOP - 5)
    tiny = shapely.box(LEFT + 201, TOP - 204, LEFT + 204, TOP - 201)
    half = shapely.box(LEFT + 380, TOP - 390, LEFT + 420, TOP - 380)
    found = against_map(units(nowhere, dark, tiny, half), map_path)
    assert found.excluded == {
        "outside_the_map": 3,  # the point, and two pixels of the last polygon
        "no_class_on_the_map": 1,
        "polygons_without_pixel_centre": 1,
    }
    assert found.polygon_id.tolist() == [3, 3]


@settings(max_examples=40)
@given(
    st.floats(-50, 420), st.floats(-50, 420), st.floats(1, 150), st.floats(1, 150), st.floats(0, 90)
)
def test_polygons_take_the_pixels_whose_centres_they_hold(
    map_path: Path, x: float, y: float, width: float, height: float, degrees: float
) -> None:
    box = shapely.box(LEFT + x, TOP - y - height, LEFT + x + width, TOP - y)
    shape = shapely.affinity.rotate(box, degrees)
    mask = rasterize([shape], (SIDE, SIDE), transform=TRANSFORM) == 1
    expected = values_of(map_path)[mask]
    found = against_map(units(shape), map_path)
    assert sorted(found.predicted.tolist()) == sorted(expected[expected > 0].tolist())


def test_units_in_training_polygons_are_left_out(tmp_path: Path) -> None:
    squares = [shapely.box(x, 0, x + 50, 50) for x in (0, 100, 200)]
    table = geopandas.GeoDataFrame(
        {"split_0": ["train", "validation", "train"]}, geometry=squares, crs="EPSG:2154"
    )
    table.to_parquet(tmp_path / "reference.parquet")
    points = units(*(shapely.Point(x, 25) for x in (25, 75, 125, 225)))
    free = apart_from_training(points, [tmp_path / "reference.parquet"], "run0", ["split_0"])
    assert free.feature.tolist() == [1, 2]
    squares = [shapely.box(x, 0, x + 50, 50) for x in (100, 300)]
    past = geopandas.GeoDataFrame({"split_0": ["train"] * 2}, geometry=squares, crs="EPSG:2154")
    past.to_parquet(tmp_path / "past.parquet")
    both = [tmp_path / "reference.parquet", tmp_path / "past.parquet"]
    assert apart_from_training(points, both, "run0", ["split_0"]).feature.tolist() == [1]


def set_of(folder: Path, geometries: list[shapely.Geometry], codes: list[object]) -> IndependentSet:
    frame = geopandas.GeoDataFrame({"crop": codes}, geometry=geometries, crs="EPSG:2154")
    frame.to_crs("EPSG:4326").to_file(folder / "points.gpkg")
    crosswalk = {"wheat": 12, "maize": 11, "hedge": None}
    return IndependentSet(path=folder / "points.gpkg", code_field="crop", crosswalk=crosswalk)


def test_points_and_polygons_are_read_in_any_system(tmp_path: Path) -> None:
    here = shapely.Point(LEFT, TOP)
    rules = set_of(tmp_path, [here, here.buffer(50), here], ["wheat", "maize", "hedge"])
    problems = Problems()
    found = read_units(rules, OSO17, 2154, problems)
    assert found is not None
    assert not problems.errors
    assert found.code.tolist() == [12, 11]
    assert shapely.distance(found.geometry[0], here) < 0.01


def test_rows_37_42_lines_and_unknown_values_are_named_together(tmp_path: Path) -> None:
    line = shapely.LineString([(LEFT, TOP), (LEFT + 10, TOP)])
    rules = set_of(tmp_path, [line, shapely.Point(LEFT, TOP)], ["wheat", "ryegrass"])
    problems = Problems()
    assert read_units(rules, OSO17, 2154, problems) is None
    assert [one.code for one in problems.errors] == ["E-GEOMETRY-TYPE", "E-CLASS-UNKNOWN"]
    assert "LineString" in problems.errors[0].message
    assert "ryegrass" in problems.errors[1].message


def job_of(rules: IndependentSet) -> IndependentJob:
    return IndependentJob(
        rules=rules,
        variant="run0",
        columns=("split_0",),
        epsg=2154,
        nomenclature=OSO17,
        bootstrap=100,
        confidence_level=0.95,
        seed=0,
        files={},
        class_map=Input("map", "OCS_2018.tif"),
        references={"reference/reference": Input("reference", "reference.parquet")},
    )


def test_where_the_files_lie_is_not_in_the_key() -> None:
    here = IndependentSet(path="a/set.gpkg", crosswalk="a/codes.csv", compare={"past": "a/map.tif"})
    there = IndependentSet(path="b/set.gpkg", crosswalk="b/codes.csv", compare={"past": "b/m.tif"})
    assert isinstance(here.crosswalk, Path)
    assert job_of(here).params == job_of(there).params
    assert job_of(here).params != job_of(here.model_copy(update={"crs": "EPSG:2154"})).params


def test_the_stage_writes_accuracy_and_tables(map_path: Path, tmp_path: Path) -> None:
    values = values_of(map_path)
    rows, columns = np.nonzero(values == 12)
    here = [
        shapely.Point(LEFT + 10 * c + 3, TOP - 10 * r - 4)
        for r, c in zip(rows[:50], columns[:50], strict=True)
    ]
    rules = set_of(tmp_path, here, ["wheat"] * 40 + ["maize"] * 10)
    far = shapely.box(LEFT - 500, TOP, LEFT - 400, TOP + 100)
    table = geopandas.GeoDataFrame({"split_0": ["train"]}, geometry=[far], crs="EPSG:2154")
    table.to_parquet(tmp_path / "reference.parquet")
    (tmp_path / "OCS_2018.tif").write_bytes(map_path.read_bytes())
    task = Task(
        "independent",
        "independent",
        "oso_pipeline.validation.independent_stage:validate",
        tmp_path,
        OUTPUTS,
        job_of(rules),
    )
    result = do(task)
    assert result.status == "done", result.error
    accuracy = json.loads(task.output(0).read_text(encoding="utf-8"))
    assert accuracy["overall_accuracy"]["estimate"] == pytest.approx(0.8)
    assert accuracy["classes"]["11"]["recall"] == 0
    assert "took no part in the production" in accuracy["design"]
    assert all((tmp_path / output).stat().st_size for output in OUTPUTS)
