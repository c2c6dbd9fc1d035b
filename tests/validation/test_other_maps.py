"""Other maps held against the same independent set, by a plain count and SciPy's bootstrap."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin
from scipy.stats import binomtest, bootstrap
from sklearn.metrics import f1_score
from support.minimal_config import MINIMAL

from oso_pipeline.config.independent import IndependentSet
from oso_pipeline.config.loader import load_config
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do
from oso_pipeline.validation.accuracy import Method
from oso_pipeline.validation.independent import Units, pixels_on_map
from oso_pipeline.validation.independent_stage import OUTPUTS, IndependentJob
from oso_pipeline.validation.other_maps import compared

OSO17 = load_nomenclature("oso17")
METHOD = Method(OSO17, 2000, 0.95, 0, folds=False)
LEFT, TOP, SIDE, CODES = 600_000, 6_300_000, 60, np.array([11, 12, 211])


def write_map(path: Path, values: np.ndarray, left: float = LEFT, epsg: int = 2154) -> Path:
    rows, columns = values.shape
    profile = {"driver": "GTiff", "height": rows, "width": columns, "count": 1, "nodata": 0}
    where = {"crs": f"EPSG:{epsg}", "transform": from_origin(left, TOP, 10, 10)}
    with rasterio.open(path, "w", dtype="uint8", **profile, **where) as file:
        file.write(values.astype(np.uint8), 1)
    return path


def with_errors(truth: np.ndarray, share: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.uniform(size=truth.shape) < share, rng.choice(CODES, truth.shape), truth)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """Fields of 5 x 5 pixels."""
    fields = np.random.default_rng(0).choice(CODES, (SIDE // 5, SIDE // 5))
    return np.kron(fields, np.ones((5, 5), int))


@pytest.fixture(scope="module")
def units(truth: np.ndarray) -> Units:
    corners = np.arange(SIDE // 5) * 50
    boxes = [
        shapely.box(LEFT + x, TOP - y - 50, LEFT + x + 50, TOP - y)
        for y in corners
        for x in corners
    ]
    return Units(np.arange(len(boxes)), truth[::5, ::5].ravel(), np.array(boxes, dtype=object))


def test_difference_and_interval_are_those_of_a_plain_count(
    truth: np.ndarray, units: Units, tmp_path: Path
) -> None:
    ours, theirs = with_errors(truth, 0.1, 1), with_errors(truth, 0.4, 2)
    pixels = pixels_on_map(units, write_map(tmp_path / "ours.tif", ours))
    other = write_map(tmp_path / "theirs.tif", theirs)
    problems = Problems()
    (found,) = compared(pixels, 2154, {"rival": other}, METHOD, problems)
    assert not problems.errors
    right, rival = ours == truth, theirs == truth
    assert (found["pixels"], found["polygons"]) == (SIDE**2, (SIDE // 5) ** 2)
    assert found["overall_accuracy"]["run"] == pytest.approx(right.mean())
    assert found["overall_accuracy"]["other"] == pytest.approx(rival.mean())
    assert found["difference"]["estimate"] == pytest.approx(right.mean() - rival.mean())
    assert found["only_run_right"] == (right & ~rival).sum()
    assert found["only_other_right"] == (rival & ~right).sum()
    expected = f1_score(truth.ravel(), theirs.ravel(), labels=CODES, average=None)
    by_class = [found["f_score"][str(code)]["other"] for code in CODES]
    assert by_class == pytest.approx(expected)
    gain = (right.astype(float) - rival).reshape(SIDE // 5, 5, SIDE // 5, 5).sum(axis=(1, 3))
    reference = bootstrap(
        (gain.ravel() / 25,), np.mean, method="percentile", n_resamples=5000, rng=3
    ).confidence_interval
    assert found["difference"]["low"] == pytest.approx(reference.low, abs=0.004)
    assert found["difference"]["high"] == pytest.approx(reference.high, abs=0.004)


def test_a_map_against_itself_and_against_one_that_covers_less(
    truth: np.ndarray, units: Units, tmp_path: Path
) -> None:
    path = write_map(tmp_path / "ours.tif", truth)
    pixels = pixels_on_map(units, path)
    part = write_map(tmp_path / "part.tif", truth[:, 30:], left=LEFT + 300)
    problems = Problems()
    same, less = compared(pixels, 2154, {"same": path, "less": part}, METHOD, problems)
    assert same["difference"]["estimate"] == 0
    # Not one of 144 fields differs: up to 3.0 % may in either direction (97.5 %, exact).
    most = binomtest(0, len(units.code)).proportion_ci(0.975).high
    assert same["difference"]["high"] == pytest.approx(most) == -same["difference"]["low"]
    assert less["pixels"] == SIDE * 30
    assert less["overall_accuracy"] == {"run": 1.0, "other": 1.0}


def test_another_coordinate_system_is_the_same_place(
    truth: np.ndarray, units: Units, tmp_path: Path
) -> None:
    pixels = pixels_on_map(units, write_map(tmp_path / "ours.tif", truth))
    path = tmp_path / "wgs84.tif"
    with rasterio.open(tmp_path / "ours.tif") as source:
        lon, lat = rasterio.warp.transform(source.crs, "EPSG:4326", [LEFT, LEFT + 600], [TOP, TOP])
        grid = from_origin(min(lon) - 1e-3, max(lat) + 1e-3, 2e-5, 2e-5)
        values = np.zeros((500, 600), np.uint8)
        rasterio.warp.reproject(
            source.read(1), values, src_transform=source.transform, src_crs=source.crs,
            dst_transform=grid, dst_crs="EPSG:4326", resampling=rasterio.warp.Resampling.nearest,
        )  # fmt: skip
    profile = {"driver": "GTiff", "height": 500, "width": 600, "count": 1, "nodata": 0}
    with rasterio.open(path, "w", dtype="uint8", crs=4326, transform=grid, **profile) as file:
        file.write(values, 1)
    (found,) = compared(pixels, 2154, {"wgs84": path}, METHOD, Problems())
    assert found["pixels"] > 0.9 * SIDE**2
    assert found["overall_accuracy"]["other"] > 0.9


def test_3_9_rows_37_42_65_bad_maps_are_named_and_left_out(
    truth: np.ndarray, units: Units, tmp_path: Path
) -> None:
    pixels = pixels_on_map(units, write_map(tmp_path / "ours.tif", truth))
    text = tmp_path / "text.tif"
    text.write_text("no raster")
    maps = {
        "text": text,
        "codes": write_map(tmp_path / "codes.tif", truth + 40),
        "far": write_map(tmp_path / "far.tif", truth, left=LEFT + 50_000),
        "good": tmp_path / "ours.tif",
    }
    problems = Problems()
    assert [one["name"] for one in compared(pixels, 2154, maps, METHOD, problems)] == ["good"]
    assert not problems.errors
    assert [one.code for one in problems.warnings] == [
        "W-COMPARE-READ",
        "W-COMPARE-CLASSES",
        "W-COMPARE-EMPTY",
    ]
    for name, warning in zip(maps, problems.warnings, strict=False):
        assert f"the map '{name}' is not compared with" in str(warning)


def test_the_stage_writes_the_comparison(truth: np.ndarray, tmp_path: Path) -> None:
    write_map(tmp_path / "ours.tif", truth)
    theirs = write_map(tmp_path / "theirs.tif", with_errors(truth, 0.3, 5))
    point = shapely.Point(LEFT + 105, TOP - 105)
    frame = geopandas.GeoDataFrame({"code": [int(truth[10, 10])]}, geometry=[point], crs=2154)
    frame.to_file(tmp_path / "points.gpkg")
    far = shapely.box(LEFT - 500, TOP, LEFT - 400, TOP + 100)
    table = geopandas.GeoDataFrame({"split_0": ["train"]}, geometry=[far], crs="EPSG:2154")
    table.to_parquet(tmp_path / "reference.parquet")
    task = Task(
        "independent", "independent", "oso_pipeline.validation.independent_stage:validate",
        tmp_path, OUTPUTS,
        IndependentJob(
            rules=IndependentSet(path=tmp_path / "points.gpkg", compare={"past": theirs}),
            variant="run0", columns=("split_0",), epsg=2154,
            nomenclature=OSO17, bootstrap=100, confidence_level=0.95, seed=0,
            files={},
            class_map=Input("map", "ours.tif"),
            references={"reference/reference": Input("reference", "reference.parquet")},
        ),
    )  # fmt: skip
    result = do(task)
    assert result.status == "done", result.error
    accuracy = json.loads(task.output(0).read_text(encoding="utf-8"))
    (found,) = accuracy["compared_maps"]
    assert (found["name"], found["pixels"], found["difference"]["low"]) == ("past", 1, None)


def test_paths_of_maps_begin_at_the_configuration(tmp_path: Path) -> None:
    independent_set = {"path": "p.gpkg", "compare": {"past": "other/map.tif"}}
    content = {**MINIMAL, "validation": {"independent": independent_set}}
    (tmp_path / "oso.yaml").write_text(json.dumps(content), encoding="utf-8")
    independent = load_config(tmp_path / "oso.yaml", (), {}).validation.independent
    assert independent is not None
    assert independent.compare == {"past": tmp_path / "other" / "map.tif"}
