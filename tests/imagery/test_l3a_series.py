"""Monthly syntheses give the series of MUSCATE products with the same pixels and masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.inventories import make_config, run
from support.l3a_factory import synthesis

from oso_pipeline.core.blocks import Block
from oso_pipeline.simulation.simulate import usual_make
from oso_pipeline.simulation.world.phenology import Phenology
from oso_pipeline.simulation.world.scene import Painter
from oso_pipeline.simulation.world.schedule import main_orbit, orbit_number, overpasses
from oso_pipeline.simulation.world.spec import WorldSpec
from oso_pipeline.simulation.world.world import World
from oso_pipeline.simulation.writers.l3a import write_synthesis
from oso_pipeline.simulation.writers.muscate import Make, product_id, write_product
from oso_pipeline.simulation.writers.muscate_metadata import ProductFacts
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.series import BlockSeries

TILE, SIZE = "31UCU", 64
MAKES = (Make(profile="D"), Make(encoding="repackaged"), Make(zipped=True, version="1.1"))


def series(folder: Path, size: int, tile: str) -> BlockSeries:
    config = make_config(folder, (tile,))
    inventory, _ = run(config)
    return BlockReader(inventory, ReadSpec.of(config)).read(Block(tile, 0, 0, size, size))


def test_a_season_gives_the_series_of_muscate(tmp_path: Path) -> None:
    spec = WorldSpec(tiles=(TILE,), size_px=SIZE, field_area_m2=6_500.0, dates_per_orbit=12)
    world = World(spec)
    painter = Painter(world, Phenology(world, world.year), TILE)
    for number, overpass in enumerate(overpasses(world, main_orbit(world, TILE))[:5]):
        painted = painter.paint(overpass)
        # Syntheses have no mask of saturation.
        clean = {k: m * (not k.startswith("saturation")) for k, m in painted.masks.items()}
        scene = replace(painted, masks=clean)
        make = replace(usual_make(number), with_optional=False, with_sre=False)
        moment = overpass.acquired.replace(tzinfo=None)
        facts = ProductFacts(
            product_id(overpass.platform, moment, TILE, make), TILE, moment, overpass.platform,
            orbit_number(overpass), world.grids[TILE], overpass.sun(), 0, 0,
        )  # fmt: skip
        write_product(tmp_path / "muscate" / "images", facts, scene, make)
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        make = MAKES[number % len(MAKES)]
        platform = ("SENTINEL2X", overpass.platform)[number % 2]
        name = product_id(platform, day, TILE, make, "L3A")
        made = replace(facts, product_id=name, acquired=day, platform=platform, orbit_number=-1)
        write_synthesis(tmp_path / "l3a" / "images", made, scene, make)
    muscate, l3a = (series(tmp_path / family, SIZE, TILE) for family in ("muscate", "l3a"))
    np.testing.assert_array_equal(l3a.days, muscate.days)
    np.testing.assert_array_equal(l3a.clear, muscate.clear)
    assert 0.1 < muscate.clear.mean() < 0.99
    for ours, theirs, zoom in ((l3a.fine, muscate.fine, 1), (l3a.coarse, muscate.coarse, 2)):
        parts = muscate.clear.reshape(len(theirs), SIZE // zoom, zoom, SIZE // zoom, zoom)
        seen = parts.any(axis=(2, 4)).reshape(len(theirs), 1, -1)  # others are not read
        np.testing.assert_array_equal(np.where(seen, ours, 0), np.where(seen, theirs, 0))


@pytest.mark.parametrize("tag", [None, -10_000])
def test_no_data_and_flags_hide_pixels(tmp_path: Path, tag: int | None) -> None:
    """Where a band is -10000 there is no observation, whatever the flag; -15 is a reflectance."""
    size = 16
    product = synthesis().write(tmp_path / "images")
    changes = {
        "FRC_B2": {(0, 0): -10_000, (0, 2): -15},
        "FRC_B11": {(3, 3): -10_000},
        "FLG_R1": {(5, column): column for column in range(5)},
    }
    for end, values in changes.items():
        (path,) = product.rglob(f"*_{end}.tif")
        with rasterio.open(path, "r+") as file:
            pixels = file.read(1)
            for at, value in values.items():
                pixels[at] = value
            file.write(pixels, 1)
            if tag is not None and end.startswith("FRC"):
                file.nodata = tag
    found = series(tmp_path, size, "31TCJ")
    expected = np.zeros((size, size), bool)
    expected[0, 0] = expected[5, 0] = expected[5, 1] = True
    expected[6:8, 6:8] = True
    np.testing.assert_array_equal(found.clear.reshape(size, size) == 0, expected)
    assert found.fine[0, 0, 2] == -15
