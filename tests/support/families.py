"""The same observations as products of several families, made from MUSCATE products.

Every family shows the same numbers and hides the same pixels, so that the maps made from them are
equal pixel for pixel. Files of MUSCATE are found by their names, without the reader under test.
A family joins by a writer in `WRITERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.simulation.world.scene import NODATA, Scene
from oso_pipeline.simulation.writers.eopf import write_eopf
from oso_pipeline.simulation.writers.muscate import Make, product_id, write_product
from oso_pipeline.simulation.writers.muscate_metadata import ProductFacts
from oso_pipeline.simulation.writers.safe import write_safe
from oso_pipeline.simulation.writers.safe_metadata import OFFSET, SafeFacts
from oso_pipeline.simulation.writers.stac import write_item

_MASKS = {"CLM": "cloud", "EDG": "edge", "SAT": "saturation", "MG2": "geophysics"}


@dataclass(frozen=True)
class Observation:
    """What a satellite saw of a tile, in values that every family can store.

    Parameters
    ----------
    tile, platform, acquired
        Name of the tile, ``SENTINEL2A``, and time, UTC.
    grid
        The 10 m grid.
    scene
        Reflectances and masks; those at 10 m hide whole pixels of 20 m.
    """

    tile: str
    platform: str
    acquired: datetime
    grid: GeoBox
    scene: Scene


def observation_of(product: Path) -> Observation:
    """Return what a MUSCATE product shows, with the masks that all families can express.

    A scene classification has 20 m and no bit for saturated bands, so a 20 m pixel is hidden where
    one of its pixels at 10 m is hidden in MUSCATE.
    """
    files = {path.stem.split("_V", 1)[1].split("_", 1)[1]: path for path in product.rglob("*.tif")}
    bands, read = {}, {}
    for name, path in files.items():
        with rasterio.open(path) as file:
            read[name] = file.read(1)
            if name == "FRE_B2":
                grid = GeoBox(file.shape, file.transform, str(file.crs))
    for name in SENTINEL2.names:
        bands[name] = read[f"FRE_{name}"].astype(np.int16)
    hidden = _coarse(
        np.logical_or.reduce([read[f"{mask}_R1"] > 0 for mask in ("CLM", "EDG", "SAT")])
    )
    # Reflectances below what the offset of SAFE can store are no observation in any family.
    for numbers in bands.values():
        low = (numbers != NODATA) & (numbers < OFFSET + 1)
        hidden |= low if low.shape == hidden.shape else _coarse(low)
    edge = _coarse(read["EDG_R1"] > 0)
    masks = {
        "cloud_R2": np.where(hidden & ~edge, 2, 0).astype(np.uint8),
        "edge_R2": edge.astype(np.uint8),
        "saturation_R2": np.zeros(hidden.shape, np.uint8),
        "geophysics_R2": np.zeros(hidden.shape, np.uint8),
    }
    fine = {
        f"{name[:-3]}_R1": np.kron(mask, np.ones((2, 2), np.uint8)) for name, mask in masks.items()
    }
    name = product.name
    return Observation(
        tile=name.split("_T", 1)[1][:5],
        platform=name[:10],
        acquired=datetime.strptime(name[11:30], "%Y%m%d-%H%M%S-%f").replace(tzinfo=UTC),
        grid=grid,
        scene=Scene(bands, {**masks, **fine}, {}, 0, 0),
    )


def write_muscate(folder: Path, seen: Observation) -> Path:
    """Write a MUSCATE product."""
    make = Make(with_optional=False)
    facts = ProductFacts(
        product_id(seen.platform, seen.acquired, seen.tile, make), seen.tile,
        seen.acquired.replace(tzinfo=None), seen.platform, _orbit_number(seen), seen.grid,
        (40.0, 160.0), 0, 0,
    )  # fmt: skip
    return write_product(folder, facts, seen.scene, make)


def write_safe_folder(folder: Path, seen: Observation) -> Path:
    """Write a SAFE product with images in lossless JPEG 2000."""
    return write_safe(folder, _facts(seen), seen.scene)


def write_stac_item(folder: Path, seen: Observation) -> Path:
    """Write images as Cloud Optimized GeoTIFFs, with a STAC item beside them."""
    return write_item(folder, _facts(seen), seen.scene)


def write_store(folder: Path, seen: Observation) -> Path:
    """Write an EOPF product, a Zarr store."""
    return write_eopf(folder, _facts(seen), seen.scene)


WRITERS: dict[str, Callable[[Path, Observation], Path]] = {
    "muscate": write_muscate,
    "safe": write_safe_folder,
    "stac": write_stac_item,
    "eopf": write_store,
}
"""Writers of a product into a folder, by family."""


def write_families(
    products: Path,
    folder: Path,
    families: tuple[str, ...],
    months: tuple[str, str] = ("000000", "999999"),
) -> None:
    """Write MUSCATE products as products of families, each family in a folder of its name.

    Only folders that hold a file per band count, of the months from the first to before the last,
    ``YYYYMM``.
    """
    for product in sorted(path.parent for path in products.rglob("*_MTD_ALL.xml")):
        bands = list(product.glob("*_FRE_*.tif"))
        if len(bands) < len(SENTINEL2.names) or not months[0] <= product.name[11:17] < months[1]:
            continue
        seen = observation_of(product)
        for family in families:
            WRITERS[family](folder / family, seen)


def _facts(seen: Observation) -> SafeFacts:
    """Return the metadata of the product of Sen2Cor that shows an observation."""
    platform = seen.platform.replace("SENTINEL2", "S2")
    return SafeFacts(
        seen.tile, seen.acquired, seen.acquired + timedelta(hours=2), platform, 51,
        _orbit_number(seen), seen.grid, sun=(40.0, 160.0),
    )  # fmt: skip


def _coarse(fine: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return where any of two by two pixels is set."""
    rows, columns = (side // 2 for side in fine.shape)
    coarse: npt.NDArray[np.bool_] = fine.reshape(rows, 2, columns, 2).any(axis=(1, 3))
    return coarse


def _orbit_number(seen: Observation) -> int:
    """Return an absolute orbit of the relative orbit 51, of the satellites of which it is known."""
    return 14_300 + {"SENTINEL2B": 77}.get(seen.platform, 48)
