"""A whole tile of 10980 x 10980 pixels as MUSCATE products, to measure what a year costs.

Painting and compressing 58 GB of pixels would take an hour. So a patch of some hundred rows,
as wide as the tile, is painted and compressed for each date, and its strips are written again
and again down the file: every file has its full size on disk, and reading it decodes every
pixel. Fields and clouds therefore repeat down the tile; nothing else is simplified.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.core.tiles import Tile
from oso_pipeline.simulation.national.repeated_tiff import repeated_tiff
from oso_pipeline.simulation.world.land_covers import drawn_kinds
from oso_pipeline.simulation.world.phenology import Phenology
from oso_pipeline.simulation.world.reference_polygons import write_vector
from oso_pipeline.simulation.world.scene import QUANTIFICATION, R1_BANDS
from oso_pipeline.simulation.world.world import CLASS_CODES, smooth_noise
from oso_pipeline.simulation.writers.muscate import Make, product_id, write_texts
from oso_pipeline.simulation.writers.muscate_metadata import ProductFacts

_FIELD_PX = 18  # fields are squares of 324 pixels; 360 rows hold 20 of them
_CONTENT = ("FRE", "CLM", "EDG", "SAT", "MG2")
_CLOUD = 7200
_POLYGONS_PER_CLASS = 60

Int16 = npt.NDArray[np.int16]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class FullTileSpec:
    """Settings of the tile.

    Parameters
    ----------
    tile
        Name of the tile.
    rows, columns
        Size of the part written, from the upper-left corner; even.
    dates
        Acquisitions.
    year
        Their year.
    seed
        Everything random derives from it.
    patch_rows
        Rows painted; they repeat down the tile. A multiple of 36.
    """

    tile: str = "31TCJ"
    rows: int = 10_980
    columns: int = 10_980
    dates: int = 40
    year: int = 2018
    seed: int = 0
    patch_rows: int = 360

    def __post_init__(self) -> None:
        Tile(self.tile)
        sizes = (self.rows, self.columns)
        if any(not 64 <= size <= 10_980 or size % 2 for size in sizes):
            raise ValueError(f"rows and columns must be even and 64 to 10980, got {sizes}")
        if not 1 <= self.dates <= 73:
            raise ValueError(f"dates must lie in 1 to 73, got {self.dates}")
        if self.patch_rows < 36 or self.patch_rows % 36:
            raise ValueError(f"patch_rows must be a multiple of 36, got {self.patch_rows}")

    @property
    def grid(self) -> GeoBox:
        """The 10 m grid of what is written."""
        whole = Tile(self.tile).geobox()
        return GeoBox((self.rows, self.columns), whole.affine, whole.crs)


@dataclass(frozen=True)
class FullTile:
    """Where everything lies, and how large it is.

    Attributes
    ----------
    config
        Configuration that maps the tile.
    products, reference
        Folder of the products, and polygons with the field `code`.
    bytes_written, bytes_of_pixels
        Size of the images on disk, and decoded.
    """

    config: Path
    products: Path
    reference: Path
    bytes_written: int
    bytes_of_pixels: int


def write_full_tile(folder: Path, spec: FullTileSpec | None = None) -> FullTile:
    """Write products, reference polygons and a configuration into `folder`.

    The default takes about 40 GB and some minutes.

    Raises
    ------
    FileExistsError
        If the folder already holds products.
    """
    spec = spec or FullTileSpec()
    products = folder / "products"
    products.mkdir(parents=True)
    patch = _Patch(spec)
    sizes = [
        _write_product(products, spec, patch, number, day)
        for number, day in enumerate(_days_of_year(spec))
    ]
    reference, config = folder / "reference.gpkg", folder / "full_tile.yaml"
    write_vector(_polygons(spec, patch.codes), reference, "fields")
    config.write_text(_configuration(spec), encoding="utf-8")
    written, decoded = (sum(column) for column in zip(*sizes, strict=True))
    return FullTile(config, products, reference, written, decoded)


@dataclass
class _Patch:
    """The rows that are painted; `kinds` and `codes` are those of its fields, row by row.

    Has the members that :class:`~oso_pipeline.simulation.world.phenology.Phenology` needs.
    """

    spec: FullTileSpec
    codes: Int16 = field(init=False)
    kinds: Int16 = field(init=False)
    heights: npt.NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(derived_seed(self.seed, "fields"))
        down, across = self.spec.patch_rows // _FIELD_PX, -(-self.spec.columns // _FIELD_PX)
        self.codes = rng.choice(np.array(CLASS_CODES, np.int16), down * across)
        self.heights = rng.uniform(size=self.codes.size)
        self.kinds = drawn_kinds(self.codes, rng)
        rows, columns = np.arange(self.spec.patch_rows), np.arange(self.spec.columns)
        self._field = (rows // _FIELD_PX)[:, None] * across + columns // _FIELD_PX
        self._phenology = Phenology(self)

    @property
    def seed(self) -> int:
        """Seed of everything random."""
        return self.spec.seed

    def paint(self, number: int, day: int) -> dict[str, Int16]:
        """Return int16 images of all bands on the `number`-th date, the `day` of the year."""
        rng = np.random.default_rng(derived_seed(self.seed, "image", number))
        table = self._phenology.reflectance(day) * rng.normal(1, 0.03, 10).astype(np.float32)
        cloud = self.cloud(number)
        return {
            band: _observed(table[:, n], self._field, cloud, rng)
            if band in R1_BANDS
            else _observed(table[:, n], self._field[::2, ::2], cloud[::2, ::2], rng)
            for n, band in enumerate(SENTINEL2.names)
        }

    def cloud(self, number: int) -> npt.NDArray[np.bool_]:
        """Return where clouds lie at 10 m: 40 % on average, from none to all."""
        seed = derived_seed(self.seed, "clouds", number)
        x, y = np.meshgrid(
            np.arange(self.spec.columns // 2) * 20.0, np.arange(self.spec.patch_rows // 2) * 20.0
        )
        height = smooth_noise(x, y, 9000.0, seed)
        share = np.random.default_rng(seed).beta(0.5, 0.75)
        cloudy = height <= np.quantile(height[::4, ::4], share)
        return cloudy.repeat(2, axis=0).repeat(2, axis=1)


def _observed(
    reflectance: npt.NDArray[np.float32],
    fields: npt.NDArray[np.int64],
    cloud: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> Int16:
    """Return a band with so much noise that it deflates by 1.35, about as real images do."""
    noise = rng.standard_normal(fields.shape, dtype=np.float32)
    land = reflectance[fields] * (QUANTIFICATION * (1 + 0.003 * noise)) + 3 * noise
    return np.rint(np.where(cloud, _CLOUD + 30 * noise, land)).clip(-500, 20_000).astype(np.int16)


def _masks(cloud: npt.NDArray[np.bool_]) -> dict[str, Bytes]:
    """Return the masks of both resolutions: CLM with cloud and shadow bits, MG2 with cloud."""
    clear = np.zeros(cloud.shape, np.uint8)
    fine = {"CLM": cloud * np.uint8(3), "MG2": cloud * np.uint8(2), "EDG": clear, "SAT": clear}
    both = {f"{name}_R1": mask for name, mask in fine.items()}
    return both | {f"{name}_R2": mask[::2, ::2] for name, mask in fine.items()}


def _write_product(
    folder: Path, spec: FullTileSpec, patch: _Patch, number: int, day: int
) -> tuple[int, int]:
    """Write one product; return the bytes of its images on disk and decoded."""
    acquired = datetime(spec.year, 1, 1, 10, 56, tzinfo=UTC) + timedelta(days=day - 1)
    platform = f"SENTINEL2{'AB'[number % 2]}"
    name = product_id(platform, acquired, spec.tile, Make())
    cloud = patch.cloud(number)
    facts = ProductFacts(
        product_id=name, tile=spec.tile, acquired=acquired.replace(tzinfo=None),
        platform=platform, orbit_number=10_000 + number, grid=spec.grid, sun=(40.0, 160.0),
        cloud_percent=round(100 * float(cloud.mean())), snow_percent=0,
    )  # fmt: skip
    product = write_texts(folder, facts, _CONTENT, Make())
    (product / "MASKS").mkdir()
    images: dict[Path, Int16 | Bytes] = {
        product / f"{name}_FRE_{band}.tif": image
        for band, image in patch.paint(number, day).items()
    }
    images |= {
        product / "MASKS" / f"{name}_{mask}.tif": image for mask, image in _masks(cloud).items()
    }
    written = decoded = 0
    for path, image in images.items():
        zoom = spec.columns // image.shape[1]
        repeated_tiff(path, image, spec.rows // zoom, spec.grid.zoom_out(zoom).affine, spec.grid)
        written += path.stat().st_size
        decoded += spec.rows // zoom * image.shape[1] * image.itemsize
    return written, decoded


def _days_of_year(spec: FullTileSpec) -> list[int]:
    """Return days of acquisition spread over the year, multiples of 5 days apart."""
    return [1 + 5 * round(n * 72 / max(1, spec.dates - 1)) for n in range(spec.dates)]


def _polygons(spec: FullTileSpec, codes: Int16) -> gpd.GeoDataFrame:
    """Return the outlines of some fields of each class, on the grid of the tile."""
    rng = np.random.default_rng(derived_seed(spec.seed, "polygons"))
    down, across = spec.rows // _FIELD_PX, spec.columns // _FIELD_PX
    stored = -(-spec.columns // _FIELD_PX)
    row, column = np.divmod(rng.permutation(down * across), across)
    code = codes[row % (spec.patch_rows // _FIELD_PX) * stored + column]
    known = np.concatenate(
        [np.flatnonzero(code == wanted)[:_POLYGONS_PER_CLASS] for wanted in CLASS_CODES]
    )
    side = 10.0 * _FIELD_PX
    left = spec.grid.affine.c + column[known] * side
    top = spec.grid.affine.f - row[known] * side
    outlines = shapely.box(left, top - side, left + side, top)
    content = {"code": code[known].astype(np.int32)}
    return gpd.GeoDataFrame(content, geometry=outlines, crs=f"EPSG:{Tile(spec.tile).epsg}")


def _configuration(spec: FullTileSpec) -> str:
    return f"""\
# A simulated tile of full width, to measure time and memory.
name: full_tile
year: {spec.year}
nomenclature: oso17
run_dir: run
season: {{start: {spec.year}-01-01, end: {spec.year}-12-20, step_days: 10}}
imagery: {{paths: [products], tiles: [{spec.tile}]}}
reference:
  sources: [{{path: reference.gpkg, code_field: code}}]
sampling: {{max_train_pixels: 3000, max_validation_pixels: 3000}}
learning: {{n_trees: 100, min_samples_leaf: 25}}
"""
