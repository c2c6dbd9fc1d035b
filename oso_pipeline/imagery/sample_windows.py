"""Small windows of the products of a tile, read to compare these with each other.

Of each product the same few windows are read, 5 km wide, at pixels of 20 m. They begin at blocks of
files in tiles of 512 and of 1024 pixels, so that few blocks are decoded. Of a JPEG 2000 file of 10
m, only the level of 20 m is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.windows import Window

from oso_pipeline.imagery.acquisition import Acquisition, Asset
from oso_pipeline.imagery.clear import clear_pixels
from oso_pipeline.imagery.header import driver_of
from oso_pipeline.imagery.image_kinds import kind_of

PIXEL_M = 20
"""Side of a pixel of a sample."""

BLUE, INFRARED = "B2", ("B11", "B12")
"""The band that all checks read, and those of which one tells snow from clouds."""
COARSE = 4
"""Of the pixels and rows of 20 m, every so many are kept of short-wave infrared."""

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Bools = npt.NDArray[np.bool_]

_SIDE = 512  # pixels of 10 m
_ALIGNED = 1024  # blocks of JPEG 2000 files; those of 640 pixels at 20 m also hold each window
_PLACES = (0.19, 0.75)  # of rows and columns; of a tile of Sentinel-2: from pixel 2048 and 8192


@dataclass(frozen=True, slots=True)
class Windows:
    """Where a tile is sampled.

    Parameters
    ----------
    rows, columns
        First row and column of each window, pixels of 10 m, even numbers.
    height, width
        Of each window, pixels of 10 m, even numbers.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    height: int
    width: int

    @classmethod
    def of(cls, grid: GeoBox) -> Windows:
        """Return the windows of a tile: four of a whole tile, one of a small grid.

        Examples
        --------
        >>> from oso_pipeline.core.tiles import Tile
        >>> Windows.of(Tile("31TCJ").geobox()).rows
        (2048, 8192, 2048, 8192)
        """
        height, width = (min(side, _SIDE) // 2 * 2 for side in grid.shape)
        rows, columns = (
            _starts(side, size) for side, size in zip(grid.shape, (height, width), strict=True)
        )
        return cls(
            tuple(row for _ in columns for row in rows),
            tuple(column for column in columns for _ in rows),
            height,
            width,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Windows, rows and columns of a sample, pixels of 20 m."""
        return len(self.rows), self.height // 2, self.width // 2

    def of_asset(self, resolution_m: int) -> Sequence[Window]:
        """Return the windows in pixels of an asset."""
        zoom = resolution_m // 10
        return [
            Window(column // zoom, row // zoom, self.width // zoom, self.height // zoom)
            for row, column in zip(self.rows, self.columns, strict=True)
        ]


@dataclass(frozen=True)
class Samples:
    """Windows of the products of a tile.

    Parameters
    ----------
    windows
        Where they are.
    items
        The products that can be read and have blue.
    blue
        Reflectance, NaN where there is no data. Shape (dates, windows, rows, columns).
    infrared
        Every fourth pixel and row of short-wave infrared; NaN also where a product lacks the band.
        Shape (dates, windows, rows / 4, columns / 4).
    clear
        What the quality layers leave. Shape of `blue`.
    """

    windows: Windows
    items: tuple[Acquisition, ...]
    blue: Halves
    infrared: Halves
    clear: Bools


def read_samples(used: Sequence[Acquisition], windows: Windows) -> Samples:
    """Read the windows of products.

    Images on the web, which are copied later, are left out. So is a product that cannot be read,
    which is reported when it is read for the map.
    """
    n, rows, columns = windows.shape
    items: list[Acquisition] = []
    blue = np.empty((len(used), n, rows, columns), np.float16)
    infrared = np.full(
        (len(used), n, -(-rows // COARSE), -(-columns // COARSE)), np.nan, np.float16
    )
    clear = np.empty(blue.shape, bool)
    for item in used:
        at, name = len(items), next((band for band in INFRARED if band in item.bands), None)
        if BLUE not in item.bands or not all(_is_here(asset) for asset in _used(item)):
            continue
        try:
            blue[at] = read_band(item.bands[BLUE], windows)
            clear[at] = read_clear(item, windows)
            if name is not None:
                infrared[at] = read_band(item.bands[name], windows, COARSE)
        except (RasterioError, OSError):
            continue
        items.append(item)
    found = slice(len(items))
    return Samples(windows, tuple(items), blue[found], infrared[found], clear[found])


def _used(item: Acquisition) -> Iterator[Asset]:
    """Yield the assets that checks read."""
    yield from (item.bands[name] for name in (BLUE, *INFRARED) if name in item.bands)
    yield from (item.quality[rule.asset] for rule in item.rules if rule.asset in item.quality)


def _is_here(asset: Asset) -> bool:
    """Return whether an image is on this machine; one of the web is only after it was copied."""
    return asset.cached is not None or (asset.grid is None and kind_of(asset.href) != "remote")


def read_band(asset: Asset, windows: Windows, every: int = 1) -> Floats:
    """Return reflectance of a band, NaN where it has no data.

    Parameters
    ----------
    asset
        A band of 10 or 20 m.
    windows
        Where.
    every
        Step between the pixels and rows that are returned.

    Returns
    -------
    reflectance
        Shape of `windows`, of rows and columns every so many; means of the pixels of 10 m.

    Raises
    ------
    rasterio.errors.RasterioError, OSError
        If it cannot be read.
    """
    n, height, width = windows.shape
    shape = -(-height // every), -(-width // every)
    is_jp2 = driver_of(asset.path) == "JP2OpenJPEG"  # whose levels are means
    numbers = _read(asset, windows, shape if is_jp2 else None)
    values = numbers.astype(np.float32) * np.float32(asset.scale or 0) + np.float32(asset.offset)
    for number in (asset.nodata, asset.saturated):
        if number is not None:
            values[numbers == number] = np.nan
    if values.shape == (n, *shape):
        return values
    if values.shape != windows.shape:
        values = np.add.reduce(_in_fours(values)) / np.float32(4)
    return values[:, ::every, ::every]


def read_clear(item: Acquisition, windows: Windows) -> Bools:
    """Return where no rule of an acquisition hides any pixel of 10 m. Shape of `windows`.

    Raises
    ------
    rasterio.errors.RasterioError, OSError
        If a quality asset cannot be read.
    """
    clear = np.ones(windows.shape, bool)
    for rule in item.rules:
        if (asset := item.quality.get(rule.asset)) is not None:
            quality = _read(asset, windows)  # a coarser level has means of classes
            allowed = clear_pixels({rule.asset: quality}, (rule,))
            for one in (allowed,) if allowed.shape == windows.shape else _in_fours(allowed):
                clear &= one
    return clear


def _read(
    asset: Asset, windows: Windows, shape: tuple[int, int] | None = None
) -> npt.NDArray[np.integer]:
    """Return the numbers of all windows, of a coarser level of the file where a shape is given."""
    with rasterio.open(asset.path, driver=driver_of(asset.path)) as file:
        return np.stack(
            [
                file.read(1, window=window, out_shape=shape)
                for window in windows.of_asset(asset.resolution_m)
            ]
        )


def _in_fours(values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Return the four pixels of 10 m of each of 20 m; sums of these are faster than of an axis."""
    return [values[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]


def _starts(side: int, size: int) -> tuple[int, ...]:
    wanted = (int(share * side) // _ALIGNED * _ALIGNED for share in _PLACES)
    return tuple(dict.fromkeys(min(start, side - size) // 2 * 2 for start in wanted))
