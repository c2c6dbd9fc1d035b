"""One simulated season, written as MUSCATE and as another family that stores the same pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.simulation.simulate import usual_make
from oso_pipeline.simulation.world.phenology import Phenology
from oso_pipeline.simulation.world.scene import NODATA, Painter, Scene
from oso_pipeline.simulation.world.schedule import main_orbit, orbit_number, overpasses
from oso_pipeline.simulation.world.spec import WorldSpec
from oso_pipeline.simulation.world.world import World
from oso_pipeline.simulation.writers.muscate import product_id, write_product
from oso_pipeline.simulation.writers.muscate_metadata import ProductFacts
from oso_pipeline.simulation.writers.safe_metadata import SafeFacts
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.series import BlockSeries
from support.inventories import make_config, run

TILE = "31UCU"
SIZE = 64
BASELINES = ("02.12", "05.11", "04.00", "02.05", "05.00")

WriteOther = Callable[[Path, SafeFacts, Scene, int], object]
"""Writes a product of the other family into a folder; the number of the date is the last."""


def write_season(folder: Path, write_other: WriteOther) -> None:
    """Write five dates of mixed baselines below ``muscate/images`` and ``other/images``."""
    spec = WorldSpec(tiles=(TILE,), size_px=SIZE, field_area_m2=6_500.0, dates_per_orbit=12)
    world = World(spec)
    painter = Painter(world, Phenology(world, world.year), TILE)
    grid = world.grids[TILE]
    for number, overpass in enumerate(overpasses(world, main_orbit(world, TILE))[:5]):
        made, orbit = storable(painter.paint(overpass)), orbit_number(overpass)
        make = replace(usual_make(number), with_optional=False, with_sre=False)
        muscate = ProductFacts(
            product_id(overpass.platform, overpass.acquired, TILE, make), TILE,
            overpass.acquired.replace(tzinfo=None), overpass.platform, orbit, grid,
            overpass.sun(), 0, 0,
        )  # fmt: skip
        write_product(folder / "muscate" / "images", muscate, made, make)
        facts = SafeFacts(
            TILE, overpass.acquired, overpass.acquired + timedelta(hours=2),
            overpass.platform.replace("SENTINEL2", "S2"), overpass.orbit, orbit, grid,
            BASELINES[number % len(BASELINES)],
        )  # fmt: skip
        write_other(folder / "other" / "images", facts, made, number)


def storable(painted: Scene) -> Scene:
    """A scene that both families can store: above 0 as in old SAFE, 20 m bands not saturated.

    MUSCATE hides saturation at 10 m under `oso`; a saturated number of SAFE is never read.
    """
    bands = {
        name: np.where(pixels == NODATA, NODATA, np.clip(pixels, 1, 12_499 if at_20m else 20_000))
        for name, pixels in painted.bands.items()
        for at_20m in [SENTINEL2.resolution_m(name) == 20]
    }
    masks = {**painted.masks, "saturation_R2": np.zeros_like(painted.masks["saturation_R2"])}
    return replace(
        painted, masks=masks, bands={name: b.astype(np.int16) for name, b in bands.items()}
    )


def series(folder: Path, size: int = SIZE, tile: str = TILE) -> BlockSeries:
    config = make_config(folder, (tile,), cache={"max_gb": 0})
    inventory, _ = run(config)
    return BlockReader(inventory, ReadSpec.of(config)).read(Block(tile, 0, 0, size, size))


def check_same(folder: Path) -> None:
    """Check that both families give the same days, the same clear pixels and the same numbers."""
    muscate, other = (series(folder / family) for family in ("muscate", "other"))
    np.testing.assert_array_equal(other.days, muscate.days)
    np.testing.assert_array_equal(other.clear, muscate.clear)
    assert 0.1 < muscate.clear.mean() < 0.99
    for mine, theirs, zoom in (
        (other.fine, muscate.fine, 1),
        (other.coarse, muscate.coarse, 2),
    ):
        seen = _seen(muscate.clear, zoom)
        np.testing.assert_array_equal(
            np.where(seen[:, None], mine, 0), np.where(seen[:, None], theirs, 0)
        )


def _seen(clear: npt.NDArray[np.bool_], zoom: int) -> npt.NDArray[np.bool_]:
    """Return the pixels of a resolution that are clear somewhere."""
    parts = clear.reshape(len(clear), SIZE // zoom, zoom, SIZE // zoom, zoom)
    return parts.any(axis=(2, 4)).reshape(len(clear), -1)
