"""Series per parcel in Python (issue 18)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from support.minimal_config import minimal_config
from support.parcels_world import EPSG, LAYOUT, TILES, ParcelsWorld

from oso_pipeline.core.commit import write_sidecar
from oso_pipeline.core.errors import InputDataError, OsoWarning, UnknownName
from oso_pipeline.studies import parcel_series as module
from oso_pipeline.studies.opened_run import Run
from oso_pipeline.studies.parcel_series import parcel_series


def dataset_of(world: ParcelsWorld, tile: str) -> xr.Dataset:
    """Return a dataset as `open_series` does: physical values, 20 m repeated on 10 m."""
    affine, size = world.grids[tile].affine, world.grids[tile].shape[0]
    x = affine.c + 10 * (np.arange(size) + 0.5)
    y = affine.f - 10 * (np.arange(size) + 0.5)
    found = {}
    for one in (LAYOUT["NDVI"], LAYOUT["LAI"], LAYOUT["nearest_clear_days"]):
        values = one.physical(world.stored(tile, one.name))
        if one.resolution_m == 20:
            values = values.repeat(2, axis=1).repeat(2, axis=2)
        attrs = {"resolution_m": one.resolution_m, "ancillary_variables": " ".join(one.ancillary)}
        found[one.name] = ("time", "y", "x"), values, attrs
    times = np.array(LAYOUT.dates, "datetime64[ns]")
    dataset = xr.Dataset(found, {"time": times, "x": x, "y": y}, {"tile": tile})
    return dataset.rio.write_crs(int(world.grids[tile].crs.epsg)).chunk({"x": 50, "y": 70})


@pytest.fixture
def world(tmp_path: Path) -> ParcelsWorld:
    return ParcelsWorld(tmp_path, 60, n_parcels=15)


def run_of(world: ParcelsWorld, monkeypatch: pytest.MonkeyPatch) -> Run:
    for paths in world.write().values():
        for path in paths:
            write_sidecar(path, {})
    grids = {f"{tile}.parquet": SimpleNamespace(grid=grid) for tile, grid in world.grids.items()}
    monkeypatch.setattr(module, "read_inventory", lambda path: grids[path.name])
    imagery = {"paths": ["images"], "tiles": list(TILES)}
    return Run(world.folder, minimal_config(world.folder, imagery=imagery))


def test_18_run_and_products_give_one_table(
    world: ParcelsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, frame = run_of(world, monkeypatch), world.parcels()
    with pytest.warns(OsoWarning, match="SERIES-SMALL"):
        of_run = parcel_series(frame, run, ["NDVI", "LAI"], id_field="ID")
    monkeypatch.setattr(module, "open_series", lambda config, tile, names: dataset_of(world, tile))
    with pytest.warns(OsoWarning, match="SERIES-SMALL"):
        of_products = parcel_series(frame, run.config, ["NDVI", "LAI"], id_field="ID")
    tables = [one.drop(columns="note") for one in (of_run, of_products)]
    pd.testing.assert_frame_equal(*tables, check_categorical=False, rtol=1e-5, atol=1e-6)
    assert of_run["parcel_id"].nunique() > 5


def test_18_bad_polygons_are_said(world: ParcelsWorld) -> None:
    dataset, frame = dataset_of(world, TILES[0]), world.parcels()
    with pytest.raises(UnknownName, match="E-NAME-VARIABLE"):
        parcel_series(frame, dataset, ["EVI"])
    with pytest.raises(InputDataError, match="E-CRS-MISSING"):
        parcel_series(frame.set_crs(None, allow_override=True), dataset)
    with pytest.raises(InputDataError, match="E-VECTOR-COLUMN"):
        parcel_series(frame, dataset, id_field="name")
    twice = frame.assign(ID="same")
    with pytest.raises(InputDataError, match="E-SERIES-PARCEL-ID"):
        parcel_series(twice, dataset, id_field="ID")
    far = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 10, 10)], crs=EPSG)
    with pytest.raises(InputDataError, match=r"E-SERIES-OUTSIDE.*x 0 to 10"):
        parcel_series(far, dataset)
    with pytest.raises(InputDataError, match="E-PATH-MISSING"):
        parcel_series(world.folder / "none.gpkg", dataset)


def test_18_a_dataset_without_grid_is_refused(world: ParcelsWorld) -> None:
    frame = world.parcels()
    bare = xr.Dataset({"NDVI": (("y", "x"), np.zeros((3, 3)))})
    with pytest.raises(InputDataError, match="E-SERIES-DATASET"):
        parcel_series(frame, bare)
    south_up = dataset_of(world, TILES[0]).isel(y=slice(None, None, -1))
    with pytest.raises(InputDataError, match="north up"):
        parcel_series(frame, south_up)
