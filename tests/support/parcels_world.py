"""Two tiles in different UTM zones with series in block files, and parcels across all borders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

import geopandas
import numpy as np
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from oso_pipeline.core.blocks import blocks_of
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.tiles import Tile
from oso_pipeline.timeseries.series_block_file import series_file_of, write_series_block
from oso_pipeline.timeseries.series_layout import SeriesBlock, SeriesLayout, Variable

CORNER_PX = 120
TILES = ("30UYD", "31UCU")
DATES = tuple(date(2018, 1, 1) + timedelta(days=10 * n) for n in range(3))
FILL, EPSG = -10000, 2154
NDVI = Variable(
    "NDVI", "NDVI", "1", "time", "int16", 10, scale=1e-3, fill=FILL,
    ancillary=("nearest_clear_days",),
)  # fmt: skip
LAI = Variable("LAI", "leaf area", "m2 m-2", "time", "int16", 20, scale=1e-3, fill=FILL)
SOSD = Variable("SOSD", "start", "1", "season", "uint16", 10, fill=0)
NEAREST = Variable("nearest_clear_days", "days", "days", "time", "uint16", 10, fill=65535)
FLAGS = Variable("LAI_flags", "flags", "1", "time", "uint8", 20, flag_masks=(1,))
LAYOUT = SeriesLayout((NDVI, LAI, FLAGS, NEAREST, SOSD), dates=DATES, n_seasons=1)


@dataclass(eq=False)
class ParcelsWorld:
    """Series and parcels; values are noise, so that a pixel too many or too few is seen."""

    folder: Path
    block_px: int = 50
    layout: SeriesLayout = LAYOUT
    n_parcels: int = 40

    def __post_init__(self) -> None:
        self.grids = {tile: Tile(tile).geobox(CORNER_PX) for tile in TILES}
        self.ownership = Ownership(self.grids, EPSG)
        self.values: dict[str, dict[str, np.ndarray]] = {}
        for seed, tile in enumerate(TILES):
            rng = np.random.default_rng(seed)
            ndvi = rng.integers(-300, 900, (3, CORNER_PX, CORNER_PX)).astype(np.int16)
            ndvi[rng.random(ndvi.shape) < 0.1] = FILL
            half = (3, CORNER_PX // 2, CORNER_PX // 2)
            self.values[tile] = {
                "NDVI": ndvi,
                "LAI": rng.integers(0, 8000, half).astype(np.int16),
                "LAI_flags": np.zeros(half, np.uint8),
                "nearest_clear_days": rng.integers(0, 12, ndvi.shape).astype(np.uint16),
                "SOSD": rng.choice(
                    np.array([0, 17360, 18005], np.uint16), (1, CORNER_PX, CORNER_PX)
                ),
            }

    def stored(self, tile: str, name: str) -> np.ndarray:
        """Return a variable of a tile."""
        return self.values[tile][name]

    def write(self) -> dict[str, tuple[Path, ...]]:
        """Write the block files; return them by tile."""
        found = {}
        for tile in TILES:
            size = self.block_px, self.block_px
            paths = []
            for block in blocks_of(tile, (CORNER_PX, CORNER_PX), size):
                path = self.folder / series_file_of(block)
                path.parent.mkdir(parents=True, exist_ok=True)
                some = {}
                for one in self.layout.variables:
                    part = one.resolution_m // 10
                    rows = slice(block.row // part, -(-(block.row + block.height) // part))
                    columns = slice(block.column // part, -(-(block.column + block.width) // part))
                    some[one.name] = self.values[tile][one.name][:, rows, columns]
                write_series_block(path, SeriesBlock(some), self.layout, block)
                paths.append(path)
            found[tile] = tuple(paths)
        return found

    def parcels(self) -> geopandas.GeoDataFrame:
        """Return overlapping parcels, small to large, and one smaller than a pixel."""
        rng = np.random.default_rng(9)
        boxes = [
            geopandas.GeoSeries([shapely.box(*grid.boundingbox.bbox)], crs=str(grid.crs))
            for grid in self.grids.values()
        ]
        left, bottom, right, top = shapely.total_bounds([b.to_crs(EPSG).iloc[0] for b in boxes])
        shapes = []
        for _ in range(self.n_parcels):
            x, y = rng.uniform(left, right), rng.uniform(bottom, top)
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 12)))
            radii = rng.uniform(0.3, 1, len(angles)) * rng.choice([40, 150, 500])
            ring = np.column_stack([x + radii * np.cos(angles), y + radii * np.sin(angles)])
            shapes.append(shapely.Polygon(ring))
        shapes.append(shapely.Point(*shapes[0].centroid.coords[0]).buffer(1.0))
        names = [f"P{number:03d}" for number in range(len(shapes))]
        frame = geopandas.GeoDataFrame({"ID": names}, geometry=shapes, crs=EPSG)
        return frame.set_geometry(shapely.make_valid(np.asarray(frame.geometry)), crs=EPSG)

    def pixels(self, parcel: int, name: str, erosion_m: float) -> list[np.ndarray]:
        """Return the stored values of the pixels of a parcel by tile, ``(step, pixel)``.

        By GDAL and GEOS: nothing of the package but the rule of ownership.
        """
        masks = self.masks(self.layout[name].resolution_m, erosion_m)
        return [self.values[tile][name][:, masks[tile][parcel]] for tile in TILES]

    @lru_cache(maxsize=8)  # noqa: B019 - worlds end with their tests
    def masks(self, resolution_m: int, erosion_m: float) -> dict[str, list[np.ndarray]]:
        """Return the owned pixels of each parcel by tile."""
        found: dict[str, list[np.ndarray]] = {}
        for tile, grid in self.grids.items():
            part = resolution_m // 10
            size = CORNER_PX // part, CORNER_PX // part
            own = GeoBox(size, grid.affine @ Affine.scale(part), grid.crs)
            owned = self.ownership.owns(tile, own)
            local = np.asarray(self.parcels().to_crs(str(grid.crs)).geometry)
            eroded = shapely.buffer(local, -erosion_m, quad_segs=64) if erosion_m else local
            found[tile] = [
                np.zeros(size, bool)
                if one.is_empty
                else rasterize([one], out_shape=size, transform=own.affine).astype(bool) & owned
                for one in eroded
            ]
        return found
