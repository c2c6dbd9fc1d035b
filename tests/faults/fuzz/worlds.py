"""Tiny worlds whose truth is known: what the fuzz damages, and the map that is right.

A tile of 60 x 60 pixels with rectangles of three classes, some dates, labels in the middle of each
rectangle. A whole run on one takes about two seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from support.muscate_factory import ORIGINS, Muscate, write_raster

TILE = "31TCJ"
SIDE = 60
BANDS = ("B3", "B4", "B8", "B11")
DAYS = ("20180110", "20180322", "20180518", "20180716", "20180914", "20181120")
_WIDE, _HIGH = 10, 12
_LEVELS = {"B3": (300, 500, 900), "B4": (250, 1900, 900), "B8": (200, 2400, 4200),
           "B11": (100, 3300, 1700)}  # fmt: skip
CLASSES = "code,name,colour\n1,water,#0000ff\n2,soil,#aa5500\n3,meadow,#00ff00\n"
CONFIG = """\
year: 2018
nomenclature: classes.csv
run_dir: run
season: {start: 2018-01-01, end: 2018-12-31, step_days: 60}
imagery:
  paths: [products]
  tiles: [31TCJ]
  bands: [B3, B4, B8, B11]
features: {indices: [NDVI]}
reference:
  erosion_m: 0
  min_area_m2: 0
  sources:
    - {path: labels.gpkg, code_field: code}
sampling: {max_train_pixels: null}
label_check: {enabled: false}
learning: {n_trees: 5}
validation: {bootstrap: 100, folds: 2}
runtime: {cluster: {kind: serial}}
"""


def classes() -> npt.NDArray[np.int64]:
    """Return the true class of each pixel, 1 to 3."""
    row, column = np.indices((SIDE, SIDE))
    return (row // _HIGH * 2 + column // _WIDE) % 3 + 1


@dataclass
class Drawn(Muscate):
    """A product whose bands show the classes, with a little noise and a swath that ends."""

    size: int = SIDE
    bands: tuple[str, ...] = BANDS
    profile: dict[str, Any] = field(default_factory=dict)
    lacking: int = 0
    """Columns on the left that the swath does not reach."""
    factor: float = 1.0

    def _raster(self, path: Path, coarse: bool, value: float, dtype: str | None = None) -> None:
        name = path.stem.rsplit("_", 1)[-1]
        if name in _LEVELS:
            pixels = self.numbers(name)
            profile = dict(self.profile)
        else:
            pixels, profile = np.zeros((SIDE, SIDE), np.uint8), {}
            if "_EDG_" in path.name:
                # The mask is narrower than what lacks: there only the number tells.
                pixels[:, : max(0, self.lacking - 6)] = 1
            if "_CLM_" in path.name:
                day = int(self.day[4:6])
                pixels[5 * (day % 4) : 5 * (day % 4) + 9, 20:50] = 2
        step = 20 if coarse else 10
        x, y = self.transform.c, self.transform.f
        where = Affine(step, 0, x, 0, -step, y)
        write_raster(path, pixels[:: step // 10, :: step // 10], where, ORIGINS[TILE][0], **profile)

    @property
    def day(self) -> str:
        """The day of the acquisition, as ``YYYYMMDD``."""
        return self.name.split("_")[1][:8]

    def numbers(self, band: str) -> npt.NDArray[Any]:
        """Return the numbers of a band as they are stored, at 10 m."""
        day = int(self.day)
        draw = np.random.default_rng([day, sorted(_LEVELS).index(band)])
        season = 1 + 0.3 * np.sin(day % 10_000 / 200)
        values = np.array(_LEVELS[band])[classes() - 1] * season
        values = np.round(values + draw.integers(-40, 40, values.shape))
        stored = values * self.factor
        stored[:, : self.lacking] = float(self.nodata or -10000)
        return stored.astype(self.dtype)


def name_of(day: str) -> str:
    """Return the name of the product of a day."""
    return f"SENTINEL2A_{day}-105435-457_L2A_T{TILE}_C_V2-2"


def product(day: str, **changes: Any) -> Drawn:
    """Return the product of a day; the image of March ends within the tile."""
    lacking = 14 if day[4:6] == "03" else 0
    return Drawn(name_of(day), **{"lacking": lacking, **changes})


def labels() -> geopandas.GeoDataFrame:
    """Return the labelled polygons: the middle of each rectangle, in the tile's own system."""
    epsg, left, top = ORIGINS[TILE]
    shapes, codes = [], []
    truth = classes()
    for row in range(0, SIDE, _HIGH):
        for column in range(0, SIDE, _WIDE):
            # Edges lie a third of a pixel from any centre: no rounding moves a pixel over them.
            x, y = left + 10 * column + 8, top - 10 * row - 8
            shapes.append(shapely.box(x, y - 10 * _HIGH + 16, x + 10 * _WIDE - 16, y))
            codes.append(int(truth[row, column]))
    return geopandas.GeoDataFrame({"code": codes}, geometry=shapes, crs=f"EPSG:{epsg}")


def write_world(folder: Path) -> Path:
    """Write the plain world: products as folders and as zips, labels in a GeoPackage."""
    folder.mkdir(parents=True)
    products = folder / "products"
    products.mkdir()
    for number, day in enumerate(DAYS):
        one = product(day, profile={"compress": "deflate"} if number == 2 else {})
        if number in (1, 4):
            one.write_zip(products)
        else:
            one.write(products)
    labels().to_crs(2154).to_file(folder / "labels.gpkg")
    _write_outlines(folder)
    (folder / "classes.csv").write_text(CLASSES)
    (folder / "cross.csv").write_text("value,code\n1,1\n2,2\n3,3\n")
    (folder / "oso.yaml").write_text(CONFIG)
    return folder / "oso.yaml"


def _write_outlines(folder: Path) -> None:
    """Write an area, two regions and an independent set."""
    epsg, left, top = ORIGINS[TILE]
    tile = [left, top - 10 * SIDE, left + 10 * SIDE, top]
    halves = [shapely.box(tile[0], tile[1], left + 300, top), shapely.box(left + 300, *tile[1:])]
    crs = f"EPSG:{epsg}"
    area = geopandas.GeoDataFrame({"name": ["all"]}, geometry=[shapely.box(*tile)], crs=crs)
    area.to_file(folder / "area.gpkg")
    regions = geopandas.GeoDataFrame({"region": ["west", "east"]}, geometry=halves, crs=crs)
    regions.to_file(folder / "regions.gpkg")
    points = labels()
    points.geometry = points.geometry.centroid
    points.to_file(folder / "points.gpkg")


RICH = CONFIG.replace(
    "code_field: code}",
    "code_field: code, crosswalk: cross.csv}",
).replace(
    "validation: {bootstrap: 100, folds: 2}",
    """validation:
  bootstrap: 100
  independent: {path: points.gpkg}
strata: {path: regions.gpkg, field: region}
map: {area: {path: area.gpkg}}""",
)
"""A configuration that names every kind of file."""
