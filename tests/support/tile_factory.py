"""A tiny run of one or two tiles, written by hand, for tests of single stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from odc.geo.geobox import GeoBox

from oso_pipeline.config.model import Config
from oso_pipeline.core.commit import write_sidecar
from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Acquisition, Asset
from oso_pipeline.imagery.inventory import Inventory, write_inventory
from oso_pipeline.imagery.muscate.quality import rules_of
from oso_pipeline.sampling.draw_stage import STAGE as DRAW
from oso_pipeline.sampling.pixel_stage import STAGE as PIXELS
from oso_pipeline.sampling.stage import STAGE as SAMPLES
from oso_pipeline.tasks.job import Input, Job, reads
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do
from support.minimal_config import minimal_config

SIZE = 64
BANDS = ("B4", "B8")
EPSG = 2154


def tile_grid(tile: str) -> GeoBox:
    return Tile(tile).geobox(SIZE)


@dataclass(frozen=True, kw_only=True)
class Products(Job):
    """What a task of stage ``inventory`` says of the products of its tile."""

    products: Mapping[str, Input] = reads()


@dataclass
class TinyRun:
    """A run folder with committed inventories and reference; plans and does later stages."""

    folder: Path
    tiles: tuple[str, ...] = ("31TCJ",)
    strips: bool = True
    cloudy: tuple[slice, slice] = (slice(0, 4), slice(0, 4))
    sections: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run_dir = self.folder / "run"
        self.stages: dict[str, tuple[Task, ...]] = {"cache": ()}
        self.config = self.configured()
        self.stages["inventory"] = tuple(self._inventory(tile) for tile in self.tiles)

    def configured(self, **sections: Any) -> Config:
        content = {
            "seed": 3,
            "season": {"start": "2018-03-01", "end": "2018-04-30", "step_days": 20},
            "imagery": {"paths": [self.folder], "tiles": self.tiles, "bands": BANDS},
            "features": {"indices": ("NDVI",)},
            "reference": {"sources": [{"path": self.folder / "reference.gpkg"}]},
            "learning": {"n_trees": 8, "min_samples_leaf": 1},
            **self.sections,
            **sections,
        }
        return minimal_config(self.run_dir, **content)

    def tasks(self, stage: str) -> tuple[Task, ...]:
        return self.stages[stage]

    def plan(self, stage: Any) -> tuple[Task, ...]:
        self.stages[stage.name] = tuple(stage.plan(self))
        return self.stages[stage.name]

    def run(self, stage: Any) -> tuple[Task, ...]:
        for task in self.plan(stage):
            result = do(task)
            assert result.status == "done", result.error
        return self.stages[stage.name]

    def plan_samples(self) -> tuple[Task, ...]:
        """Plan the stages from the draw to the samples; return the tasks of the last."""
        return [self.plan(stage) for stage in (DRAW, PIXELS, SAMPLES)][-1]

    def sample(self) -> tuple[Task, ...]:
        """Do the stages from the draw to the samples; return the tasks of the last."""
        return [self.run(stage) for stage in (DRAW, PIXELS, SAMPLES)][-1]

    def classes(self) -> npt.NDArray[np.int32]:
        """Return the true class of each pixel: quarters of the tile, codes 1, 2, 5 and 1."""
        row, column = np.indices((SIZE, SIZE))
        return np.array([[1, 2], [5, 1]])[row // (SIZE // 2), column // (SIZE // 2)]

    def reference(self, polygons: list[tuple[int, int, Any]], tile: str | None = None) -> None:
        """Commit a reference of (polygon_id, code, geometry in the CRS of the tile)."""
        grid = tile_grid(tile or self.tiles[0])
        ids = np.array([number for number, _, _ in polygons])
        frame = geopandas.GeoDataFrame(
            {
                "polygon_id": ids.astype(np.int64),
                "code": np.array([code for _, code, _ in polygons], np.int32),
                "source": "test",
                "year": 2018,
                "stratum": "all",
                "split_0": np.where(ids % 3 == 2, "validation", "train"),
                "fold": (ids % 2).astype(np.int8),
            },
            geometry=[geometry for _, _, geometry in polygons],
            crs=grid.crs.epsg,
        ).to_crs(EPSG)
        self.write_reference(frame)

    def write_reference(self, frame: geopandas.GeoDataFrame) -> None:
        task = Task("reference", "reference", "-", self.run_dir, ("reference.parquet",))
        task.output().parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(task.output(), index=False, write_covering_bbox=True)
        write_sidecar(task.output(), {"key": task.key, "summary": {}})
        self.stages["reference"] = (task,)

    def square(self, row: float, column: float, size: float, tile: str | None = None) -> Any:
        """Return a square in pixel coordinates of a tile."""
        affine = tile_grid(tile or self.tiles[0]).affine
        left, top = affine @ (column, row)
        right, bottom = affine @ (column + size, row + size)
        return shapely.box(left, bottom, right, top)

    def standard_reference(self) -> None:
        """Commit squares of seven pixels over the first tile, three per quarter and class."""
        classes, polygons = self.classes(), []
        for row in range(2, SIZE - 8, 10):
            for column in range(2, SIZE - 8, 10):
                inside = classes[row : row + 7, column : column + 7]
                if inside.min() == inside.max():
                    code = int(inside[0, 0])
                    polygons.append((len(polygons), code, self.square(row, column, 7)))
        self.reference(polygons)

    def _inventory(self, tile: str) -> Task:
        acquisitions = tuple(self._product(tile, number) for number in range(6))
        job = Products(products={a.product_id: Input("-", "-") for a in acquisitions})
        outputs = (f"inventory/{tile}.parquet",)
        task = Task("inventory", tile, "-", self.run_dir, outputs, job)
        blocks = (1, SIZE) if self.strips else (16, 16)
        write_inventory(task.output(), Inventory(tile, tile_grid(tile), blocks, acquisitions))
        write_sidecar(task.output(), {"key": task.key, "summary": {}})
        return task

    def _product(self, tile: str, number: int) -> Acquisition:
        rng = np.random.default_rng([number, int(tile[:2]), ord(tile[4])])
        base = {"B4": 900, "B8": 2500}
        layers = {
            band: base[band]
            + 400 * self.classes() * (1 + number)
            + rng.integers(-150, 150, (SIZE, SIZE))
            for band in BANDS
        }
        cloud = (rng.random((SIZE, SIZE)) < 0.2).astype(np.uint8)
        cloud[self.cloudy] = 1
        folder = self.folder / f"{tile}_{number}"
        acquired = datetime(2018, 2, 20, 10, 50, tzinfo=UTC) + timedelta(days=14 * number)
        none = np.zeros((SIZE, SIZE), np.uint8)
        masks = {"CLM_R1": cloud, "EDG_R1": none, "SAT_R1": none}
        layers.update(masks)
        files = {name: self._file(folder, name, tile, layers[name]) for name in layers}
        return Acquisition(
            product_id=f"P{number}",
            tile=tile,
            acquired=acquired,
            platform="S2A",
            family="muscate",
            version="1.0",
            bands={band: self._asset(files[band], scale=1e-4, nodata=-10_000) for band in BANDS},
            quality={name: self._asset(files[name]) for name in masks},
            rules=rules_of("oso"),
            path=folder,
        )

    def _asset(self, file: Path, **numbers: float) -> Asset:
        return Asset(str(file), 10, size_bytes=file.stat().st_size, **numbers)

    def _file(self, folder: Path, name: str, tile: str, pixels: npt.NDArray[Any]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path, grid = folder / f"{name}.tif", tile_grid(tile)
        dtype = "int16" if name in BANDS else "uint8"
        tiling = {} if self.strips else {"tiled": True, "blockxsize": 16, "blockysize": 16}
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            dtype=dtype,
            count=1,
            height=SIZE,
            width=SIZE,
            crs=str(grid.crs),
            transform=grid.affine,
            **tiling,
        ) as target:
            target.write(pixels.astype(dtype), 1)
        return path
