"""The task of a block of series: what it reads, what it leaves out, what it commits."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from support.minimal_config import minimal_config

from oso_pipeline.config.model import Area
from oso_pipeline.config.series import Series, Smoothing
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import publish_json
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.imagery.inventory import Inventory, write_inventory
from oso_pipeline.products.series.check import check_series
from oso_pipeline.products.series.stage import STAGE, SeriesJob, make_series, of_blocks
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Task
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading.reader import ReadSpec
from oso_pipeline.timeseries.series_block_file import read_series_block, series_file_of
from oso_pipeline.timeseries.stack import stack_of
from oso_pipeline.vectors.area_of_interest import AreaOfTask

BANDS = ("B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
SPEC = ReadSpec(BANDS, "oso", date(2018, 1, 1), date(2018, 12, 31))
DATES = DateGrid(date(2018, 6, 1), date(2018, 6, 26), 5)
SHAPE = (6, 8)


@pytest.fixture
def inventory(products, tmp_path: Path) -> Inventory:
    numbers = np.random.default_rng(0)
    for day in (1, 11, 21):
        bands = {
            band: numbers.integers(200, 5000, SHAPE if band in ("B3", "B4", "B8") else (3, 4))
            for band in BANDS
        }
        bands = {band: image.astype(np.int16) for band, image in bands.items()}
        clouds = numbers.integers(0, 2, SHAPE, np.uint8)
        products.add(f"2018-06-{day:02}T10:00:00", bands, {"CLM_R1": clouds})
    listed = products.inventory()
    found = Inventory(listed.tile, listed.grid, (2, 8), listed.acquisitions)
    (tmp_path / "inventory").mkdir()
    write_inventory(tmp_path / "inventory" / "31TCJ.parquet", found)
    return found


def task_of(inventory: Inventory, folder: Path, series: Series, **more: object) -> Task:
    job = SeriesJob(
        tile="31TCJ",
        grid=inventory.grid,
        block=Block("31TCJ", 0, 0, *SHAPE),
        read=SPEC,
        series=series,
        dates=DATES,
        inventory=Input("0", "inventory/31TCJ.parquet"),
        memory_bytes=2e9,
        **{"area": None, **more},
    )
    return Task(
        stage="series",
        name="31TCJ/r00000c00000",
        function="",
        run_dir=folder,
        outputs=(series_file_of(job.block),),
        job=job,
    )


def test_a_block_holds_the_numbers_of_the_stack(inventory: Inventory, tmp_path: Path) -> None:
    task = task_of(inventory, tmp_path, Series(variables=("NDVI", "B11")))
    summary = make_series(task.job, task)
    found = read_series_block(task.output()).values
    layout = FeatureLayout.optical(BANDS, DATES.dates, ("NDVI",))
    stack = stack_of(inventory, SPEC, layout)
    for name in ("NDVI", "B11"):
        rows = [feature.startswith(f"{name}_") for feature in layout.names]
        np.testing.assert_array_equal(found[name], stack.values[rows])
    assert summary["pixels"] == 48
    assert summary["without_date"] == int((found["clear_dates"] == 0).sum())
    assert summary["clear_dates"] == int(found["clear_dates"].sum())
    assert summary["bytes"] == task.output().stat().st_size
    first = task.output().read_bytes()
    make_series(task.job, task)
    assert task.output().read_bytes() == first


def test_outside_the_area_there_is_no_data(inventory: Inventory, tmp_path: Path) -> None:
    left, _, _, top = inventory.grid.boundingbox.bbox
    shape = shapely.box(left, top - 30, left + 30, top)
    path = tmp_path / "area.gpkg"
    geopandas.GeoDataFrame(geometry=[shape], crs="EPSG:32631").to_file(path)
    angles = {
        one.product_id: {
            "sun_zenith_deg": 40.0,
            "sun_azimuth_deg": 150.0,
            "view_zenith_deg": 5.0,
            "view_azimuth_deg": 100.0,
        }
        for one in inventory.acquisitions
    }
    publish_json(tmp_path / "angles.json", {"format": 1, "angles": angles})
    series = Series(variables=("B4", "LAI"))
    more = {"angles": Input("1", "angles.json")}
    whole = task_of(inventory, tmp_path, series, **more)
    make_series(whole.job, whole)
    everything = read_series_block(whole.output()).values
    part = task_of(inventory, tmp_path, series, area=AreaOfTask.of(Area(path=path)), **more)
    summary = make_series(part.job, part)
    found = read_series_block(part.output()).values
    assert summary["pixels"] == 9
    np.testing.assert_array_equal(found["B4"][:, :3, :3], everything["B4"][:, :3, :3])
    assert (found["B4"][:, 3:] == -10000).all()
    assert (found["clear_dates"][:, :, 3:] == 65535).all()
    # A pixel of 20 m that the area touches is seen whole.
    np.testing.assert_array_equal(found["LAI"][:, :2, :2], everything["LAI"][:, :2, :2])
    assert (found["LAI"][:, 2:] == -10000).all()


def test_an_image_without_angles_is_named(inventory: Inventory, tmp_path: Path) -> None:
    publish_json(tmp_path / "angles.json", {"format": 1, "angles": {}})
    series = Series(variables=("LAI",))
    task = task_of(inventory, tmp_path, series, angles=Input("1", "angles.json"))
    with pytest.raises(InputDataError, match="E-SERIES-ANGLES"):
        make_series(task.job, task)
    assert not task.output().exists()


def test_only_what_blocks_hold_is_in_their_key(inventory: Inventory, tmp_path: Path) -> None:
    def key(**settings: object) -> str:
        return task_of(inventory, tmp_path, Series(**settings)).key

    first = key(variables=("NDVI",))
    assert first == key(variables=("NDVI",), formats=("zarr",), chunks="series")
    assert first == key(variables=("NDVI",), biophysical={"resolution_m": 10})
    assert first != key(variables=("NDVI",), quality=False)
    assert first != key(variables=("NDVI",), statistics=("p50",))
    assert "smoothing" not in of_blocks(Series(dates="raw"))


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    config = minimal_config(
        tmp_path,
        imagery={"paths": ["products"], "tiles": ["31TCJ"], "bands": ["B4", "B8", "B11"]},
        features={"indices": []},
        season={"start": "2018-01-01", "end": "2018-03-31"},
        series={
            "variables": ["NDVI", "B2", "LAI"],
            "phenology": {"variable": "NDVI"},
        },
    )
    assert config.series is not None
    found = check_series(config, config.series)
    assert [problem.code for problem in found] == [
        "E-SERIES-BANDS",
        "E-SERIES-BANDS",
        "E-SERIES-SHORT",
    ]
    assert "B2" in found.errors[0].message
    assert "B3, B5, B6, B7, B8A, B12" in found.errors[1].message
    window = config.series.model_copy(
        update={
            "phenology": None,
            "variables": ("NDVI",),
            "smoothing": Smoothing(kind="savitzky_golay", window=15),
        }
    )
    assert [problem.code for problem in check_series(config, window)] == ["E-SERIES-WINDOW"]


def test_without_the_section_nothing_is_planned(tmp_path: Path) -> None:
    config = minimal_config(tmp_path)

    class Context:
        def __init__(self) -> None:
            self.config = config

    assert STAGE.plan(Context()) == []
    assert list(STAGE.check(config)) == []
