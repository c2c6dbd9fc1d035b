"""Put a raster of the map together from its cells: their compressed blocks are copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling

from oso_pipeline.products.cell_layers import level_of
from oso_pipeline.products.cells import Cell
from oso_pipeline.products.cog_writer import LEADER, Level, framed_sizes, verify_bytes, write_levels
from oso_pipeline.products.overviews import halved, overview_shapes
from oso_pipeline.products.raster import (
    BLOCK_PX,
    RasterSpec,
    pack,
    read_level,
    template_of,
    verify_structure,
)
from oso_pipeline.products.tiff import Blocks, blocks_of, directories

_HEAD_BYTES = 2**20
"""More than the directories of a cell take."""


@dataclass(frozen=True)
class Part:
    """The file of a layer of a cell."""

    cell: Cell
    path: Path

    @cached_property
    def levels(self) -> tuple[Blocks, ...]:
        """Where the blocks of the image and of each overview lie.

        Raises
        ------
        ValueError
            If the file is none that `cog_writer` wrote.
        """
        with self.path.open("rb") as stream:
            return tuple(blocks_of(one) for one in directories(stream.read(_HEAD_BYTES)))

    def corner(self, level: int) -> tuple[int, int]:
        """Return row and column of its first block in a level of the map."""
        return self.cell.row // BLOCK_PX >> level, self.cell.column // BLOCK_PX >> level


def assemble(path: Path, spec: RasterSpec, bands: Sequence[Sequence[Part]], inside: int) -> None:
    """Write a Cloud Optimized GeoTIFF from the files of its cells, and read it back.

    No block of the image is decoded, nor of the overviews that lie inside the cells, but for
    the smallest of them, from which the others are made.

    Parameters
    ----------
    path
        File to write.
    spec
        Description of the raster.
    bands
        The cells of each band; where there is none the band is nodata.
    inside
        How many overviews lie inside the cells.

    Raises
    ------
    OSError
        If the disk is full, cannot be written, or gives back something else.
    """
    shape = int(spec.grid.shape[0]), int(spec.grid.shape[1])
    shapes = [shape, *overview_shapes(shape, BLOCK_PX)]
    of_bands = [
        _levels(sorted(parts, key=lambda p: p.cell), spec, shapes, inside) for parts in bands
    ]
    levels = [_together(same) for same in zip(*of_bands, strict=True)]
    verify_bytes(path, write_levels(path, template_of(spec), levels))
    verify_structure(path, spec, shapes[1:])


def _levels(
    parts: Sequence[Part], spec: RasterSpec, shapes: Sequence[tuple[int, int]], inside: int
) -> list[Level]:
    """Return the image and the overviews of one band."""
    levels = [_copied(parts, number, shapes[number]) for number in range(inside + 1)]
    if len(shapes) > len(levels):
        pixels = _decoded(parts, spec, inside, shapes[inside])
        for shape in shapes[len(levels) :]:
            pixels = halved(pixels, spec.pixels.nodata, Resampling[spec.pixels.overviews])
            levels.append(level_of(shape, [pack(pixels, spec.pixels.nodata)]))
    return levels


def _together(bands: Sequence[Level]) -> Level:
    """Return a level of a file whose bands follow each other, as TIFF numbers their blocks."""
    return Level(
        bands[0].shape,
        np.concatenate([band.sizes for band in bands]),
        lambda: chain.from_iterable(band.framed() for band in bands),
    )


def _copied(parts: Sequence[Part], number: int, shape: tuple[int, int]) -> Level:
    """Return a level that lies inside the cells."""
    sizes = np.zeros([-(-side // BLOCK_PX) for side in shape], np.int64)
    for part in parts:
        blocks = part.levels[number].sizes
        row, column = part.corner(number)
        sizes[row : row + blocks.shape[0], column : column + blocks.shape[1]] = blocks
    return Level(shape, sizes, partial(_blocks_of_rows, parts, number))


def _blocks_of_rows(parts: Sequence[Part], number: int) -> Iterator[bytes]:
    """Yield the framed blocks of a level, row by row; in a cell those of a row lie together."""
    for _, row in groupby(parts, key=lambda part: part.cell.row):
        beside = list(row)
        with ExitStack() as files:
            streams = [files.enter_context(part.path.open("rb")) for part in beside]
            for line in range(len(beside[0].levels[number].sizes)):
                for part, stream in zip(beside, streams, strict=True):
                    blocks = part.levels[number]
                    sizes, offsets = blocks.sizes[line], blocks.offsets[line]
                    if sizes.any():
                        stream.seek(int(offsets[offsets > 0][0]) - LEADER)
                        requested = int(framed_sizes(sizes).sum())
                        piece = stream.read(requested)
                        if len(piece) != requested:
                            raise OSError(f"{part.path} ends too early")
                        yield piece


def _decoded(
    parts: Sequence[Part], spec: RasterSpec, number: int, shape: tuple[int, int]
) -> npt.NDArray[Any]:
    """Return the pixels of a level that lies inside the cells."""
    pixels = np.full(shape, spec.pixels.nodata, spec.pixels.dtype)
    for part in parts:
        content = read_level(part.path, number - 1 if number else None)
        row, column = (at * BLOCK_PX for at in part.corner(number))
        pixels[row : row + content.shape[0], column : column + content.shape[1]] = content
    return pixels
