"""The layers of a cell of the map: compressed row by row of blocks, with overviews."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.windows import Window

from oso_pipeline.core.commit import staged
from oso_pipeline.products.cog_writer import Level, verify_bytes, write_levels
from oso_pipeline.products.layers import PixelType
from oso_pipeline.products.overviews import halved
from oso_pipeline.products.raster import (
    BLOCK_PX,
    Packed,
    RasterSpec,
    pack,
    template_of,
    verify_pixels,
    verify_structure,
)


class CellLayer:
    """Takes the pixels of a layer of a cell from the top, and writes its file.

    Parameters
    ----------
    grid
        Grid of the cell.
    pixels
        Pixel type.
    levels
        How many overviews the file has.
    """

    def __init__(self, grid: GeoBox, pixels: PixelType, levels: int) -> None:
        self.pixels = pixels
        self.counts = np.zeros(65536, np.int64)
        self._grid = grid
        self._shape = int(grid.shape[0]), int(grid.shape[1])
        self._levels = levels
        self._strips: list[Packed] = []
        half = (-(-self._shape[0] // 2), -(-self._shape[1] // 2))
        self._half = np.empty(half if levels else (0, 0), pixels.dtype)

    @property
    def histogram(self) -> dict[int, int]:
        """Number of pixels of each value that occurs."""
        return {int(value): int(self.counts[value]) for value in np.flatnonzero(self.counts)}

    def add(self, values: npt.NDArray[np.uint16]) -> None:
        """Take the next row of blocks; the values must fit the type of the layer."""
        self.counts += np.bincount(values.ravel(), minlength=65536)
        content = values.astype(self.pixels.dtype)
        if self._levels:
            top = len(self._strips) * BLOCK_PX // 2
            half = self._halved(content)
            self._half[top : top + len(half)] = half
        self._strips.append(pack(content, self.pixels.nodata))

    def write(self, final: Path) -> None:
        """Publish the file, all or nothing, after decoding it whole.

        Raises
        ------
        EnvironmentFailure
            If the system refuses to write.
        """
        packed: list[Sequence[Packed]] = [self._strips]
        shapes: list[tuple[int, int]] = []
        overview = self._half if self._levels else None
        while overview is not None:
            packed.append([pack(overview, self.pixels.nodata)])
            shapes.append(overview.shape)
            overview = self._halved(overview) if len(shapes) < self._levels else None
        levels = [
            level_of(shape, strips)
            for shape, strips in zip((self._shape, *shapes), packed, strict=True)
        ]
        spec = RasterSpec(self._grid, self.pixels, self.pixels.band)
        with staged(final) as temporary:
            verify_bytes(temporary, write_levels(temporary, template_of(spec), levels))
            verify_structure(temporary, spec, shapes)
            for number, (level, strips) in enumerate(zip(levels, packed, strict=True)):
                checksums = [strip.checksum for strip in strips]
                rows = level.shape[0] if number else BLOCK_PX
                verify_pixels(temporary, checksums, rows, number - 1 if number else None)

    def _halved(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return halved(pixels, self.pixels.nodata, Resampling[self.pixels.overviews])


def level_of(shape: tuple[int, int], strips: Sequence[Packed]) -> Level:
    """Return the image, or an overview, that rows of blocks make."""
    sizes = np.concatenate([strip.sizes for strip in strips])
    return Level(shape, sizes, lambda: (strip.framed for strip in strips))


def strips_of(grid: GeoBox, window_px: int) -> list[list[Window]]:
    """Cut a grid into rows of blocks, and these into windows of at most `window_px` columns."""
    rows, columns = grid.shape
    return [
        [
            Window(left, top, min(window_px, columns - left), min(BLOCK_PX, rows - top))
            for left in range(0, columns, window_px)
        ]
        for top in range(0, rows, BLOCK_PX)
    ]
