"""A year of MUSCATE products of a tile, all clouds but for the patch of a nation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from oso_pipeline.core.tiles import Tile
from oso_pipeline.simulation.national.nation import TILE_PX, NationSpec, passes
from oso_pipeline.simulation.national.sparse_tiff import Placed, sparse_tiff
from oso_pipeline.simulation.world.phenology import Phenology
from oso_pipeline.simulation.world.scene import NODATA, Painter, Scene
from oso_pipeline.simulation.world.schedule import orbit_number
from oso_pipeline.simulation.world.sky import Overpass
from oso_pipeline.simulation.writers.muscate import Make, product_id, write_texts
from oso_pipeline.simulation.writers.muscate_metadata import ProductFacts

_CONTENT = ("FRE", "CLM", "EDG", "SAT", "MG2")
_CLOUD = 0b11
"""Bits of the cloud mask: not clear, and for a cloud."""
_OF_ALL_CLOUD: dict[str, tuple[str, int]] = {
    "cloud": ("CLM", _CLOUD), "edge": ("EDG", 0), "saturation": ("SAT", 0),
    "geophysics": ("MG2", 0b10),
}  # fmt: skip
"""Name in a product of each mask of a scene, and its value where there are clouds alone."""


def write_products(folder: Path, spec: NationSpec, tile: str) -> int:
    """Write all products of a tile into `folder`; return the bytes of their images."""
    world = spec.world(tile)
    painter = Painter(world, Phenology(world), tile)
    return sum(
        _write_product(folder, spec, tile, overpass, painter.paint(overpass))
        for overpass in passes(world)
    )


def _write_product(
    folder: Path, spec: NationSpec, tile: str, overpass: Overpass, scene: Scene
) -> int:
    grid, make = Tile(tile).geobox(), Make()
    facts = ProductFacts(
        product_id=product_id(overpass.platform, overpass.acquired, tile, make),
        tile=tile,
        acquired=overpass.acquired.replace(tzinfo=None),
        platform=overpass.platform,
        orbit_number=orbit_number(overpass),
        grid=grid,
        sun=overpass.sun(),
        cloud_percent=round(100 - _share_shown(spec) * (100 - scene.cloud_percent)),
        snow_percent=round(_share_shown(spec) * scene.snow_percent),
    )
    product = write_texts(folder, facts, _CONTENT, make)
    (product / "MASKS").mkdir()
    images: dict[Path, tuple[npt.NDArray[Any], int, int | None]] = {
        product / f"{facts.product_id}_FRE_{band}.tif": (image, NODATA, None)
        for band, image in scene.bands.items()
    }
    for name, mask in scene.masks.items():
        kind, _, group = name.partition("_")
        if kind in _OF_ALL_CLOUD:
            short, value = _OF_ALL_CLOUD[kind]
            path = product / "MASKS" / f"{facts.product_id}_{short}_{group}.tif"
            # A row without a strip reads as 0.
            images[path] = (mask, value, value or None)
    for path, (image, around, elsewhere) in images.items():
        zoom = spec.patch_px // image.shape[1]
        corner = spec.corner_px // zoom
        placed = Placed(image, corner, corner, around, elsewhere)
        sparse_tiff(path, placed, grid.zoom_out(zoom) if zoom > 1 else grid)
    return sum(path.stat().st_size for path in images)


def _share_shown(spec: NationSpec) -> float:
    return float((spec.patch_px / TILE_PX) ** 2)
