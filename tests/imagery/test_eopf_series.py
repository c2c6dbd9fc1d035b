"""EOPF products give the numbers that xarray decodes, and the series of other families."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray
from support.eopf_factory import chunk, write
from support.families import write_families
from support.inventories import make_config, run
from support.safe_factory import SIZE, facts, scene

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.acquisition import Acquisition
from oso_pipeline.imagery.cache.copies import copied_assets
from oso_pipeline.imagery.cache.sources import fetch
from oso_pipeline.imagery.eopf.arrays import array_of, group_of
from oso_pipeline.simulation.simulate import usual_make
from oso_pipeline.simulation.world.phenology import Phenology
from oso_pipeline.simulation.world.scene import Painter
from oso_pipeline.simulation.world.schedule import main_orbit, orbit_number, overpasses
from oso_pipeline.simulation.world.spec import WorldSpec
from oso_pipeline.simulation.world.world import World
from oso_pipeline.simulation.writers.eopf import write_eopf
from oso_pipeline.simulation.writers.muscate import product_id, write_product, zipped
from oso_pipeline.simulation.writers.muscate_metadata import ProductFacts
from oso_pipeline.timeseries.reading.rasters import to_stored
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.series import BlockSeries

TILE = "31UCU"
WORLD = WorldSpec(tiles=(TILE,), size_px=64, field_area_m2=6_500.0, dates_per_orbit=12)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("baseline", ["02.12", "05.11"])
def test_numbers_are_those_that_xarray_decodes(tmp_path: Path, baseline: str) -> None:
    world = World(WORLD)
    overpass = overpasses(world, main_orbit(world, TILE))[2]
    painted = Painter(world, Phenology(world, world.year), TILE).paint(overpass)
    made = facts(
        tile=TILE, sensed=overpass.acquired, generated=overpass.acquired + timedelta(hours=2),
        platform=overpass.platform.replace("SENTINEL2", "S2"), grid=world.grids[TILE],
        baseline=baseline,
    )  # fmt: skip
    product = write_eopf(tmp_path / "images", made, painted)
    (found,) = run(make_config(tmp_path, (TILE,)))[0].acquisitions
    hidden = 0
    for band in SENTINEL2.names:
        asset = found.bands[band]
        with rasterio.open(asset.href, driver="Zarr") as source:
            numbers = source.read(1)
        stored, missing, _ = to_stored(numbers, asset)
        with xarray.open_zarr(product / group_of(band), consolidated=False) as group:
            decoded = group[array_of(band).rpartition("/")[2]].to_numpy()
        np.testing.assert_array_equal(missing & (numbers != 65_535), np.isnan(decoded))
        seen = ~missing
        np.testing.assert_array_equal(stored[seen], np.rint(decoded[seen] * 10_000))
        hidden += int(missing.sum())
    assert hidden


def series(folder: Path, size: int, tile: str = TILE) -> BlockSeries:
    config = make_config(folder, (tile,))
    inventory, _ = run(config)
    for item in inventory.acquisitions:
        for asset in copied_assets(item):
            fetch(asset, asset.path)
    return BlockReader(inventory, ReadSpec.of(config)).read(Block(tile, 0, 0, size, size))


def write_season(folder: Path, dates: int) -> None:
    """Write a few dates of the simulated world as MUSCATE products."""
    world = World(WORLD)
    painter = Painter(world, Phenology(world, world.year), TILE)
    for number, overpass in enumerate(overpasses(world, main_orbit(world, TILE))[:dates]):
        make = replace(usual_make(number), with_optional=False, with_sre=False, zipped=False)
        made = ProductFacts(
            product_id(overpass.platform, overpass.acquired, TILE, make), TILE,
            overpass.acquired.replace(tzinfo=None), overpass.platform, orbit_number(overpass),
            world.grids[TILE], overpass.sun(), 0, 0,
        )  # fmt: skip
        write_product(folder, made, painter.paint(overpass), make)


@pytest.mark.slow
def test_a_season_gives_the_series_of_the_other_families(tmp_path: Path) -> None:
    write_season(tmp_path / "made", 4)
    families = ("muscate", "safe", "eopf")
    for family in families:
        write_families(tmp_path / "made", tmp_path / "images", (family,))
        (tmp_path / family).mkdir()
        (tmp_path / "images" / family).rename(tmp_path / family / "images")
    muscate, safe, eopf = (series(tmp_path / family, 64) for family in families)
    n_days = len(muscate.days)
    assert n_days > 2
    assert 0.1 < eopf.clear.mean() < 0.99
    for other in (muscate, safe):
        np.testing.assert_array_equal(eopf.days, other.days)
        np.testing.assert_array_equal(eopf.clear, other.clear)
        for mine, theirs, zoom in ((eopf.fine, other.fine, 1), (eopf.coarse, other.coarse, 2)):
            parts = eopf.clear.reshape(n_days, 64 // zoom, zoom, 64 // zoom, zoom)
            seen = parts.any(axis=(2, 4)).reshape(n_days, 1, -1)
            np.testing.assert_array_equal(np.where(seen, mine, 0), np.where(seen, theirs, 0))


@pytest.mark.parametrize("as_zip", [False, True])
def test_no_data_saturation_and_chunks_left_out(tmp_path: Path, as_zip: bool) -> None:
    made = scene(rows=slice(0, SIZE // 4))
    made.masks["saturation_R1"][0, 3] = 1 << SENTINEL2.at(10).index("B4")
    product = write_eopf(tmp_path / "images", facts(), made)
    for column in (0, 1):
        chunk(product, "B2", f"1.{column}").unlink()
    if as_zip:
        zipped(product)
    found = series(tmp_path, SIZE, "31TCJ")
    expected = np.zeros((SIZE, SIZE), bool)
    expected[: SIZE // 2] = True
    expected[0, 3] = False
    np.testing.assert_array_equal(found.clear.reshape(SIZE, SIZE) > 0, expected)
    assert found.fine[0, 0, 0] == 500


def only(folder: Path) -> Acquisition:
    (found,) = run(make_config(folder))[0].acquisitions
    return found


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda product: chunk(product, "B2", "1.1").unlink(), "E-IMAGE-CHANGED"),
        (lambda product: chunk(product, "B2", "1.1").write_bytes(b""), "E-IMAGE-CUT"),
        (lambda product: (product / ".zmetadata").write_text("{"), "E-IMAGE-CUT"),
        (lambda product: product.rename(product.with_name("gone")), "E-IMAGE-VANISHED"),
    ],
)
def test_a_store_that_has_changed_is_not_copied(
    tmp_path: Path, damage: Callable[[Path], Any], code: str
) -> None:
    product = write(tmp_path / "images")
    asset = only(tmp_path).bands["B2"]
    damage(product)
    with pytest.raises(InputDataError) as caught:
        fetch(asset, tmp_path / "copy.tif")
    (problem,) = caught.value.problems
    assert (problem.code, problem.where) == (code, asset.href)
    assert not (tmp_path / "copy.tif").exists()
