"""Small products on disk, in the numbers and types that a test asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.acquisition import Acquisition, Asset
from oso_pipeline.imagery.clear import ClearPolicy
from oso_pipeline.imagery.muscate.quality import rules_of

TILE = "31TCJ"
ORIGIN = (300_000, 4_900_020)


def write_tiff(path: Path, pixels: np.ndarray, resolution: int, **options: object) -> Path:
    """Write one band on the grid of the tile."""
    profile = {
        "driver": "GTiff",
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "count": 1,
        "dtype": pixels.dtype,
        "crs": "EPSG:32631",
        "transform": Affine(resolution, 0, ORIGIN[0], 0, -resolution, ORIGIN[1]),
        **options,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **profile) as target:
        target.write(pixels, 1)
    return path


@dataclass
class Products:
    """Writes products of one tile and lists them as an inventory does."""

    folder: Path
    shape: tuple[int, int] = (6, 8)
    creation: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.acquisitions: list[Acquisition] = []

    def add(
        self,
        stamp: str,
        bands: dict[str, np.ndarray | int],
        masks: dict[str, np.ndarray | int] | None = None,
        *,
        scale: float = 1e-4,
        offset: float = 0.0,
        nodata: int = -10_000,
        clear: ClearPolicy = "oso",
    ) -> Acquisition:
        """Add a product of `stamp` (YYYY-MM-DDTHH:MM:SS); a number fills a whole image."""
        acquired = datetime.fromisoformat(stamp).replace(tzinfo=UTC)
        name = f"SENTINEL2A_{acquired:%Y%m%d-%H%M%S}-000_L2A_T{TILE}_C_V1-0"
        assets = {}
        for band, pixels in bands.items():
            size = SENTINEL2.resolution_m(band)
            pixels = self._image(pixels, size, np.int16)
            path = self.folder / name / f"{name}_FRE_{band}.tif"
            write_tiff(path, pixels, size, **self.creation)
            number = path.stat().st_size
            assets[band] = Asset(str(path), size, scale, offset, nodata, number)
        quality = {}
        masks = {"CLM_R1": 0, "EDG_R1": 0, "SAT_R1": 0} | (masks or {})
        for mask, pixels in masks.items():
            size = 20 if mask.endswith("R2") else 10
            pixels = self._image(pixels, size, np.uint8)
            path = self.folder / name / "MASKS" / f"{name}_{mask}.tif"
            write_tiff(path, pixels, size, **self.creation)
            quality[mask] = Asset(str(path), size, size_bytes=path.stat().st_size)
        self.acquisitions.append(
            Acquisition(
                product_id=name,
                tile=TILE,
                acquired=acquired,
                platform="S2A",
                family="muscate",
                version="1.0",
                bands=assets,
                quality=quality,
                rules=rules_of(clear),
                path=self.folder / name,
            )
        )
        return self.acquisitions[-1]

    def inventory(self) -> SimpleNamespace:
        grid = GeoBox(self.shape, Affine(10, 0, ORIGIN[0], 0, -10, ORIGIN[1]), "EPSG:32631")
        return SimpleNamespace(
            tile=TILE, grid=grid, block_shape=(2, 8), acquisitions=tuple(self.acquisitions)
        )

    def _image(self, pixels: np.ndarray | int, size: int, dtype: type) -> np.ndarray:
        if isinstance(pixels, np.ndarray):
            return pixels
        rows, columns = self.shape
        shape = (rows, columns) if size == 10 else (-(-rows // 2), -(-columns // 2))
        return np.full(shape, pixels, dtype=dtype)


@pytest.fixture
def products(tmp_path: Path) -> Products:
    return Products(tmp_path / "products")
