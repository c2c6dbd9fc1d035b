"""The rasters of the map: description, blocks by GDAL, and verification by reading back."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile
from rasterio.windows import Window

from oso_pipeline.products.cog_writer import framed
from oso_pipeline.products.layers import PixelType
from oso_pipeline.products.tiff import Directory, blocks_of, directories

BLOCK_PX = 512
"""Side of the blocks of the products."""

# One thread: with GDAL_NUM_THREADS set, GDAL 3.10 does not report a full disk while it writes
# a GeoTIFF. The block cache is bounded because its default grows with the machine.
_SETTINGS = {"GDAL_NUM_THREADS": "1", "GDAL_CACHEMAX": 64, "GDAL_PAM_ENABLED": "NO"}
_PACKED: dict[str, Any] = {"tiled": True, "blockxsize": BLOCK_PX, "blockysize": BLOCK_PX}
_PACKED |= {"compress": "deflate", "zlevel": 6, "sparse_ok": True}

Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class RasterSpec:
    """Description of a raster of the map, without its pixels.

    Parameters
    ----------
    grid
        Grid of the raster.
    pixels
        Type of its pixels.
    description
        Of its band.
    tags
        Metadata of the file.
    colours
        Red, green, blue, alpha by value; none for a raster without colour table.
    more_bands
        Descriptions of the bands after the first.
    """

    grid: GeoBox
    pixels: PixelType
    description: str
    tags: Mapping[str, str] = field(default_factory=dict)
    colours: Mapping[int, tuple[int, int, int, int]] | None = None
    more_bands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Packed:
    """Compressed blocks of an image or a part of it.

    Parameters
    ----------
    sizes
        Bytes of each block, int64, shape ``(rows of blocks, columns of blocks)``; 0 for one that
        is all nodata.
    framed
        Those that are not, row by row, as `cog_writer.framed` frames them.
    checksum
        CRC-32 of the pixels.
    """

    sizes: npt.NDArray[np.int64]
    framed: bytes
    checksum: int


def pack(pixels: Pixels, nodata: int) -> Packed:
    """Compress pixels block by block.

    Block values beyond the pixels are nodata, so that the bytes are reproducible.

    Parameters
    ----------
    pixels
        Of the type of the raster, shape ``(rows, columns)``; the first block begins at the first.
    nodata
        Value of the raster that says so.
    """
    rows, columns = (-(-side // BLOCK_PX) * BLOCK_PX for side in pixels.shape)
    whole = pixels
    if whole.shape != (rows, columns):
        whole = np.full((rows, columns), nodata, pixels.dtype)
        whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    profile = {"count": 1, "height": rows, "width": columns, "dtype": pixels.dtype, **_PACKED}
    profile |= {"nodata": nodata, "transform": rasterio.Affine(1, 0, 1, 0, -1, 0)}
    with rasterio.Env(**_SETTINGS), MemoryFile() as memory:
        with memory.open(driver="GTiff", **profile) as target:
            target.write(whole, 1)
        content = bytes(memory.read())
    blocks = blocks_of(next(directories(content)))
    found = [
        framed(content[offset : offset + size])
        for offset, size in zip(blocks.offsets.flat, blocks.sizes.flat, strict=True)
        if size
    ]
    return Packed(blocks.sizes, b"".join(found), zlib.crc32(np.ascontiguousarray(pixels).data))


def template_of(spec: RasterSpec) -> Directory:
    """Return the tags of a raster as GDAL writes them, for `cog_writer.write_levels`."""
    profile = _profile(spec) | _PACKED | {"bigtiff": "yes"}
    if spec.more_bands:
        profile["interleave"] = "band"
    with rasterio.Env(**_SETTINGS), MemoryFile() as memory:
        with memory.open(**profile) as target:
            target.update_tags(**spec.tags)
            for number, text in enumerate((spec.description, *spec.more_bands), start=1):
                target.set_band_description(number, text)
            if spec.colours is not None:
                target.write_colormap(1, dict(spec.colours))
        return next(directories(memory.read()))


def verify_structure(path: Path, spec: RasterSpec, shapes: Sequence[tuple[int, int]]) -> None:
    """Compare what GDAL finds in a file with what it should be, apart from its pixels.

    Parameters
    ----------
    path
        The file.
    spec
        Expected description.
    shapes
        Rows and columns of its overviews.

    Raises
    ------
    OSError
        If it differs.
    """
    with rasterio.Env(**_SETTINGS), rasterio.open(path, driver="GTiff") as source:
        expected = _profile(spec)
        for key in ("dtype", "nodata", "width", "height", "transform", "crs"):
            if source.profile[key] != expected[key]:
                raise OSError(f"{path}: {key} is {source.profile[key]} instead of {expected[key]}")
        if source.block_shapes != [(BLOCK_PX, BLOCK_PX)] * (1 + len(spec.more_bands)):
            raise OSError(f"{path}: blocks of {source.block_shapes} pixels")
        found = len(source.overviews(1))
    sizes = [_overview_shape(path, level) for level in range(found)]
    if sizes != list(shapes):
        raise OSError(f"{path}: overviews of {sizes} instead of {list(shapes)} pixels")


def verify_pixels(path: Path, checksums: Sequence[int], rows: int, level: int | None) -> None:
    """Read the image of a file, or an overview, and compare it with what was packed.

    Parameters
    ----------
    path
        The file.
    checksums
        CRC-32 of the pixels of each band of `rows` rows, from the top.
    rows
        How many rows each checksum is of; the last may be of fewer.
    level
        Number of the overview from 0; None for the image.

    Raises
    ------
    OSError
        If the file is damaged or differs.
    """
    options = {} if level is None else {"OVERVIEW_LEVEL": level}
    with (
        rasterio.Env(**_SETTINGS),
        rasterio.open(path, driver="GTiff", **options) as source,
    ):
        for number, expected in enumerate(checksums):
            top = number * rows
            window = Window(0, top, source.width, min(rows, source.height - top))
            if zlib.crc32(source.read(1, window=window)) != expected:
                raise OSError(f"{path}: the pixels read back differ from those written")


def read_level(path: Path, level: int | None) -> Pixels:
    """Return the pixels of the image of a file (None) or of an overview (from 0)."""
    options = {} if level is None else {"OVERVIEW_LEVEL": level}
    with (
        rasterio.Env(**_SETTINGS),
        rasterio.open(path, driver="GTiff", **options) as source,
    ):
        pixels: Pixels = source.read(1)
        return pixels


def _overview_shape(path: Path, level: int) -> tuple[int, int]:
    with (
        rasterio.Env(**_SETTINGS),
        rasterio.open(path, driver="GTiff", OVERVIEW_LEVEL=level) as overview,
    ):
        return int(overview.height), int(overview.width)


def _profile(spec: RasterSpec) -> dict[str, Any]:
    rows, columns = spec.grid.shape
    return {
        "driver": "GTiff",
        "dtype": spec.pixels.dtype,
        "count": 1 + len(spec.more_bands),
        "height": rows,
        "width": columns,
        "crs": rasterio.crs.CRS.from_epsg(spec.grid.crs.epsg),
        "transform": spec.grid.affine,
        "nodata": spec.pixels.nodata,
    }
