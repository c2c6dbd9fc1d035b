"""Parcels across blocks and tiles are counted once and whole (issue 18, per parcel)."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
from support.parcels_world import FILL, LAYOUT, TILES, ParcelsWorld

from oso_pipeline.core.errors import Problems
from oso_pipeline.products.series.parcels_combine import Combined
from oso_pipeline.products.series.parcels_extract import TileExtract
from oso_pipeline.products.series.parcels_outputs import BORDER, FOLDER, SHAPES, Outputs
from oso_pipeline.products.series.parcels_parts import PartPaths, measured, write_parts
from oso_pipeline.products.series.parcels_polygons import Place, parcels_of
from oso_pipeline.products.series.parcels_sources import BlockFiles

WITHIN_DAYS = 5


def made(world: ParcelsWorld, erosion_m: float) -> tuple[pd.DataFrame, geopandas.GeoDataFrame]:
    files, frame = world.write(), world.parcels()
    ids, parts, forms = frame["ID"].to_numpy(object), {}, ("parquet", "csv")
    for tile in TILES:
        place = Place(tile, world.grids[tile], world.ownership)
        parcels = parcels_of(frame, ids, place, Problems())
        extract = TileExtract(place, parcels, BlockFiles(files[tile]), erosion_m)
        parts[tile] = PartPaths.of(world.folder / "parts", tile)
        outputs = Outputs.of(world.folder, tile, forms)
        write_parts(extract, measured(world.layout), WITHIN_DAYS, parts[tile], outputs)
    Combined(parts, erosion_m).write(Outputs.of(world.folder, BORDER, forms))
    shapes = geopandas.read_parquet(world.folder / SHAPES)
    return pd.read_parquet(sorted((world.folder / FOLDER).glob("*.parquet"))), shapes


@pytest.mark.parametrize(("erosion_m", "block_px"), [(0.0, 50), (10.0, 34)])
def test_18_parcels_equal_an_independent_rasterisation(
    tmp_path: Path, erosion_m: float, block_px: int
) -> None:
    world = ParcelsWorld(tmp_path, block_px)
    long, shapes = made(world, erosion_m)
    frame = world.parcels()
    across = 0
    for name in ("NDVI", "LAI"):
        variable = LAYOUT[name]
        table = long[long["variable"] == name]
        assert not table.duplicated(["parcel_id", "date"]).any()
        rows_of = dict(list(table.groupby("parcel_id", observed=True)))
        for number, parcel in enumerate(frame["ID"]):
            by_tile = world.pixels(number, name, erosion_m)
            across += all(one.shape[1] for one in by_tile)
            values = np.concatenate(by_tile, axis=1)
            if parcel not in rows_of:
                assert values.shape[1] == 0  # outside of both tiles
                continue
            rows = rows_of[parcel].sort_values("date")
            assert rows["pixels"].tolist() == [values.shape[1]] * 3, parcel
            some = [plane[plane != FILL] * variable.scale for plane in values]
            assert rows["valid"].tolist() == [len(one) for one in some]
            expected = [
                (one.mean(), np.median(one), one.std()) if len(one) else (np.nan,) * 3
                for one in some
            ]
            got = rows[["mean", "median", "std"]].to_numpy(np.float64)
            np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-7)
            if name == "NDVI" and values.shape[1]:
                near = world.pixels(number, "nearest_clear_days", erosion_m)
                share = (np.concatenate(near, axis=1) <= WITHIN_DAYS).mean(axis=1)
                np.testing.assert_allclose(rows["clear_share"], share, rtol=1e-6)
    assert across > 5
    assert shapes["parcel_id"].is_unique
    assert set(long["variable"]) == {"NDVI", "LAI", "SOSD"}


def test_18_days_of_seasons_are_averaged_across_new_year(tmp_path: Path) -> None:
    world = ParcelsWorld(tmp_path, 60, n_parcels=8)
    long, _ = made(world, 0.0)
    rows = long[long["variable"] == "SOSD"].set_index("parcel_id")
    days = {17360: np.datetime64("2017-12-26"), 18005: np.datetime64("2018-01-05")}
    for number, parcel in enumerate(world.parcels()["ID"]):
        values = np.concatenate(world.pixels(number, "SOSD", 0.0), axis=1)[0]
        expected = [days[one].astype("datetime64[D]").astype(int) for one in values if one]
        if expected:
            np.testing.assert_allclose(rows.loc[parcel, "mean"], np.mean(expected), atol=2e-3)
            assert rows.loc[parcel, "season"] == 1
