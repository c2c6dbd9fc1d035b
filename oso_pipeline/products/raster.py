"""Write a raster of the map: tiled first, then as a Cloud Optimized GeoTIFF."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.windows import Window

from oso_pipeline.core.commit import TEMPORARY_SUFFIX
from oso_pipeline.products.grid import windows
from oso_pipeline.products.layers import Layer

BLOCK_PX = 512
"""Side of the blocks of the products."""
WINDOW_PX = 1024
"""Side of the windows in which the map is made; a multiple of `BLOCK_PX`, so that no block
is written twice."""

# One thread: with GDAL_NUM_THREADS set, GDAL 3.10 does not report a full disk while it writes
# a GeoTIFF. The block cache is bounded because its default grows with the machine.
_SETTINGS = {"GDAL_NUM_THREADS": "1", "GDAL_CACHEMAX": 64, "GDAL_PAM_ENABLED": "NO"}

Pixels = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class RasterSpec:
    """What a raster of the map is, apart from its pixels.

    Parameters
    ----------
    grid
        Grid of the map.
    layer
        Which raster.
    dtype
        Type of the raster.
    tags
        Metadata of the file.
    colours
        Red, green, blue, alpha by value; none for a raster without colour table.
    """

    grid: GeoBox
    layer: Layer
    dtype: str
    tags: Mapping[str, str]
    colours: Mapping[int, tuple[int, int, int, int]] | None = None


@dataclass
class Written:
    """What was written: the number of pixels of each value and a checksum per window."""

    window_px: int = WINDOW_PX
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(65536, np.int64))
    checksums: list[int] = field(default_factory=list)

    @property
    def histogram(self) -> dict[int, int]:
        """Number of pixels of each value that occurs."""
        return {int(value): int(self.counts[value]) for value in np.flatnonzero(self.counts)}


@contextmanager
def flat_raster(beside: Path) -> Iterator[Path]:
    """Give the path of a temporary raster beside the temporary file `beside`; remove it after."""
    stem = beside.name.removesuffix(TEMPORARY_SUFFIX)
    path = beside.with_name(f"{stem}.flat{TEMPORARY_SUFFIX}")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def write_flat(
    path: Path, spec: RasterSpec, read: Callable[[Window], Pixels], window_px: int = WINDOW_PX
) -> Written:
    """Write a tiled GeoTIFF without overviews, window by window.

    Parameters
    ----------
    path
        File to write.
    spec
        What it is.
    read
        Gives the pixels of a window; values must fit the type of the raster.
    window_px
        Side of the windows.

    Raises
    ------
    OSError
        If the disk is full or cannot be written.
    """
    written = Written(window_px)
    profile = _profile(spec) | {"compress": "deflate", "zlevel": 1, "bigtiff": "if_safer"}
    with rasterio.Env(**_SETTINGS), rasterio.open(path, "w", **profile) as target:
        # Metadata first: added after the pixels it would make GDAL write the directory twice.
        target.update_tags(**spec.tags)
        target.set_band_description(1, spec.layer.description)
        if spec.colours is not None:
            target.write_colormap(1, dict(spec.colours))
        for window in windows(spec.grid, window_px):
            pixels = read(window)
            written.counts += np.bincount(pixels.ravel(), minlength=65536)
            content = pixels.astype(spec.dtype)
            written.checksums.append(zlib.crc32(content.data))
            target.write(content, 1, window=window)
    return written


def add_tags(path: Path, tags: Mapping[str, str]) -> None:
    """Add metadata to a raster that is not a product yet."""
    with rasterio.Env(**_SETTINGS), rasterio.open(path, "r+", driver="GTiff") as target:
        target.update_tags(**tags)


def write_cog(flat: Path, path: Path, spec: RasterSpec) -> None:
    """Copy the raster `flat` to a Cloud Optimized GeoTIFF with overviews.

    The same pixels give the same bytes: one thread, no dates.

    Raises
    ------
    OSError
        If the disk is full or cannot be written.
    """
    try:
        with rasterio.Env(**_SETTINGS):
            rasterio.shutil.copy(
                flat,
                path,
                driver="COG",
                COMPRESS="DEFLATE",
                LEVEL="6",
                BLOCKSIZE=str(BLOCK_PX),
                OVERVIEWS="IGNORE_EXISTING",
                OVERVIEW_RESAMPLING=spec.layer.overviews.name.upper(),
                BIGTIFF="IF_SAFER",
            )
    except CPLE_BaseError as error:  # what this driver raises is not an OSError
        raise OSError(f"{path}: {error}") from error


def verify(path: Path, spec: RasterSpec, written: Written) -> None:
    """Read a raster back whole, overviews too, and compare it with what was written.

    Raises
    ------
    OSError
        If the file is damaged or differs.
    """
    with rasterio.Env(**_SETTINGS), rasterio.open(path, driver="GTiff") as source:
        expected = _profile(spec)
        for key in ("dtype", "nodata", "width", "height", "transform", "crs"):
            if source.profile[key] != expected[key]:
                raise OSError(f"{path}: {key} is {source.profile[key]} instead of {expected[key]}")
        levels = len(source.overviews(1))
        parts = windows(spec.grid, written.window_px)
        if [zlib.crc32(source.read(1, window=part)) for part in parts] != written.checksums:
            raise OSError(f"{path}: the pixels read back differ from those written")
    for level in range(levels):
        with (
            rasterio.Env(**_SETTINGS),
            rasterio.open(path, driver="GTiff", OVERVIEW_LEVEL=level) as overview,
        ):
            for _, window in overview.block_windows(1):
                overview.read(1, window=window)


def _profile(spec: RasterSpec) -> dict[str, Any]:
    rows, columns = spec.grid.shape
    return {
        "driver": "GTiff",
        "dtype": spec.dtype,
        "count": 1,
        "height": rows,
        "width": columns,
        "crs": rasterio.crs.CRS.from_epsg(spec.grid.crs.epsg),
        "transform": spec.grid.affine,
        "nodata": spec.layer.nodata,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
    }
